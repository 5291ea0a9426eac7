/**
 * A Google Doc as files for a repository: its Markdown, and beside it the images that Google puts
 * into the Markdown as data URLs.
 * @see https://developers.google.com/workspace/drive/api/guides/ref-export-formats
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readAll } from "../../execution/files.ts";
import type { Handler } from "../../execution/handler.ts";
import { blobSha } from "./github_git.ts";
import { driveBase } from "./google_docs_export.ts";

/** A file as git would hold it. */
export interface ExportedFile {
  path: string;
  text?: string;
  /** Base64. */
  content?: string;
  /** Blob SHA. */
  sha: string;
  size_bytes: number;
}

/** Google exports at most 10 MB. */
const MAX_BYTES = 11 * 1024 * 1024;
const FIELDS = "id,name,version,modifiedTime,webViewLink,lastModifyingUser(displayName," +
  "emailAddress)";

interface DriveFile {
  id: string;
  name: string;
  version?: string;
  modifiedTime?: string;
  webViewLink?: string;
  lastModifyingUser?: { displayName?: string; emailAddress?: string };
}

/** Exports a document with what a commit says of it. */
export const googleDocsFiles: Handler = async ({ begun, client, parameters }) => {
  const { documentId, path } = parameters as { documentId: string; path: string };
  const file = `${driveBase(begun)}/files/${encodeURIComponent(documentId)}`;
  client.permit(driveBase(begun));
  // First: an edit between the two makes the text newer than the version, never older.
  const about = (await client.call({
    method: "GET",
    url: `${file}?supportsAllDrives=true&fields=${encodeURIComponent(FIELDS)}`,
  })).body as DriveFile;
  const answer = await client.open({
    method: "GET",
    url: `${file}/export?mimeType=${encodeURIComponent("text/markdown")}`,
  });
  const bytes = await readAll(answer.body ?? new Blob([]).stream(), MAX_BYTES);
  const files = toFiles(new TextDecoder().decode(bytes), path);
  const { displayName: name, emailAddress: email } = about.lastModifyingUser ?? {};
  return {
    kind: "result",
    status: answer.status,
    result: {
      document: {
        id: about.id,
        title: about.name,
        version: about.version ?? null,
        link: about.webViewLink ?? null,
      },
      // Google tells addresses only to those who share the document with their owner.
      author: name && email
        ? { name, email, ...(about.modifiedTime ? { date: about.modifiedTime } : {}) }
        : null,
      sha256: createHash("sha256").update(JSON.stringify(files.map(({ path, sha }) => [path, sha])))
        .digest("hex"),
      files,
    },
  };
};

/** `[image1]: <data:image/png;base64,…>`, as Google writes them at the end. */
const DEFINITION =
  /^\[([^\]\n]+)\]:[ \t]*<?data:image\/([a-z0-9.+-]+);base64,([A-Za-z0-9+/=]+)>?[ \t]*$/gm;
/** `![alt](data:image/png;base64,…)` */
const INLINE = /(!\[[^\]\n]*\]\()data:image\/([a-z0-9.+-]+);base64,([A-Za-z0-9+/=]+)\)/g;
const EXTENSIONS: Record<string, string> = { jpeg: "jpg", "svg+xml": "svg", "x-icon": "ico" };

/**
 * Takes the images out of a document's Markdown.
 *
 * @param path of the Markdown; images go into a folder of the same name without `.md`
 * @returns the Markdown first
 */
export function toFiles(markdown: string, path: string): ExportedFile[] {
  const folder = path.replace(/\.md$/, "");
  const images = new Map<string, ExportedFile>();
  const store = (name: string, type: string, content: string): string => {
    const extension = EXTENSIONS[type] ?? type;
    const file = `${name.replace(/[^A-Za-z0-9_-]+/g, "-")}.${extension}`;
    const bytes = Buffer.from(content, "base64");
    images.set(file, {
      path: `${folder}/${file}`,
      content: bytes.toString("base64"),
      sha: blobSha(bytes),
      size_bytes: bytes.byteLength,
    });
    return [folder.split("/").at(-1)!, file].map(encodeURIComponent).join("/");
  };
  let inline = 0;
  const text = markdown
    .replace(/\r\n?/g, "\n")
    .replace(DEFINITION, (_, name, type, data) => `[${name}]: <${store(name, type, data)}>`)
    .replace(
      INLINE,
      (_, before, type, data) => `${before}${store(`inline${++inline}`, type, data)})`,
    )
    .trimEnd() + "\n";
  const bytes = new TextEncoder().encode(text);
  return [
    { path, text, sha: blobSha(bytes), size_bytes: bytes.byteLength },
    ...images.values(),
  ];
}
