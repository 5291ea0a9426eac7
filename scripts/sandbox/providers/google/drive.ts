import { type Context, Hono } from "hono";
import type { ObservedEnv, Sandbox } from "../../core/provider.ts";
import { serveContent } from "../../core/serve_content.ts";
import type { GoogleChannels, WatchedResource } from "./channels.ts";
import { DriveChanges } from "./drive_changes.ts";
import {
  describeFile,
  type DriveFile,
  DriveFiles,
  type FileEvent,
  parseMetadata,
  ROOT_ID,
} from "./drive_files.ts";
import { createDriveFixtures, type DriveFixtures } from "./drive_fixtures.ts";
import { exportFile } from "./drive_export.ts";
import { GoogleError } from "./errors.ts";
import { parseFields, selectFields } from "./fields.ts";
import { parseQuery } from "./drive_query.ts";
import { createUploads } from "./drive_upload.ts";

const USUAL_FILE_FIELDS = "kind,id,name,mimeType";
const USUAL_LIST_FIELDS = `kind,nextPageToken,incompleteSearch,files(${USUAL_FILE_FIELDS})`;

const USUAL_CHANGES_FIELDS =
  `kind,nextPageToken,newStartPageToken,changes(kind,type,changeType,time,removed,fileId,file(${USUAL_FILE_FIELDS}))`;
const API = "https://www.googleapis.com/drive/v3";
const HOUR_MS = 60 * 60 * 1000;

/** Drive as a part of Google's provider. */
export interface DriveApi {
  readonly files: DriveFiles;
  readonly app: Hono<ObservedEnv>;
  readonly fixtures: DriveFixtures;
  reset(): Promise<void>;
}

/**
 * Drive v3: files and folders, their changes, and channels that tell of them.
 *
 * @see https://developers.google.com/workspace/drive/api/reference/rest/v3
 */
export function createDrive(
  sandbox: Sandbox,
  mountedAt: string,
  channels: GoogleChannels,
): DriveApi {
  const changes = new DriveChanges();
  const files = new DriveFiles(sandbox.clock, (event) => {
    changes.record(event.file.id, event.state === "remove", sandbox.clock.now());
    tellChannels(channels, event);
  });
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

  app.get("/drive/v3/files/:id/export", (c) => {
    const mimeType = c.req.query("mimeType");
    if (!mimeType) {
      throw new GoogleError("required", "Required parameter: mimeType", parameter("mimeType"));
    }
    return exportFile(files.get(c.req.param("id")), mimeType);
  });

  app.patch("/drive/v3/files/:id", async (c) => {
    const { id } = files.get(c.req.param("id"));
    const metadata = parseMetadata(await c.req.text());
    files.check(id, metadata);
    const ids = (name: string) => (c.req.query(name) ?? "").split(",").filter(Boolean);
    const edit = { addParents: ids("addParents"), removeParents: ids("removeParents") };
    return answer(c, await files.update(id, metadata, edit), c.req.query("fields"));
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
        ? files.create(metadata, { content })
        : await files.update(fileId, metadata, { content });
      return answer(c, file, fields);
    },
  });
  app.route("/", uploads.app);

  app.get("/drive/v3/changes/startPageToken", (c) => {
    refuseSharedDrive(c);
    return c.json({ kind: "drive#startPageToken", startPageToken: changes.startPageToken });
  });

  app.get("/drive/v3/changes", (c) => {
    refuseSharedDrive(c);
    const { changes: found, ...tokens } = changes.page(readChangesToken(c), {
      size: readCount(c, "pageSize", 100),
      includeRemoved: c.req.query("includeRemoved") !== "false",
    });
    const page = {
      kind: "drive#changeList",
      ...tokens,
      changes: found.map(({ fileId, removed, time }) => ({
        kind: "drive#change",
        type: "file",
        changeType: "file",
        time: new Date(time).toISOString(),
        removed,
        fileId,
        ...(removed ? {} : { file: describeFile(files.get(fileId)) }),
      })),
    };
    const mask = parseFields(c.req.query("fields") ?? USUAL_CHANGES_FIELDS);
    return c.json(selectFields(page, mask, CHANGES_FIELDS) as object);
  });

  app.post("/drive/v3/changes/watch", async (c) => {
    refuseSharedDrive(c);
    const pageToken = readChangesToken(c);
    changes.page(pageToken, { size: 1, includeRemoved: true });
    const uri = `${API}/changes?alt=json&pageToken=${pageToken}`;
    return c.json(await channels.open(c, watched("changes", uri, 7 * 24)));
  });

  app.post("/drive/v3/files/:id/watch", async (c) => {
    const { id } = files.get(c.req.param("id"));
    const uri = `${API}/files/${id}?alt=json`;
    return c.json(await channels.open(c, watched(`file:${id}`, uri, 24)));
  });

  app.post("/drive/v3/channels/stop", async (c) => {
    await channels.stop(c);
    return c.body(null, 204);
  });

  return {
    files,
    app,
    fixtures: createDriveFixtures(sandbox, files, changes),
    async reset() {
      await uploads.reset();
      await files.clear();
      changes.clear();
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

function readChangesToken(c: Context): string {
  const token = c.req.query("pageToken");
  if (token) return token;
  throw new GoogleError("required", "Required parameter: pageToken", parameter("pageToken"));
}

/** The sandbox's account has My Drive only. */
function refuseSharedDrive(c: Context): void {
  const id = c.req.query("driveId");
  if (!id) return;
  throw new GoogleError("notFound", `Shared drive not found: ${id}`, parameter("driveId"));
}

function watched(what: string, uri: string, longestHours: number): WatchedResource {
  return { key: `drive:${what}`, uri, usualMs: HOUR_MS, longestMs: longestHours * HOUR_MS };
}

function tellChannels(channels: GoogleChannels, { file, state, changed }: FileEvent): void {
  channels.notify("drive:changes", { state: "change", body: '{"kind":"drive#changes"}' });
  channels.notify(`drive:file:${file.id}`, { state, changed });
  const isInOrOut = state !== "update" || changed.includes("parents");
  for (const parent of isInOrOut ? file.parents : []) {
    channels.notify(`drive:file:${parent}`, { state: "update", changed: ["children"] });
  }
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
  shortcutDetails thumbnailLink viewedByMeTime
  displayName emailAddress me permissionId photoLink`.split(/\s+/),
);
const LIST_FIELDS = new Set([...FILE_FIELDS, "files", "nextPageToken", "incompleteSearch"]);
const CHANGES_FIELDS = new Set([
  ...FILE_FIELDS,
  ..."changes nextPageToken newStartPageToken type changeType time removed fileId file driveId drive"
    .split(" "),
]);
const ABOUT_FIELDS = new Set(
  "kind user displayName emailAddress me permissionId storageQuota limit usage usageInDrive"
    .split(" "),
);
