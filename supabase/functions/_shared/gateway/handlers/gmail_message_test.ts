import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { decodeData } from "./gmail_attachment.ts";
import { attachmentsOf, decodeText, htmlToText } from "./gmail_message.ts";

Deno.test("a text is read in its charset, and as UTF-8 when it is that all the same", () => {
  assert.equal(decodeText(new Uint8Array([0x4b, 0xf6, 0x6c, 0x6e]), "iso-8859-1"), "Köln");
  assert.equal(decodeText(new TextEncoder().encode("Köln"), "iso-8859-1"), "Köln");
  assert.equal(decodeText(new Uint8Array([0x80]), undefined), "€");
  assert.equal(decodeText(new Uint8Array([0x80]), "no-such-charset"), "€");
  // ESC $ B … is ASCII by its bytes, and nothing to read.
  const japanese = new Uint8Array([0x1b, 0x24, 0x42, 0x46, 0x7c, 0x1b, 0x28, 0x42]);
  assert.equal(decodeText(japanese, "iso-2022-jp"), "日");
});

Deno.test("HTML becomes the text that it shows", async () => {
  const text = await htmlToText(
    "<html><head><title>t</title><style>p{}</style></head><body><p>One &amp; two</p>" +
      '<img src="cid:x"><script>alert(1)</script><a href="https://example.com/">here</a></body></html>',
  );
  assert.equal(text, "One & two\n\nhere [https://example.com/]");
});

Deno.test("everything with a file name is an attachment, however deep it lies", () => {
  const text = { partId: "0", mimeType: "text/plain", filename: "", body: { size: 3 } };
  const file = (partId: string, filename: string) => ({
    partId,
    filename,
    mimeType: "application/pdf",
    body: { attachmentId: `once-${partId}`, size: 9 },
  });
  const payload = {
    mimeType: "multipart/mixed",
    partId: "",
    filename: "",
    parts: [
      { mimeType: "multipart/related", parts: [text, file("0.1", "a.pdf")] },
      file("1", "b.pdf"),
    ],
  };
  assert.deepEqual(attachmentsOf(payload).map(({ part_id, filename }) => [part_id, filename]), [
    ["0.1", "a.pdf"],
    ["1", "b.pdf"],
  ]);
});

async function decoded(json: string, chunk: number): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(json);
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += chunk) {
        controller.enqueue(bytes.slice(at, at + chunk));
      }
      controller.close();
    },
  });
  return new Uint8Array(await new Response(source.pipeThrough(decodeData())).arrayBuffer());
}

Deno.test("an attachment is decoded as it comes, in whatever pieces", async () => {
  const original = crypto.getRandomValues(new Uint8Array(1001));
  const data = Buffer.from(original).toString("base64url");
  for (const json of [`{"size": 1001, "data": "${data}"}`, `{"data":"${data}","size":1001}`]) {
    for (const chunk of [1, 3, 7, 64, 5000]) {
      assert.deepEqual(await decoded(json, chunk), original);
    }
  }
});

Deno.test("an answer that ends too soon is no attachment", async () => {
  await assert.rejects(decoded('{"data": "AAAA', 4), /ended inside its data/);
  assert.equal((await decoded('{"size": 0}', 4)).length, 0);
});
