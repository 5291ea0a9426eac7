import assert from "node:assert/strict";
import { readWorkflows, signingKeyText } from "./import.ts";

const secretOf = (key: string) => `whsec_${btoa(key)}`;

Deno.test("the signing key is the decoded secret", () => {
  const key = "0123456789abcdef0123456789abcdef";
  assert.equal(signingKeyText(secretOf(key)), key);
});

Deno.test("a secret that n8n would change, or that is too short, is refused without telling it", () => {
  const refused = [
    secretOf("0123456789abcdef\xff\xfe89abcdef0123"), // not text
    secretOf("0123456789abcdef\n123456789abcdef"), // not printable
    secretOf("short"),
    btoa("0123456789abcdef0123456789abcdef"), // without its prefix
    "whsec_!!",
    "",
  ];
  for (const secret of refused) {
    assert.throws(() => signingKeyText(secret), (error: Error) => {
      assert.match(error.message, /whsec_.*printable ASCII.*openssl/s);
      return secret === "" || !error.message.includes(secret);
    });
  }
});

Deno.test("workflow files are read in the order of their names, with their file name", async () => {
  const directory = await Deno.makeTempDir();
  try {
    for (const name of ["b", "a"]) {
      const text = JSON.stringify({ name, nodes: [], connections: {}, settings: {} });
      await Deno.writeTextFile(`${directory}/${name}.json`, text);
    }
    await Deno.writeTextFile(`${directory}/notes.txt`, "no workflow");
    const read = await readWorkflows(directory);
    assert.deepEqual(read.map(({ name, file }) => [name, file]), [["a", "a.json"], [
      "b",
      "b.json",
    ]]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
