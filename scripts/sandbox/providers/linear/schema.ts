import { buildSchema } from "graphql";

/**
 * The part of Linear's schema that the sandbox answers to: issues and what they belong to. Types and
 * fields bear Linear's names; what the sandbox knows nothing of is null.
 *
 * @see https://studio.apollographql.com/public/Linear-API/variant/current/schema/reference
 */
export const schema = buildSchema(/* GraphQL */ `
  scalar DateTime
  scalar JSON
  scalar JSONObject
  scalar TimelessDate

  type Query {
    viewer: User!
    issue(id: String!): Issue!
    issues(
      filter: IssueFilter, sort: [IssueSortInput!], orderBy: PaginationOrderBy, includeArchived: Boolean
      first: Int, after: String, last: Int, before: String
    ): IssueConnection!
    teams(filter: TeamFilter, first: Int, after: String, last: Int, before: String): TeamConnection!
    workflowStates(filter: WorkflowStateFilter, first: Int, after: String): WorkflowStateConnection!
  }

  type Mutation {
    issueCreate(input: IssueCreateInput!): IssuePayload!
    issueArchive(id: String!, trash: Boolean): IssueArchivePayload!
  }

  enum PaginationOrderBy { createdAt updatedAt }
  input IssueSortInput { title: JSONObject }

  input IDComparator { eq: ID neq: ID in: [ID!] nin: [ID!] }
  input IssueIDComparator { eq: ID neq: ID in: [ID!] nin: [ID!] }
  input StringComparator {
    eq: String neq: String in: [String!] nin: [String!]
    contains: String containsIgnoreCase: String startsWith: String endsWith: String
  }
  input NullableStringComparator {
    eq: String neq: String in: [String!] nin: [String!] null: Boolean
    contains: String containsIgnoreCase: String startsWith: String endsWith: String
  }
  input NumberComparator { eq: Float neq: Float lt: Float lte: Float gt: Float gte: Float }
  input IssueFilter {
    id: IssueIDComparator title: StringComparator description: NullableStringComparator
    number: NumberComparator priority: NumberComparator team: TeamFilter state: WorkflowStateFilter
    and: [IssueFilter!] or: [IssueFilter!]
  }
  input TeamFilter { id: IDComparator key: StringComparator name: StringComparator }
  input WorkflowStateFilter { id: IDComparator name: StringComparator type: StringComparator team: TeamFilter }

  input IssueCreateInput {
    id: String title: String description: String teamId: String! assigneeId: String stateId: String
    priority: Int labelIds: [String!] projectId: String cycleId: String parentId: String
    estimate: Int dueDate: TimelessDate
  }

  type PageInfo { hasPreviousPage: Boolean! hasNextPage: Boolean! startCursor: String endCursor: String }
  type IssueConnection { nodes: [Issue!]! pageInfo: PageInfo! }
  type TeamConnection { nodes: [Team!]! pageInfo: PageInfo! }
  type WorkflowStateConnection { nodes: [WorkflowState!]! pageInfo: PageInfo! }
  type IssueLabelConnection { nodes: [IssueLabel!]! pageInfo: PageInfo! }
  type CommentConnection { nodes: [Comment!]! pageInfo: PageInfo! }
  type IssuePayload { lastSyncId: Float! issue: Issue success: Boolean! }
  type IssueArchivePayload { lastSyncId: Float! entity: Issue success: Boolean! }

  type Organization { id: ID! name: String! urlKey: String! }
  type User {
    id: ID! name: String! displayName: String! email: String! active: Boolean! organization: Organization!
    description: String avatarUrl: String createdIssueCount: Int! avatarBackgroundColor: String!
    statusUntilAt: DateTime statusEmoji: String initials: String! lastSeen: DateTime timezone: String
    disableReason: String statusLabel: String archivedAt: DateTime createdAt: DateTime! updatedAt: DateTime!
    gitHubUserId: String title: String url: String! isAssignable: Boolean! isMentionable: Boolean!
    guest: Boolean! admin: Boolean! owner: Boolean! app: Boolean! isMe: Boolean! supportsAgentSessions: Boolean!
    canAccessAnyPublicTeam: Boolean! calendarHash: String inviteHash: String!
  }
  type Team { id: ID! key: String! name: String! displayName: String! createdAt: DateTime! updatedAt: DateTime! }
  type WorkflowState { id: ID! name: String! type: String! team: Team! }
  type IssueLabel { id: ID! name: String! }
  type Comment { id: ID! body: String! createdAt: DateTime! user: User issue: Issue }
  type Reaction {
    id: ID! emoji: String! createdAt: DateTime! updatedAt: DateTime! archivedAt: DateTime user: User
    comment: Comment issue: Issue externalUser: ExternalUser initiativeUpdate: InitiativeUpdate projectUpdate: ProjectUpdate
  }
  type ActorBot { id: ID type: String! subType: String name: String userDisplayName: String avatarUrl: String }
  type Cycle { id: ID! }
  type ExternalUser { id: ID! }
  type Favorite { id: ID! }
  type InitiativeUpdate { id: ID! }
  type Project { id: ID! name: String! }
  type ProjectMilestone { id: ID! }
  type ProjectUpdate { id: ID! }
  type Template { id: ID! }
  type IssueSharedAccess {
    isShared: Boolean! sharedWithCount: Int! sharedWithUsers: [User!]! viewerHasOnlySharedAccess: Boolean!
    disallowedIssueFields: [String!]!
  }
  type ExternalEntityInfo { id: String! service: String! metadata: ExternalEntityInfoMetadata }
  union ExternalEntityInfoMetadata =
    ExternalEntityInfoGithubMetadata | ExternalEntityInfoJiraMetadata | ExternalEntitySlackMetadata
  type ExternalEntityInfoGithubMetadata { number: Float owner: String repo: String }
  type ExternalEntityInfoJiraMetadata { issueTypeId: String projectId: String issueKey: String }
  type ExternalEntitySlackMetadata { messageUrl: String channelId: String channelName: String isFromSlack: Boolean! }

  type Issue {
    id: ID! identifier: String! number: Float! title: String! description: String url: String!
    priority: Float! priorityLabel: String! estimate: Float dueDate: TimelessDate branchName: String!
    createdAt: DateTime! updatedAt: DateTime! archivedAt: DateTime trashed: Boolean
    team: Team! state: WorkflowState! assignee: User creator: User project: Project parent: Issue cycle: Cycle
    labelIds: [String!]! labels: IssueLabelConnection! comments: CommentConnection!
    boardOrder: Float! sortOrder: Float! prioritySortOrder: Float! subIssueSortOrder: Float
    previousIdentifiers: [String!]! customerTicketCount: Int! reactionData: JSONObject! reactions: [Reaction!]!
    startedAt: DateTime completedAt: DateTime canceledAt: DateTime autoClosedAt: DateTime autoArchivedAt: DateTime
    startedTriageAt: DateTime triagedAt: DateTime addedToCycleAt: DateTime addedToProjectAt: DateTime addedToTeamAt: DateTime
    slaStartedAt: DateTime slaMediumRiskAt: DateTime slaHighRiskAt: DateTime slaBreachesAt: DateTime slaType: String
    snoozedUntilAt: DateTime snoozedBy: User integrationSourceType: String delegate: User botActor: ActorBot
    sourceComment: Comment syncedWith: [ExternalEntityInfo!] externalUserCreator: ExternalUser
    asksExternalUserRequester: ExternalUser asksRequester: User lastAppliedTemplate: Template
    recurringIssueTemplate: Template projectMilestone: ProjectMilestone favorite: Favorite
    sharedAccess: IssueSharedAccess! inheritsSharedAccess: Boolean!
  }
`);
