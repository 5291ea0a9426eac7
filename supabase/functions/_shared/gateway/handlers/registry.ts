/**
 * Which handler a row's name stands for. A handler is loaded when it is first needed: an action that
 * data describes pays for none of them.
 */
import type { Handler } from "../../execution/handler.ts";
import { AppError } from "../../errors.ts";

const LOADERS: Readonly<Record<string, () => Promise<Handler>>> = {
  gmail_send: async () => (await import("./gmail_send.ts")).gmailSend,
  drive_api: async () => (await import("./drive_api.ts")).driveApi,
  drive_upload: async () => (await import("./drive_upload.ts")).driveUpload,
  gmail_message: async () => (await import("./gmail_message.ts")).gmailMessage,
  gmail_attachment: async () => (await import("./gmail_attachment.ts")).gmailAttachment,
  google_docs_export: async () => (await import("./google_docs_export.ts")).googleDocsExport,
  google_docs_files: async () => (await import("./google_docs_files.ts")).googleDocsFiles,
  google_sheets_rows: async () => (await import("./google_sheets_rows.ts")).googleSheetsRows,
  github_commit: async () => (await import("./github_commit.ts")).githubCommit,
  github_sync_files: async () => (await import("./github_sync_files.ts")).githubSyncFiles,
  nocodb_upsert: async () => (await import("./nocodb_upsert.ts")).nocodbUpsert,
  supabase_upsert: async () => (await import("./supabase_upsert.ts")).supabaseUpsert,
  redirect_download: async () => (await import("./redirect_download.ts")).redirectDownload,
  s3: async () => (await import("./s3.ts")).s3,
  s3_presign: async () => (await import("./s3.ts")).s3Presign,
  sns: async () => (await import("./sns.ts")).sns,
  slack_upload: async () => (await import("./slack_upload.ts")).slackUpload,
};

/** The names that rows may use. */
const HANDLER_NAMES: readonly string[] = Object.keys(LOADERS);

/** @throws AppError `action_unsupported` (501) */
export function handlerFor(name: string): Promise<Handler> {
  const load = Object.hasOwn(LOADERS, name) ? LOADERS[name] : undefined;
  if (load) return load();
  throw new AppError(
    "action_unsupported",
    501,
    `The action names the handler ${name}; there are ${HANDLER_NAMES.join(", ")}.`,
  );
}
