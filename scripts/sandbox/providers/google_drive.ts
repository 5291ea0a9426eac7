import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ObservedEnv, Sandbox } from "../core/provider.ts";
import { serveContent } from "../core/serve_content.ts";
import {
  describeFile,
  type DriveFile,
  DriveFiles,
  parseMetadata,
  ROOT_ID,
} from "./google_drive_files.ts";
import { GoogleError } from "./google_errors.ts";
import { parseFields, selectFields } from "./google_fields.ts";
import { parseQuery } from "./google_query.ts";
import { createUploads } from "./google_upload.ts";

const USUAL_FILE_FIELDS = "kind,id,name,mimeType";
const USUAL_LIST_FIELDS = `kind,nextPageToken,incompleteSearch,files(${USUAL_FILE_FIELDS})`;

/** A file as an assertion sees it. */
export interface DriveFileInfo {
  id: string;
  name: string;
  /** Names from the root folder down, joined by `/`. */
  path: string;
  mime_type: string;
  parents: string[];
  trashed: boolean;
  size: number | null;
  md5: string | null;
  sha256: string | null;
  app_properties: Record<string, string>;
}

/** Drive as a part of Google's provider. */
export interface DriveApi {
  readonly app: Hono<ObservedEnv>;
  readonly control: Hono;
  reset(): Promise<void>;
}

/**
 * Drive v3: files and folders.
 *
 * @see https://developers.google.com/workspace/drive/api/reference/rest/v3/files
 */
export function createDrive(sandbox: Sandbox, mountedAt: string): DriveApi {
  const files = new DriveFiles(sandbox.clock);
  const app = new Hono<ObservedEnv>();

  app.get("/drive/v3/about", (c) => {
    const fields = c.req.query("fields");
    if (!fields) {
      const message = "The 'fields' parameter is required for this method.";
      throw new GoogleError("required", message, parameter("fields"));
    }
    const used = String(files.usedBytes);
    const about = {
      kind: "drive#about",
      user: {
        kind: "drive#user",
        displayName: "Sandbox",
        emailAddress: "sandbox@example.com",
        me: true,
        permissionId: "1",
      },
      storageQuota: { limit: String(files.quotaBytes), usage: used, usageInDrive: used },
    };
    return c.json(selectFields(about, parseFields(fields), ABOUT_FIELDS) as object);
  });

  app.get("/drive/v3/files/generateIds", (c) => {
    const ids = files.generateIds(readCount(c, "count", 10));
    return c.json({ kind: "drive#generatedIds", space: c.req.query("space") ?? "drive", ids });
  });

  app.get("/drive/v3/files", (c) => {
    const query = c.req.query("q");
    const matches = query ? parseQuery(query.replaceAll("'root'", `'${ROOT_ID}'`)) : () => true;
    const found = files.search(matches, c.req.query("orderBy") ?? "modifiedTime desc");
    const start = readPageToken(c.req.query("pageToken"));
    const end = start + readCount(c, "pageSize", 100);
    const page = {
      kind: "drive#fileList",
      ...(end < found.length ? { nextPageToken: writePageToken(end) } : {}),
      incompleteSearch: false,
      files: found.slice(start, end).map(describeFile),
    };
    const mask = parseFields(c.req.query("fields") ?? USUAL_LIST_FIELDS);
    return c.json(selectFields(page, mask, LIST_FIELDS) as object);
  });

  app.post("/drive/v3/files", async (c) => {
    const metadata = parseMetadata(await c.req.text());
    files.check(undefined, metadata);
    return answer(c, files.create(metadata), c.req.query("fields"));
  });

  app.get("/drive/v3/files/:id", (c) => {
    const file = files.get(c.req.param("id"));
    if (c.req.query("alt") !== "media") return answer(c, file, c.req.query("fields"));
    if (!file.content) throw new GoogleError("fileNotDownloadable", undefined, parameter("alt"));
    return serveContent(file.content, c.req.header("range"), {
      "content-type": file.mimeType,
      "content-disposition": "attachment",
    });
  });

  app.patch("/drive/v3/files/:id", async (c) => {
    const { id } = files.get(c.req.param("id"));
    const metadata = parseMetadata(await c.req.text());
    files.check(id, metadata);
    const ids = (name: string) => (c.req.query(name) ?? "").split(",").filter(Boolean);
    files.move(files.get(id), ids("addParents"), ids("removeParents"));
    return answer(c, await files.update(id, metadata), c.req.query("fields"));
  });

  app.delete("/drive/v3/files/:id", async (c) => {
    await files.remove(files.get(c.req.param("id")));
    return c.body(null, 204);
  });

  const uploads = createUploads(sandbox, mountedAt, {
    check: (fileId, metadata) => files.check(fileId, metadata),
    async finish(c, { fileId, metadata, content, fields }) {
      files.check(fileId, metadata);
      files.checkQuota(content.size);
      const file = fileId === undefined
        ? files.create(metadata, content)
        : await files.update(fileId, metadata, content);
      return answer(c, file, fields);
    },
  });
  app.route("/", uploads.app);

  const control = new Hono();
  control.get("/drive/files", (c) => {
    const listed = files.all().map((file): DriveFileInfo => ({
      id: file.id,
      name: file.name,
      path: files.pathOf(file),
      mime_type: file.mimeType,
      parents: file.parents,
      trashed: file.trashed,
      size: file.content?.size ?? null,
      md5: file.content?.digests.md5 ?? null,
      sha256: file.content?.digests.sha256 ?? null,
      app_properties: file.appProperties,
    }));
    return c.json({ files: listed });
  });
  control.get("/drive/files/:id/content", (c) => {
    const content = files.all().find(({ id }) => id === c.req.param("id"))?.content;
    if (!content) {
      const message = `There is no file ${c.req.param("id")} with a content.`;
      return c.json({ error: { code: "not_found", message } }, 404);
    }
    return serveContent(content, c.req.header("range"), {
      "content-type": "application/octet-stream",
    });
  });
  control.post("/drive/quota", async (c) => {
    const wanted = z.strictObject({ limit_bytes: z.int().min(0) }).parse(await c.req.json());
    files.quotaBytes = wanted.limit_bytes;
    return c.json(wanted);
  });

  return {
    app,
    control,
    async reset() {
      await uploads.reset();
      await files.clear();
    },
  };
}

function answer(c: Context, file: DriveFile, fields: string | undefined): Response {
  const mask = parseFields(fields ?? USUAL_FILE_FIELDS);
  return c.json(selectFields(describeFile(file), mask, FILE_FIELDS) as object);
}

function parameter(name: string) {
  return { location: name, locationType: "parameter" } as const;
}

function readCount(c: Context, name: string, usual: number): number {
  const count = Number(c.req.query(name) ?? usual);
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count;
  const message = "Invalid value. Values must be within the range: [1, 1000]";
  throw new GoogleError("invalid", message, parameter(name));
}

function writePageToken(start: number): string {
  return `~!!~${btoa(String(start))}`;
}

function readPageToken(token: string | undefined): number {
  if (!token) return 0;
  const encoded = /^~!!~([A-Za-z0-9+/]+=*)$/.exec(token)?.[1];
  const start = encoded ? Number(atob(encoded)) : NaN;
  if (Number.isInteger(start)) return start;
  throw new GoogleError("invalid", undefined, parameter("pageToken"));
}

// Fields a mask may name. The last line's are Drive's too; the sandbox has nothing to say there.
const FILE_FIELDS = new Set(
  `kind id name mimeType description parents trashed explicitlyTrashed starred spaces version
  createdTime modifiedTime ownedByMe appProperties properties webViewLink webContentLink size
  quotaBytesUsed md5Checksum sha1Checksum sha256Checksum headRevisionId originalFilename
  fileExtension fullFileExtension
  capabilities driveId iconLink lastModifyingUser owners permissions resourceKey shared
  shortcutDetails thumbnailLink viewedByMeTime`.split(/\s+/),
);
const LIST_FIELDS = new Set([...FILE_FIELDS, "files", "nextPageToken", "incompleteSearch"]);
const ABOUT_FIELDS = new Set(
  "kind user displayName emailAddress me permissionId storageQuota limit usage usageInDrive"
    .split(" "),
);
