import type { Content } from "./contents.ts";
import { parseRange } from "./ranges.ts";

/**
 * Answers a request with a stored content: whole, the requested byte range (206), or 416.
 *
 * @param unsatisfiable the provider's own 416 answer
 */
export function serveContent(
  content: Content,
  range: string | undefined,
  headers: Record<string, string>,
  unsatisfiable: () => Response = () => new Response(null, { status: 416 }),
): Response {
  const part = parseRange(range, content.size);
  if (part === "unsatisfiable") {
    const refused = unsatisfiable();
    refused.headers.set("content-range", `bytes */${content.size}`);
    return refused;
  }
  const { start, end } = part ?? { start: 0, end: content.size };
  return new Response(content.stream(start, end), {
    status: part ? 206 : 200,
    headers: {
      ...headers,
      "accept-ranges": "bytes",
      "content-length": String(end - start),
      ...(part ? { "content-range": `bytes ${start}-${end - 1}/${content.size}` } : {}),
    },
  });
}
