/**
 * A Google Doc in another format.
 *
 * Google exports documents through Drive's API, whose host is another one of Google's; the token is
 * good for both.
 * @see https://developers.google.com/workspace/drive/api/guides/ref-export-formats
 */
import { type Handler, toContent } from "../../execution/handler.ts";

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
  // A row may say where Drive is, as its api_base says where Docs is.
  const drive = typeof begun.integration.config.drive_api_base === "string"
    ? begun.integration.config.drive_api_base.replace(/\/+$/, "")
    : DRIVE;
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
