/**
 * What goes wrong, said so that the reader knows what to do: value, reason, remedy, and never a key.
 * @module
 */
import postgres from "postgres";

/** An argument that cannot be used; the command ends with 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** A fault as it is printed. */
export interface Fault {
  /** Stable, for scripts: an SQLSTATE, a system code, or `usage`. */
  code: string;
  message: string;
  /** What to do about it. */
  hint: string | undefined;
  /** 1 = found a problem, 2 = the command was called wrongly. */
  exitCode: 1 | 2;
}

/** SQLSTATEs and system codes that say too little by themselves. */
const REMEDIES: Record<string, string> = {
  "3F000": "Its migrations are not applied: deno task db:push --db-url <url>.",
  "42P01": "Its migrations are not all applied: deno task db:push --db-url <url>.",
  "42883": "Its migrations are not all applied: deno task db:push --db-url <url>.",
  "42703": "Its migrations are not all applied: deno task db:push --db-url <url>.",
  "42501": "Connect as the role postgres: the URL of Dashboard → Connect does.",
  "28P01": "Check user and password in the URL; on the pooler the user is postgres.<project ref>.",
  "57014": "It took too long: narrow it with --since, --limit or another filter.",
  ECONNREFUSED: "Nothing listens there. Locally: deno task start. Else check --db-url.",
  CONNECT_TIMEOUT: "No answer. Check host and port, and whether a firewall lets you through.",
  ENOTFOUND: "There is no such host. Check --db-url.",
};

/** Describes whatever was thrown. */
export function describeFault(error: unknown): Fault {
  if (error instanceof UsageError) {
    return { code: "usage", message: redact(error.message), hint: undefined, exitCode: 2 };
  }
  if (error instanceof postgres.PostgresError) {
    const { code, hint } = error;
    return {
      code,
      message: redact(error.message),
      hint: hint ?? REMEDIES[code],
      // The schema's own code for an argument that cannot be used.
      exitCode: code === "MK400" ? 2 : 1,
    };
  }
  const { code, message } = error instanceof AggregateError
    ? error.errors[0] as NodeJS.ErrnoException
    : error instanceof Error
    ? error as NodeJS.ErrnoException
    : { code: undefined, message: String(error) };
  return {
    code: code ?? "failed",
    message: redact(message || code || "failed"),
    hint: code === undefined ? undefined : REMEDIES[code],
    exitCode: 1,
  };
}

/** Takes passwords out of URLs, and the platform's own keys and tokens out of any text. */
export function redact(text: string): string {
  return text
    .replace(/(\w+:\/\/[^\s/:@]*):[^\s/@]*@/g, "$1:***@")
    .replace(/\b(?:whsec_|whsk_|mpr_|mpj_|mpk_[0-9a-f]{8}_|sb_secret_)[\w+/=-]+/g, "***");
}
