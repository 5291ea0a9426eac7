/**
 * A verified delivery as rows of the event log: opened, split when it is a batch, named by the
 * templates of its provider's row.
 */
import { createHash } from "node:crypto";
import { type Bytes, decodeBytes } from "./bytes.ts";
import type { BodyRule, EventRule } from "./config.ts";
import {
  atPointer,
  decodeUtf8,
  isObject,
  type JsonResult,
  readJsonBytes,
  readJsonText,
  scalarText,
  withPointer,
} from "./json_text.ts";
import { type Lookup, renderFirst, split } from "./template.ts";

/** One row to be; texts are free of NUL and bounded. */
export interface WebhookEvent {
  dedupeKey: string;
  eventType: string;
  resourcePath: string;
  account: string | null;
  /** ISO 8601, or null when the provider does not say. */
  occurredAt: string | null;
  /** JSON text that jsonb can hold. */
  payload: string;
}

/** What was received. */
export interface Received {
  raw: Bytes;
  headers: Headers;
  /** Query parameters of the request. */
  query: URLSearchParams;
}

/** Why a body cannot be read. */
export type UnreadableCode = Exclude<JsonResult, { ok: true }>["code"];

/** A delivery after parsing. */
export interface OpenedDelivery {
  ok: true;
  /** The delivery, its embedded document opened. */
  body: unknown;
  /** The body as it may be stored unchanged; undefined when it must be written anew. */
  text: string | undefined;
  /** Looks references up in the delivery as a whole. */
  lookup: Lookup;
  /** Looks references up in the delivery and in one item of its batch. */
  lookupItem: (item: unknown, index: number) => Lookup;
}

/** Lengths in characters; a b-tree entry holds 2,704 bytes and headers name some of these. */
const MAX = {
  dedupeKey: 200,
  eventType: 128,
  resourcePath: 2_048,
  account: 256,
} as const;

/** The delivery id of a provider that sends none, or forgot to. */
const BODY_HASH = "sha256:{sha256}[:{index}]";

/** Parses a body and opens the document it carries, if it carries one. */
export function openDelivery(
  received: Received,
  rule: BodyRule,
): OpenedDelivery | { ok: false; code: UnreadableCode } {
  const parsed = parseBody(received, rule);
  if (!parsed.ok) return parsed;
  let body = parsed.value;
  let text: string | undefined = parsed.text;
  if (rule.decode) {
    const opened = openEmbedded(
      atPointer(body, rule.decode.pointer),
      rule.decode.encoding,
    );
    if (opened && !opened.ok && opened.code === "too_deep") return opened;
    if (opened?.ok) {
      body = withPointer(body, rule.decode.pointer, opened.value);
      text = undefined;
    }
  }
  const lookup = lookupIn(received, body, rule);
  return {
    ok: true,
    body,
    text,
    lookup: (reference) => lookup(reference, undefined, undefined),
    lookupItem: (item, index) => (reference) => lookup(reference, item, index),
  };
}

/** The rows of an opened delivery, one per item of a batch; none for an empty batch. */
export function toEvents(
  opened: OpenedDelivery,
  { body: rule, event }: { body: BodyRule; event: EventRule },
): WebhookEvent[] {
  const { body, text, lookup } = opened;
  const batch = batchOf(body, rule);
  if (!batch) return [toEvent(lookup, event, toPayload(body, text, rule))];
  return batch.items.map((item, index) => {
    // Stored as if the provider had sent this one item: what reads the format reads it still.
    const single = batch.pointer === "" ? item : withPointer(body, batch.pointer, [item]);
    return toEvent(
      opened.lookupItem(item, index),
      event,
      toPayload(single, undefined, rule),
    );
  });
}

function toEvent(
  lookup: Lookup,
  rule: EventRule,
  payload: string,
): WebhookEvent {
  const eventType = clean(
    renderFirst(rule.type, lookup) ?? "unknown",
    MAX.eventType,
  );
  const named: Lookup = (reference) => reference === "event_type" ? eventType : lookup(reference);
  const account = rule.account && renderFirst(rule.account, named);
  return {
    dedupeKey: toDedupeKey(
      renderFirst(rule.dedupe, named) ?? renderFirst(BODY_HASH, named)!,
    ),
    eventType,
    resourcePath: clean(renderFirst(rule.path, named) ?? "", MAX.resourcePath),
    account: account ? clean(account, MAX.account) : null,
    occurredAt: firstTime(rule.occurred_at, named),
    payload,
  };
}

function parseBody({ raw, headers }: Received, rule: BodyRule): JsonResult {
  if (rule.format === "none") {
    const members = Object.entries(rule.from_headers ?? {})
      .flatMap(([member, header]) => {
        const value = headers.get(header);
        return value === null ? [] : [[member, value]];
      });
    return readJsonText(JSON.stringify(Object.fromEntries(members)));
  }
  const contentType = mediaType(headers.get("content-type") ?? "");
  const isForm = rule.format === "form" ||
    (rule.format === "auto" &&
      contentType === "application/x-www-form-urlencoded");
  return isForm ? parseForm(raw, rule) : readJsonBytes(raw);
}

/** `text/html` of `Text/HTML; charset=utf-8`. */
function mediaType(contentType: string): string {
  return split(contentType, ";")[0].trim().toLowerCase();
}

/** A form as an object: one text per field, a list where a field is repeated. */
function parseForm(raw: Bytes, rule: BodyRule): JsonResult {
  const text = decodeUtf8(raw);
  if (text === undefined) return { ok: false, code: "invalid_utf8" };
  const form = new URLSearchParams(text);
  const document = rule.form_json_field && form.get(rule.form_json_field);
  if (document) return readJsonText(document);
  const fields = new Map<string, string[]>();
  for (const [name, value] of form) {
    const values = fields.get(name);
    if (values) values.push(value);
    else fields.set(name, [value]);
  }
  const members = [...fields].map((
    [name, values],
  ) => [name, values.length > 1 ? values : values[0]]);
  return readJsonText(JSON.stringify(Object.fromEntries(members)));
}

function openEmbedded(
  value: unknown,
  encoding: "json" | "base64_json",
): JsonResult | undefined {
  if (typeof value !== "string") return undefined;
  if (encoding === "json") return readJsonText(value);
  const bytes = decodeBytes(value, "base64url");
  return bytes && readJsonBytes(bytes);
}

function batchOf(
  body: unknown,
  rule: BodyRule,
): { pointer: string; items: unknown[] } | undefined {
  for (const pointer of rule.items ?? []) {
    const items = atPointer(body, pointer);
    if (Array.isArray(items)) return { pointer, items };
  }
  return undefined;
}

function toPayload(
  value: unknown,
  text: string | undefined,
  rule: BodyRule,
): string {
  const omit = (rule.omit ?? []).filter((pointer) => atPointer(value, pointer) !== undefined);
  if (text !== undefined && omit.length === 0) return text;
  // Written anew: what jsonb refuses was taken out when it was parsed.
  return JSON.stringify(
    omit.reduce((rest, place) => withPointer(rest, place, undefined), value),
  );
}

function lookupIn(
  { raw, headers, query }: Received,
  body: unknown,
  rule: BodyRule,
) {
  const embedded = rule.decode && atPointer(body, rule.decode.pointer);
  const data = isObject(embedded) || Array.isArray(embedded) ? embedded : body;
  let hash: string | undefined;
  return (
    reference: string,
    item: unknown,
    index: number | undefined,
  ): string | undefined => {
    const [root, name] = split(reference, ":");
    switch (root) {
      case "header":
        return headers.get(name) || undefined;
      case "query":
        return query.get(name) || undefined;
      case "body":
        return scalarText(atPointer(body, name));
      case "data":
        return scalarText(atPointer(data, name));
      case "item":
        return scalarText(atPointer(item, name));
      case "index":
        return index?.toString();
      case "sha256":
        return hash ??= createHash("sha256").update(raw).digest("hex");
      case "random":
        return crypto.randomUUID();
    }
    return undefined;
  };
}

/** A delivery id that fits its index; one that must be changed is hashed, so that none collide. */
function toDedupeKey(key: string): string {
  if (key === clean(key, MAX.dedupeKey)) return key;
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

/** Free of characters no text column holds or no log should see; cut where it is too long. */
function clean(text: string, maxLength: number): string {
  // deno-lint-ignore no-control-regex
  const printable = text.replace(/[\u0000-\u001f\u007f]/g, "\ufffd")
    .toWellFormed();
  if (printable.length <= maxLength) return printable;
  return printable.slice(0, maxLength).toWellFormed();
}

const EARLIEST = Date.UTC(2000, 0);
const YEAR_MS = 366 * 24 * 3_600_000;

/** ISO 8601 with its variants, or RFC 5322; the engine would read a year out of almost anything. */
const DATE = /^(\d{4}-\d\d-\d\d|[A-Z][a-z]{2}, \d)/;

/** The first reference that holds a believable time, as ISO 8601. */
function firstTime(references: readonly string[], lookup: Lookup): string | null {
  for (const reference of references) {
    const at = toTime(lookup(reference) ?? "");
    if (at >= EARLIEST && at < Date.now() + YEAR_MS) return new Date(at).toISOString();
  }
  return null;
}

/** Milliseconds since 1970, or NaN. */
function toTime(text: string): number {
  if (DATE.test(text)) return Date.parse(text);
  if (!/^\d{1,16}(\.\d+)?$/.test(text)) return NaN;
  // Seconds stay below 1e11 until the year 5138.
  return Number(text) * (Number(text) < 1e11 ? 1_000 : 1);
}
