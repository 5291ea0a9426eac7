import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { auth, docs, type docs_v1 } from "@googleapis/docs";
import { drive } from "@googleapis/drive";
import { GOOGLE_CREDENTIALS } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";
import { googleAuth, refusal } from "./testing.ts";

const { control, url } = useSandbox();
const inDocs = { rootUrl: `${url}/google/docs/` };
const inDrive = { rootUrl: `${url}/google/` };
const MARKDOWN = "text/markdown";

function connect(): docs_v1.Docs {
  const oauth = new auth.OAuth2();
  oauth.setCredentials({ access_token: GOOGLE_CREDENTIALS.accessToken });
  return docs({ version: "v1", auth: oauth, retry: false });
}

async function exported(fileId: string, mimeType = MARKDOWN): Promise<string> {
  const client = drive({ version: "v3", auth: googleAuth(url), retry: false });
  const options = { ...inDrive, responseType: "text" as const };
  return (await client.files.export({ fileId, mimeType }, options)).data as string;
}

Deno.test("a document is exported as Markdown the way Google writes it", async () => {
  const { id } = await control.createDocument({
    title: "Plan",
    content: [
      { heading: "Goals for 2.0", level: 1 },
      ["We ", { text: "really", bold: true }, " use ", { text: "x_y", italic: true }, " - see "],
      [{ text: "the site", link: "https://example.com/a" }, "."],
      "",
      { heading: [{ text: "Steps", bold: true }], level: 2 },
      { number: "First" },
      { number: "Second" },
      { bullet: "a #1", level: 1 },
      "1. not a list",
    ],
  });
  assert.equal(
    await exported(id),
    [
      "# Goals for 2.0",
      "",
      "We **really** use *x\\_y* \\- see ",
      "",
      "[the site](https://example.com/a).",
      "",
      "## **Steps**",
      "",
      "1. First",
      "1. Second",
      "  * a \\#1",
      "",
      "1\\. not a list",
      "",
    ].join("\n"),
  );
  assert.match(await exported(id, "text/plain"), /^Goals for 2\.0\r\nWe really use x_y/);
});

Deno.test("images are references whose data stands at the end, and are real pictures", async () => {
  const { id } = await control.createDocument({
    title: "Plan",
    content: [
      ["See ", { image: { seed: "one", alt: "a chart" } }, " and ", { image: { seed: "two" } }],
      { image: { base64: "R0lGODlhAQABAAAAACw=", content_type: "image/gif" } },
    ],
  });
  const [text, ...references] = (await exported(id)).split(/\n\n(?=\[image)/);
  assert.equal(text, "See ![a chart][image1] and ![][image2]\n\n![][image3]");
  assert.equal(references.length, 3);
  const png = /^\[image1\]: <data:image\/png;base64,([^>]+)>$/.exec(references[0]!)?.[1];
  const bytes = Buffer.from(png!, "base64");
  assert.equal(bytes.subarray(1, 4).toString(), "PNG");
  assert.equal(bytes.subarray(-8, -4).toString(), "IEND");
  assert.notEqual(references[0]!.slice(10), references[1]!.slice(10));
  assert.equal(references[2], "[image3]: <data:image/gif;base64,R0lGODlhAQABAAAAACw=>\n");
});

Deno.test("an edit changes the Markdown, the version and who made it, a reading does not", async () => {
  const { id, version } = await control.createDocument({ title: "Plan", content: ["one"] });
  const first = await exported(id);
  assert.equal(await exported(id), first);
  const edited = await control.editDocument(id, {
    content: ["two"],
    author: { name: "Ada", email: "ada@example.com" },
  });
  assert.equal(edited.version, version + 1);
  assert.equal(await exported(id), "two\n");
  const client = drive({ version: "v3", auth: googleAuth(url) });
  const { data } = await client.files.get({ fileId: id, fields: "*" }, inDrive);
  assert.equal(data.lastModifyingUser?.emailAddress, "ada@example.com");
  assert.equal(data.webViewLink, `https://docs.google.com/document/d/${id}/edit?usp=drivesdk`);
  assert.deepEqual([data.size, data.md5Checksum, data.headRevisionId], [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("only documents are exported, only to formats that fit, and only up to 10 MB", async () => {
  const cases = [
    [(await control.createDriveFile({ name: "a" })).id, MARKDOWN, 403, "fileNotExportable"],
    [(await control.createDocument({ title: "a" })).id, "text/csv", 400, "badRequest"],
    [
      (await control.createDocument({ title: "a", content: ["x".repeat(11e6)] })).id,
      MARKDOWN,
      403,
      "exportSizeLimitExceeded",
    ],
  ] as const;
  for (const [id, type, status, reason] of cases) {
    const client = drive({ version: "v3", auth: googleAuth(url), retry: false });
    const refused = await refusal(client.files.export({ fileId: id, mimeType: type }, inDrive));
    assert.deepEqual([refused.status, refused.reason], [status, reason]);
  }
});

Deno.test("Docs' client reads the structure of a document by indexes without gaps", async () => {
  const { id } = await control.createDocument({
    title: "Plan",
    content: [{ heading: "Title" }, ["a", { image: {} }, "b"], { bullet: "item", level: 1 }],
  });
  const { data } = await connect().documents.get({ documentId: id }, inDocs);
  assert.equal(data.title, "Plan");
  const [section, heading, text, item] = data.body!.content!;
  assert(section?.sectionBreak);
  assert.equal(heading?.paragraph?.paragraphStyle?.namedStyleType, "HEADING_1");
  assert.deepEqual([heading?.startIndex, heading?.endIndex], [1, 7]);
  assert.equal(heading?.paragraph?.elements?.[0]?.textRun?.content, "Title\n");
  assert.deepEqual([text?.startIndex, text?.endIndex], [7, 11]);
  const image = text?.paragraph?.elements?.[1]?.inlineObjectElement?.inlineObjectId;
  assert(data.inlineObjects?.[image!]);
  assert.equal(item?.paragraph?.bullet?.nestingLevel, 1);
  const masked = await connect().documents.get({ documentId: id, fields: "documentId" }, inDocs);
  assert.deepEqual(masked.data, { documentId: id });
});

Deno.test("Docs' client makes a document, inserts and replaces text, all or nothing", async () => {
  const { data } = await connect().documents.create({ requestBody: { title: "New" } }, inDocs);
  const documentId = data.documentId!;
  const update = async (...requests: docs_v1.Schema$Request[]) =>
    (await connect().documents.batchUpdate({ documentId, requestBody: { requests } }, inDocs)).data;
  await update({ insertText: { text: "Hello world\nBye", location: { index: 1 } } });
  await update({ insertText: { text: " now", endOfSegmentLocation: {} } });
  await update({ insertText: { text: "big\n", location: { index: 7 } } });
  assert.equal(await exported(documentId), "Hello big\n\nworld\n\nBye now\n");
  const { replies } = await update({
    replaceAllText: { replaceText: "Moon", containsText: { text: "WORLD" } },
  });
  assert.equal(replies?.[0]?.replaceAllText?.occurrencesChanged, 1);

  await assert.rejects(
    update(
      { insertText: { text: "lost", location: { index: 1 } } },
      { insertText: { text: "!", location: { index: 99 } } },
    ),
    /Index 99 must be less than the end index of the referenced segment, 28/,
  );
  assert.equal(await exported(documentId), "Hello big\n\nMoon\n\nBye now\n");
});

Deno.test("Docs tells errors by a canonical status, without reasons", async () => {
  const error = await connect().documents.get({ documentId: "nope" }, inDocs)
    .then(() => assert.fail(), (error) => error);
  assert.deepEqual(error.response.data, {
    error: { code: 404, message: "Requested entity was not found.", status: "NOT_FOUND" },
  });
});
