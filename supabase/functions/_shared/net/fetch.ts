/**
 * Requests that leave the platform: never to a private address unless a row allows that, never by
 * themselves to where a redirect points.
 *
 * What is stopped: every spelling of an address that is not public, names that resolve to one, and
 * each hop of a redirect. A connection goes to the very address that was looked at, so that a name
 * server which answers differently a moment later gains nothing. Only where the host stands in the
 * provider's own row is it looked at first and then asked by `fetch`, which keeps its connections:
 * whoever runs that name server is the provider.
 */
import { lookup } from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { AppError } from "../errors.ts";
import {
  addressRefused,
  hostOf,
  isLocalName,
  isPublicAddress,
  refusePrivate,
} from "./addresses.ts";

/** A request that leaves. */
export interface GuardedRequest {
  method: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer> | FormData | ReadableStream<Uint8Array> | undefined;
  signal: AbortSignal;
  /** The row's `allow_private_network`. */
  allowPrivate: boolean;
  /** The host stands in the provider's row: no integration, caller or answer has named it. */
  isProviders?: boolean;
  /** Finds a name's addresses; the system's resolver when absent. */
  resolve?: typeof lookup | undefined;
}

/**
 * Sends a request; a redirect is an answer like any other.
 *
 * @throws AppError `address_refused` (422); what `fetch` throws
 */
export async function guardedFetch(url: string, request: GuardedRequest): Promise<Response> {
  const { allowPrivate, isProviders = false, resolve, body, ...rest } = request;
  const host = hostOf(checkUrl(url));
  if (resolve || !allowPrivate && !isProviders && !isIP(host)) {
    return await fetchPinned(url, request);
  }
  if (!allowPrivate) await judgeOnce(url, host);
  return await fetch(url, {
    ...rest,
    redirect: "manual",
    ...(body === undefined ? {} : { body }),
    // A stream can only be sent while its answer is not there yet.
    ...(body instanceof ReadableStream ? { duplex: "half" } as RequestInit : {}),
  });
}

/** Providers' hosts that were found to be public, until when; milliseconds since the epoch. */
const judged = new Map<string, number>();
const JUDGED_MS = 30_000;

/** A look-up a call is a millisecond or ten; a provider's host does not move inside meanwhile. */
async function judgeOnce(url: string, host: string): Promise<void> {
  const now = Date.now();
  if ((judged.get(host) ?? 0) > now) return;
  await refusePrivate(url);
  if (judged.size >= 1000) judged.clear();
  judged.set(host, now + JUDGED_MS);
}

/** Headers that say how a message travels: they are the connection's to write. */
export const OF_THE_CONNECTION = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * The same through `node:http`, whose connections go to the address that was judged: there is no
 * second look-up. Each has a connection of its own: one that had been kept could be closed by the
 * other side just now, and nobody would know whether the request had arrived.
 */
async function fetchPinned(text: string, request: GuardedRequest): Promise<Response> {
  const url = checkUrl(text);
  const { method, signal, body } = request;
  signal.throwIfAborted();
  const isStream = body instanceof ReadableStream;
  // Writes a form's boundary; texts and bytes stay as they are.
  const encoded = body === undefined || isStream ? undefined : new Response(body);
  const bytes = encoded && new Uint8Array(await encoded.arrayBuffer());
  const headers: Record<string, string> = { accept: "*/*", "accept-encoding": "gzip, br" };
  for (const [name, value] of new Headers(request.headers)) {
    if (!OF_THE_CONNECTION.has(name)) headers[name] = value;
  }
  const type = encoded?.headers.get("content-type");
  if (type && !headers["content-type"]) headers["content-type"] = type;
  if (bytes) headers["content-length"] = String(bytes.byteLength);
  else if (!isStream && !/^(GET|HEAD)$/.test(method)) headers["content-length"] = "0";

  const answer = await send(url, { ...request, headers }, (outgoing) => {
    if (!isStream) return void outgoing.end(bytes);
    const source = Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]);
    source.on("error", (error) => outgoing.destroy(error)).pipe(outgoing);
  });
  const { statusCode: status = 0 } = answer;
  const isEmpty = method === "HEAD" || [204, 205, 304].includes(status);
  if (isEmpty || status < 200 || status > 599) {
    answer.destroy();
    if (!isEmpty) throw new TypeError(`the answer has the status ${status}`);
    return new Response(null, { status, headers: headersOf(answer) });
  }
  const received = headersOf(answer);
  const decoder = DECODERS[received.get("content-encoding")?.trim().toLowerCase() ?? ""];
  if (decoder) {
    received.delete("content-encoding");
    received.delete("content-length");
  }
  const stream = decoder ? answer.pipe(decoder()) : answer;
  // What breaks off below breaks off above.
  answer.on("error", (error) => stream.destroy(error));
  stream.on("close", () => answer.destroy());
  return new Response(Readable.toWeb(stream) as ReadableStream<Uint8Array>, {
    status,
    headers: received,
  });
}

const DECODERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/** What stands at a URL that a caller brought. */
export interface PublicContent {
  headers: Headers;
  body: ReadableStream<Uint8Array>;
}

/** How a caller's URL is fetched. */
export interface PublicOptions {
  signal: AbortSignal;
  /** The row's `allow_private_sources`. */
  allowPrivate: boolean;
  /** Finds a name's addresses; the system's resolver when absent. */
  resolve?: typeof lookup;
}

const MAX_REDIRECTS = 3;

/**
 * Gets what stands at a URL that a caller brought; no credential goes along, and redirects are
 * followed after the same look.
 *
 * @throws AppError `address_refused` (422), `source_unavailable` (422)
 */
export async function fetchPublic(url: string, options: PublicOptions): Promise<PublicContent> {
  let current = checkUrl(url);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await getPinned(current, options);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) {
      return {
        headers: headersOf(answer),
        body: Readable.toWeb(answer) as ReadableStream<Uint8Array>,
      };
    }
    answer.destroy();
    const location = status >= 300 && status < 400 ? answer.headers.location : undefined;
    if (!location || !URL.canParse(location, current)) {
      throw unavailable(current, `it answered ${status}`);
    }
    current = checkUrl(new URL(location, current).href);
  }
  throw unavailable(current, `it redirects more than ${MAX_REDIRECTS} times`);
}

/**
 * A URL that may be asked at all.
 *
 * @throws AppError `address_refused` (422)
 */
function checkUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new AppError(
      "address_refused",
      422,
      "The URL must be an absolute http(s) URL without user and password.",
    );
  }
  return url;
}

async function getPinned(url: URL, options: PublicOptions): Promise<http.IncomingMessage> {
  const headers = { accept: "*/*", "accept-encoding": "identity", "user-agent": "marketplace" };
  try {
    return await send(url, { ...options, method: "GET", headers }, (request) => request.end());
  } catch (error) {
    if (error instanceof AppError) throw error;
    const why = options.signal.aborted ? "it took too long" : "it cannot be reached";
    throw unavailable(url, why, error);
  }
}

/** Failures that come before anything was sent, by the codes of Node and of TLS. */
const UNSENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH)/;

/** Connects to an address that was judged, and waits for the answer's head. */
function send(
  url: URL,
  request: Pick<GuardedRequest, "method" | "headers" | "signal" | "allowPrivate" | "resolve">,
  write: (outgoing: http.ClientRequest) => void,
): Promise<http.IncomingMessage> {
  const { method, headers, signal, allowPrivate, resolve: resolveName = lookup } = request;
  const host = hostOf(url);
  if (!allowPrivate && (isLocalName(host) || isIP(host) && !isPublicAddress(host))) {
    throw addressRefused(url);
  }
  let isJudged = isIP(host) !== 0;
  const pinned: LookupFunction = (name, lookupOptions, done) => {
    resolveName(name, { ...lookupOptions, all: true }, (error, found) => {
      if (error) return done(error, []);
      const isPrivate = found.some(({ address }) => !isPublicAddress(address));
      if (isPrivate && !allowPrivate) return done(addressRefused(url), []);
      isJudged = true;
      if (lookupOptions.all) return done(null, found);
      done(null, found[0]!.address, found[0]!.family);
    });
  };
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const outgoing = (url.protocol === "https:" ? https : http).request(url, {
    method,
    headers,
    lookup: pinned,
    agent: false,
    signal,
  }, (answer) => {
    // The signal ends what is still to come, too.
    const stop = () => answer.destroy(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    answer.on("close", () => signal.removeEventListener("abort", stop));
    resolve(answer);
  });
  outgoing.on("error", (error: NodeJS.ErrnoException) => {
    if (error instanceof AppError) return reject(error);
    if (signal.aborted) return reject(signal.reason);
    const isUnsent = !isJudged || UNSENT.test(error.code ?? "");
    // In the words of `fetch`, which are classified elsewhere.
    reject(
      new TypeError(
        isUnsent ? `error trying to connect: ${error.code}` : `connection lost: ${error.code}`,
      ),
    );
  });
  write(outgoing);
  return promise;
}

function headersOf(answer: http.IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    headers.set(name, [value ?? ""].flat().join(", "));
  }
  return headers;
}

function unavailable(url: URL, why: string, cause?: unknown): AppError {
  return new AppError(
    "source_unavailable",
    422,
    `The file at ${url.hostname} cannot be got: ${why}.`,
    { cause },
  );
}
