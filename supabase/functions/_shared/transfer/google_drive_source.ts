/**
 * Google Drive as a source: the one file that a change is about, as it is now; or, for a rule with a
 * schedule, all of them.
 *
 * Drive signs no links, so that its bytes come through the gateway: as they are, or, for Google's own
 * documents, which have none, exported to the format that the rule names.
 *
 * @see https://developers.google.com/workspace/drive/api/guides/manage-downloads
 */
import { z } from "zod";
import { AppError } from "../errors.ts";
import { allowsPrivateNetwork } from "../oauth/context.ts";
import { callProvider, failure, parseAnswer, type ProviderCall } from "../provider_http.ts";
import { withToken } from "./access_token.ts";
import { extensionOf } from "./template.ts";
import type {
  GatewayAccess,
  Integration,
  Placeholders,
  Source,
  SourceEvent,
  SourceObject,
  TransferRequest,
} from "./types.ts";

const API = "https://www.googleapis.com/drive/v3";
const GOOGLE = "application/vnd.google-apps.";
const FOLDER = `${GOOGLE}folder`;
const FIELDS = "id,name,mimeType,parents,version,size,sha256Checksum,trashed";

/** What a change of a Drive carries; other events name no file. */
const ChangeEvent = z.object({
  change: z.object({ removed: z.boolean().nullish() }).nullish(),
  file: z.object({
    id: z.string().min(1),
    name: z.string(),
    mimeType: z.string().default("application/octet-stream"),
    version: z.union([z.string(), z.number()]).nullish(),
    trashed: z.boolean().nullish(),
  }).nullish(),
  folder: z.string().nullish(),
});

const DriveFile = z.object({
  id: z.string(),
  name: z.string(),
  mimeType: z.string(),
  parents: z.array(z.string()).nullish(),
  version: z.union([z.string(), z.number()]).nullish(),
  size: z.string().regex(/^\d+$/).nullish(),
  sha256Checksum: z.string().nullish(),
  trashed: z.boolean().nullish(),
});

const FilePage = z.object({
  files: z.array(DriveFile).default([]),
  nextPageToken: z.string().optional(),
});

/** Formats of Google's own documents, by type: the first one is taken unless the rule names another. */
const FORMATS: Record<string, Record<string, string>> = {
  document: {
    docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    pdf: "application/pdf",
    md: "text/markdown",
    odt: "application/vnd.oasis.opendocument.text",
    html: "text/html",
    txt: "text/plain",
    epub: "application/epub+zip",
  },
  spreadsheet: {
    xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    pdf: "application/pdf",
    ods: "application/vnd.oasis.opendocument.spreadsheet",
    csv: "text/csv",
    tsv: "text/tab-separated-values",
  },
  presentation: {
    pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    pdf: "application/pdf",
    odp: "application/vnd.oasis.opendocument.presentation",
    txt: "text/plain",
  },
  drawing: { png: "image/png", pdf: "application/pdf", svg: "image/svg+xml", jpg: "image/jpeg" },
};

/** Files of a Drive. */
export const googleDriveSource: Source = {
  async list(integration, event, config = {}) {
    const { change, file: told } = readEvent(event);
    if (!told) return [];
    const path = `/files/${encodeURIComponent(told.id)}?supportsAllDrives=true&fields=${FIELDS}`;
    const call = { ...apiCall(integration, path), accept: [404] };
    const answer = change?.removed ? { status: 404, text: "" } : await send(integration, call);
    const gone = answer.status === 404;
    const read = gone
      ? undefined
      : DriveFile.safeParse(parseAnswer(call, { ...answer, headers: new Headers() }));
    if (read?.success === false) {
      throw failure(call, "invalid_response", 502, "did not answer with a file", {
        cause: read.error,
      });
    }
    const file = read?.data ?? { ...told, size: null, sha256Checksum: null };
    return [describe(file, event.resource_path, config, gone)];
  },

  async listAll(integration, config) {
    const files = await readAll(integration);
    const byId = new Map(files.map((file) => [file.id, file]));
    return files.filter(({ mimeType }) => mimeType !== FOLDER).map((file) => {
      const folder = folderOf(file, byId);
      return {
        ...describe(file, ["files", ...folder, asSegment(file.name)].join("/"), config),
        placeholders: placeholdersOf(file, folder),
      };
    });
  },

  ticket(integration, _event, { ref, content_type, size_bytes }, gateway) {
    return Promise.resolve(throughGateway(gateway, {
      integration: integration.slug,
      // What Google exports has no size before.
      ...(size_bytes === null
        ? { action: "files.export", parameters: { fileId: ref, mimeType: content_type } }
        : {
          action: "files.getContent",
          parameters: { fileId: ref, supportsAllDrives: true },
        }),
    }));
  },

  placeholders(event) {
    const { file, folder } = readEvent(event);
    return placeholdersOf(file ?? null, (folder ?? "").split("/").filter((part) => part !== ""));
  },
};

/** A file as it is offered. */
function describe(
  file: z.infer<typeof DriveFile>,
  path: string,
  config: Record<string, unknown>,
  isGone = false,
): SourceObject {
  const exported = exportOf(file.mimeType, config.export);
  const extension = exported?.extension ?? extensionOf(file.name);
  const refusal = isGone || file.trashed
    ? "it is gone at the source; copies of it stay"
    : file.mimeType.startsWith(GOOGLE) && !exported
    ? `a ${file.mimeType.slice(GOOGLE.length)} has no content`
    : undefined;
  return {
    ref: file.id,
    name: file.name,
    path,
    version: file.version == null ? null : String(file.version),
    type: extension,
    extension,
    content_type: exported?.mime ?? file.mimeType,
    size_bytes: !exported && file.size ? Number(file.size) : null,
    sha256: !exported && file.sha256Checksum ? file.sha256Checksum.toLowerCase() : null,
    is_expired: false,
    ...(refusal ? { refusal } : {}),
  };
}

function placeholdersOf(
  file: { id: string; version?: string | number | null | undefined } | null,
  folder: string[],
): Placeholders {
  return {
    folder,
    file_id: file?.id ?? null,
    version: file?.version == null ? null : String(file.version),
  };
}

/** Every file and folder that the account sees and that is not in the trash. */
async function readAll(integration: Integration): Promise<z.infer<typeof DriveFile>[]> {
  const files: z.infer<typeof DriveFile>[] = [];
  let pageToken: string | undefined;
  do {
    const query = new URLSearchParams({
      q: "trashed = false",
      pageSize: "1000",
      fields: `nextPageToken,files(${FIELDS})`,
      supportsAllDrives: "true",
      includeItemsFromAllDrives: "true",
      ...(pageToken === undefined ? {} : { pageToken }),
    });
    const call = apiCall(integration, `/files?${query}`);
    const read = FilePage.safeParse(parseAnswer(call, await send(integration, call)));
    if (!read.success) {
      throw failure(call, "invalid_response", 502, "did not answer with a list of files", {
        cause: read.error,
      });
    }
    files.push(...read.data.files);
    pageToken = read.data.nextPageToken;
  } while (pageToken !== undefined);
  return files;
}

/** A name as the change feeds write it into paths. */
function asSegment(name: string): string {
  return name.replaceAll("/", "_");
}

/** Names of a file's folders, the outermost first; the root, which is in no listing, has none. */
function folderOf(
  { parents }: z.infer<typeof DriveFile>,
  byId: Map<string, z.infer<typeof DriveFile>>,
): string[] {
  const names: string[] = [];
  let folder = byId.get(parents?.[0] ?? "");
  // A path is never this deep, and a circle has no end.
  while (folder && names.length < 100) {
    names.unshift(asSegment(folder.name));
    folder = byId.get(folder.parents?.[0] ?? "");
  }
  return names;
}

function apiCall(integration: Integration, path: string): ProviderCall {
  return {
    role: "source",
    integration: integration.slug,
    url: `${integration.base_url ?? API}${path}`,
    home: API,
    headers: { accept: "application/json" },
    allowPrivate: allowsPrivateNetwork(integration),
  };
}

function send(integration: Integration, call: ProviderCall) {
  return withToken(
    integration,
    "source",
    (token) =>
      callProvider({ ...call, headers: { ...call.headers, authorization: `Bearer ${token}` } }),
  );
}

/** A download of an action's bytes, which pass through the gateway as they come. */
export function throughGateway(
  { url, token }: GatewayAccess,
  call: { integration: string; action: string; parameters: Record<string, unknown> },
): TransferRequest {
  return {
    method: "POST",
    url,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ ...call, output: "stream" }),
  };
}

/**
 * How one of Google's own documents is exported; undefined when it is an ordinary file, or has
 * nothing to export (a folder, a form, a shortcut).
 *
 * @param wanted the rule's `export`: a format for all, or one by type
 * @throws AppError `rule_misconfigured` (422)
 */
export function exportOf(
  mimeType: string,
  wanted: unknown,
): { extension: string; mime: string } | undefined {
  if (!mimeType.startsWith(GOOGLE)) return undefined;
  const type = mimeType.slice(GOOGLE.length);
  const formats = Object.hasOwn(FORMATS, type) ? FORMATS[type]! : undefined;
  if (!formats) return undefined;
  // One format for all is taken where it can be.
  const named = typeof wanted === "string"
    ? (Object.hasOwn(formats, wanted.toLowerCase()) ? wanted : undefined)
    : (wanted as Record<string, unknown> | undefined)?.[type];
  const extension = named === undefined ? Object.keys(formats)[0]! : String(named).toLowerCase();
  const mime = Object.hasOwn(formats, extension) ? formats[extension] : undefined;
  if (mime) return { extension, mime };
  throw new AppError(
    "rule_misconfigured",
    422,
    `config.export: Google exports no ${type} as ${extension}; it can be ${
      Object.keys(formats).join(", ")
    }.`,
  );
}

function readEvent(event: SourceEvent): z.infer<typeof ChangeEvent> {
  const parsed = ChangeEvent.safeParse(event.payload ?? {});
  return parsed.success ? parsed.data : {};
}
