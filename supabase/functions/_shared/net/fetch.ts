/**
 * Requests that leave the platform: never to a private address unless a row allows that, never by
 * themselves to where a redirect points.
 *
 * What is stopped: every spelling of an address that is not public, names that resolve to one, and
 * each hop of a redirect. {@link fetchPublic}, for URLs that callers bring, also connects to the very
 * address that was looked at, so that a name server which answers differently a moment later gains
 * nothing. {@link guardedFetch}, for hosts that stand in rows, looks first and lets `fetch` resolve
 * once more: whoever runs the provider's own name server could use that moment.
 */
import { lookup } from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { Readable } from "node:stream";
import { AppError } from "../errors.ts";
import {
  addressRefused,
  hostOf,
  isLocalName,
  isPublicAddress,
  refusePrivate,
} from "./addresses.ts";

/** A request to a host that stands in a row. */
export interface GuardedRequest {
  method: string;
  headers: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer> | FormData | ReadableStream<Uint8Array> | undefined;
  signal: AbortSignal;
  /** The row's `allow_private_network`. */
  allowPrivate: boolean;
}

/**
 * Sends a request to a provider; a redirect is an answer like any other.
 *
 * @throws AppError `address_refused` (422); what `fetch` throws
 */
export async function guardedFetch(url: string, request: GuardedRequest): Promise<Response> {
  const { allowPrivate, body, ...rest } = request;
  checkUrl(url);
  if (!allowPrivate) await refusePrivate(url);
  return await fetch(url, {
    ...rest,
    redirect: "manual",
    ...(body === undefined ? {} : { body }),
    // A stream can only be sent while its answer is not there yet.
    ...(body instanceof ReadableStream ? { duplex: "half" } as RequestInit : {}),
  });
}

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

function getPinned(url: URL, options: PublicOptions): Promise<http.IncomingMessage> {
  const { signal, allowPrivate, resolve: resolveName = lookup } = options;
  const host = hostOf(url);
  if (!allowPrivate && (isLocalName(host) || isIP(host) && !isPublicAddress(host))) {
    throw addressRefused(url);
  }
  // The connection goes to what is judged here: there is no second look-up.
  const pinned: LookupFunction = (name, lookupOptions, done) => {
    resolveName(name, { ...lookupOptions, all: true }, (error, found) => {
      if (error) return done(error, []);
      const isPrivate = found.some(({ address }) => !isPublicAddress(address));
      if (isPrivate && !allowPrivate) return done(addressRefused(url), []);
      if (lookupOptions.all) return done(null, found);
      done(null, found[0]!.address, found[0]!.family);
    });
  };
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const request = (url.protocol === "https:" ? https : http).get(url, {
    lookup: pinned,
    signal,
    headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "marketplace" },
  }, resolve);
  request.on("error", (error) => {
    if (error instanceof AppError) return reject(error);
    reject(unavailable(url, signal.aborted ? "it took too long" : "it cannot be reached", error));
  });
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
