-- Linear (GraphQL) and Jira Cloud.

-- Linear --------------------------------------------------------------------------------------
-- Actions bear the names of the GraphQL fields they ask for.

select marketplace.register_provider(
  'linear',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://linear.app/oauth/authorize",
    "token_url": "https://api.linear.app/oauth/token",
    "revoke_url": "https://api.linear.app/oauth/revoke",
    "scopes": ["read", "write"],
    "scope_separator": ",",
    "token_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
    "rotates_refresh_token": true,
    "alternatives": {
      "api_key": {
        "secrets": {"api_token": {"title": "API key", "description": "Begins with lin_api_"}},
        "headers": {"authorization": "{secret.api_token}"}
      }
    }
  }
  $json$,
  p_rate_limit => $json$
  {
    "limit_header": "x-ratelimit-requests-limit", "remaining_header": "x-ratelimit-requests-remaining",
    "reset_header": "x-ratelimit-requests-reset", "reset_format": "epoch_ms", "quota": {"limit": 2500, "window_seconds": 3600}
  }
  $json$,
  p_health_action => 'viewer',
  p_response_errors => $json$
  {
    "pointer": "/errors", "code": "/errors/0/extensions/code",
    "message": ["/errors/0/extensions/userPresentableMessage", "/errors/0/message"],
    "rate_limited": ["RATELIMITED"], "unauthorized": ["AUTHENTICATION_ERROR"], "rejected": ["INPUT_ERROR", "GRAPHQL_VALIDATION_FAILED"]
  }
  $json$
);

select marketplace.register_action('linear', 'graphql', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["query"],
  "properties": {
    "query": {"type": "string", "minLength": 1}, "variables": {"type": "object"}, "operationName": {"type": "string"}
  }
}
$json$, p_name => 'Run any query or mutation');

select marketplace.register_action('linear', 'viewer', 'POST', '/graphql', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_request_transform => '{"query": "query { viewer { id name email organization { id name urlKey } } }"}', p_response_transform => 'data.viewer',
p_is_read_only => true, p_name => 'Get the user', p_scopes => '{read}');

select marketplace.register_action('linear', 'issues', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "filter": {"type": "object", "description": "IssueFilter: {\"team\": {\"key\": {\"eq\": \"ENG\"}}}"},
    "orderBy": {"enum": ["createdAt", "updatedAt"]},
    "includeArchived": {"type": "boolean"},
    "first": {"type": "integer", "minimum": 1, "maximum": 250},
    "after": {"type": "string"}
  }
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "query ($filter: IssueFilter, $orderBy: PaginationOrderBy, $includeArchived: Boolean, $first: Int, $after: String) { issues(filter: $filter, orderBy: $orderBy, includeArchived: $includeArchived, first: $first, after: $after) { nodes { id identifier title description priority url createdAt updatedAt state { id name type } assignee { id name } team { id key } labels { nodes { id name } } } pageInfo { hasNextPage endCursor } } }",
    "variables": $
  }
$jsonata$,
p_response_transform => 'data.issues',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/data/issues/pageInfo/endCursor", "more": "/data/issues/pageInfo/hasNextPage", "items": "/data/issues/nodes"}',
p_is_read_only => true, p_name => 'List issues', p_scopes => '{read}');

select marketplace.register_action('linear', 'searchIssues', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["term"],
  "properties": {
    "term": {"type": "string", "minLength": 1},
    "teamId": {"type": "string"},
    "includeComments": {"type": "boolean"},
    "first": {"type": "integer", "minimum": 1, "maximum": 250},
    "after": {"type": "string"}
  }
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "query ($term: String!, $teamId: String, $includeComments: Boolean, $first: Int, $after: String) { searchIssues(term: $term, teamId: $teamId, includeComments: $includeComments, first: $first, after: $after) { nodes { id identifier title url state { id name type } } pageInfo { hasNextPage endCursor } } }",
    "variables": $
  }
$jsonata$,
p_response_transform => 'data.searchIssues',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/data/searchIssues/pageInfo/endCursor", "more": "/data/searchIssues/pageInfo/hasNextPage", "items": "/data/searchIssues/nodes"}',
p_is_read_only => true, p_name => 'Search issues', p_scopes => '{read}');

select marketplace.register_action('linear', 'issue', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"id": {"type": "string", "minLength": 1, "description": "UUID, or identifier such as ENG-123"}}
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "query ($id: String!) { issue(id: $id) { id identifier title description priority estimate dueDate url createdAt updatedAt state { id name type } assignee { id name email } team { id key name } project { id name } labels { nodes { id name } } comments { nodes { id body createdAt user { id name } } } } }",
    "variables": {"id": id}
  }
$jsonata$,
p_response_transform => 'data.issue', p_is_read_only => true, p_name => 'Get an issue', p_scopes => '{read}');

select marketplace.register_action('linear', 'issueCreate', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["teamId", "title"],
  "properties": {
    "teamId": {"type": "string", "minLength": 1},
    "title": {"type": "string", "minLength": 1},
    "description": {"type": "string", "description": "Markdown"},
    "assigneeId": {"type": "string"},
    "stateId": {"type": "string"},
    "priority": {"type": "integer", "minimum": 0, "maximum": 4, "description": "0 none, 1 urgent, 2 high, 3 medium, 4 low"},
    "labelIds": {"type": "array", "items": {"type": "string"}},
    "projectId": {"type": "string"},
    "cycleId": {"type": "string"},
    "parentId": {"type": "string"},
    "estimate": {"type": "integer", "minimum": 0},
    "dueDate": {"type": "string", "format": "date"},
    "id": {"type": "string", "format": "uuid", "description": "Chosen by the caller: a repeated request then fails instead of doubling"}
  }
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "mutation ($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id identifier title url } } }",
    "variables": {"input": $}
  }
$jsonata$,
p_response_transform => 'data.issueCreate.issue', p_name => 'Create an issue', p_scopes => '{write}');

select marketplace.register_action('linear', 'issueUpdate', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "title": {"type": "string", "minLength": 1},
    "description": {"type": "string"},
    "assigneeId": {"type": ["string", "null"]},
    "stateId": {"type": "string"},
    "priority": {"type": "integer", "minimum": 0, "maximum": 4},
    "labelIds": {"type": "array", "items": {"type": "string"}},
    "projectId": {"type": ["string", "null"]},
    "cycleId": {"type": ["string", "null"]},
    "parentId": {"type": ["string", "null"]},
    "estimate": {"type": ["integer", "null"]},
    "dueDate": {"type": ["string", "null"]}
  }
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "mutation ($id: String!, $input: IssueUpdateInput!) { issueUpdate(id: $id, input: $input) { success issue { id identifier title url state { id name } } } }",
    "variables": {"id": id, "input": $sift(function($v, $k) { $k != "id" })}
  }
$jsonata$,
p_response_transform => 'data.issueUpdate.issue', p_is_idempotent => true, p_name => 'Change an issue', p_scopes => '{write}');

select marketplace.register_action('linear', 'issueArchive', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"id": {"type": "string", "minLength": 1}, "trash": {"type": "boolean"}}
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "mutation ($id: String!, $trash: Boolean) { issueArchive(id: $id, trash: $trash) { success } }",
    "variables": $
  }
$jsonata$,
p_response_transform => 'data.issueArchive', p_is_idempotent => true, p_name => 'Archive an issue', p_scopes => '{write}');

select marketplace.register_action('linear', 'commentCreate', 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueId", "body"],
  "properties": {
    "issueId": {"type": "string", "minLength": 1},
    "body": {"type": "string", "minLength": 1, "description": "Markdown"},
    "parentId": {"type": "string", "description": "Comment to answer to"}
  }
}
$json$,
p_request_transform => $jsonata$
  {
    "query": "mutation ($input: CommentCreateInput!) { commentCreate(input: $input) { success comment { id body url } } }",
    "variables": {"input": $}
  }
$jsonata$,
p_response_transform => 'data.commentCreate.comment', p_name => 'Comment on an issue', p_scopes => '{write}');

-- Lists of small things differ only in what they are lists of.
select marketplace.register_action('linear', list.slug, 'POST', '/graphql', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "filter": {"type": "object"}, "first": {"type": "integer", "minimum": 1, "maximum": 250}, "after": {"type": "string"}
  }
}
$json$,
p_request_transform => format(
  '{"query": "query ($filter: %s, $first: Int, $after: String) { %s(filter: $filter, first: $first, after: $after) { nodes { %s } pageInfo { hasNextPage endCursor } } }", "variables": $}',
  list.filter, list.slug, list.fields
),
p_response_transform => format('data.%s', list.slug),
p_pagination => jsonb_build_object(
  'style', 'cursor', 'parameter', 'after', 'next', format('/data/%s/pageInfo/endCursor', list.slug),
  'more', format('/data/%s/pageInfo/hasNextPage', list.slug), 'items', format('/data/%s/nodes', list.slug)
),
p_is_read_only => true, p_name => list.name, p_scopes => '{read}')
from (
  values
  ('teams', 'TeamFilter', 'id key name', 'List teams'),
  ('users', 'UserFilter', 'id name displayName email active', 'List people'),
  ('projects', 'ProjectFilter', 'id name url state', 'List projects'),
  ('workflowStates', 'WorkflowStateFilter', 'id name type team { id key }', 'List states of issues')
) as list (slug, filter, fields, name);

-- Jira ----------------------------------------------------------------------------------------
-- Operation names are those of Atlassian's OpenAPI description.

select marketplace.register_provider(
  'jira',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "base_url": "https://api.atlassian.com/ex/jira/{connection.cloud_id}",
    "settings": {"cloud_id": {"title": "Cloud ID", "description": "Of https://api.atlassian.com/oauth/token/accessible-resources", "pattern": "[0-9a-f-]{36}"}},
    "authorize_url": "https://auth.atlassian.com/authorize",
    "token_url": "https://auth.atlassian.com/oauth/token",
    "authorize_params": {"audience": "api.atlassian.com", "prompt": "consent"},
    "scopes": ["read:jira-work", "write:jira-work", "read:jira-user", "offline_access"],
    "token_auth_method": "client_secret_post",
    "token_body": "json",
    "pkce": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": true,
    "alternatives": {
      "basic": {
        "base_url": "https://{connection.site}.atlassian.net",
        "settings": {
          "site": {"title": "Site", "description": "acme, for acme.atlassian.net", "pattern": "[A-Za-z0-9-]+"},
          "email": {"title": "Mail address of the account"}
        },
        "secrets": {"api_token": {"title": "API token"}},
        "basic": {"username": "{connection.email}", "password": "{secret.api_token}"}
      }
    }
  }
  $json$,
  p_rate_limit => $json$
  {
    "limit_header": "x-ratelimit-limit", "remaining_header": "x-ratelimit-remaining",
    "reset_header": "x-ratelimit-reset", "reset_format": "iso", "quota": {"limit": 600, "window_seconds": 60}
  }
  $json$,
  p_health_action => 'getCurrentUser'
);

select marketplace.register_action('jira', 'getCurrentUser', 'GET', '/rest/api/3/myself', $json$
{
  "type": "object", "additionalProperties": false, "properties": {"expand": {"type": "string"}}
}
$json$, p_name => 'Get the user', p_scopes => '{read:jira-user}');

select marketplace.register_action('jira', 'searchProjects', 'GET', '/rest/api/3/project/search', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "query": {"type": "string"},
    "orderBy": {"type": "string", "description": "Such as name, or -lastIssueUpdatedTime"},
    "keys": {"type": "array", "items": {"type": "string"}},
    "expand": {"type": "string"},
    "startAt": {"type": "integer", "minimum": 0},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 100}
  }
}
$json$, p_name => 'List projects', p_scopes => '{read:jira-work}',
p_pagination => '{"style": "offset", "parameter": "startAt", "is_last": "/isLast", "items": "/values"}');

select marketplace.register_action('jira', 'searchAndReconsileIssuesUsingJql', 'GET', '/rest/api/3/search/jql', $json$
{
  "type": "object", "additionalProperties": false, "required": ["jql"],
  "properties": {
    "jql": {"type": "string", "minLength": 1, "description": "Such as: project = ENG AND status = \"In Progress\""},
    "fields": {"type": "array", "items": {"type": "string"}, "default": ["summary", "status", "assignee", "updated"]},
    "expand": {"type": "string"},
    "properties": {"type": "array", "items": {"type": "string"}},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 5000},
    "nextPageToken": {"type": "string"}
  }
}
$json$, p_name => 'Search issues', p_scopes => '{read:jira-work}',
p_pagination => '{"style": "cursor", "parameter": "nextPageToken", "next": "/nextPageToken", "items": "/issues"}');

select marketplace.register_action('jira', 'getIssue', 'GET', '/rest/api/3/issue/{issueIdOrKey}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey"],
  "properties": {
    "issueIdOrKey": {"type": "string", "minLength": 1},
    "fields": {"type": "array", "items": {"type": "string"}},
    "expand": {"type": "string"}
  }
}
$json$, p_name => 'Get an issue', p_scopes => '{read:jira-work}');

select marketplace.register_action('jira', 'createIssue', 'POST', '/rest/api/3/issue', $json$
{
  "type": "object", "additionalProperties": false, "required": ["project", "issuetype", "summary"],
  "properties": {
    "project": {"type": "string", "minLength": 1, "description": "The project's key"},
    "issuetype": {"type": "string", "minLength": 1, "description": "Such as Task"},
    "summary": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": {"type": ["string", "object"], "description": "Text, one paragraph a line, or an Atlassian document"},
    "assignee": {"type": "string", "description": "Account id"},
    "priority": {"type": "string", "description": "Such as High"},
    "labels": {"type": "array", "items": {"type": "string", "pattern": "^\\S+$"}},
    "parent": {"type": "string", "description": "Key of the epic or parent"},
    "fields": {"type": "object", "description": "Further fields, by id: customfield_10000"}
  }
}
$json$,
p_request_transform => $jsonata$
  {"fields": $merge([
    fields,
    {"project": {"key": project}, "issuetype": {"name": issuetype}, "summary": summary},
    description ? {"description": $type(description) = "object" ? description : {"type": "doc", "version": 1, "content": [
      $split(description, "\n").{"type": "paragraph", "content": $ = "" ? [] : [{"type": "text", "text": $}]}
    ]}} : {},
    assignee ? {"assignee": {"accountId": assignee}} : {},
    priority ? {"priority": {"name": priority}} : {},
    $exists(labels) ? {"labels": labels} : {},
    parent ? {"parent": {"key": parent}} : {}
  ])}
$jsonata$,
p_name => 'Create an issue', p_scopes => '{write:jira-work}');

select marketplace.register_action('jira', 'editIssue', 'PUT', '/rest/api/3/issue/{issueIdOrKey}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey"],
  "properties": {
    "issueIdOrKey": {"type": "string", "minLength": 1},
    "notifyUsers": {"type": "boolean"},
    "fields": {"type": "object"},
    "update": {"type": "object"}
  }
}
$json$, p_query_parameters => '{notifyUsers}', p_response_type => 'none', p_name => 'Change an issue', p_scopes => '{write:jira-work}');

select marketplace.register_action('jira', 'getTransitions', 'GET', '/rest/api/3/issue/{issueIdOrKey}/transitions', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey"],
  "properties": {"issueIdOrKey": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'List possible transitions', p_scopes => '{read:jira-work}');

select marketplace.register_action('jira', 'doTransition', 'POST', '/rest/api/3/issue/{issueIdOrKey}/transitions', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey", "transition"],
  "properties": {
    "issueIdOrKey": {"type": "string", "minLength": 1},
    "transition": {"type": "string", "minLength": 1, "description": "Id, of getTransitions"},
    "fields": {"type": "object"}
  }
}
$json$, p_request_transform => '$merge([{"transition": {"id": transition}}, $exists(fields) ? {"fields": fields} : {}])', p_response_type => 'none',
p_name => 'Move an issue to another status', p_scopes => '{write:jira-work}');

select marketplace.register_action('jira', 'assignIssue', 'PUT', '/rest/api/3/issue/{issueIdOrKey}/assignee', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey", "accountId"],
  "properties": {"issueIdOrKey": {"type": "string", "minLength": 1}, "accountId": {"type": ["string", "null"], "description": "Null: nobody"}}
}
$json$, p_response_type => 'none', p_name => 'Assign an issue', p_scopes => '{write:jira-work}');

select marketplace.register_action('jira', 'getComments', 'GET', '/rest/api/3/issue/{issueIdOrKey}/comment', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey"],
  "properties": {
    "issueIdOrKey": {"type": "string", "minLength": 1},
    "orderBy": {"enum": ["created", "-created", "+created"]},
    "startAt": {"type": "integer", "minimum": 0},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 5000}
  }
}
$json$, p_name => 'List comments', p_scopes => '{read:jira-work}',
p_pagination => '{"style": "offset", "parameter": "startAt", "total": "/total", "items": "/comments"}');

select marketplace.register_action('jira', 'addComment', 'POST', '/rest/api/3/issue/{issueIdOrKey}/comment', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey", "body"],
  "properties": {
    "issueIdOrKey": {"type": "string", "minLength": 1},
    "body": {"type": ["string", "object"], "description": "Text, one paragraph a line, or an Atlassian document"},
    "visibility": {"type": "object"}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    {"body": $type(body) = "object" ? body : {"type": "doc", "version": 1, "content": [
      $split(body, "\n").{"type": "paragraph", "content": $ = "" ? [] : [{"type": "text", "text": $}]}
    ]}},
    $exists(visibility) ? {"visibility": visibility} : {}
  ])
$jsonata$,
p_name => 'Comment on an issue', p_scopes => '{write:jira-work}');

select marketplace.register_action('jira', 'addAttachment', 'POST', '/rest/api/3/issue/{issueIdOrKey}/attachments', $json$
{
  "type": "object", "additionalProperties": false, "required": ["issueIdOrKey", "file"],
  "properties": {
    "issueIdOrKey": {"type": "string", "minLength": 1},
    "file": {
      "type": "array", "minItems": 1, "maxItems": 60,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["filename"],
        "properties": {
          "filename": {"type": "string", "minLength": 1},
          "content_type": {"type": "string"},
          "data": {"type": "string", "format": "base64"},
          "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
        }
      }
    },
    "x_atlassian_token": {"const": "no-check", "default": "no-check", "description": "Jira refuses uploads without it"}
  }
}
$json$, p_header_parameters => '{"x_atlassian_token": "x-atlassian-token"}', p_body_type => 'multipart', p_name => 'Attach files', p_timeout_ms => 120000,
p_sensitive_paths => '{/file/*/data}', p_scopes => '{write:jira-work}');

select marketplace.register_action('jira', 'findUsers', 'GET', '/rest/api/3/user/search', $json$
{
  "type": "object", "additionalProperties": false, "required": ["query"],
  "properties": {
    "query": {"type": "string", "minLength": 1, "description": "Part of a name or mail address"},
    "startAt": {"type": "integer", "minimum": 0},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 1000}
  }
}
$json$, p_name => 'Find people', p_scopes => '{read:jira-user}',
p_pagination => '{"style": "offset", "parameter": "startAt", "size_parameter": "maxResults", "default_size": 50, "items": ""}');
