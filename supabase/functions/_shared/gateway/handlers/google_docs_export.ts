/**
 * A Google Doc in another format.
 *
 * Google exports documents through Drive's API, whose host is another one of Google's; the token is
 * good for both.
 * @see https://developers.google.com/workspace/drive/api/guides/ref-export-formats
 */
import { type Handler, type HandlerContext, toContent } from "../../execution/handler.ts";

const DRIVE = "https://www.googleapis.com/drive/v3";

const TYPES: Record<string, string> = {
  markdown: "text/markdown",
  html: "text/html",
  text: "text/plain",
  pdf: "application/pdf",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  odt: "application/vnd.oasis.opendocument.text",
  epub: "application/epub+zip",
};

/** Exports a document: texts as the result, other formats as bytes. */
export const googleDocsExport: Handler = async ({ begun, client, parameters }) => {
  const { documentId, format = "markdown" } = parameters as {
    documentId: string;
    format?: string;
  };
  const mimeType = TYPES[format] ?? TYPES.markdown!;
  const drive = driveBase(begun);
  client.permit(drive);
  const request = {
    method: "GET" as const,
    url: `${drive}/files/${encodeURIComponent(documentId)}/export?${new URLSearchParams({
      mimeType,
    })}`,
  };
  if (mimeType.startsWith("text/")) {
    const { status, text } = await client.call(request);
    return { kind: "result", status, result: text };
  }
  const answer = await client.open(request);
  return { kind: "content", status: answer.status, content: toContent(answer) };
};

/** Where Drive's API is: a row may say so, as its `api_base` says where Docs' is. */
export function driveBase({ integration }: HandlerContext["begun"]): string {
  const { drive_api_base: base } = integration.config;
  return typeof base === "string" ? base.replace(/\/+$/, "") : DRIVE;
}
