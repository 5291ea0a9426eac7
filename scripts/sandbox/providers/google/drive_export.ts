import { toMarkdown, toPlainText } from "./document.ts";
import type { DriveFile } from "./drive_files.ts";
import { GoogleError } from "./errors.ts";
import { render, type Sheet } from "./sheet.ts";

const LIMIT_BYTES = 10 * 1024 * 1024;

/**
 * Exports a document or a spreadsheet: Markdown and text of the one, CSV and TSV of the first sheet
 * of the other. Google knows more formats; what the sandbox cannot make it does not pretend to.
 *
 * @throws GoogleError `fileNotExportable`, `badRequest`, `exportSizeLimitExceeded`
 * @see https://developers.google.com/workspace/drive/api/guides/ref-export-formats
 */
export function exportFile({ native, name }: DriveFile, mimeType: string): Response {
  if (!native) throw new GoogleError("fileNotExportable");
  const exported = native.kind === "document"
    ? exportDocument(native.paragraphs, mimeType)
    : exportSheet(native.sheets[0], mimeType);
  if (!exported) {
    throw new GoogleError("badRequest", "The requested conversion is not supported.", {
      location: "convertTo",
      locationType: "parameter",
    });
  }
  const bytes = new TextEncoder().encode(exported.text);
  if (bytes.length > LIMIT_BYTES) throw new GoogleError("exportSizeLimitExceeded");
  const filename = encodeURIComponent(`${name}.${exported.extension}`);
  return new Response(bytes, {
    headers: {
      "content-type": mimeType,
      "content-disposition": `attachment; filename*=UTF-8''${filename}`,
    },
  });
}

interface Exported {
  text: string;
  extension: string;
}

function exportDocument(
  paragraphs: Parameters<typeof toMarkdown>[0],
  mimeType: string,
): Exported | undefined {
  // The second name is the one that Google used first.
  if (mimeType === "text/markdown" || mimeType === "text/x-markdown") {
    return { text: toMarkdown(paragraphs), extension: "md" };
  }
  return mimeType === "text/plain"
    ? { text: toPlainText(paragraphs), extension: "txt" }
    : undefined;
}

function exportSheet(sheet: Sheet | undefined, mimeType: string): Exported | undefined {
  const rows = (sheet?.rows ?? []).map((row) => row.map((cell) => String(render(cell))));
  const width = Math.max(0, ...rows.map((row) => row.length));
  const padded = rows.map((row) => Array.from({ length: width }, (_, at) => row[at] ?? ""));
  if (mimeType === "text/csv") {
    const quote = (cell: string) =>
      /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
    return {
      text: padded.map((row) => row.map(quote).join(",")).join("\r\n"),
      extension: "csv",
    };
  }
  return mimeType === "text/tab-separated-values"
    ? { text: padded.map((row) => row.join("\t")).join("\r\n"), extension: "tsv" }
    : undefined;
}
