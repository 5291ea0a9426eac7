import type { Fault, FaultRequest } from "./core/faults.ts";
import type { JournalEntry, JournalFilter } from "./core/journal.ts";
import type { PushInfo, PushOptions } from "./core/pushes.ts";
import type { GitHubRun } from "./providers/github/mod.ts";
import type {
  GitHubCommitFixture,
  GitHubCommitInfo,
  GitHubRepositoryFixture,
} from "./providers/github/contents.ts";
import type { GitHubRunFixture } from "./providers/github/artifact_fixtures.ts";
import type { GitHubEventFixture, GitHubHookInfo } from "./providers/github/hooks.ts";
import type { GitHubIssueInfo } from "./providers/github/issues.ts";
import type { GoogleOAuthFixture } from "./providers/google/mod.ts";
import type { MailFixture, MailInfo, MailLabels } from "./providers/google/gmail_fixtures.ts";
import type { SubscriptionFixture } from "./providers/google/pubsub.ts";
import type {
  CalendarEventEdit,
  CalendarEventFixture,
  CalendarEventInfo,
} from "./providers/google/calendar.ts";
import type { GoogleChannelInfo } from "./providers/google/channels.ts";
import type { DocumentEdit, DocumentFixture } from "./providers/google/docs.ts";
import type {
  DriveEdit,
  DriveFileFixture,
  DriveFileInfo,
} from "./providers/google/drive_fixtures.ts";
import type { JiraIssue } from "./providers/jira/mod.ts";
import type { LinearIssue } from "./providers/linear/mod.ts";
import type { NocoTableFixture } from "./providers/nocodb/mod.ts";
import type { NocoRecord } from "./providers/nocodb/where.ts";
import type { OdooFixture } from "./providers/odoo/mod.ts";
import type { OdooRecord } from "./providers/odoo/records.ts";
import type { SpreadsheetEdit, SpreadsheetFixture } from "./providers/google/sheets.ts";
import type { SlackChannelFixture, SlackMessage } from "./providers/slack.ts";
import type { SnsTopicFixture } from "./providers/sns/mod.ts";
import type { Subscription as SnsSubscriptionInfo } from "./providers/sns/topics.ts";
import type { FlavourName } from "./s3/flavours.ts";
import type { S3ObjectInfo } from "./s3/server.ts";

export type {
  CalendarEventEdit,
  CalendarEventFixture,
  CalendarEventInfo,
  DocumentEdit,
  DocumentFixture,
  DriveEdit,
  DriveFileFixture,
  DriveFileInfo,
  Fault,
  FaultRequest,
  FlavourName,
  GitHubCommitFixture,
  GitHubCommitInfo,
  GitHubEventFixture,
  GitHubHookInfo,
  GitHubIssueInfo,
  GitHubRepositoryFixture,
  GitHubRun,
  GitHubRunFixture,
  GoogleChannelInfo,
  GoogleOAuthFixture,
  JournalEntry,
  JournalFilter,
  MailFixture,
  MailInfo,
  MailLabels,
  NocoRecord,
  NocoTableFixture,
  OdooFixture,
  OdooRecord,
  PushInfo,
  PushOptions,
  S3ObjectInfo,
  SlackChannelFixture,
  SlackMessage,
  SnsSubscriptionInfo,
  SnsTopicFixture,
  SpreadsheetEdit,
  SpreadsheetFixture,
  SubscriptionFixture,
};

/** Speaks to a running sandbox's `/_control`: fixtures in, evidence out. */
export class SandboxClient {
  /** @param url the sandbox's REST origin, `SANDBOX_URL` of the local platform */
  constructor(readonly url: string) {}

  /** Makes a workflow run with artifacts; a known `run_id` gets further ones. */
  createGitHubRun(fixture: GitHubRunFixture): Promise<GitHubRun> {
    return this.#json("POST", "/github/artifacts", fixture);
  }

  /** Makes a repository with files in a first commit; one that exists gets a further one. */
  createGitHubRepository(
    fixture: GitHubRepositoryFixture = {},
  ): Promise<{ id: number; full_name: string; head: string | null }> {
    return this.#json("POST", "/github/repositories", fixture);
  }

  /** Commits by somebody else's hand. */
  commitToGitHub(fixture: GitHubCommitFixture): Promise<GitHubCommitInfo> {
    return this.#json("POST", "/github/commits", fixture);
  }

  /** The commits of a branch, latest first, with what each changed. */
  async gitHubCommits(
    place: { owner?: string; repo?: string; branch?: string } = {},
  ): Promise<GitHubCommitInfo[]> {
    const path = `/github/commits${query(place)}`;
    return (await this.#json<{ commits: GitHubCommitInfo[] }>("GET", path)).commits;
  }

  /** The issues of a repository, oldest first. */
  async gitHubIssues(place: { owner?: string; repo?: string } = {}): Promise<GitHubIssueInfo[]> {
    const path = `/github/issues${query(place)}`;
    return (await this.#json<{ issues: GitHubIssueInfo[] }>("GET", path)).issues;
  }

  /** Lets something happen in a repository: delivered to each hook that listens to it. */
  sendGitHubEvent(fixture: GitHubEventFixture): Promise<{ guid: string; hooks: number[] }> {
    return this.#json("POST", "/github/events", fixture);
  }

  /** The webhooks of all repositories and organizations. */
  async gitHubHooks(): Promise<GitHubHookInfo[]> {
    return (await this.#json<{ hooks: GitHubHookInfo[] }>("GET", "/github/hooks")).hooks;
  }

  /** Sets the hourly request budget of each token and starts a new hour. */
  async setGitHubRateLimit(limit: number): Promise<void> {
    await this.#json("POST", "/github/rate_limit", { limit });
  }

  /** Changes how Google's token endpoint behaves. */
  async setGoogleOAuth(fixture: GoogleOAuthFixture): Promise<void> {
    await this.#json("POST", "/google/oauth", fixture);
  }

  /** Sets the Drive storage quota in bytes. */
  async setDriveQuota(limitBytes: number): Promise<void> {
    await this.#json("POST", "/drive/quota", { limit_bytes: limitBytes });
  }

  /** Makes a file in Drive, and the folders on its way. */
  createDriveFile(fixture: DriveFileFixture): Promise<DriveFileInfo> {
    return this.#json("POST", "/drive/files", fixture);
  }

  /** Edits, renames, moves, trashes or restores a file or folder: one change. */
  editDriveFile(id: string, edit: DriveEdit): Promise<DriveFileInfo> {
    return this.#json("PATCH", `/drive/files/${encodeURIComponent(id)}`, edit);
  }

  /** Deletes a file, or a folder with all that is in it, for good. */
  async removeDriveFile(id: string): Promise<void> {
    await this.#json("DELETE", `/drive/files/${encodeURIComponent(id)}`);
  }

  /** Makes a document of Docs, of paragraphs, headings, lists and images. */
  createDocument(fixture: DocumentFixture): Promise<DriveFileInfo> {
    return this.#json("POST", "/docs/documents", fixture);
  }

  /** Replaces the text or the title of a document: one change. */
  editDocument(id: string, edit: DocumentEdit): Promise<DriveFileInfo> {
    return this.#json("PATCH", `/docs/documents/${encodeURIComponent(id)}`, edit);
  }

  /** Makes a spreadsheet of rows. */
  createSpreadsheet(fixture: SpreadsheetFixture): Promise<DriveFileInfo> {
    return this.#json("POST", "/sheets/spreadsheets", fixture);
  }

  /** Replaces sheets or single cells of a spreadsheet: one change. */
  editSpreadsheet(id: string, edit: SpreadsheetEdit): Promise<DriveFileInfo> {
    return this.#json("PATCH", `/sheets/spreadsheets/${encodeURIComponent(id)}`, edit);
  }

  /** Lets every page token that Drive has given until now be refused. */
  async expireDrivePageTokens(): Promise<void> {
    await this.#json("POST", "/drive/expire_page_tokens");
  }

  /** The notification channels that are open at Drive and Calendar. */
  async googleChannels(): Promise<GoogleChannelInfo[]> {
    return (await this.#json<{ channels: GoogleChannelInfo[] }>("GET", "/google/channels"))
      .channels;
  }

  /** Every file and folder in Drive. */
  async driveFiles(): Promise<DriveFileInfo[]> {
    return (await this.#json<{ files: DriveFileInfo[] }>("GET", "/drive/files")).files;
  }

  /** The bytes of a Drive file. */
  driveContent(id: string): Promise<Uint8Array> {
    return this.#bytes(`/drive/files/${encodeURIComponent(id)}/content`);
  }

  /** Lets a topic of Pub/Sub be pushed somewhere, with a signed token. */
  async createSubscription(fixture: SubscriptionFixture): Promise<void> {
    await this.#json("POST", "/google/subscriptions", fixture);
  }

  /** Brings a mail into the mailbox. */
  deliverMail(fixture: MailFixture): Promise<MailInfo> {
    return this.#json("POST", "/gmail/messages", fixture);
  }

  /** Puts labels on a mail and takes others off, by their names. */
  labelMail(id: string, labels: MailLabels): Promise<MailInfo> {
    return this.#json("PATCH", `/gmail/messages/${encodeURIComponent(id)}`, labels);
  }

  /** Deletes a mail for good. */
  async removeMail(id: string): Promise<void> {
    await this.#json("DELETE", `/gmail/messages/${encodeURIComponent(id)}`);
  }

  /** Every mail in the mailbox, newest first. */
  async mails(): Promise<MailInfo[]> {
    return (await this.#json<{ messages: MailInfo[] }>("GET", "/gmail/messages")).messages;
  }

  /** Lets every history id that Gmail has given until now be too old. */
  async expireGmailHistory(): Promise<void> {
    await this.#json("POST", "/gmail/expire_history");
  }

  /** What Gmail watches at the moment; `null` after a stop or a week. */
  async gmailWatch(): Promise<{ topic: string; expires_at: string } | null> {
    type Answer = { watch: { topic: string; expires_at: string } | null };
    return (await this.#json<Answer>("GET", "/gmail/watch")).watch;
  }

  /** Makes an event in a calendar. */
  createCalendarEvent(fixture: CalendarEventFixture): Promise<CalendarEventInfo> {
    return this.#json("POST", "/calendar/events", fixture);
  }

  /** Changes an event. */
  editCalendarEvent(id: string, edit: CalendarEventEdit): Promise<CalendarEventInfo> {
    return this.#json("PATCH", `/calendar/events/${encodeURIComponent(id)}`, edit);
  }

  /** Cancels an event. */
  async removeCalendarEvent(id: string): Promise<void> {
    await this.#json("DELETE", `/calendar/events/${encodeURIComponent(id)}`);
  }

  /** Every event of all calendars, cancelled ones included. */
  async calendarEvents(): Promise<CalendarEventInfo[]> {
    return (await this.#json<{ events: CalendarEventInfo[] }>("GET", "/calendar/events")).events;
  }

  /** Lets every sync token that Calendar has given until now be gone (410). */
  async expireCalendarSyncTokens(): Promise<void> {
    await this.#json("POST", "/calendar/expire_sync_tokens");
  }

  /** Makes records in Odoo, of any model that the sandbox has. */
  createOdooRecords(fixture: OdooFixture): Promise<{ ids: number[] }> {
    return this.#json("POST", "/odoo/records", fixture);
  }

  /** Every record of a model, as it is stored: relations are ids. */
  async odooRecords(model: string): Promise<OdooRecord[]> {
    const path = `/odoo/records${query({ model })}`;
    return (await this.#json<{ records: OdooRecord[] }>("GET", path)).records;
  }

  /** Makes a table in NocoDB's base, with records. */
  createNocoTable(
    fixture: NocoTableFixture,
  ): Promise<{ id: string; title: string; base_id: string }> {
    return this.#json("POST", "/nocodb/tables", fixture);
  }

  /** Every record of a table. */
  async nocoRecords(table: string): Promise<NocoRecord[]> {
    const path = `/nocodb/tables/${encodeURIComponent(table)}/records`;
    return (await this.#json<{ records: NocoRecord[] }>("GET", path)).records;
  }

  /** Every issue in Linear, archived ones included. */
  async linearIssues(): Promise<LinearIssue[]> {
    return (await this.#json<{ issues: LinearIssue[] }>("GET", "/linear/issues")).issues;
  }

  /** Every issue in Jira. */
  async jiraIssues(): Promise<JiraIssue[]> {
    return (await this.#json<{ issues: JiraIssue[] }>("GET", "/jira/issues")).issues;
  }

  /** Adds a Slack channel. */
  async createSlackChannel(fixture: SlackChannelFixture): Promise<{ id: string; name: string }> {
    return await this.#json("POST", "/slack/channels", fixture);
  }

  /** Every message that was posted, oldest first. */
  async slackMessages(): Promise<SlackMessage[]> {
    return (await this.#json<{ messages: SlackMessage[] }>("GET", "/slack/messages")).messages;
  }

  /** Makes a topic of SNS to which buckets may publish. @returns its ARN */
  async createTopic(topic: SnsTopicFixture): Promise<string> {
    return (await this.#json<{ arn: string }>("POST", "/sns/topics", topic)).arn;
  }

  /** Who has subscribed to topics. */
  async snsSubscriptions(): Promise<SnsSubscriptionInfo[]> {
    const answer = await this.#json<{ subscriptions: SnsSubscriptionInfo[] }>(
      "GET",
      "/sns/subscriptions",
    );
    return answer.subscriptions;
  }

  /** Makes a bucket. */
  async createBucket(name: string): Promise<void> {
    await this.#json("POST", "/s3/buckets", { name });
  }

  /** Lets S3 behave as AWS (the default), Cloudflare R2 or Backblaze B2. */
  async setS3Flavour(name: FlavourName): Promise<void> {
    await this.#json("POST", "/s3/flavour", { name });
  }

  /** The objects of one bucket, or of all. */
  async s3Objects(bucket?: string): Promise<S3ObjectInfo[]> {
    const path = `/s3/objects${query({ bucket })}`;
    return (await this.#json<{ objects: S3ObjectInfo[] }>("GET", path)).objects;
  }

  /** The bytes of an object. */
  s3Content(bucket: string, key: string): Promise<Uint8Array> {
    return this.#bytes(`/s3/objects/content${query({ bucket, key })}`);
  }

  /** Registers a misbehaviour. */
  addFault(fault: FaultRequest): Promise<Fault> {
    return this.#json("POST", "/faults", fault);
  }

  /** The registered faults with how often each was applied. */
  async faults(): Promise<Fault[]> {
    return (await this.#json<{ faults: Fault[] }>("GET", "/faults")).faults;
  }

  /** Withdraws all faults. */
  async clearFaults(): Promise<void> {
    await this.#json("DELETE", "/faults");
  }

  /** The requests the sandbox has served, oldest first. */
  async journal(filter: JournalFilter = {}): Promise<JournalEntry[]> {
    const path = `/journal${query({ ...filter })}`;
    return (await this.#json<{ entries: JournalEntry[] }>("GET", path)).entries;
  }

  /** Says how pushes leave: at once, held back, lost, several times, with which repetitions. */
  async setPushes(options: PushOptions): Promise<void> {
    await this.#json("POST", "/pushes/options", options);
  }

  /** Sends the pushes that were held, the latest first when asked; tells how many. */
  async releasePushes(options: { reverse?: boolean } = {}): Promise<number> {
    return (await this.#json<{ released: number }>("POST", "/pushes/release", options)).released;
  }

  /** What was pushed or is to be, oldest first, with each try. */
  async pushes(): Promise<PushInfo[]> {
    return (await this.#json<{ pushes: PushInfo[] }>("GET", "/pushes")).pushes;
  }

  /** Moves the sandbox's clock: URLs, tokens and sessions age by `ms` milliseconds. */
  async advanceClock(ms: number): Promise<void> {
    await this.#json("POST", "/clock", { advance_ms: ms });
  }

  /** Forgets everything: contents, fixtures, faults, journal, clock. */
  async reset(): Promise<void> {
    await this.#json("POST", "/reset");
  }

  async #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#fetch(method, path, body);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  async #bytes(path: string): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#fetch("GET", path)).arrayBuffer());
  }

  async #fetch(method: string, path: string, body?: unknown): Promise<Response> {
    const response = await fetch(`${this.url}/_control${path}`, {
      method,
      ...(body === undefined ? {} : {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    if (response.ok) return response;
    const reason = await response.text();
    throw new Error(`The sandbox answered ${response.status} to ${method} ${path}: ${reason}`);
  }
}

function query(parameters: Record<string, string | number | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  if (given.length === 0) return "";
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
