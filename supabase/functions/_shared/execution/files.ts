/** The bytes of an execution's files: in the parameters, at a URL, or in the request's own body. */
import { Buffer } from "node:buffer";
import { validationFailed } from "../errors.ts";
import type { FileValue, Part } from "../gateway/request.ts";
import { fetchPublic } from "../net/fetch.ts";
import { ExecutionError } from "./types.ts";

/** Bytes that a caller sends as the body of the request, beside its description. */
export interface SentFile {
  body: ReadableStream<Uint8Array>;
  content_type: string | null;
  /** null: the caller does not say. */
  size: number | null;
}

/** A file on its way to the provider; to be read once. */
export interface OpenFile {
  filename: string | undefined;
  content_type: string;
  /** null: nobody knows. */
  size: number | null;
  body: ReadableStream<Uint8Array>;
}

/** What can be held in memory at once, in bytes; larger files go in pieces, or by a link. */
export const MAX_IN_MEMORY = 32 * 1024 * 1024;
const OCTETS = "application/octet-stream";

/** Gets the bytes of files. */
export class Files {
  #sent: SentFile | undefined;

  /**
   * @param signal ends what is under way
   * @param allowPrivate the integration's `allow_private_sources`
   */
  constructor(
    private readonly options: {
      sent?: SentFile | undefined;
      signal: AbortSignal;
      allowPrivate: boolean;
    },
  ) {
    this.#sent = options.sent;
  }

  /**
   * Opens a file.
   *
   * @param pointer where it stands in the parameters, for messages
   * @throws AppError `validation_failed` `address_refused` `source_unavailable` (422)
   */
  async open(value: FileValue, pointer: string): Promise<OpenFile> {
    const { filename, content_type, data, url } = value;
    if (content_type !== undefined && !isContentType(content_type)) {
      throw validationFailed([{
        pointer: `${pointer}/content_type`,
        message: "is not a media type such as text/plain",
      }]);
    }
    if (data !== undefined) {
      const bytes = Buffer.from(data, "base64");
      return {
        filename,
        content_type: content_type ?? OCTETS,
        size: bytes.byteLength,
        body: new Blob([bytes]).stream(),
      };
    }
    if (url !== undefined) {
      const { headers, body } = await fetchPublic(url, this.options);
      const length = headers.get("content-length");
      return {
        filename,
        content_type: content_type ?? typeIn(headers.get("content-type")),
        size: length === null ? null : Number(length),
        body,
      };
    }
    const sent = this.#sent;
    this.#sent = undefined;
    if (sent) {
      return {
        filename,
        content_type: content_type ?? typeIn(sent.content_type),
        size: sent.size,
        body: sent.body,
      };
    }
    throw validationFailed([{
      pointer,
      message: "needs data (base64) or url, or the bytes as the body of the request",
    }]);
  }

  /** A file's bytes, all of them. */
  async bytes(
    value: FileValue,
    pointer: string,
  ): Promise<OpenFile & { bytes: Uint8Array<ArrayBuffer> }> {
    const file = await this.open(value, pointer);
    return { ...file, bytes: await readAll(file.body, MAX_IN_MEMORY) };
  }

  /** A multipart body; the platform chooses its boundary. */
  async form(parts: readonly Part[]): Promise<FormData> {
    const form = new FormData();
    for (const part of parts) {
      if ("value" in part) {
        form.append(part.name, part.value);
        continue;
      }
      const { bytes, content_type, filename } = await this.bytes(part.file, `/${part.name}`);
      form.append(part.name, new Blob([bytes], { type: content_type }), filename ?? "file");
    }
    return form;
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#name-media-type */
function isContentType(text: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+(?:;[\x20-\x7e]*)?$/.test(text);
}

/** A header's media type; what is none is bytes. */
function typeIn(header: string | null): string {
  return header !== null && isContentType(header) ? header : OCTETS;
}

/**
 * Reads a stream to its end.
 *
 * @throws ExecutionError `payload_too_large` (413)
 */
export async function readAll(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw new ExecutionError(
        "payload_too_large",
        413,
        `The file is larger than ${maxBytes} bytes, the most that passes here in one piece; use an ` +
          "action that makes an upload or download link.",
      );
    }
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

/**
 * A stream cut into pieces of one size, the last one smaller.
 *
 * @param size bytes of a piece
 */
export async function* pieces(
  body: ReadableStream<Uint8Array>,
  size: number,
): AsyncGenerator<{ bytes: Uint8Array<ArrayBuffer>; isLast: boolean }> {
  let piece = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of body) {
    for (let offset = 0; offset < chunk.byteLength;) {
      // Only when more comes is it known that a full piece was not the last.
      if (filled === size) {
        yield { bytes: piece, isLast: false };
        piece = new Uint8Array(size);
        filled = 0;
      }
      const taken = chunk.subarray(offset, offset + size - filled);
      piece.set(taken, filled);
      filled += taken.byteLength;
      offset += taken.byteLength;
    }
  }
  yield { bytes: piece.subarray(0, filled), isLast: true };
}
