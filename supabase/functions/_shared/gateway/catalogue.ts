/**
 * The catalogue's rows as the gateway reads them, and the small languages inside their jsonb columns.
 *
 * The zod schemas are strict: a misspelt key in a row is a fault that `deno task catalogue:check`
 * names, not a setting that is silently without effect.
 */
import { z } from "zod";

/** How a provider's credentials are obtained and sent. */
export const AuthType = z.enum([
  "none",
  "api_key",
  "basic",
  "bearer",
  "oauth2",
  "service_account",
  "github_app",
  "aws_sigv4",
]);
export type AuthType = z.infer<typeof AuthType>;

const Name = z.string().regex(/^[a-z][a-z0-9_]*$/);
/** A text with `{connection.<setting>}` and `{secret.<purpose>}` in it. */
const Template = z.string().min(1);
const Url = z.string().regex(/^https:\/\/[^\s?#]+$/, "an https URL without query");
/** @see https://www.rfc-editor.org/rfc/rfc6901 */
const Pointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/, "a JSON pointer, such as /data/id");

/** Something a connection must be told when it is made: a setting in the open, or a secret. */
const Field = z.strictObject({
  title: z.string().min(1),
  description: z.string().optional(),
  /** Whole-value regular expression. Settings that end up in a host name should have one. */
  pattern: z.string().optional(),
  default: z.union([z.string(), z.number()]).optional(),
  type: z.enum(["string", "integer"]).optional(),
  is_required: z.boolean().optional(),
});

const AuthFields = {
  /**
   * Base URL of this way in, where it depends on the connection or is another than the provider's:
   * `https://{connection.shop}.myshopify.com`.
   */
  base_url: Url.optional(),
  /** Non-secret settings; they fill `{connection.…}` in base URL, paths, headers and transforms. */
  settings: z.record(Name, Field).optional(),
  /** Secrets by the purpose they are stored under, beside those the auth type brings itself. */
  secrets: z.record(Name, Field).optional(),
  /** Headers that carry credentials, as templates. Absent: what {@link AuthType} implies. */
  headers: z.record(z.string(), Template).optional(),
  /** Query parameters that carry credentials, as templates. */
  query: z.record(z.string(), Template).optional(),
  /** User and password of `Authorization: Basic`, as templates. */
  basic: z.strictObject({ username: Template, password: Template }).optional(),

  // OAuth 2.0. URLs may hold {connection.<setting>}.
  authorize_url: Url.optional(),
  token_url: Url.optional(),
  revoke_url: Url.optional(),
  /** Asked for when nothing else is said. */
  scopes: z.array(z.string().min(1)).optional(),
  /** Between scopes; a space when absent. */
  scope_separator: z.string().optional(),
  /** Further parameters of the authorization request. */
  authorize_params: z.record(z.string(), z.string()).optional(),
  /** Further parameters of every token request. */
  token_params: z.record(z.string(), z.string()).optional(),
  /** Further headers of every token request. */
  token_headers: z.record(z.string(), z.string()).optional(),
  token_auth_method: z.enum(["client_secret_basic", "client_secret_post", "none"]).optional(),
  /** How the token request's parameters are sent; `form` when absent. */
  token_body: z.enum(["form", "json"]).optional(),
  /** Code challenge; S256 when absent, `none` where a provider refuses the parameter. */
  pkce: z.enum(["S256", "none"]).optional(),
  grant_types: z.array(z.enum(["authorization_code", "client_credentials", "refresh_token"]))
    .optional(),
  /** Whether each refresh answers with a new refresh token that replaces the old one. */
  rotates_refresh_token: z.boolean().optional(),
  /** How long before its end an access token is renewed, in seconds; 300 when absent. */
  refresh_before_s: z.int().positive().optional(),
  /** What the provider names as `iss` when it sends a browser back; then it must. RFC 9207 */
  issuer: Url.optional(),
  /** Life of an access token whose answer lacks `expires_in`, in seconds; null: it does not end. */
  token_lifetime_seconds: z.int().positive().nullable().optional(),
  /** What to keep of the token answer as settings of the connection: setting → JSON pointer. */
  token_settings: z.record(Name, Pointer).optional(),
  /** The same of the health action's result. */
  health_settings: z.record(Name, Pointer).optional(),

  // Service accounts and apps
  /** Audience of the signed assertion; the token URL when absent. */
  assertion_audience: Url.optional(),
};

/** `providers.auth_config`: how credentials are obtained and sent. */
export const AuthConfig = z.strictObject({
  ...AuthFields,
  /** Other ways in, by auth type; what they name replaces what stands above. */
  alternatives: z.partialRecord(AuthType, z.strictObject(AuthFields)).optional(),
});
export type AuthConfig = z.infer<typeof AuthConfig>;

/** `providers.rate_limit`: where the provider says what is left. */
export const RateLimitConfig = z.strictObject({
  /** What the limit counts; `requests` when absent. */
  name: z.string().min(1).optional(),
  /** Header that names which of several limits the others are about. */
  name_header: z.string().optional(),
  limit_header: z.string().optional(),
  remaining_header: z.string().optional(),
  reset_header: z.string().optional(),
  reset_format: z.enum(["epoch_s", "epoch_ms", "delta_s", "delta_ms", "duration", "iso"])
    .optional(),
  /** One header that says both: `used/limit`, or JSON holding a percentage. */
  usage_header: z.string().optional(),
  usage_format: z.enum(["used_of_limit", "json_percent"]).optional(),
  /** Where the percentage stands in the header's JSON. */
  usage_pointer: Pointer.optional(),
  /** Where the answer's body says it. */
  limit_pointer: Pointer.optional(),
  remaining_pointer: Pointer.optional(),
  /** Header that says when to come back; `retry-after` when absent. */
  retry_after_header: z.string().optional(),
  /** What the gateway reserves from before it has heard from the provider. */
  quota: z.strictObject({ limit: z.int().positive(), window_seconds: z.int().positive() })
    .optional(),
});
export type RateLimitConfig = z.infer<typeof RateLimitConfig>;

/** `providers.response_errors`: how a failure looks in an answer whose status says success. */
export const ResponseErrors = z.strictObject({
  /** The place that decides. */
  pointer: Pointer.optional(),
  /** It is a failure when that place holds anything but this; absent: when it holds anything. */
  success: z.union([z.string(), z.number(), z.boolean()]).optional(),
  code: Pointer.optional(),
  /** Several places are looked at in turn. */
  message: z.union([Pointer, z.array(Pointer)]).optional(),
  /** Codes that mean "too many requests". */
  rate_limited: z.array(z.string()).optional(),
  /** Codes that mean "this credential is no longer good". */
  unauthorized: z.array(z.string()).optional(),
  /** Codes that mean "it would be refused again"; of others it is not known. */
  rejected: z.array(z.string()).optional(),
});
export type ResponseErrors = z.infer<typeof ResponseErrors>;

/** How pages follow each other; pointers are into the provider's own answer, before any transform. */
export const PagingStyle = z.discriminatedUnion("style", [
  z.strictObject({
    style: z.literal("cursor"),
    parameter: z.string(),
    /** Where the next cursor stands. */
    next: Pointer.optional(),
    /** Instead: where it stands in the last item. */
    next_of_last_item: Pointer.optional(),
    /** Truthy where there is more; absent: a cursor means more. */
    more: Pointer.optional(),
    items: Pointer,
  }),
  z.strictObject({
    style: z.literal("page"),
    parameter: z.string(),
    /** Number of the first page; 1 when absent. */
    first: z.int().optional(),
    size_parameter: z.string().optional(),
    default_size: z.int().positive().optional(),
    more: Pointer.optional(),
    /** Where it says that this page is the last one. */
    is_last: Pointer.optional(),
    items: Pointer,
  }),
  z.strictObject({
    style: z.literal("offset"),
    parameter: z.string(),
    size_parameter: z.string().optional(),
    default_size: z.int().positive().optional(),
    total: Pointer.optional(),
    is_last: Pointer.optional(),
    items: Pointer,
  }),
  z.strictObject({
    style: z.literal("link"),
    /** Where the next page's URL stands; absent: the `Link` header's `rel="next"`. */
    next: Pointer.optional(),
    items: Pointer,
  }),
]);
/** `actions.pagination`; empty: there is one page. */
export const Pagination = z.union([z.strictObject({}), PagingStyle]);
export type Pagination = z.infer<typeof Pagination>;

export const Method = z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
export type Method = z.infer<typeof Method>;
export const BodyType = z.enum(["none", "json", "form", "multipart", "binary"]);
export type BodyType = z.infer<typeof BodyType>;

/** A provider's row, as far as a request depends on it. */
export interface ProviderRow {
  slug: string;
  /** May hold `{connection.<setting>}`; null: every integration brings its own. */
  base_url: string | null;
  auth_type: AuthType;
  auth_config: AuthConfig;
  request_headers: Record<string, string>;
  rate_limit: RateLimitConfig;
  response_errors: ResponseErrors;
  health_action: string | null;
}

/** A JSON Schema object. */
export type JsonSchema = Record<string, unknown>;

/** An action's row. */
export interface ActionRow {
  provider_slug: string;
  slug: string;
  method: Method;
  path: string;
  request_schema: JsonSchema;
  query_parameters: string[];
  header_parameters: Record<string, string>;
  body_type: BodyType;
  request_transform: string | null;
  response_type: "json" | "text" | "binary" | "none";
  response_transform: string | null;
  pagination: Pagination;
  handler: string | null;
  is_read_only: boolean;
  is_idempotent: boolean;
  idempotency_header: string | null;
  quota_cost: number;
  timeout_ms: number;
  sensitive_paths: string[];
  scopes: string[];
}

/**
 * The handlers an action may name: what data cannot say. Each gets the validated parameters and the
 * request that the row describes, without a body.
 */
export const HANDLERS: Readonly<Record<string, string>> = {
  gmail_send: "an RFC 2822 message with HTML and attachments, sent or kept as a draft",
  gmail_message: "a Gmail message as one text, with its attachments' names and its thread's link",
  gmail_attachment: "a Gmail attachment's bytes",
  drive_upload: "a Google Drive upload: multipart when small, a resumable session otherwise",
  drive_api: "a request of Drive's API for Docs or Sheets",
  google_docs_export: "a Google Doc as Markdown or another format, through Drive's export",
  google_docs_files: "a Google Doc as Markdown with its images beside it",
  google_sheets_rows: "a range of a spreadsheet as rows by column name",
  github_sync_files: "files brought up to date in one commit, unless others changed them",
  nocodb_upsert: "records brought up to date by a key column",
  supabase_upsert: "rows behind PostgREST brought up to date by a key column",
  github_commit: "several files in one commit: blobs, tree, commit, reference",
  redirect_download: "bytes behind a redirect to another host, followed without the credential",
  s3: "an S3 operation, signed with SigV4",
  s3_presign: "a presigned S3 URL; nothing is sent",
  sns: "an SNS operation, signed with SigV4",
  slack_upload: "a Slack file: upload URL, bytes, completion",
};
