/**
 * Errors of Google's APIs by their `reason`: HTTP status, canonical status, default message.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/handle-errors
 */
const REASONS = {
  aborted: [409, "ABORTED", "The operation was aborted."],
  authError: [
    401,
    "UNAUTHENTICATED",
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
  ],
  backendError: [503, "UNAVAILABLE", "Transient failure"],
  badRequest: [400, "INVALID_ARGUMENT", "Bad Request"],
  channelIdNotUnique: [400, undefined, "Channel id not unique"],
  channelInvalidAddress: [400, undefined, "Invalid WebHook address"],
  channelUnknownType: [400, undefined, "Unknown channel type"],
  dailyLimitExceeded: [403, undefined, "Daily Limit Exceeded"],
  deleted: [410, undefined, "Resource has been deleted"],
  duplicate: [409, undefined, "The requested identifier already exists."],
  exportSizeLimitExceeded: [403, undefined, "This file is too large to be exported."],
  fileIdInUse: [409, undefined, "A file already exists with the provided ID."],
  fileNotExportable: [403, undefined, "Export only supports Docs Editors files."],
  fileNotDownloadable: [
    403,
    undefined,
    "Only files with binary content can be downloaded. Use Export with Docs Editors files.",
  ],
  forbidden: [403, "PERMISSION_DENIED", "The caller does not have permission"],
  fullSyncRequired: [
    410,
    undefined,
    "Sync token is no longer valid, a full sync is required.",
  ],
  insufficientFilePermissions: [
    403,
    undefined,
    "The user does not have sufficient permissions for this file.",
  ],
  internalError: [500, "INTERNAL", "Internal Error"],
  invalidArgument: [400, "INVALID_ARGUMENT", "Invalid argument"],
  invalid: [400, undefined, "Invalid Value"],
  invalidParameter: [400, undefined, "Invalid field selection"],
  notFound: [404, undefined, "File not found: ."],
  parseError: [400, "INVALID_ARGUMENT", "Parse Error"],
  "push.webhookUrlUnauthorized": [401, undefined, "Unauthorized WebHook callback channel"],
  rateLimitExceeded: [403, undefined, "Rate Limit Exceeded"],
  required: [400, undefined, "Required"],
  storageQuotaExceeded: [403, undefined, "The user's Drive storage quota has been exceeded."],
  timeRangeEmpty: [400, undefined, "The specified time range is empty."],
  userRateLimitExceeded: [403, undefined, "User Rate Limit Exceeded"],
} as const satisfies Record<string, readonly [number, string | undefined, string]>;

/** A reason that Google gives for an error. */
export type GoogleReason = keyof typeof REASONS;

/** Where in the request the error lies. */
export interface GoogleErrorLocation {
  location: string;
  locationType: "parameter" | "header";
}

/** An expected failure that becomes Google's JSON error. */
export class GoogleError extends Error {
  readonly status: number;
  readonly canonical: string | undefined;

  constructor(
    readonly reason: GoogleReason,
    message?: string,
    readonly at?: GoogleErrorLocation,
    status?: number,
  ) {
    super(message ?? REASONS[reason][2]);
    this.name = "GoogleError";
    this.status = status ?? REASONS[reason][0];
    this.canonical = REASONS[reason][1];
  }

  /** The error of a reason, or of a bare status as a fault names it. */
  static of(reason: string | undefined, status: number | undefined): GoogleError {
    if (status === 429) return new GoogleError("rateLimitExceeded", EXHAUSTED, undefined, status);
    if (reason !== undefined && Object.hasOwn(REASONS, reason)) {
      return new GoogleError(reason as GoogleReason, undefined, undefined, status);
    }
    const usual = (Object.keys(REASONS) as GoogleReason[]).find((each) =>
      REASONS[each][0] === status
    );
    return new GoogleError(usual ?? "backendError", reason, undefined, status);
  }
}

const EXHAUSTED =
  "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user' of service 'sheets.googleapis.com'.";

/** The canonical status that goes with an HTTP status. */
const CANONICAL: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

/** Writes an error as Docs and Sheets do: a canonical status instead of a list of reasons. */
export function plainErrorResponse({ status, message, canonical }: GoogleError): Response {
  const error = { code: status, message, status: canonical ?? CANONICAL[status] ?? "UNKNOWN" };
  return Response.json({ error }, { status });
}

/** Writes an error as Gmail does: a list of reasons, and a canonical status. */
export function gmailErrorResponse(error: GoogleError): Response {
  return googleErrorResponse(error, error.canonical ?? CANONICAL[error.status]);
}

/**
 * Writes an error as Drive and Calendar do: a list of reasons.
 *
 * @param canonical the canonical status, which some errors have
 */
export function googleErrorResponse(
  error: GoogleError,
  canonical = error.canonical ?? (error.status === 429 ? CANONICAL[429] : undefined),
): Response {
  const { status, message, reason } = error;
  const at = reason === "authError"
    ? { location: "Authorization", locationType: "header" }
    : error.at;
  const body = {
    error: {
      code: status,
      message,
      errors: [{
        message: reason === "authError" ? "Invalid Credentials" : message,
        domain: DOMAINS[reason] ?? "global",
        reason,
        ...at,
      }],
      ...(canonical ? { status: canonical } : {}),
    },
  };
  return Response.json(body, {
    status,
    headers: status === 401
      ? { "www-authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"' }
      : {},
  });
}

const DOMAINS: Partial<Record<GoogleReason, string>> = {
  dailyLimitExceeded: "usageLimits",
  fullSyncRequired: "calendar",
  rateLimitExceeded: "usageLimits",
  timeRangeEmpty: "calendar",
  userRateLimitExceeded: "usageLimits",
};
