/** A change of a file in a Drive, as the change feeds store it. */
import { z } from "zod";
import type { JobContext } from "../_shared/jobs/context.ts";

const text = z.string().nullish();
const ChangePayload = z.object({
  change: z.object({ fileId: text, removed: z.boolean().nullish() }).nullish(),
  file: z.object({
    id: z.string().min(1),
    name: z.string(),
    version: z.union([z.string(), z.number()]).nullish(),
    webViewLink: text,
    trashed: z.boolean().nullish(),
    properties: z.record(z.string(), z.string()).nullish(),
    appProperties: z.record(z.string(), z.string()).nullish(),
  }).nullish(),
  folder: text,
});

/** The file that changed. */
export interface ChangedFile {
  id: string;
  name: string;
  version: string | null;
  link: string | null;
  properties: Record<string, string>;
  /** Path of its folder, without a slash at its ends. */
  folder: string;
  isGone: boolean;
}

/** Reads the change; null when the event names no file, as that of an unmanaged channel. */
export function changedFile({ event }: JobContext): ChangedFile | null {
  const parsed = ChangePayload.safeParse(event?.payload ?? {});
  if (!parsed.success || !parsed.data.file) return null;
  const { file, change, folder } = parsed.data;
  return {
    id: file.id,
    name: file.name,
    version: file.version == null ? null : String(file.version),
    link: file.webViewLink ?? null,
    properties: { ...file.properties, ...file.appProperties },
    folder: (folder ?? "").replace(/^\/+|\/+$/g, ""),
    isGone: change?.removed === true || file.trashed === true,
  };
}
