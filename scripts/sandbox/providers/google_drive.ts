import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Content } from "../core/contents.ts";
import type { ObservedEnv, Sandbox } from "../core/provider.ts";
import { serveContent } from "../core/serve_content.ts";
import { GoogleError } from "./google_errors.ts";
import { parseFields, selectFields } from "./google_fields.ts";
import { parseQuery } from "./google_query.ts";
import { createUploads } from "./google_upload.ts";

const FOLDER = "application/vnd.google-apps.folder";
const EDITORS = /^application\/vnd\.google-apps\.(?!folder$)/;
const ROOT_ID = "0AsandboxRootFolderPVA";
const UNLIMITED = 15 * 1024 ** 3;

/** The writable metadata of a file that the sandbox knows; further properties are ignored. */
export const DriveMetadata = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  mimeType: z.string().optional(),
  parents: z.array(z.string()).optional(),
  description: z.string().optional(),
  trashed: z.boolean().optional(),
  appProperties: z.record(z.string(), z.string().nullable()).optional(),
  properties: z.record(z.string(), z.string().nullable()).optional(),
});
/** The parsed form of {@linkcode DriveMetadata}. */
export type DriveMetadata = z.infer<typeof DriveMetadata>;

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

interface DriveFile {
  id: string;
  name: string;
  mimeType: string;
  parents: string[];
  description: string | undefined;
  trashed: boolean;
  appProperties: Record<string, string>;
  properties: Record<string, string>;
  createdAt: number;
  modifiedAt: number;
  version: number;
  content: Content | undefined;
  revision: string | undefined;
}

/** What the upload protocols do with a finished upload. */
export interface DriveUploadTarget {
  /** Refuses metadata early, as Drive does when a session is opened. @throws GoogleError */
  check(fileId: string | undefined, metadata: DriveMetadata): void;
  /** Makes or updates the file and answers its resource. @throws GoogleError */
  finish(
    c: Context,
    fileId: string | undefined,
    metadata: DriveMetadata,
    content: Content,
    fields: string | undefined,
  ): Response;
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
  const files = new Map<string, DriveFile>();
  const generatedIds = new Set<string>();
  let quotaBytes = UNLIMITED;
  makeRoot();

  const app = new Hono<ObservedEnv>();

  app.get("/drive/v3/about", (c) => {
    const fields = c.req.query("fields");
    if (!fields) {
      throw new GoogleError("required", "The 'fields' parameter is required for this method.", {
        location: "fields",
        locationType: "parameter",
      });
    }
    const about = {
      kind: "drive#about",
      user: {
        kind: "drive#user",
        displayName: "Sandbox",
        emailAddress: "sandbox@example.com",
        me: true,
        permissionId: "1",
      },
      storageQuota: {
        limit: String(quotaBytes),
        usage: String(usedBytes()),
        usageInDrive: String(usedBytes()),
      },
    };
    return c.json(selectFields(about, parseFields(fields), ABOUT_FIELDS) as object);
  });

  app.get("/drive/v3/files/generateIds", (c) => {
    const count = Number(c.req.query("count") ?? 10);
    if (!Number.isInteger(count) || count < 1 || count > 1000) {
      throw new GoogleError(
        "invalid",
        "Invalid value. Values must be within the range: [1, 1000]",
        {
          location: "count",
          locationType: "parameter",
        },
      );
    }
    const ids = Array.from({ length: count }, () => newId());
    for (const id of ids) generatedIds.add(id);
    return c.json({ kind: "drive#generatedIds", space: c.req.query("space") ?? "drive", ids });
  });

  app.get("/drive/v3/files", (c) => {
    const query = c.req.query("q");
    const matches = query ? parseQuery(query.replaceAll("'root'", `'${ROOT_ID}'`)) : () => true;
    const pageSize = Number(c.req.query("pageSize") ?? 100);
    if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > 1000) {
      throw new GoogleError(
        "invalid",
        "Invalid value. Values must be within the range: [1, 1000]",
        {
          location: "pageSize",
          locationType: "parameter",
        },
      );
    }
    const found = [...files.values()].filter((file) => file.id !== ROOT_ID && matches(file));
    sortFiles(found, c.req.query("orderBy") ?? "modifiedTime desc");
    const start = readPageToken(c.req.query("pageToken"));
    const end = start + pageSize;
    const page = {
      kind: "drive#fileList",
      ...(end < found.length ? { nextPageToken: writePageToken(end) } : {}),
      incompleteSearch: false,
      files: found.slice(start, end).map(describe),
    };
    const fields = c.req.query("fields") ??
      "kind,nextPageToken,incompleteSearch,files(kind,id,name,mimeType)";
    return c.json(selectFields(page, parseFields(fields), LIST_FIELDS) as object);
  });

  app.post("/drive/v3/files", async (c) => {
    const metadata = await readMetadata(c);
    check(undefined, metadata);
    return answer(c, create(metadata, undefined), c.req.query("fields"));
  });

  app.get("/drive/v3/files/:id", (c) => {
    const file = find(c.req.param("id"));
    if (c.req.query("alt") !== "media") return answer(c, file, c.req.query("fields"));
    if (!file.content) {
      throw new GoogleError("fileNotDownloadable", undefined, {
        location: "alt",
        locationType: "parameter",
      });
    }
    return serveContent(file.content, c.req.header("range"), {
      "content-type": file.mimeType,
      "content-disposition": "attachment",
    });
  });

  app.patch("/drive/v3/files/:id", async (c) => {
    const metadata = await readMetadata(c);
    const { id } = find(c.req.param("id"));
    check(id, metadata);
    const file = update(id, metadata, undefined);
    moveFile(file, c.req.query("addParents"), c.req.query("removeParents"));
    return answer(c, file, c.req.query("fields"));
  });

  app.delete("/drive/v3/files/:id", async (c) => {
    await remove(find(c.req.param("id")));
    return c.body(null, 204);
  });

  const uploads = createUploads(sandbox, mountedAt, {
    check,
    finish(c, fileId, metadata, content, fields) {
      check(fileId, metadata);
      if (usedBytes() + content.size > quotaBytes) throw new GoogleError("storageQuotaExceeded");
      const file = fileId === undefined
        ? create(metadata, content)
        : update(fileId, metadata, content);
      return answer(c, file, fields);
    },
  });
  app.route("/", uploads.app);

  function find(id: string): DriveFile {
    const file = files.get(id === "root" ? ROOT_ID : id);
    if (!file) {
      throw new GoogleError("notFound", `File not found: ${id}.`, {
        location: "fileId",
        locationType: "parameter",
      });
    }
    return file;
  }

  /** Refuses metadata that Drive refuses, before anything is stored. */
  function check(fileId: string | undefined, metadata: DriveMetadata): void {
    if (fileId !== undefined) {
      find(fileId);
      if (metadata.parents) {
        throw new GoogleError(
          "insufficientFilePermissions",
          "The parents field is not directly writable in update requests. Use the addParents and removeParents parameters instead.",
        );
      }
      return;
    }
    for (const parent of metadata.parents ?? []) find(parent);
    const { id, mimeType } = metadata;
    if (id === undefined) return;
    if (EDITORS.test(mimeType ?? "")) {
      throw new GoogleError(
        "insufficientFilePermissions",
        "Generated IDs are not supported for Docs Editors formats.",
      );
    }
    if (files.has(id)) throw new GoogleError("fileIdInUse");
    if (!generatedIds.has(id)) {
      throw new GoogleError("invalid", "The provided file ID is not usable.", {
        location: "file.id",
        locationType: "parameter",
      });
    }
  }

  function create(metadata: DriveMetadata, content: Content | undefined): DriveFile {
    const now = sandbox.clock.now();
    const file: DriveFile = {
      id: metadata.id ?? newId(),
      name: metadata.name ?? "Untitled",
      mimeType: metadata.mimeType ?? "application/octet-stream",
      parents: (metadata.parents ?? [ROOT_ID]).map((parent) => find(parent).id),
      description: metadata.description,
      trashed: metadata.trashed ?? false,
      appProperties: mergeProperties({}, metadata.appProperties),
      properties: mergeProperties({}, metadata.properties),
      createdAt: now,
      modifiedAt: now,
      version: 1,
      content,
      revision: content && newId(),
    };
    files.set(file.id, file);
    return file;
  }

  function update(id: string, metadata: DriveMetadata, content: Content | undefined): DriveFile {
    const file = find(id);
    file.name = metadata.name ?? file.name;
    file.mimeType = metadata.mimeType ?? file.mimeType;
    file.description = metadata.description ?? file.description;
    file.trashed = metadata.trashed ?? file.trashed;
    file.appProperties = mergeProperties(file.appProperties, metadata.appProperties);
    file.properties = mergeProperties(file.properties, metadata.properties);
    file.modifiedAt = sandbox.clock.now();
    file.version++;
    if (content) {
      void file.content?.release();
      file.content = content;
      file.revision = newId();
    }
    return file;
  }

  function moveFile(file: DriveFile, add: string | undefined, drop: string | undefined): void {
    const dropped = (drop ?? "").split(",").filter(Boolean).map((id) => find(id).id);
    const added = (add ?? "").split(",").filter(Boolean).map((id) => find(id).id);
    file.parents = [...file.parents.filter((id) => !dropped.includes(id)), ...added];
  }

  /** Deleting a folder deletes what is in it. */
  async function remove(file: DriveFile): Promise<void> {
    for (const child of [...files.values()].filter((each) => each.parents.includes(file.id))) {
      await remove(child);
    }
    files.delete(file.id);
    await file.content?.release();
  }

  function answer(c: Context, file: DriveFile, fields: string | undefined): Response {
    const mask = parseFields(fields ?? "kind,id,name,mimeType");
    return c.json(selectFields(describe(file), mask, FILE_FIELDS) as object);
  }

  function describe(file: DriveFile) {
    const { content } = file;
    const extension = /\.([A-Za-z0-9]{1,12})$/.exec(file.name)?.[1];
    return {
      kind: "drive#file",
      id: file.id,
      name: file.name,
      mimeType: file.mimeType,
      description: file.description,
      parents: file.id === ROOT_ID ? undefined : file.parents,
      trashed: file.trashed,
      explicitlyTrashed: file.trashed,
      starred: false,
      spaces: ["drive"],
      version: String(file.version),
      createdTime: new Date(file.createdAt).toISOString(),
      modifiedTime: new Date(file.modifiedAt).toISOString(),
      ownedByMe: true,
      appProperties: optional(file.appProperties),
      properties: optional(file.properties),
      webViewLink: file.mimeType === FOLDER
        ? `https://drive.google.com/drive/folders/${file.id}`
        : `https://drive.google.com/file/d/${file.id}/view?usp=drivesdk`,
      ...(content
        ? {
          size: String(content.size),
          quotaBytesUsed: String(content.size),
          md5Checksum: content.digests.md5,
          sha1Checksum: content.digests.sha1,
          sha256Checksum: content.digests.sha256,
          headRevisionId: file.revision,
          originalFilename: file.name,
          fileExtension: extension ?? "",
          fullFileExtension: extension ?? "",
          webContentLink: `https://drive.google.com/uc?id=${file.id}&export=download`,
        }
        : { quotaBytesUsed: "0" }),
    };
  }

  function usedBytes(): number {
    return [...files.values()].reduce((sum, file) => sum + (file.content?.size ?? 0), 0);
  }

  function makeRoot(): void {
    create({ id: ROOT_ID, name: "My Drive", mimeType: FOLDER, parents: [] }, undefined);
  }

  function pathOf(file: DriveFile): string {
    const parent = file.parents[0] === ROOT_ID ? undefined : files.get(file.parents[0] ?? "");
    return parent ? `${pathOf(parent)}/${file.name}` : file.name;
  }

  const control = new Hono();
  control.get("/drive/files", (c) => {
    const all = [...files.values()].filter(({ id }) => id !== ROOT_ID);
    const listed: DriveFileInfo[] = all.map((file) => ({
      id: file.id,
      name: file.name,
      path: pathOf(file),
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
    const content = files.get(c.req.param("id"))?.content;
    if (!content) {
      const message = `There is no file ${c.req.param("id")} with a content.`;
      return c.json({ error: { code: "not_found", message } }, 404);
    }
    return serveContent(content, c.req.header("range"), {
      "content-type": "application/octet-stream",
    });
  });
  control.post("/drive/quota", async (c) => {
    const { limit_bytes } = z.strictObject({ limit_bytes: z.int().min(0) }).parse(
      await c.req.json(),
    );
    quotaBytes = limit_bytes;
    return c.json({ limit_bytes });
  });

  return {
    app,
    control,
    async reset() {
      for (const file of files.values()) await file.content?.release();
      files.clear();
      generatedIds.clear();
      quotaBytes = UNLIMITED;
      await uploads.reset();
      makeRoot();
    },
  };
}

/**
 * Reads the metadata in a JSON body; an empty body is empty metadata.
 *
 * @throws GoogleError `parseError`, `invalid`
 */
export async function readMetadata(c: Context): Promise<DriveMetadata> {
  return parseMetadata(await c.req.text());
}

/**
 * Parses metadata from JSON text.
 *
 * @throws GoogleError `parseError`, `invalid`
 */
export function parseMetadata(text: string): DriveMetadata {
  let json: unknown;
  try {
    json = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    throw new GoogleError("parseError");
  }
  const parsed = DriveMetadata.safeParse(json);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new GoogleError("invalid", `Invalid value at 'file.${path.join(".")}': ${message}`);
}

function newId(): string {
  // Drive's ids are 33 characters that start with 1.
  const random = crypto.getRandomValues(new Uint8Array(24));
  const text = btoa(String.fromCharCode(...random)).replaceAll("+", "-").replaceAll("/", "_");
  return `1${text}`.slice(0, 33);
}

/** `null` removes a property. */
function mergeProperties(
  known: Record<string, string>,
  changes: Record<string, string | null> | undefined,
): Record<string, string> {
  const merged = Object.entries({ ...known, ...changes });
  return Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== null));
}

function optional(properties: Record<string, string>): Record<string, string> | undefined {
  return Object.keys(properties).length === 0 ? undefined : properties;
}

function sortFiles(found: DriveFile[], orderBy: string): void {
  const orders = orderBy.split(",").map((part) => part.trim().split(/\s+/));
  const read: Record<string, (file: DriveFile) => number | string> = {
    createdTime: (file) => file.createdAt,
    modifiedTime: (file) => file.modifiedAt,
    name: (file) => file.name,
    name_natural: (file) => file.name,
    folder: (file) => file.mimeType === FOLDER ? 0 : 1,
  };
  for (const [field = ""] of orders) {
    if (!read[field]) {
      throw new GoogleError("invalid", "Invalid Value", {
        location: "orderBy",
        locationType: "parameter",
      });
    }
  }
  found.sort((a, b) => {
    for (const [field = "", direction] of orders) {
      const [x, y] = [read[field]!(a), read[field]!(b)];
      if (x !== y) return (x < y ? -1 : 1) * (direction === "desc" ? -1 : 1);
    }
    return 0;
  });
}

function writePageToken(start: number): string {
  return `~!!~${btoa(String(start))}`;
}

function readPageToken(token: string | undefined): number {
  if (!token) return 0;
  const match = /^~!!~(\S+)$/.exec(token);
  const start = match ? Number(atob(match[1]!)) : NaN;
  if (Number.isInteger(start)) return start;
  throw new GoogleError("invalid", "Invalid Value", {
    location: "pageToken",
    locationType: "parameter",
  });
}

const FILE_FIELDS = new Set([
  "kind",
  "id",
  "name",
  "mimeType",
  "description",
  "parents",
  "trashed",
  "explicitlyTrashed",
  "starred",
  "spaces",
  "version",
  "createdTime",
  "modifiedTime",
  "ownedByMe",
  "appProperties",
  "properties",
  "webViewLink",
  "webContentLink",
  "size",
  "quotaBytesUsed",
  "md5Checksum",
  "sha1Checksum",
  "sha256Checksum",
  "headRevisionId",
  "originalFilename",
  "fileExtension",
  "fullFileExtension",
  // Valid for Drive; the sandbox has nothing to say about them.
  "capabilities",
  "driveId",
  "iconLink",
  "lastModifyingUser",
  "owners",
  "permissions",
  "resourceKey",
  "shared",
  "shortcutDetails",
  "thumbnailLink",
  "viewedByMeTime",
]);
const LIST_FIELDS = new Set([...FILE_FIELDS, "files", "nextPageToken", "incompleteSearch"]);
const ABOUT_FIELDS = new Set([
  "kind",
  "user",
  "displayName",
  "emailAddress",
  "me",
  "permissionId",
  "storageQuota",
  "limit",
  "usage",
  "usageInDrive",
]);
