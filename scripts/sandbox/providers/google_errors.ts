/**
 * Errors of Google's APIs by their `reason`: HTTP status, canonical status, default message.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/handle-errors
 */
const REASONS = {
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
  fileIdInUse: [409, undefined, "A file already exists with the provided ID."],
  fileNotDownloadable: [
    403,
    undefined,
    "Only files with binary content can be downloaded. Use Export with Docs Editors files.",
  ],
  forbidden: [403, "PERMISSION_DENIED", "The caller does not have permission"],
  insufficientFilePermissions: [
    403,
    undefined,
    "The user does not have sufficient permissions for this file.",
  ],
  internalError: [500, "INTERNAL", "Internal Error"],
  invalid: [400, undefined, "Invalid Value"],
  invalidParameter: [400, undefined, "Invalid field selection"],
  notFound: [404, undefined, "File not found: ."],
  parseError: [400, "INVALID_ARGUMENT", "Parse Error"],
  "push.webhookUrlUnauthorized": [401, undefined, "Unauthorized WebHook callback channel"],
  rateLimitExceeded: [403, undefined, "Rate Limit Exceeded"],
  required: [400, undefined, "Required"],
  storageQuotaExceeded: [403, undefined, "The user's Drive storage quota has been exceeded."],
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
    if (reason !== undefined && Object.hasOwn(REASONS, reason)) {
      return new GoogleError(reason as GoogleReason, undefined, undefined, status);
    }
    const usual = (Object.keys(REASONS) as GoogleReason[]).find((each) =>
      REASONS[each][0] === status
    );
    return new GoogleError(usual ?? "backendError", reason, undefined, status);
  }
}

/** Writes an error as Google's APIs do. */
export function googleErrorResponse(error: GoogleError): Response {
  const { status, message, reason, canonical } = error;
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
  rateLimitExceeded: "usageLimits",
  userRateLimitExceeded: "usageLimits",
};
