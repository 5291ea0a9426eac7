import { createHash } from "node:crypto";
import { concat, type Content, type ContentStore } from "../core/contents.ts";
import { type DigestName, hexToBase64 } from "../core/digests.ts";
import { flipFirstByte } from "../core/observe.ts";
import { S3Error } from "./errors.ts";
import { equalText, hmac, sha256, type Verified } from "./signature.ts";

const MAX_LINE_BYTES = 16 * 1024;

/** Checksum algorithms of S3 with the length of their digest in bytes. */
export const CHECKSUMS = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 } as const;
/** The name of an S3 checksum algorithm, as it stands in header names. */
export type ChecksumName = keyof typeof CHECKSUMS;

/** A checksum that came along with a content. */
export interface ClaimedChecksum {
  name: ChecksumName;
  base64: string;
}

/** A received and verified upload. */
export interface Received {
  content: Content;
  /** The checksum the client sent, which S3 stores and reports. */
  checksum: ClaimedChecksum | undefined;
}

/** What {@linkcode receivePayload} needs to know of a request. */
export interface Upload {
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
  verified: Verified;
  contents: ContentStore;
  /** A fault asks for altered bytes. */
  corrupt: boolean;
}

/**
 * Stores a request body after decoding it (`aws-chunked`) and checking everything that was said
 * about it: length, payload hash, chunk signatures, `Content-MD5`, `x-amz-checksum-*` in the
 * header or in the trailer.
 *
 * @throws S3Error
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
export async function receivePayload(upload: Upload): Promise<Received> {
  const { headers, verified } = upload;
  const streaming = verified.payloadHash.startsWith("STREAMING-");
  const declared = headers.get(streaming ? "x-amz-decoded-content-length" : "content-length");
  if (declared === null) throw new S3Error("MissingContentLength");

  let checksum = headerChecksum(headers);
  const md5 = contentMd5(headers);
  const source = upload.body ?? new ReadableStream({ start: (controller) => controller.close() });
  const trailers = new Map<string, string>();
  const pieces = streaming ? decodeChunks(source, verified, trailers) : source;

  const content = await store(upload, pieces);
  try {
    if (content.size !== Number(declared)) throw new S3Error("IncompleteBody");
    if (!streaming && verified.payloadHash !== "UNSIGNED-PAYLOAD") {
      if (!equalText(verified.payloadHash, content.digests.sha256)) {
        throw new S3Error("XAmzContentSHA256Mismatch", undefined, {
          ClientComputedContentSHA256: verified.payloadHash,
          S3ComputedContentSHA256: content.digests.sha256,
        });
      }
    }
    if (md5 !== undefined && md5 !== hexToBase64(content.digests.md5)) {
      throw new S3Error("BadDigest", undefined, {
        ExpectedDigest: md5,
        CalculatedDigest: hexToBase64(content.digests.md5),
      });
    }
    checksum ??= trailerChecksum(headers, trailers);
    if (checksum && checksum.base64 !== hexToBase64(content.digests[checksum.name])) {
      throw new S3Error(
        "BadDigest",
        `The ${checksum.name.toUpperCase()} you specified did not match the calculated checksum.`,
      );
    }
  } catch (error) {
    await content.release();
    throw error;
  }
  return { content, checksum };
}

async function store(upload: Upload, pieces: AsyncIterable<Uint8Array>): Promise<Content> {
  const writer = await upload.contents.writer();
  try {
    for await (const piece of pieces) {
      if (upload.corrupt && writer.size === 0) flipFirstByte(piece);
      await writer.write(piece);
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
  return await writer.finish();
}

/** Reads `x-amz-checksum-<algorithm>`; S3 takes at most one. */
function headerChecksum(headers: Headers): ClaimedChecksum | undefined {
  const claimed = names().flatMap((name) => {
    const base64 = headers.get(`x-amz-checksum-${name}`);
    return base64 === null ? [] : [{ name, base64 }];
  });
  if (claimed.length > 1) {
    throw new S3Error(
      "InvalidRequest",
      "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    );
  }
  if (claimed[0]) checkChecksumForm(claimed[0]);
  return claimed[0];
}

function trailerChecksum(
  headers: Headers,
  trailers: ReadonlyMap<string, string>,
): ClaimedChecksum | undefined {
  const announced = headers.get("x-amz-trailer")?.trim().toLowerCase();
  if (!announced) return undefined;
  const name = names().find((candidate) => announced === `x-amz-checksum-${candidate}`);
  const base64 = trailers.get(announced);
  if (!name || base64 === undefined) {
    throw new S3Error(
      "InvalidRequest",
      "The value specified in the x-amz-trailer header is not supported",
    );
  }
  const checksum = { name, base64 };
  checkChecksumForm(checksum);
  return checksum;
}

function checkChecksumForm({ name, base64 }: ClaimedChecksum): void {
  if (decodedLength(base64) === CHECKSUMS[name]) return;
  throw new S3Error("InvalidRequest", `Value for x-amz-checksum-${name} header is invalid.`);
}

function contentMd5(headers: Headers): string | undefined {
  const md5 = headers.get("content-md5") ?? undefined;
  if (md5 !== undefined && decodedLength(md5) !== 16) throw new S3Error("InvalidDigest");
  return md5;
}

function decodedLength(base64: string): number {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(base64) ? atobLength(base64) : -1;
}

function atobLength(base64: string): number {
  return base64.length % 4 === 0
    ? base64.length / 4 * 3 - (base64.match(/=*$/)?.[0].length ?? 0)
    : -1;
}

function names(): (ChecksumName & DigestName)[] {
  return Object.keys(CHECKSUMS) as ChecksumName[];
}

/**
 * Decodes `aws-chunked`: `<hex size>[;chunk-signature=<hex>]\r\n<bytes>\r\n`, ended by a chunk of
 * size 0 and, when announced, trailing headers.
 */
async function* decodeChunks(
  source: AsyncIterable<Uint8Array>,
  verified: Verified,
  trailers: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const mode = verified.payloadHash;
  const signed = mode.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  if (!signed && mode !== "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
    throw new S3Error("NotImplemented", `${mode} not implemented`);
  }
  const reader = new LineReader(source);
  let previous = verified.signature;
  for (let last = false; !last;) {
    const line = await reader.line();
    const match = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
    if (!match || signed !== (match[2] !== undefined)) throw new S3Error("IncompleteBody");
    const size = parseInt(match[1]!, 16);
    const hash = createHash("sha256");
    for await (const piece of reader.bytes(size)) {
      hash.update(piece);
      yield piece;
    }
    last = size === 0;
    if (!last && await reader.line() !== "") throw new S3Error("IncompleteBody");
    if (signed) {
      previous = checkSignature(match[2]!, [
        "AWS4-HMAC-SHA256-PAYLOAD",
        verified.timestamp,
        verified.scope,
        previous,
        sha256(""),
        hash.digest("hex"),
      ], verified);
    }
  }
  if (mode.endsWith("-TRAILER")) await readTrailers(reader, trailers, verified, previous, signed);
  await reader.drain();
}

async function readTrailers(
  reader: LineReader,
  trailers: Map<string, string>,
  verified: Verified,
  previous: string,
  signed: boolean,
): Promise<void> {
  let block = "";
  for (let line = await reader.line(); line !== ""; line = await reader.line(true)) {
    const mark = line.indexOf(":");
    const name = line.slice(0, mark).toLowerCase();
    trailers.set(name, line.slice(mark + 1).trim());
    if (name !== "x-amz-trailer-signature") block += `${name}:${line.slice(mark + 1).trim()}\n`;
  }
  if (!signed) return;
  checkSignature(trailers.get("x-amz-trailer-signature") ?? "", [
    "AWS4-HMAC-SHA256-TRAILER",
    verified.timestamp,
    verified.scope,
    previous,
    sha256(block),
  ], verified);
}

function checkSignature(claimed: string, lines: string[], verified: Verified): string {
  const expected = hmac(verified.signingKey, lines.join("\n")).toString("hex");
  if (!equalText(expected, claimed)) throw new S3Error("SignatureDoesNotMatch");
  return expected;
}

/** Reads a byte stream by lines and by counted runs. */
class LineReader {
  #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** One line without its CRLF; at the end of the body `""` when `endIsEmpty`, else an error. */
  async line(endIsEmpty = false): Promise<string> {
    const decoder = new TextDecoder("latin1");
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end >= 0) {
        const line = decoder.decode(this.#rest.subarray(0, end));
        this.#rest = this.#rest.subarray(end + 1);
        return line.replace(/\r$/, "");
      }
      if (this.#rest.length > MAX_LINE_BYTES) throw new S3Error("IncompleteBody");
      const next = await this.#source.next();
      if (next.done) {
        if (endIsEmpty && this.#rest.length === 0) return "";
        throw new S3Error("IncompleteBody");
      }
      this.#rest = concat([this.#rest, next.value]);
    }
  }

  /** Reads what is left, so that the connection can serve the next request. */
  async drain(): Promise<void> {
    while (!(await this.#source.next()).done);
  }

  /** The next `count` bytes, in whatever pieces they come. */
  async *bytes(count: number): AsyncGenerator<Uint8Array> {
    while (count > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#source.next();
        if (next.done) throw new S3Error("IncompleteBody");
        this.#rest = next.value;
      }
      const piece = this.#rest.slice(0, count);
      this.#rest = this.#rest.subarray(piece.length);
      count -= piece.length;
      yield piece;
    }
  }
}
