import type { MiddlewareHandler } from "hono";
import type { Fault, Refusal } from "./faults.ts";
import type { JournalEntry } from "./journal.ts";
import type { ObservedEnv, Sandbox } from "./provider.ts";

/** How {@linkcode observe} knows the provider it watches. */
export interface Observed {
  name: string;
  /** Where the provider is mounted; taken off the journal's paths. */
  mountedAt: string;
  refuse(refusal: Refusal): Response;
}

/** Thrown into a request body that a fault cuts off. */
export class UploadCutError extends Error {
  constructor() {
    super("A fault cut this upload off.");
    this.name = "UploadCutError";
  }
}

/**
 * The middleware in front of every provider: writes each request into the journal, counts its
 * bytes, and applies the fault that matches it.
 */
export function observe(sandbox: Sandbox, provider: Observed): MiddlewareHandler<ObservedEnv> {
  return async (c, next) => {
    const startedAt = performance.now();
    const { method } = c.req;
    const [fullPath, query] = splitUrl(c.req.raw.url);
    const path = fullPath.slice(provider.mountedAt.length) || "/";
    c.set("rawPath", path);
    c.set("rawQuery", query);

    const entry = sandbox.journal.open({
      provider: provider.name,
      method,
      path: decodePath(path),
      query,
      headers: c.req.raw.headers,
    }, sandbox.clock.now());
    const fault = sandbox.faults.take({ provider: provider.name, method, path: decodePath(path) });
    entry.fault_id = fault?.id ?? null;
    c.set("corrupt", fault?.corrupt === true);
    if (fault && fault.delay_ms > 0) await new Promise((done) => setTimeout(done, fault.delay_ms));

    watchRequest(c.req, entry, fault);
    const refused = fault && refusalOf(fault, provider);
    if (refused) c.res = refused;
    else await next();
    // An answer before the body was read would reach many clients as a broken connection.
    if (!c.req.raw.bodyUsed) await c.req.raw.body?.pipeTo(new WritableStream()).catch(() => {});

    const response = await watchResponse(c.res, method, entry, fault);
    c.res = undefined;
    c.res = response;
    entry.status = response.status;
    entry.duration_ms = Math.round((performance.now() - startedAt) * 100) / 100;
  };
}

/** Path and query of a URL without any normalisation. */
export function splitUrl(url: string): [path: string, query: string] {
  const rest = url.slice(url.indexOf("/", url.indexOf("://") + 3));
  const mark = rest.indexOf("?");
  return mark < 0 ? [rest, ""] : [rest.slice(0, mark), rest.slice(mark + 1)];
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function refusalOf(fault: Fault, provider: Observed): Response | undefined {
  const { status, error, body, rate_limit } = fault;
  if (status === undefined && error === undefined && body === undefined && !rate_limit) {
    return undefined;
  }
  const own = provider.refuse({ status, error, retryAfter: rate_limit?.retry_after });
  const headers = new Headers(own.headers);
  if (body !== undefined) {
    headers.set("content-type", typeof body === "string" ? "text/plain" : "application/json");
  }
  for (const [name, value] of Object.entries(fault.headers)) headers.set(name, value);
  const content = typeof body === "object" ? JSON.stringify(body) : body ?? own.body;
  return new Response(content, { status: status ?? own.status, headers });
}

/** Replaces the request body with one that is counted and, on demand, cut in half. */
function watchRequest(req: { raw: Request }, entry: JournalEntry, fault: Fault | undefined): void {
  if (!req.raw.body) return;
  const declared = Number(req.raw.headers.get("content-length") ?? 0);
  const cutAt = fault?.cut === "mid_upload" ? Math.floor(declared / 2) : Infinity;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const room = cutAt - entry.request_bytes;
      entry.request_bytes += chunk.length;
      if (chunk.length < room) return controller.enqueue(chunk);
      if (room > 0) controller.enqueue(chunk.subarray(0, room));
      controller.error(new UploadCutError());
    },
  });
  const { url, method, headers, body } = req.raw;
  req.raw = new Request(url, { method, headers, body: body.pipeThrough(counter) });
}

async function watchResponse(
  response: Response,
  method: string,
  entry: JournalEntry,
  fault: Fault | undefined,
): Promise<Response> {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(fault?.headers ?? {})) headers.set(name, value);
  const init = { status: response.status, headers };
  const altered = fault?.corrupt === true && method === "GET";

  if (fault?.cut) return new Response(cutOff(response, fault, entry), withLength(init));
  if (!response.body || method === "HEAD") {
    await response.body?.cancel();
    return new Response(null, init);
  }
  // An answer that names its length is a content: streamed. All others are small documents.
  if (!headers.has("content-length")) {
    const document = new Uint8Array(await response.arrayBuffer());
    if (altered) flipFirstByte(document);
    entry.response_bytes = document.length;
    return new Response(document, init);
  }
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      if (altered && entry.response_bytes === 0) flipFirstByte(chunk);
      entry.response_bytes += chunk.length;
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counter), init);
}

/** Alters one byte in place, the smallest corruption there is. */
export function flipFirstByte(chunk: Uint8Array): void {
  if (chunk.length > 0) chunk[0] = chunk[0]! ^ 1;
}

/**
 * A body that breaks off: the server closes the connection short of the announced length, which
 * the client sees as a terminated response.
 */
function cutOff(
  response: Response,
  { id, cut }: Fault,
  entry: JournalEntry,
): ReadableStream<Uint8Array> {
  const failure = new Error("A fault cut this response off.");
  // The server prints what ends a response: one line says enough.
  failure.stack = `${id} cut off ${entry.method} ${entry.provider} ${entry.path}`;
  const body = response.body?.getReader();
  const length = Number(response.headers.get("content-length") ?? 2);
  const keep = cut === "mid_body" ? Math.max(1, Math.floor(length / 2)) : 0;
  return new ReadableStream({
    async pull(controller) {
      const next = entry.response_bytes < keep ? await body?.read() : undefined;
      if (!next || next.done) {
        await body?.cancel().catch(() => {});
        return controller.error(failure);
      }
      const chunk = next.value.subarray(0, keep - entry.response_bytes);
      entry.response_bytes += chunk.length;
      controller.enqueue(chunk);
    },
  });
}

/** A cut answer must announce more than it delivers, or the cut would not be seen. */
function withLength(init: { status: number; headers: Headers }): ResponseInit {
  const status = [101, 204, 205, 304].includes(init.status) ? 200 : init.status;
  if (!init.headers.has("content-length") || init.headers.get("content-length") === "0") {
    init.headers.set("content-length", "2");
  }
  return { status, headers: init.headers };
}
