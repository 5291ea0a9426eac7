/**
 * What may be kept of a request and its answer: credentials out, declared sensitive places out,
 * sizes capped.
 */
import { replaceAt } from "./pointer.ts";

/** Stands where something was taken out. */
export const REDACTED = "[redacted]";

/** Largest document kept, in characters of JSON. */
const MAX_DOCUMENT = 16 * 1024;
/** Longest text kept inside one. */
const MAX_TEXT = 4 * 1024;
const MAX_DEPTH = 40;

/** Member and query names whose values are credentials, whatever the action says. */
const SECRET_NAME =
  /^(x-amz-(signature|credential|security-token)|.*(^|[_-])(access|refresh|id|auth|bot|session|security|verification|push)?[_-]?tokens?|.*(password|passwd|passphrase|secret)|.*(api|private|secret|access|signing|master)[_-]?key|authorization|credentials?|sig|signature|code_verifier|client_assertion|assertion|cookie)$/i;

/** Names that look like one and are not: cursors and counts. */
const HARMLESS_NAME =
  /^((next|prev|previous|page|pagination|sync|start|new|continuation|max|total|input|output|prompt|completion)([_-]?(start|page|sync))*[_-]?tokens?|(?!access|refresh|id|auth)\w+_tokens)$/i;

/** Spellings by which well-known credentials are recognised inside any text. */
const SECRET_TEXT = new RegExp(
  [
    /\b(?:Bearer|Basic|Token)\s+[\w.~+/=-]{16,}/, // authorization values
    /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/, // JWT
    /\b(?:ghp|gho|ghu|ghs|ghr)_\w{20,}|\bgithub_pat_\w{20,}/, // GitHub
    /\bxox[abeoprs]-[\w-]{10,}/, // Slack
    /\b(?:sk|rk|pk)_(?:live|test)_\w{10,}|\bwhsec_[\w+/=]{10,}/, // Stripe, Standard Webhooks
    /\bsk-[\w-]{20,}/, // OpenAI, Anthropic
    /\bya29\.[\w.-]{10,}|\b1\/\/[\w-]{20,}/, // Google
    /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/, // AWS
    /\bSG\.[\w-]{16,}\.[\w-]{16,}/, // SendGrid
    /\bshp(?:at|ca|pa|ss)_\w{20,}/, // Shopify
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/,
  ].map(({ source }) => source).join("|"),
  "g",
);

/**
 * A URL without user, password, fragment and the values of secret query parameters.
 *
 * @param sensitive values that must not show wherever they stand, path included
 */
export function redactUrl(url: string, sensitive: readonly string[] = []): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return REDACTED;
  }
  const { origin } = parsed;
  const path = parsed.pathname.split("/").map((segment) =>
    isSensitive(segment, sensitive) ? REDACTED : redactText(segment)
  ).join("/");
  const query = parsed.search.slice(1).split("&").filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    const isHidden = isSecretName(decode(name)) || isSensitive(value, sensitive);
    return `${name}=${isHidden ? REDACTED : redactText(value)}`;
  });
  return `${origin}${path}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}

/** The texts that stand at an action's sensitive places, for {@link redactUrl}. */
export function sensitiveValues(document: unknown, sensitivePaths: readonly string[]): string[] {
  const found: string[] = [];
  for (const pointer of sensitivePaths) {
    replaceAt(document, pointer, (value) => {
      if (typeof value === "string" || typeof value === "number") found.push(String(value));
      return value;
    });
  }
  return found;
}

/** What of a document is kept. */
export interface RedactOptions {
  /** The action's `sensitive_paths`: JSON pointers, `*` for every member. */
  sensitivePaths?: readonly string[];
  /** Characters of JSON. */
  maxLength?: number;
}

/**
 * A document as it may be logged.
 *
 * Sensitive places, members with the name of a credential, and credentials inside texts are
 * replaced; long texts are cut; a document that is still too large becomes
 * `{"truncated": true, "length", "start"}`.
 */
export function redactDocument(
  document: unknown,
  { sensitivePaths = [], maxLength = MAX_DOCUMENT }: RedactOptions = {},
): unknown {
  const declared = sensitivePaths.reduce(
    (rest: unknown, pointer) => replaceAt(rest, pointer, () => REDACTED),
    document,
  );
  // What will not be kept is not looked at either.
  const budget = { left: maxLength };
  const redacted = redactValue(declared, 0, budget);
  const text = JSON.stringify(redacted) ?? "null";
  if (budget.left >= 0 && text.length <= maxLength) return redacted;
  return {
    truncated: true,
    length: JSON.stringify(document)?.length ?? 0,
    start: text.slice(0, maxLength).toWellFormed(),
  };
}

/** A text with well-known spellings of credentials replaced. */
export function redactText(text: string): string {
  return text.replace(SECRET_TEXT, REDACTED);
}

/** @param budget characters of JSON that are still wanted, at most; counted too low rather than too high */
function redactValue(value: unknown, depth: number, budget: { left: number }): unknown {
  budget.left -= 1;
  if (typeof value === "string") {
    // Cut first: what is searched stays small.
    const start = value.length > MAX_TEXT ? value.slice(0, MAX_TEXT).toWellFormed() : value;
    const cut = value.length > MAX_TEXT ? `… (${value.length} characters)` : "";
    const clean = redactText(start) + cut;
    budget.left -= clean.length;
    return clean;
  }
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return REDACTED;
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value) {
      if (budget.left < 0) break;
      items.push(redactValue(item, depth + 1, budget));
    }
    return items;
  }
  const members: [string, unknown][] = [];
  for (const [name, member] of Object.entries(value)) {
    if (budget.left < 0) break;
    budget.left -= name.length;
    const isSecret = isSecretName(name) && member !== null && typeof member !== "boolean";
    members.push([name, isSecret ? REDACTED : redactValue(member, depth + 1, budget)]);
  }
  return Object.fromEntries(members);
}

/** Names that were judged: the same few stand in every answer. */
const judged = new Map<string, boolean>();
const KEPT = 2_000;

/** Whether a member, parameter or header of this name holds a credential. */
export function isSecretName(name: string): boolean {
  if (name.length > 100) return judge(name);
  let isSecret = judged.get(name);
  if (isSecret === undefined) {
    if (judged.size >= KEPT) judged.clear();
    judged.set(name, isSecret = judge(name));
  }
  return isSecret;
}

function judge(name: string): boolean {
  // camelCase reads like snake_case.
  const plain = name.replace(/([a-z0-9])([A-Z])/g, "$1_$2");
  return SECRET_NAME.test(plain) && !HARMLESS_NAME.test(plain);
}

function isSensitive(encoded: string, sensitive: readonly string[]): boolean {
  return encoded !== "" && (sensitive.includes(encoded) || sensitive.includes(decode(encoded)));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
