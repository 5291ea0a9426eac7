/**
 * A file for Google Drive: in one request when it is small, else in a resumable session, piece by
 * piece, so that a file of any size passes through little memory and a lost piece is sent again.
 * @see https://developers.google.com/workspace/drive/api/guides/manage-uploads
 */
import type { Handler, HandlerContext } from "../../execution/handler.ts";
import { pieces } from "../../execution/files.ts";
import type { TextAnswer } from "../../execution/provider_client.ts";
import { ExecutionError } from "../../execution/types.ts";
import type { FileValue } from "../request.ts";

/** Google takes up to 5 MB in one request, and pieces in multiples of 256 KiB. */
const PIECE = 19 * 256 * 1024;
/** Pieces that may be lost on the way, over the whole upload. */
const LOST_PIECES = 5;

/** Uploads a new file, or new content of one. */
export const driveUpload: Handler = async (context) => {
  const { file, fileId, name, parents, mimeType, description } = context.parameters as unknown as {
    file: FileValue;
    fileId?: string;
    name?: string;
    parents?: string[];
    mimeType?: string;
    description?: string;
  };
  const opened = await context.files.open(file, "/file");
  const metadata = {
    name: name ?? (fileId === undefined ? opened.filename : undefined),
    mimeType,
    description,
    // Moving a file is another action's.
    ...(fileId === undefined ? { parents } : {}),
  };
  const parts = pieces(opened.body, PIECE);
  const first = (await parts.next()).value!;
  const upload = { metadata, content_type: opened.content_type, fileId };
  const answer = first.isLast
    ? await inOneRequest(context, upload, first.bytes)
    : await inSession(context, upload, first, parts);
  return { kind: "result", status: answer.status, result: answer.body };
};

interface Upload {
  metadata: Record<string, unknown>;
  content_type: string;
  fileId: string | undefined;
}

type Piece = { bytes: Uint8Array<ArrayBuffer>; isLast: boolean };

async function inOneRequest(
  { client, request }: HandlerContext,
  { metadata, content_type, fileId }: Upload,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<TextAnswer> {
  const boundary = `marketplace-${crypto.randomUUID()}`;
  const head = `--${boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n` +
    `${JSON.stringify(metadata)}\r\n--${boundary}\r\ncontent-type: ${content_type}\r\n\r\n`;
  const body = new Blob([head, bytes, `\r\n--${boundary}--\r\n`]);
  return await client.call({
    method: fileId === undefined ? "POST" : "PATCH",
    url: uploadUrl(request.url, fileId, "multipart"),
    headers: { "content-type": `multipart/related; boundary=${boundary}` },
    body: new Uint8Array(await body.arrayBuffer()),
    // New content twice is new content once; a new file twice is two files.
  }, { isRepeatable: fileId !== undefined });
}

async function inSession(
  context: HandlerContext,
  { metadata, content_type, fileId }: Upload,
  first: Piece,
  rest: AsyncGenerator<Piece>,
): Promise<TextAnswer> {
  const { client, request } = context;
  const opened = await client.call({
    method: fileId === undefined ? "POST" : "PATCH",
    url: uploadUrl(request.url, fileId, "resumable"),
    headers: {
      "content-type": "application/json; charset=UTF-8",
      "x-upload-content-type": content_type,
    },
    body: JSON.stringify(metadata),
    // A session that nobody uses makes nothing.
  }, { isRepeatable: true });
  const url = opened.headers.get("location") ?? "";
  const session = new Session(context, url);
  let answer = await session.send(first);
  while (!answer) {
    answer = await session.send((await rest.next()).value!);
  }
  return answer;
}

/** A resumable session; its URL takes the bytes without a credential. */
class Session {
  /** Bytes that Drive has. */
  #offset = 0;
  #lost = 0;

  constructor(private readonly context: HandlerContext, private readonly url: string) {}

  /** @returns Drive's answer when that was the last piece */
  async send({ bytes, isLast }: Piece): Promise<TextAnswer | undefined> {
    const start = this.#offset;
    const end = start + bytes.byteLength;
    for (;;) {
      const from = this.#offset;
      const total = isLast ? String(end) : "*";
      const range = from < end ? `bytes ${from}-${end - 1}/${total}` : `bytes */${total}`;
      let answer: TextAnswer;
      try {
        answer = await this.#put(range, bytes.subarray(from - start));
      } catch (error) {
        if (!(error instanceof ExecutionError) || !error.retryable) throw error;
        if (++this.#lost > LOST_PIECES) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** this.#lost));
        // What of it has arrived? With no bytes to send, Drive says so.
        answer = await this.#put("bytes */*", new Uint8Array());
      }
      if (answer.status !== 308) return answer;
      const reached = Number(/-(\d+)$/.exec(answer.headers.get("range") ?? "")?.[1] ?? -1) + 1;
      if (reached < start || reached > end) {
        throw new ExecutionError("provider_error", 502, "Drive lost part of the upload.", {
          effect: "none",
          providerStatus: 308,
        });
      }
      this.#offset = reached;
      if (reached === end && !isLast) return undefined;
      if (++this.#lost > LOST_PIECES + 1) {
        throw new ExecutionError(
          "provider_error",
          502,
          "Drive does not take the upload's pieces.",
          {
            effect: "none",
            providerStatus: 308,
          },
        );
      }
    }
  }

  #put(range: string, bytes: Uint8Array<ArrayBuffer>): Promise<TextAnswer> {
    return this.context.client.callElsewhere({
      method: "PUT",
      url: this.url,
      headers: { "content-range": range },
      body: bytes,
    }, { accept: [308], isRepeatable: false });
  }
}

/** `…/drive/v3/files?…` as `…/upload/drive/v3/files[/<id>]?uploadType=…&…` */
function uploadUrl(filesUrl: string, fileId: string | undefined, uploadType: string): string {
  const [path = "", query = ""] = filesUrl.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set("uploadType", uploadType);
  // As text: the URL's own parser would follow an id such as `..` before anybody has looked.
  return path.replace(/\/drive\/v3\/files$/, "/upload/drive/v3/files") +
    (fileId === undefined ? "" : `/${encodeURIComponent(fileId)}`) + `?${parameters}`;
}
