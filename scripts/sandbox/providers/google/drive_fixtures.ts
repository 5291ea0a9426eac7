import { Hono } from "hono";
import { z } from "zod";
import { deterministicBytes, FixtureError } from "../../core/fixtures.ts";
import type { Content } from "../../core/contents.ts";
import type { Sandbox } from "../../core/provider.ts";
import { serveContent } from "../../core/serve_content.ts";
import type { DriveChanges } from "./drive_changes.ts";
import type { DriveFile, DriveFiles } from "./drive_files.ts";

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
  version: number;
  app_properties: Record<string, string>;
}

/** Who is to have made a change; the token's own user when absent. */
export const DriveAuthor = z.strictObject({ name: z.string(), email: z.string() });

const Bytes = {
  /** The content as text. */
  text: z.string().optional(),
  /** Or so many bytes that look random; equal seeds make equal bytes. */
  size: z.int().min(0).optional(),
  seed: z.string().default("drive"),
};

/** A new file, as `POST /_control/drive/files` takes it; a folder by its type. */
export const DriveFileFixture = z.strictObject({
  name: z.string().min(1),
  /** Names from the root folder down, joined by `/`; made when they are not there. */
  folder: z.string().default(""),
  mime_type: z.string().default("text/plain"),
  ...Bytes,
  author: DriveAuthor.optional(),
  properties: z.record(z.string(), z.string()).optional(),
  app_properties: z.record(z.string(), z.string()).optional(),
});
/** The input form of {@linkcode DriveFileFixture}. */
export type DriveFileFixture = z.input<typeof DriveFileFixture>;

/** What changes with a file, as `PATCH /_control/drive/files/<id>` takes it. */
export const DriveEdit = z.strictObject({
  name: z.string().min(1).optional(),
  /** Moves it there; `""` is the root folder. */
  folder: z.string().optional(),
  trashed: z.boolean().optional(),
  ...Bytes,
  author: DriveAuthor.optional(),
  properties: z.record(z.string(), z.string().nullable()).optional(),
});
/** The input form of {@linkcode DriveEdit}. */
export type DriveEdit = z.input<typeof DriveEdit>;

/** Drive's part of `/_control`, and how its files are told of there. */
export interface DriveFixtures {
  readonly control: Hono;
  describe(file: DriveFile): DriveFileInfo;
}

/** What people do in Drive, and what is in it. */
export function createDriveFixtures(
  sandbox: Sandbox,
  files: DriveFiles,
  changes: DriveChanges,
): DriveFixtures {
  const control = new Hono();

  const describe = (file: DriveFile): DriveFileInfo => ({
    id: file.id,
    name: file.name,
    path: files.pathOf(file),
    mime_type: file.mimeType,
    parents: file.parents,
    trashed: file.trashed,
    size: file.content?.size ?? null,
    md5: file.content?.digests.md5 ?? null,
    sha256: file.content?.digests.sha256 ?? null,
    version: file.version,
    app_properties: file.appProperties,
  });
  const store = async (
    { text, size, seed }: { text?: string | undefined; size?: number | undefined; seed: string },
  ): Promise<Content | undefined> => {
    if (text !== undefined) return await sandbox.contents.store(new TextEncoder().encode(text));
    if (size === undefined) return undefined;
    const writer = await sandbox.contents.writer();
    for (const piece of deterministicBytes(seed, size)) await writer.write(piece);
    return await writer.finish();
  };

  control.get("/drive/files", (c) => c.json({ files: files.all().map(describe) }));

  control.post("/drive/files", async (c) => {
    const wanted = DriveFileFixture.parse(await c.req.json());
    const hasBytes = !wanted.mime_type.startsWith("application/vnd.google-apps.");
    const file = files.create({
      name: wanted.name,
      mimeType: wanted.mime_type,
      parents: [files.folder(wanted.folder).id],
      ...(wanted.properties && { properties: wanted.properties }),
      ...(wanted.app_properties && { appProperties: wanted.app_properties }),
    }, {
      content: hasBytes
        ? await store({ ...wanted, text: wanted.text ?? noText(wanted) })
        : undefined,
      author: wanted.author,
    });
    return c.json(describe(file), 201);
  });

  control.patch("/drive/files/:id", async (c) => {
    const file = findFile(files, c.req.param("id"));
    const wanted = DriveEdit.parse(await c.req.json());
    const moved = wanted.folder !== undefined && {
      addParents: [files.folder(wanted.folder).id],
      removeParents: file.parents,
    };
    await files.update(file.id, {
      ...(wanted.name !== undefined && { name: wanted.name }),
      ...(wanted.trashed !== undefined && { trashed: wanted.trashed }),
      ...(wanted.properties && { properties: wanted.properties }),
    }, { ...moved, content: await store(wanted), author: wanted.author });
    return c.json(describe(file));
  });

  control.delete("/drive/files/:id", async (c) => {
    await files.remove(findFile(files, c.req.param("id")));
    return c.body(null, 204);
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

  control.post("/drive/expire_page_tokens", (c) => {
    changes.expireTokens();
    return c.body(null, 204);
  });

  return { control, describe };
}

/** @throws FixtureError when there is no such file, or it is of another type */
export function findFile(files: DriveFiles, id: string, mimeType?: string): DriveFile {
  const file = files.all().find((each) => each.id === id);
  if (!file) throw new FixtureError(`There is no file ${id} in Drive.`);
  if (mimeType === undefined || file.mimeType === mimeType) return file;
  throw new FixtureError(`The file ${id} is of type ${file.mimeType}, not ${mimeType}.`);
}

/** A file that nothing is said about is empty, not without content. */
function noText({ size }: { size?: number | undefined }): string | undefined {
  return size === undefined ? "" : undefined;
}
