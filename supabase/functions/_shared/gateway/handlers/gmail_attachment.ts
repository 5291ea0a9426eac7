/**
 * An attachment's bytes. Gmail answers with JSON that holds them in base64url; they are decoded as
 * they come, so that 25 MB of them pass through little memory.
 * @see https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages.attachments/get
 */
import { Buffer } from "node:buffer";
import type { Handler } from "../../execution/handler.ts";
import { type MessagePart, messageUrl, requirePart } from "./gmail_message.ts";

/** Looks the part up, as Gmail's attachment ids are good for one look only, and opens it. */
export const gmailAttachment: Handler = async (context) => {
  const { client, parameters } = context;
  const message = messageUrl(context);
  const { body } = await client.call({
    method: "GET",
    url: `${message}?format=full&fields=${encodeURIComponent("id,payload")}`,
  });
  const part = requirePart((body as { payload?: MessagePart }).payload, String(parameters.partId));
  const content = {
    content_type: part.mimeType ?? "application/octet-stream",
    size_bytes: part.body?.size ?? null,
    filename: part.filename ?? null,
  };
  if (part.body?.attachmentId === undefined) {
    const bytes = Buffer.from(part.body?.data ?? "", "base64url");
    return {
      kind: "content",
      status: 200,
      content: { ...content, body: new Blob([bytes]).stream() },
    };
  }
  const answer = await client.open({
    method: "GET",
    url: `${message}/attachments/${encodeURIComponent(part.body.attachmentId)}`,
  });
  return {
    kind: "content",
    status: answer.status,
    content: {
      ...content,
      body: (answer.body ?? new Blob([]).stream()).pipeThrough(decodeData()),
    },
  };
};

/** The bytes behind `"data": "…"` of a JSON text, whose string has no escapes: it is base64url. */
export function decodeData(): TransformStream<Uint8Array, Uint8Array> {
  let head: string | null = "";
  let rest = "";
  let isOver = false;
  return new TransformStream({
    transform(chunk, controller) {
      if (isOver) return;
      let text = Buffer.from(chunk).toString("latin1");
      if (head !== null) {
        head += text;
        const start = /"data"\s*:\s*"/.exec(head);
        if (!start) return;
        text = head.slice(start.index + start[0].length);
        head = null;
      }
      const end = text.indexOf('"');
      isOver = end !== -1;
      const data = rest + (isOver ? text.slice(0, end) : text);
      // Four letters are three bytes.
      const whole = isOver ? data.length : data.length - data.length % 4;
      rest = data.slice(whole);
      if (whole > 0) controller.enqueue(Buffer.from(data.slice(0, whole), "base64url"));
    },
    flush(controller) {
      if (!isOver && (head === null || head.includes('"data"'))) {
        controller.error(new Error("the answer ended inside its data"));
      }
    },
  });
}
