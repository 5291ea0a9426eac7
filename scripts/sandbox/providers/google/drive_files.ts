import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import type { Content } from "../../core/contents.ts";
import type { Paragraph } from "./document.ts";
import { GoogleError } from "./errors.ts";
import type { Predicate } from "./drive_query.ts";
import { newSheet, type Sheet } from "./sheet.ts";

/** The content type of a folder. */
export const FOLDER = "application/vnd.google-apps.folder";
/** The content type of a document of Docs. */
export const DOCUMENT = "application/vnd.google-apps.document";
/** The content type of a spreadsheet of Sheets. */
export const SPREADSHEET = "application/vnd.google-apps.spreadsheet";
/** The id that the alias `root` stands for. */
export const ROOT_ID = "0AsandboxRootFolderPVA";
/** What a free account may store, in bytes. */
const USUAL_QUOTA_BYTES = 15 * 1024 ** 3;

const EDITORS = /^application\/vnd\.google-apps\.(?!folder$)/;

/** Who works in Drive. */
export interface DriveUser {
  name: string;
  email: string;
}

/** The user whom the sandbox's tokens belong to. */
export const DRIVE_USER: DriveUser = { name: "Sandbox", email: "sandbox@example.com" };

/** What is in a document or a spreadsheet; such a file has no bytes. */
export type Native =
  | { kind: "document"; paragraphs: Paragraph[] }
  | { kind: "spreadsheet"; sheets: Sheet[] };

/** What happened to a file, for the log of changes and for whoever watches. */
export interface FileEvent {
  file: DriveFile;
  /** As Drive names it in `X-Goog-Resource-State`. */
  state: "add" | "remove" | "update" | "trash" | "untrash";
  /** As Drive names it in `X-Goog-Changed`. */
  changed: ("content" | "parents" | "properties")[];
}

/** What besides the metadata changes with a file. */
export interface FileEdit {
  content?: Content | undefined;
  native?: Native | undefined;
  addParents?: readonly string[];
  removeParents?: readonly string[];
  /** The token's own user when absent. */
  author?: DriveUser | undefined;
}

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

/**
 * Reads a file's metadata from JSON text; an empty text is empty metadata.
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

/** A file or folder. */
export interface DriveFile {
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
  native: Native | undefined;
  /** Absent for folders, Google's own types and files that were made of metadata only. */
  content: Content | undefined;
  revision: string | undefined;
  lastModifyingUser: DriveUser;
}

/** The files of one Drive and the rules by which they come and change. */
export class DriveFiles {
  /** Bytes that may be stored. */
  quotaBytes = USUAL_QUOTA_BYTES;
  readonly #files = new Map<string, DriveFile>();
  readonly #generatedIds = new Set<string>();

  /** @param noted is told each change once it is done */
  constructor(readonly clock: Clock, readonly noted: (event: FileEvent) => void) {
    this.#makeRoot();
  }

  /** Bytes that are stored. */
  get usedBytes(): number {
    return this.all().reduce((sum, { content }) => sum + (content?.size ?? 0), 0);
  }

  /** Every file and folder but the root, oldest first. */
  all(): DriveFile[] {
    return [...this.#files.values()].filter(({ id }) => id !== ROOT_ID);
  }

  /** @throws GoogleError `notFound` */
  get(id: string): DriveFile {
    const file = this.#files.get(id === "root" ? ROOT_ID : id);
    if (file) return file;
    throw new GoogleError("notFound", `File not found: ${id}.`, {
      location: "fileId",
      locationType: "parameter",
    });
  }

  /** Ids that a later `create` may use, once each. */
  generateIds(count: number): string[] {
    const ids = Array.from({ length: count }, newId);
    for (const id of ids) this.#generatedIds.add(id);
    return ids;
  }

  /**
   * Refuses metadata that Drive refuses.
   *
   * @param fileId the file to update; absent for a new one
   * @throws GoogleError
   */
  check(fileId: string | undefined, metadata: DriveMetadata): void {
    if (fileId === undefined) return this.#checkNew(metadata);
    this.get(fileId);
    if (metadata.parents) {
      throw new GoogleError(
        "insufficientFilePermissions",
        "The parents field is not directly writable in update requests. Use the addParents and removeParents parameters instead.",
      );
    }
  }

  /** @throws GoogleError `storageQuotaExceeded` */
  checkQuota(addedBytes: number): void {
    if (this.usedBytes + addedBytes > this.quotaBytes) {
      throw new GoogleError("storageQuotaExceeded");
    }
  }

  /** Makes a file of checked metadata. */
  create(metadata: DriveMetadata, edit: FileEdit = {}): DriveFile {
    const file = this.#make(metadata, edit);
    this.noted({ file, state: "add", changed: [] });
    return file;
  }

  #make(metadata: DriveMetadata, { content, native, author }: FileEdit = {}): DriveFile {
    const now = this.clock.now();
    const file: DriveFile = {
      id: metadata.id ?? newId(),
      name: metadata.name ?? "Untitled",
      mimeType: metadata.mimeType ?? "application/octet-stream",
      parents: (metadata.parents ?? [ROOT_ID]).map((parent) => this.get(parent).id),
      description: metadata.description,
      trashed: metadata.trashed ?? false,
      appProperties: mergeProperties({}, metadata.appProperties),
      properties: mergeProperties({}, metadata.properties),
      createdAt: now,
      modifiedAt: now,
      version: 1,
      native: native ?? emptyNative(metadata.mimeType),
      content,
      revision: content && newId(),
      lastModifyingUser: author ?? DRIVE_USER,
    };
    this.#files.set(file.id, file);
    return file;
  }

  /**
   * Changes what the checked metadata names, moves the file, and, when there is one, replaces the
   * content: one change, whatever it is made of.
   *
   * @throws GoogleError `notFound` when a folder does not exist
   */
  async update(id: string, metadata: DriveMetadata, edit: FileEdit = {}): Promise<DriveFile> {
    const file = this.get(id);
    const removed = (edit.removeParents ?? []).map((parent) => this.get(parent).id);
    const added = (edit.addParents ?? []).map((parent) => this.get(parent).id);
    const wasTrashed = file.trashed;
    file.parents = [...file.parents.filter((each) => !removed.includes(each)), ...added];
    file.name = metadata.name ?? file.name;
    file.mimeType = metadata.mimeType ?? file.mimeType;
    file.description = metadata.description ?? file.description;
    file.trashed = metadata.trashed ?? file.trashed;
    file.appProperties = mergeProperties(file.appProperties, metadata.appProperties);
    file.properties = mergeProperties(file.properties, metadata.properties);
    const replaced = edit.content && file.content;
    if (edit.content) {
      file.content = edit.content;
      file.revision = newId();
    }
    file.native = edit.native ?? file.native;
    const changed: FileEvent["changed"] = [];
    if (edit.content || edit.native) changed.push("content");
    if (added.length + removed.length > 0) changed.push("parents");
    const { trashed: _trashed, ...described } = metadata;
    if (Object.values(described).some((value) => value !== undefined)) changed.push("properties");
    const state = file.trashed === wasTrashed ? "update" : file.trashed ? "trash" : "untrash";
    this.#touch(file, edit.author);
    this.noted({ file, state, changed });
    await replaced?.release();
    return file;
  }

  #touch(file: DriveFile, author: DriveUser = DRIVE_USER): void {
    file.modifiedAt = this.clock.now();
    file.version++;
    file.lastModifyingUser = author;
  }

  /** Deletes a file, or a folder with all that is in it. */
  async remove(file: DriveFile): Promise<void> {
    for (const child of this.all().filter(({ parents }) => parents.includes(file.id))) {
      await this.remove(child);
    }
    this.#files.delete(file.id);
    this.noted({ file, state: "remove", changed: [] });
    await file.content?.release();
  }

  /** What a search finds, in the order of `orderBy`. @throws GoogleError `invalid` */
  search(matches: Predicate, orderBy: string): DriveFile[] {
    const orders = orderBy.split(",").map((part) => part.trim().split(/\s+/));
    for (const [field = ""] of orders) {
      if (!Object.hasOwn(ORDERS, field)) {
        throw new GoogleError("invalid", undefined, {
          location: "orderBy",
          locationType: "parameter",
        });
      }
    }
    return this.all().filter(matches).sort((a, b) => {
      for (const [field = "", direction] of orders) {
        const [x, y] = [ORDERS[field]!(a), ORDERS[field]!(b)];
        if (x !== y) return (x < y ? -1 : 1) * (direction === "desc" ? -1 : 1);
      }
      return 0;
    });
  }

  /** Names from the root folder down, joined by `/`. */
  pathOf(file: DriveFile): string {
    const [parentId = ROOT_ID] = file.parents;
    const parent = parentId === ROOT_ID ? undefined : this.#files.get(parentId);
    return parent ? `${this.pathOf(parent)}/${file.name}` : file.name;
  }

  /** The folder at a path below the root, made when it is not there; `""` is the root. */
  folder(path: string): DriveFile {
    let folder = this.get(ROOT_ID);
    for (const name of path.split("/").filter(Boolean)) {
      const found = this.all().find((file) =>
        file.name === name && file.mimeType === FOLDER && !file.trashed &&
        file.parents.includes(folder.id)
      );
      folder = found ?? this.create({ name, mimeType: FOLDER, parents: [folder.id] });
    }
    return folder;
  }

  /** Forgets everything but the root folder. */
  async clear(): Promise<void> {
    for (const { content } of this.#files.values()) await content?.release();
    this.#files.clear();
    this.#generatedIds.clear();
    this.quotaBytes = USUAL_QUOTA_BYTES;
    this.#makeRoot();
  }

  #checkNew({ id, mimeType, parents }: DriveMetadata): void {
    for (const parent of parents ?? []) this.get(parent);
    if (id === undefined) return;
    if (EDITORS.test(mimeType ?? "")) {
      throw new GoogleError(
        "insufficientFilePermissions",
        "Generated IDs are not supported for Docs Editors formats.",
      );
    }
    if (this.#files.has(id)) throw new GoogleError("fileIdInUse");
    if (!this.#generatedIds.has(id)) {
      throw new GoogleError("invalid", "The provided file ID is not usable.", {
        location: "file.id",
        locationType: "parameter",
      });
    }
  }

  #makeRoot(): void {
    this.#make({ id: ROOT_ID, name: "My Drive", mimeType: FOLDER, parents: [] });
  }
}

/** A file resource with every field the sandbox knows. */
export function describeFile(file: DriveFile): Record<string, unknown> {
  const { content } = file;
  const extension = /\.([A-Za-z0-9]{1,12})$/.exec(file.name)?.[1] ?? "";
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
    lastModifyingUser: {
      kind: "drive#user",
      displayName: file.lastModifyingUser.name,
      me: file.lastModifyingUser.email === DRIVE_USER.email,
      permissionId: file.lastModifyingUser.email === DRIVE_USER.email ? "1" : "2",
      emailAddress: file.lastModifyingUser.email,
    },
    appProperties: optional(file.appProperties),
    properties: optional(file.properties),
    webViewLink: webViewLink(file),
    quotaBytesUsed: String(content?.size ?? 0),
    ...(content && {
      size: String(content.size),
      md5Checksum: content.digests.md5,
      sha1Checksum: content.digests.sha1,
      sha256Checksum: content.digests.sha256,
      headRevisionId: file.revision,
      originalFilename: file.name,
      fileExtension: extension,
      fullFileExtension: extension,
      webContentLink: `https://drive.google.com/uc?id=${file.id}&export=download`,
    }),
  };
}

function webViewLink({ id, mimeType }: DriveFile): string {
  if (mimeType === FOLDER) return `https://drive.google.com/drive/folders/${id}`;
  if (mimeType === DOCUMENT) return `https://docs.google.com/document/d/${id}/edit?usp=drivesdk`;
  if (mimeType === SPREADSHEET) {
    return `https://docs.google.com/spreadsheets/d/${id}/edit?usp=drivesdk`;
  }
  return `https://drive.google.com/file/d/${id}/view?usp=drivesdk`;
}

function emptyNative(mimeType: string | undefined): Native | undefined {
  if (mimeType === DOCUMENT) return { kind: "document", paragraphs: [] };
  if (mimeType === SPREADSHEET) return { kind: "spreadsheet", sheets: [newSheet("Sheet1", 0)] };
  return undefined;
}

const ORDERS: Readonly<Record<string, (file: DriveFile) => number | string>> = {
  createdTime: (file) => file.createdAt,
  modifiedTime: (file) => file.modifiedAt,
  name: (file) => file.name,
  name_natural: (file) => file.name,
  folder: (file) => file.mimeType === FOLDER ? 0 : 1,
};

function newId(): string {
  // Drive's ids are 33 characters that start with 1.
  const random = crypto.getRandomValues(new Uint8Array(24));
  const text = btoa(String.fromCharCode(...random)).replaceAll("+", "-").replaceAll("/", "_");
  return `1${text}`;
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
