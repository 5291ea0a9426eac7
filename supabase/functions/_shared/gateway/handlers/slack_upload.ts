/**
 * A file for Slack: an upload URL, the bytes without a credential, and the completion that shares it.
 * @see https://docs.slack.dev/messaging/working-with-files/#uploading_files
 */
import type { Handler } from "../../execution/handler.ts";
import type { FileValue } from "../request.ts";

/** Uploads a file and shares it in a channel, if one is named. */
export const slackUpload: Handler = async ({ client, files, parameters, request }) => {
  const { file, title, ...share } = parameters as { file: FileValue; title?: string };
  const { bytes, filename = "file" } = await files.bytes(file, "/file");
  const opened = await client.call({
    method: "POST",
    url: `${client.baseUrl}/files.getUploadURLExternal`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ filename, length: String(bytes.byteLength) }).toString(),
  }, { isRepeatable: true });
  const { upload_url: url, file_id: id } = opened.body as { upload_url: string; file_id: string };
  // Nothing is shared yet: bytes that arrive twice are the same bytes.
  await client.callElsewhere({ method: "POST", url, body: bytes }, { isRepeatable: true });
  const completed = await client.call({
    method: "POST",
    url: request.url,
    headers: { "content-type": "application/json; charset=utf-8" },
    body: JSON.stringify({ files: [{ id, title: title ?? filename }], ...share }),
  });
  return { kind: "result", status: completed.status, result: completed.body };
};
