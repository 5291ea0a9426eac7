/**
 * Google Drive as a destination.
 *
 * Drive allows many files of one name in a folder, so that everything hangs on ids: folders and
 * files get ids that were generated before anything is made, agreed upon in the database. Whatever
 * is repeated then finds the same file instead of making a second one.
 *
 * Called with `fetch` rather than `@googleapis/drive`: it is five endpoints, that package uploads
 * itself instead of giving out a session, and costs 80 ms and 26 MB at a cold start.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable
 * @see https://developers.google.com/workspace/drive/api/reference/rest/v3/files/generateIds
 */
import { z } from "zod";
import { env } from "../env.ts";
import { AppError } from "../errors.ts";
import { allowsPrivateNetwork } from "../oauth/context.ts";
import { callProvider, failure, parseAnswer, type ProviderCall } from "../provider_http.ts";
import { withToken } from "./access_token.ts";
import type { Destination, DestinationStore, Integration } from "./types.ts";

const API = "https://www.googleapis.com/drive/v3";
const FOLDER = "application/vnd.google-apps.folder";
/** How long a folder that was there is believed to be there; milliseconds. */
const FOLDER_MS = 5 * 60_000;

/** `integrations.config` of a Drive destination. */
export const GoogleDriveConfig = z.object({
  /** Folder that paths begin in; the default integration may have
   * GOOGLE_DRIVE_ARTIFACTS_FOLDER_ID; else the account's own root. */
  folder_id: z.string().min(1).optional(),
  token_url: z.url().optional(),
});
export type GoogleDriveConfig = z.infer<typeof GoogleDriveConfig>;

const GeneratedIds = z.object({ ids: z.array(z.string().min(1)).min(1) });
const DriveFile = z.object({
  id: z.string(),
  trashed: z.boolean().optional(),
  size: z.string().regex(/^\d+$/).optional(),
  md5Checksum: z.string().optional(),
  sha256Checksum: z.string().optional(),
});
type DriveFile = z.infer<typeof DriveFile>;

/** Files in a folder; the destination's id of an artifact is its file id. */
export const googleDrive: Destination = {
  kind: "google_drive",

  async ticket(integration, upload, store) {
    const segments = upload.path.split("/");
    const name = segments.pop()!;
    let fileId = upload.destination_ref;
    const existing = fileId ? await getFile(integration, fileId) : null;
    if (!fileId) {
      fileId = (await generateIds(integration, 1))[0]!;
      // Kept before it is used: whoever tries again uploads to this very file.
      await store.keepRef(fileId);
    }
    const isUpdate = existing !== null;
    const session = isUpdate
      ? await openSession(integration, fileId, { name, trashed: false }, upload, isUpdate)
      : await inFolder(
        integration,
        store,
        segments,
        (parent) =>
          openSession(
            integration,
            fileId,
            { id: fileId, name, parents: [parent] },
            upload,
            isUpdate,
          ),
      );
    return { method: "PUT", url: session, headers: { "content-type": upload.content_type } };
  },

  async stat(integration, destinationRef) {
    const file = await getFile(integration, destinationRef);
    // A file without a size is a folder or a document of Google's own.
    if (!file || file.trashed || file.size === undefined) return null;
    return {
      size_bytes: Number(file.size),
      sha256: file.sha256Checksum?.toLowerCase() ?? null,
      md5: file.md5Checksum?.toLowerCase() ?? null,
    };
  },

  location(_integration, destinationRef) {
    return `https://drive.google.com/file/d/${destinationRef}/view`;
  },
};

// Files ---------------------------------------------------------------------------------------

async function generateIds(integration: Integration, count: number): Promise<string[]> {
  const call = apiCall(integration, `/files/generateIds?count=${count}&space=drive&type=files`);
  return read(call, GeneratedIds, await send(integration, call)).ids;
}

async function getFile(integration: Integration, id: string): Promise<DriveFile | null> {
  const fields = "id,trashed,size,md5Checksum,sha256Checksum";
  const call = {
    ...apiCall(integration, `/files/${encodeURIComponent(id)}?${SHARED}&fields=${fields}`),
    accept: [404],
  };
  const answer = await send(integration, call);
  return answer.status === 404 ? null : read(call, DriveFile, answer);
}

/**
 * Opens a resumable session for a new file, or for new content of an existing one.
 *
 * @returns the session's URI, which takes the bytes without any credential
 */
async function openSession(
  integration: Integration,
  fileId: string,
  metadata: Record<string, unknown>,
  upload: { content_type: string; size_bytes: number | null },
  isUpdate: boolean,
): Promise<string> {
  const path = isUpdate ? `/files/${encodeURIComponent(fileId)}` : "/files";
  const call: ProviderCall = {
    ...apiCall(integration, ""),
    method: isUpdate ? "PATCH" : "POST",
    url: `${uploadBase(integration)}${path}?uploadType=resumable&${SHARED}&fields=id`,
    body: JSON.stringify(metadata),
    // A session that nobody uses makes nothing.
    isIdempotent: true,
    accept: isUpdate ? [] : [409],
  };
  const answer = await send(integration, {
    ...call,
    headers: {
      ...call.headers,
      "content-type": "application/json; charset=UTF-8",
      "x-upload-content-type": upload.content_type,
      ...(upload.size_bytes === null
        ? {}
        : { "x-upload-content-length": String(upload.size_bytes) }),
    },
  });
  if (answer.status === 409) {
    // An earlier upload ended after all: the file is there, give it new content.
    const { id: _, parents: __, ...rest } = metadata;
    return await openSession(integration, fileId, { ...rest, trashed: false }, upload, true);
  }
  const session = answer.headers.get("location");
  if (!session || !URL.canParse(session)) {
    throw failure(call, "invalid_response", 502, "opened no upload session", {
      status: answer.status,
    });
  }
  return session;
}

// Folders -------------------------------------------------------------------------------------

/** Folders seen lately, by integration and path; only saves calls. */
const seenFolders = new Map<string, { id: string; until: number }>();

/**
 * Does something in a folder that is made as needed; if the folder turns out to be gone, once more
 * in a new one.
 */
async function inFolder<T>(
  integration: Integration,
  store: DestinationStore,
  segments: string[],
  act: (folderId: string) => Promise<T>,
): Promise<T> {
  try {
    return await act(await ensureFolders(integration, store, segments));
  } catch (error) {
    const isGone = error instanceof AppError && error.code === "destination_not_found";
    if (!isGone || segments.length === 0) throw error;
    await forget(integration, store, segments[0]!);
    return await act(await ensureFolders(integration, store, segments));
  }
}

async function ensureFolders(
  integration: Integration,
  store: DestinationStore,
  segments: string[],
): Promise<string> {
  const paths = segments.map((_, index) => segments.slice(0, index + 1).join("/"));
  const unseen = paths.filter((path) => !seen(integration, path));
  const proposals = unseen.length > 0 ? await generateIds(integration, unseen.length) : [];
  let parent = rootFolder(integration);
  for (const path of paths) {
    parent = seen(integration, path) ??
      await ensureFolder(integration, store, { path, parent, proposal: proposals.shift()! });
  }
  return parent;
}

async function ensureFolder(
  integration: Integration,
  store: DestinationStore,
  { path, parent, proposal }: { path: string; parent: string; proposal: string },
): Promise<string> {
  const agreedPath = `${rootFolder(integration)}/${path}`;
  let id = await store.agreeOnFolder(agreedPath, proposal);
  if (!await makeFolder(integration, { id, parent, path, isNewId: id === proposal })) {
    // It was made before, by us or by somebody else; it may have been thrown away since.
    const folder = await getFile(integration, id);
    if (!folder || folder.trashed) {
      await forget(integration, store, path);
      id = await store.agreeOnFolder(agreedPath, (await generateIds(integration, 1))[0]!);
      await makeFolder(integration, { id, parent, path, isNewId: true });
    }
  }
  seenFolders.set(folderKey(integration, path), { id, until: Date.now() + FOLDER_MS });
  return id;
}

/** @returns whether it was made; false when something has, or had, this id already */
async function makeFolder(
  integration: Integration,
  { id, parent, path, isNewId }: { id: string; parent: string; path: string; isNewId: boolean },
): Promise<boolean> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const call: ProviderCall = {
    ...apiCall(integration, `/files?${SHARED}&fields=id`),
    method: "POST",
    body: JSON.stringify({ id, name, mimeType: FOLDER, parents: [parent] }),
    // The id is given: a second attempt answers 409.
    isIdempotent: true,
    // An id that was deleted for good cannot be used again.
    accept: isNewId ? [409] : [400, 409],
  };
  const answer = await send(integration, {
    ...call,
    headers: { ...call.headers, "content-type": "application/json; charset=UTF-8" },
  });
  return answer.status < 300;
}

async function forget(
  integration: Integration,
  store: DestinationStore,
  path: string,
): Promise<void> {
  await store.forgetFolder(`${rootFolder(integration)}/${path}`);
  const key = folderKey(integration, path);
  for (const known of seenFolders.keys()) {
    if (known === key || known.startsWith(`${key}/`)) seenFolders.delete(known);
  }
}

const folderKey = (integration: Integration, path: string) =>
  `${integration.id} ${rootFolder(integration)} ${path}`;

function seen(integration: Integration, path: string): string | undefined {
  const folder = seenFolders.get(folderKey(integration, path));
  return folder && folder.until > Date.now() ? folder.id : undefined;
}

function rootFolder(integration: Integration): string {
  const config = GoogleDriveConfig.safeParse(integration.config);
  if (!config.success) {
    throw new AppError(
      "destination_misconfigured",
      422,
      `The config of integration ${integration.slug} cannot be used: ` +
        `${config.error.issues[0]!.message}.`,
    );
  }
  const fromEnvironment = integration.is_default
    ? env().GOOGLE_DRIVE_ARTIFACTS_FOLDER_ID
    : undefined;
  return config.data.folder_id ?? fromEnvironment ?? "root";
}

// Calls ---------------------------------------------------------------------------------------

/** Files in shared drives are files too. */
const SHARED = "supportsAllDrives=true";

function apiCall(integration: Integration, path: string): ProviderCall {
  return {
    role: "destination",
    integration: integration.slug,
    url: `${integration.base_url ?? API}${path}`,
    home: API,
    headers: { accept: "application/json" },
    allowPrivate: allowsPrivateNetwork(integration),
    ...(integration.onRateLimit ? { onRateLimit: integration.onRateLimit } : {}),
  };
}

/** Uploads have a base URL of their own beside the API's. */
function uploadBase(integration: Integration): string {
  const base = integration.base_url ?? API;
  return base.endsWith("/drive/v3")
    ? `${base.slice(0, -"/drive/v3".length)}/upload/drive/v3`
    : `${base}/upload/drive/v3`;
}

function send(integration: Integration, call: ProviderCall) {
  return withToken(integration, "destination", (token) =>
    callProvider({
      ...call,
      headers: { ...call.headers, authorization: `Bearer ${token}` },
    }));
}

function read<S extends z.ZodType>(
  call: ProviderCall,
  schema: S,
  answer: { status: number; headers: Headers; text: string },
): z.infer<S> {
  const parsed = schema.safeParse(parseAnswer(call, answer));
  if (parsed.success) return parsed.data;
  throw failure(call, "invalid_response", 502, "did not answer as documented", {
    cause: parsed.error,
    status: answer.status,
  });
}
