import { type Context, Hono } from "hono";
import {
  concat,
  type Content,
  type ContentWriter,
  readAll,
  StorageFullError,
} from "../../core/contents.ts";
import { flipFirstByte } from "../../core/observe.ts";
import type { ObservedEnv, Sandbox } from "../../core/provider.ts";
import { baseUrl } from "../../core/requests.ts";
import { type DriveMetadata, parseMetadata } from "./drive_files.ts";
import { GoogleError } from "./errors.ts";

/** What Drive persists of an unfinished upload comes in multiples of this. */
const QUANTUM_BYTES = 256 * 1024;
const SESSION_TTL_MS = 7 * 24 * 60 * 60 * 1000;
const UPLOAD_PATH = "/upload/drive/v3/files";

/** An upload that is complete. */
export interface FinishedUpload {
  /** The file to update; absent for a new one. */
  fileId: string | undefined;
  metadata: DriveMetadata;
  content: Content;
  /** The `fields` parameter of the request that began it. */
  fields: string | undefined;
}

/** What the upload protocols do with metadata and finished uploads. */
export interface UploadTarget {
  /** Refuses metadata early, as Drive does when a session is opened. @throws GoogleError */
  check(fileId: string | undefined, metadata: DriveMetadata): void;
  /** Makes or updates the file and answers its resource. @throws GoogleError */
  finish(c: Context, upload: FinishedUpload): Promise<Response>;
}

interface Session {
  id: string;
  fileId: string | undefined;
  metadata: DriveMetadata;
  fields: string | undefined;
  expiresAt: number;
  /** Announced with `X-Upload-Content-Length` or learnt from `Content-Range`. */
  total: number | undefined;
  writer: ContentWriter;
  /** The answer of the finished upload, repeated to whoever asks again. */
  answer: Response | undefined;
}

/** `Content-Range` of a chunk; `start` is absent in a status query. */
interface ChunkRange {
  start: number | undefined;
  end: number | undefined;
  total: number | undefined;
}

/**
 * The three ways to upload a file to Drive: `media`, `multipart` and `resumable`.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/manage-uploads
 */
export function createUploads(
  sandbox: Sandbox,
  mountedAt: string,
  target: UploadTarget,
): { app: Hono<ObservedEnv>; reset(): Promise<void> } {
  const sessions = new Map<string, Session>();
  const app = new Hono<ObservedEnv>();

  const start = async (c: Context<ObservedEnv>) => {
    const fileId = c.req.param("id");
    const { uploadType, fields } = c.req.query();
    if (uploadType === "resumable") return await openSession(c, fileId);
    if (uploadType === "media") {
      target.check(fileId, {});
      const content = await store(c, c.req.raw.body ?? []);
      const mimeType = c.req.header("content-type");
      const metadata = mimeType ? { mimeType } : {};
      return await finish(c, { fileId, metadata, content, fields });
    }
    if (uploadType === "multipart") {
      const { metadata, mimeType, bytes } = await readMultipart(c);
      target.check(fileId, metadata);
      const content = await store(c, [bytes]);
      return await finish(c, { fileId, metadata: { mimeType, ...metadata }, content, fields });
    }
    throw new GoogleError("badRequest", "Invalid upload type.", {
      location: "uploadType",
      locationType: "parameter",
    });
  };
  app.post(UPLOAD_PATH, start);
  app.patch(`${UPLOAD_PATH}/:id`, start);
  app.put(UPLOAD_PATH, (c) => receiveChunk(c));
  app.put(`${UPLOAD_PATH}/:id`, (c) => receiveChunk(c));
  app.on("DELETE", [UPLOAD_PATH, `${UPLOAD_PATH}/:id`], async (c) => {
    const session = findSession(c);
    sessions.delete(session.id);
    if (!session.answer) await session.writer.abort();
    // Google's own code for an upload that the client gave up.
    return new Response(null, { status: 499 });
  });

  async function openSession(
    c: Context<ObservedEnv>,
    fileId: string | undefined,
  ): Promise<Response> {
    const metadata = parseMetadata(await c.req.text());
    target.check(fileId, metadata);
    const id = `sandbox-${crypto.randomUUID()}`;
    const length = c.req.header("x-upload-content-length");
    sessions.set(id, {
      id,
      fileId,
      metadata: { mimeType: c.req.header("x-upload-content-type"), ...metadata },
      fields: c.req.query("fields"),
      expiresAt: sandbox.clock.now() + SESSION_TTL_MS,
      total: length === undefined ? undefined : Number(length),
      writer: await sandbox.contents.writer(),
      answer: undefined,
    });
    const path = fileId === undefined ? UPLOAD_PATH : `${UPLOAD_PATH}/${fileId}`;
    const location = `${baseUrl(c, mountedAt)}${path}?uploadType=resumable&upload_id=${id}`;
    return new Response(null, { headers: { location, "x-guploader-uploadid": id } });
  }

  function findSession(c: Context): Session {
    const session = sessions.get(c.req.query("upload_id") ?? "");
    if (!session || session.expiresAt <= sandbox.clock.now()) {
      throw new GoogleError("notFound", "Upload session not found or expired: start a new one.");
    }
    return session;
  }

  async function receiveChunk(c: Context<ObservedEnv>): Promise<Response> {
    const session = findSession(c);
    const range = parseContentRange(c.req.header("content-range"));
    if (session.answer) return session.answer.clone();
    if (range && range.start === undefined) return progress(session);

    const offset = range?.start ?? 0;
    const { writer } = session;
    if (offset > writer.size) {
      return invalid(
        `According to the Content-Range header, the upload offset is ${offset} byte(s), which exceeds already uploaded size of ${writer.size} byte(s).`,
      );
    }
    const declared = range?.total ?? session.total;
    if (session.total !== undefined && declared !== session.total) {
      return invalid(
        `The total size ${declared} differs from the announced ${session.total} byte(s).`,
      );
    }
    const expected = range ? range.end! + 1 - offset : undefined;
    const last = !range || range.total === range.end! + 1;
    if (range && !last && expected! < QUANTUM_BYTES) {
      return invalid(
        `The number of bytes uploaded is required to be equal or greater than ${QUANTUM_BYTES}, except for the final request (it's recommended to be the exact multiple of ${QUANTUM_BYTES}). The received request contained ${expected} bytes, which does not meet this requirement.`,
      );
    }
    session.total = declared;

    const { received, complete } = await append(c, session, offset, last ? expected : undefined);
    if (complete && expected !== undefined && received !== expected) {
      return invalid(
        `There were ${received} byte(s) in the request body. There should have been ${expected} byte(s) (starting at offset ${offset} and ending at offset ${
          range!.end
        }) according to the Content-Range header.`,
      );
    }
    if (!complete) throw new GoogleError("backendError");
    if (!last) return progress(session);
    if (session.total !== undefined && writer.size !== session.total) return progress(session);
    const content = await writer.finish();
    sessions.delete(session.id);
    session.answer = await finish(c, { ...session, content });
    sessions.set(session.id, session);
    return session.answer.clone();
  }

  /**
   * Adds the body to what is persisted. Bytes that are known already are skipped, and a body that
   * is not the last is kept in whole quanta only: that is what the client can resume from.
   */
  async function append(
    c: Context<ObservedEnv>,
    session: Session,
    offset: number,
    lastLength: number | undefined,
  ): Promise<{ received: number; complete: boolean }> {
    const { writer } = session;
    let skip = writer.size - offset;
    let received = 0;
    let pending: Uint8Array = new Uint8Array(0);
    let complete = true;
    try {
      for await (const piece of c.req.raw.body ?? []) {
        received += piece.length;
        if (c.get("corrupt") && received === piece.length) flipFirstByte(piece);
        const fresh = piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - fresh.length;
        pending = concat([pending, fresh]);
        const whole = pending.length - pending.length % QUANTUM_BYTES;
        await writer.write(pending.subarray(0, whole));
        pending = pending.slice(whole);
      }
    } catch (error) {
      if (error instanceof StorageFullError) throw error;
      // The client went away in the middle: what is whole stays.
      complete = false;
    }
    const isWhole = lastLength === undefined
      ? !c.req.header("content-range")
      : received === lastLength;
    if (complete && isWhole) await writer.write(pending);
    return { received, complete };
  }

  async function finish(c: Context, upload: FinishedUpload): Promise<Response> {
    try {
      return await target.finish(c, upload);
    } catch (error) {
      await upload.content.release();
      throw error;
    }
  }

  async function store(
    c: Context<ObservedEnv>,
    pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<Content> {
    const bytes = async function* () {
      let first = c.get("corrupt");
      for await (const piece of pieces) {
        if (first) flipFirstByte(piece);
        first = false;
        yield piece;
      }
    };
    return await sandbox.contents.store(bytes());
  }

  return {
    app,
    async reset() {
      for (const session of sessions.values()) if (!session.answer) await session.writer.abort();
      sessions.clear();
    },
  };
}

/** @throws GoogleError `badRequest` */
function parseContentRange(header: string | undefined): ChunkRange | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header.trim());
  if (!match || (match[1] && Number(match[1]) > Number(match[2]))) {
    throw new GoogleError("badRequest", `Failed to parse Content-Range header: ${header}`);
  }
  const number = (text: string | undefined) =>
    text === undefined || text === "*" ? undefined : Number(text);
  return { start: number(match[1]), end: number(match[2]), total: number(match[3]) };
}

function progress({ id, writer }: Session): Response {
  const headers: Record<string, string> = { "x-guploader-uploadid": id };
  if (writer.size > 0) headers.range = `bytes=0-${writer.size - 1}`;
  return new Response(null, { status: 308, headers });
}

/** The upload server speaks plain text when the byte counts do not fit. */
function invalid(message: string): Response {
  return new Response(`Invalid request.  ${message}`, {
    status: 400,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

/**
 * Splits a `multipart/related` body: JSON metadata first, the content second.
 *
 * @throws GoogleError `badRequest`
 * @see https://www.rfc-editor.org/rfc/rfc2387
 */
async function readMultipart(
  c: Context,
): Promise<{ metadata: DriveMetadata; mimeType: string | undefined; bytes: Uint8Array }> {
  const type = c.req.header("content-type") ?? "";
  const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
  const malformed = new GoogleError("badRequest", "Malformed multipart body.");
  if (!type.startsWith("multipart/") || !boundary || !c.req.raw.body) throw malformed;
  const body = await readAll(c.req.raw.body);
  const delimiter = new TextEncoder().encode(`--${boundary[1] ?? boundary[2]}`);
  const marks: number[] = [];
  for (let at = indexOf(body, delimiter, 0); at >= 0; at = indexOf(body, delimiter, at + 1)) {
    marks.push(at);
  }
  if (marks.length !== 3) throw malformed;
  const [first, second] = [0, 1].map((part) => {
    // Without the delimiter's own line and the line break before the next one.
    const start = indexOf(body, CRLF, marks[part]!) + 2;
    const end = marks[part + 1]! - 2;
    const blank = indexOf(body, BLANK_LINE, start - 2);
    if (start < 2 || blank < 0 || blank > end) throw malformed;
    const headers = new TextDecoder().decode(body.subarray(start, Math.max(start, blank)));
    return { headers, bytes: body.subarray(blank + 4, end) };
  });
  return {
    metadata: parseMetadata(new TextDecoder().decode(first!.bytes)),
    mimeType: /^content-type:\s*([^\r\n]+)/im.exec(second!.headers)?.[1]?.trim(),
    bytes: second!.bytes.slice(),
  };
}

const CRLF = new TextEncoder().encode("\r\n");
const BLANK_LINE = new TextEncoder().encode("\r\n\r\n");

function indexOf(body: Uint8Array, wanted: Uint8Array, from: number): number {
  for (let at = body.indexOf(wanted[0]!, from); at >= 0; at = body.indexOf(wanted[0]!, at + 1)) {
    if (wanted.every((byte, index) => body[at + index] === byte)) return at;
  }
  return -1;
}
