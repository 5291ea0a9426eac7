import { createHash } from "node:crypto";
import { globToRegExp } from "./globs.ts";

/** One request the sandbox has served, without credentials. */
export interface JournalEntry {
  /** Grows by one a request; a reader that remembers it asks for what came after. */
  seq: number;
  at: string;
  provider: string;
  method: string;
  /** The path as the provider documents it, without the sandbox's own prefix. */
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  /** Tells credentials apart without being one, see {@linkcode fingerprint}; null: it came without. */
  credential: string | null;
  /** Bytes of the request body on the wire. */
  request_bytes: number;
  /** 0 while the request is under way. */
  status: number;
  /** Bytes of the response body that were handed out. */
  response_bytes: number;
  duration_ms: number;
  /** The fault that was applied, by its id. */
  fault_id: string | null;
}

/** What to select from the journal. */
export interface JournalFilter {
  provider?: string;
  method?: string;
  /** Glob over the path. */
  path?: string;
  /** Only entries with a greater `seq`. */
  after?: number;
}

// Headers worth asserting on; everything else, credentials above all, is left out.
const KEPT_HEADERS =
  /^(accept|content-(type|length|range|md5|encoding)|expect|idempotency-key|if-(none-)?match|range|traceparent|user-agent|x-amz-(checksum-.*|content-sha256|decoded-content-length|meta-.*|sdk-checksum-algorithm|trailer)|x-github-api-version|x-upload-content-(type|length))$/;

const SECRET_PARAMETERS =
  /^(x-amz-(signature|credential|security-token)|sig|key|token|access_token|refresh_token|client_secret|code|upload_id)$/i;

/** A bounded ring of the latest requests. */
export class Journal {
  #entries: JournalEntry[] = [];
  #nextSeq = 1;

  constructor(readonly capacity: number = 5000) {}

  /** Opens an entry; the caller fills in the outcome when it is known. */
  open(
    request: { provider: string; method: string; path: string; query: string; headers: Headers },
    at: number,
  ): JournalEntry {
    const entry: JournalEntry = {
      seq: this.#nextSeq++,
      at: new Date(at).toISOString(),
      provider: request.provider,
      method: request.method,
      path: request.path,
      query: redactQuery(request.query),
      headers: keepHeaders(request.headers),
      credential: fingerprint(request.headers.get("authorization")),
      request_bytes: 0,
      status: 0,
      response_bytes: 0,
      duration_ms: 0,
      fault_id: null,
    };
    this.#entries.push(entry);
    if (this.#entries.length > this.capacity) this.#entries.shift();
    return entry;
  }

  /** Entries that match, oldest first. */
  select(filter: JournalFilter = {}): JournalEntry[] {
    const path = filter.path === undefined ? undefined : globToRegExp(filter.path);
    return this.#entries.filter((entry) =>
      (filter.provider === undefined || entry.provider === filter.provider) &&
      (filter.method === undefined || entry.method === filter.method.toUpperCase()) &&
      (filter.after === undefined || entry.seq > filter.after) &&
      (path === undefined || path.test(entry.path))
    );
  }

  /** Forgets all entries; the sequence goes on. */
  clear(): void {
    this.#entries = [];
  }
}

/** What stands in the journal for an `authorization` header: the same for the same, and no way back. */
export function fingerprint(authorization: string | null): string | null {
  if (!authorization) return null;
  return createHash("sha256").update(authorization).digest("hex").slice(0, 16);
}

function redactQuery(query: string): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    kept[name] = SECRET_PARAMETERS.test(name) ? "[redacted]" : value;
  }
  return kept;
}

function keepHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => KEPT_HEADERS.test(name)));
}
