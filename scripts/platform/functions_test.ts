import assert from "node:assert/strict";
import { join } from "node:path";
import { isolatedFunction, listFunctions } from "./functions.ts";

async function withFunctions(
  sources: Record<string, string>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, source] of Object.entries(sources)) {
      await Deno.mkdir(join(folder, name));
      await Deno.writeTextFile(join(folder, name, "index.ts"), source);
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const counter = `export default {
  fetch: async (request) => {
    globalThis.count = (globalThis.count ?? 0) + 1;
    return Response.json({ count: globalThis.count, url: request.url, body: await request.text() });
  },
};`;

Deno.test("every folder with an index.ts is a function, but those that start with _", () =>
  withFunctions({ b: counter, a: counter, _shared: counter }, async (folder) => {
    await Deno.mkdir(join(folder, "tests"));
    assert.deepEqual(listFunctions(folder), ["a", "b"]);
  }));

Deno.test({
  name: "isolated functions share no globals, and see the URL and body that were sent",
  sanitizeOps: false, // the workers end with the process
  sanitizeResources: false,
  fn: () =>
    withFunctions({ a: counter, b: counter, broken: "export default 1;" }, async (folder) => {
      const post = { method: "POST", body: "hello" };
      const call = async (name: string, handler = isolatedFunction(folder, name)) =>
        (await handler(new Request(`http://127.0.0.1:24960/${name}/x?y=z`, post))).json();
      const a = isolatedFunction(folder, "a");
      assert.equal((await call("a", a)).count, 1);
      assert.deepEqual(await call("a", a), {
        count: 2,
        url: "http://127.0.0.1:24960/a/x?y=z",
        body: "hello",
      });
      assert.equal((await call("b")).count, 1);

      const log = console.error;
      console.error = () => {};
      try {
        assert.equal((await call("broken")).code, "BOOT_ERROR");
      } finally {
        console.error = log;
      }
    }),
});
