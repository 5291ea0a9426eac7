/**
 * Drive's log of changes, for Drive itself and, narrowed to their files, for Docs and Sheets.
 * @see https://developers.google.com/workspace/drive/api/guides/manage-changes
 */
import { CallError } from "./call.ts";
import { type DriveFolder, DriveFolders } from "./drive_folders.ts";
import { openChannel, stopChannel } from "./google_channels.ts";
import { untoldSince } from "./listing.ts";
import {
  CursorExpired,
  type Feed,
  type FeedEvent,
  type KnownItem,
  type Page,
  type PullContext,
} from "./types.ts";

/** A file as Drive tells of it, as far as events hold it. */
interface DriveFile extends DriveFolder {
  mimeType: string;
  version: string;
  createdTime?: string;
  modifiedTime?: string;
  trashed?: boolean;
}

interface DriveChange {
  fileId: string;
  removed: boolean;
  time: string;
  changeType: string;
  file?: DriveFile;
}

const FOLDER = "application/vnd.google-apps.folder";

/** What becomes of changes, by the provider of the integration. */
const KINDS: Record<string, { event: string; mimeType?: string }> = {
  google_drive: { event: "drive.file" },
  google_docs: {
    event: "docs.document",
    mimeType: "application/vnd.google-apps.document",
  },
  google_sheets: {
    event: "sheets.spreadsheet",
    mimeType: "application/vnd.google-apps.spreadsheet",
  },
};

const FILE_FIELDS = "id,name,mimeType,parents,createdTime,modifiedTime,version,headRevisionId," +
  "md5Checksum,sha256Checksum,size,webViewLink,trashed,properties,appProperties," +
  "lastModifyingUser(displayName,emailAddress)";
const CHANGE_FIELDS =
  `nextPageToken,newStartPageToken,changes(fileId,removed,time,changeType,file(${FILE_FIELDS}))`;

/** Drive's changes. */
export const driveChanges: Feed = {
  start: async (context) => ({
    events: [],
    cursor: await startPageToken(context),
    hasMore: false,
  }),

  async pull(context) {
    const { progress } = context.cursor;
    if (progress?.mode === "listing") return await list(context);
    if (progress?.mode === "sweep") return await sweep(context);
    return await readChanges(context);
  },

  async restart(context) {
    // Taken first: what changes while the files are listed is told by the log again.
    const cursor = await startPageToken(context);
    const { claimed_at: begun } = context.cursor;
    const since = untoldSince(context.cursor);
    return { events: [], cursor, hasMore: true, progress: { mode: "listing", since, begun } };
  },

  open: async (task, call) =>
    await openChannel(task, call, "changes.watch", {
      pageToken: task.cursor,
      expiration: String(Date.now() + task.lifetime_seconds * 1000),
      ...sharedDrive(task.scope),
    }),

  stop: stopChannel,
};

async function startPageToken({ call, cursor }: PullContext): Promise<string> {
  const { scope } = cursor;
  const { result } = await call<{ startPageToken: string }>(
    "changes.getStartPageToken",
    scope ? { driveId: scope, supportsAllDrives: true } : {},
  );
  return result.startPageToken;
}

async function readChanges(context: PullContext): Promise<Page> {
  const { call, cursor } = context;
  const { changes, nextPageToken, newStartPageToken } = await unlessExpired(async () =>
    (await call<{
      changes?: DriveChange[];
      nextPageToken?: string;
      newStartPageToken?: string;
    }>("changes.list", {
      pageToken: cursor.cursor,
      pageSize: 200,
      includeRemoved: true,
      fields: CHANGE_FIELDS,
      ...sharedDrive(cursor.scope),
    })).result
  );
  const files = (changes ?? []).filter(({ changeType }) => changeType === "file");
  return {
    events: await toEvents(context, files),
    // A page's token is as good a cursor as the last one's.
    cursor: nextPageToken ?? newStartPageToken ?? cursor.cursor,
    hasMore: nextPageToken !== undefined,
  };
}

/** Every file, page by page: of those that are new to us, what changed since we last knew all. */
async function list(context: PullContext): Promise<Page> {
  const { call, cursor } = context;
  const progress = cursor.progress!;
  const { files = [], nextPageToken } = await unlessExpired(async () =>
    (await call<{ files?: DriveFile[]; nextPageToken?: string }>("files.list", {
      pageSize: 200,
      orderBy: "createdTime",
      fields: `nextPageToken,files(${FILE_FIELDS})`,
      ...(progress.page ? { pageToken: progress.page } : {}),
      ...(cursor.scope ? { corpora: "drive", ...sharedDrive(cursor.scope) } : {}),
    })).result
  );
  const known = await context.known(files.map(({ id }) => id));
  const since = Date.parse(progress.since!);
  const changed = files.filter(({ id, version, createdTime, modifiedTime }) => {
    const told = known.get(id);
    if (told) return told.version !== version;
    return Math.max(Date.parse(createdTime ?? ""), Date.parse(modifiedTime ?? "")) > since;
  });
  const changes = changed.map((file) => ({
    fileId: file.id,
    removed: false,
    time: file.modifiedTime ?? cursor.claimed_at,
    changeType: "file",
    file,
  }));
  return {
    events: await toEvents(context, changes),
    cursor: cursor.cursor,
    hasMore: true,
    progress: nextPageToken
      ? { ...progress, page: nextPageToken }
      : { ...progress, mode: "sweep", page: undefined },
    seen: files.map(({ id }) => id),
  };
}

/** What was told of and is nowhere any more. */
async function sweep(context: PullContext): Promise<Page> {
  const { cursor } = context;
  const gone = await context.unseen(cursor.progress!.begun!);
  const events = gone.map((item) => removal(context, item, cursor.claimed_at));
  // The log goes on from where it was when the listing began.
  return gone.length > 0
    ? { events, cursor: cursor.cursor, hasMore: true, progress: cursor.progress! }
    : { events, cursor: cursor.cursor, hasMore: true };
}

async function toEvents(context: PullContext, changes: DriveChange[]): Promise<FeedEvent[]> {
  const { integration } = context.cursor;
  const kind = KINDS[integration.provider]!;
  const folders = DriveFolders.of(context.cursor, context.call);
  // A folder that was renamed or moved is another path for those that come after it.
  for (const { fileId, file } of changes) {
    if (!file || file.mimeType === FOLDER) folders.note(fileId, file);
  }
  const isGone = ({ removed, file }: DriveChange) => removed || !file;
  const known = await context.known(changes.filter(isGone).map(({ fileId }) => fileId));
  const events: FeedEvent[] = [];
  for (const change of changes) {
    const { fileId, time, file, changeType } = change;
    if (isGone(change)) {
      const item = known.get(fileId);
      // Of what Docs and Sheets never told, nobody knows what it was.
      if (item) events.push(removal(context, item, time));
      else if (!kind.mimeType) events.push(removal(context, unknownItem(fileId), time));
      continue;
    }
    if (file!.mimeType === FOLDER || kind.mimeType && file!.mimeType !== kind.mimeType) continue;
    const folder = await folders.pathOf(file!);
    const { createdTime: _, ...described } = file!;
    events.push({
      dedupe_key: `drive.changes:${fileId}:${file!.version}`,
      event_type: `${kind.event}.changed`,
      // A name is one segment, as a folder's is.
      resource_path: ["files", folder, file!.name.replaceAll("/", "_")].filter(Boolean).join("/"),
      account: context.cursor.scope || null,
      occurred_at: time,
      payload: { change: { fileId, removed: false, time, changeType }, file: described, folder },
      item: { id: fileId, version: file!.version },
    });
  }
  return events;
}

function removal({ cursor }: PullContext, { item_id, path }: KnownItem, time: string): FeedEvent {
  const kind = KINDS[cursor.integration.provider]!;
  return {
    dedupe_key: `drive.changes:${item_id}:removed:${time}`,
    event_type: `${kind.event}.removed`,
    resource_path: path,
    account: cursor.scope || null,
    occurred_at: time,
    payload: {
      change: { fileId: item_id, removed: true, time, changeType: "file" },
      file: null,
      folder: path.split("/").slice(1, -1).join("/"),
    },
    item: { id: item_id },
  };
}

function unknownItem(id: string): KnownItem {
  return { item_id: id, event_type: "", path: `files/${id}`, version: "" };
}

function sharedDrive(scope: string): Record<string, unknown> {
  return scope ? { driveId: scope, includeItemsFromAllDrives: true, supportsAllDrives: true } : {};
}

/** Drive says of an old token that it is invalid, that there is none, or that it is gone. */
async function unlessExpired<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const isToken = error.status === 400 && /pageToken/i.test(JSON.stringify(error.body ?? ""));
    if (isToken || error.status === 404 || error.status === 410) {
      throw new CursorExpired(error.message);
    }
    throw error;
  }
}
