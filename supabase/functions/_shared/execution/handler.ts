/** What a named handler is given, and what it gives back. */
import type { BuiltRequest } from "../gateway/request.ts";
import type { Access } from "./credential.ts";
import type { Files } from "./files.ts";
import type { ProviderClient } from "./provider_client.ts";
import type { Begun } from "./types.ts";

/** Bytes of a provider, on their way. */
export interface Content {
  content_type: string;
  /** null: the provider does not say. */
  size_bytes: number | null;
  filename: string | null;
  body: ReadableStream<Uint8Array>;
}

/** What paging did. */
export interface PagesRead {
  page_count: number;
  /** Whether there is nothing more. */
  is_complete: boolean;
  /** Parameters of the page that would come next. */
  next: Record<string, unknown> | null;
}

/** A result, or bytes. */
export type Output =
  | { kind: "result"; status: number; result: unknown; pages?: PagesRead }
  | { kind: "content"; status: number; content: Content };

/** What a named handler works with. */
export interface HandlerContext {
  begun: Begun;
  /** Validated, defaults filled in. */
  parameters: Record<string, unknown>;
  /** What the row describes, without a body. */
  request: BuiltRequest;
  access: Access;
  client: ProviderClient;
  files: Files;
}

/** What data cannot say, in code. */
export type Handler = (context: HandlerContext) => Promise<Output>;

/** An answer's body with what its headers say about it. */
export function toContent(
  { headers, body }: { headers: Headers; body: ReadableStream<Uint8Array> | null },
): Content {
  const length = headers.get("content-length");
  const isEncoded = headers.has("content-encoding");
  const disposition = headers.get("content-disposition") ?? "";
  const name = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1];
  const plain = /filename="?([^";]+)"?/i.exec(disposition)?.[1];
  return {
    content_type: headers.get("content-type") ?? "application/octet-stream",
    size_bytes: length === null || isEncoded ? null : Number(length),
    filename: (name ? decode(name) : plain) ?? null,
    body: body ?? new Blob([]).stream(),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
