import assert from "node:assert/strict";
import { blobSha } from "./github_git.ts";
import { toFiles } from "./google_docs_files.ts";

const PNG = "iVBORw0KGgo=";

Deno.test("a file is called what git calls it", () => {
  // printf 'hello\n' | git hash-object --stdin
  assert.equal(
    blobSha(new TextEncoder().encode("hello\n")),
    "ce013625030ba8dba906f756967f9e9ca394464a",
  );
});

Deno.test("images leave the text for a folder beside it", () => {
  const markdown = `# A\r\n\r\n![][image1] and ![two](data:image/jpeg;base64,${PNG})\r\n\r\n` +
    `[image1]: <data:image/png;base64,${PNG}>\r\n\r\n`;
  const [text, ...images] = toFiles(markdown, "docs/my plan.md");
  assert.equal(
    text!.text,
    "# A\n\n![][image1] and ![two](my%20plan/inline1.jpg)\n\n[image1]: <my%20plan/image1.png>\n",
  );
  assert.deepEqual(images.map(({ path, content, size_bytes }) => [path, content, size_bytes]), [
    ["docs/my plan/image1.png", PNG, 8],
    ["docs/my plan/inline1.jpg", PNG, 8],
  ]);
});

Deno.test("the same document is the same files, whatever its line ends", () => {
  const [one] = toFiles("A\nB\n\n\n", "a.md");
  const [other] = toFiles("A\r\nB", "a.md");
  assert.equal(one!.sha, other!.sha);
});

Deno.test("a definition that is no image stays", () => {
  const markdown = "[x]: https://example.com\n[y]: <data:text/html;base64,PGI+>\n";
  assert.deepEqual(toFiles(markdown, "a.md").map(({ text }) => text), [markdown]);
});
