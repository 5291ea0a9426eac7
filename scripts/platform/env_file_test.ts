import assert from "node:assert/strict";
import { join } from "node:path";
import { parseEnv, readEnvFile, writeEnvFile } from "./env_file.ts";

Deno.test("comments, blank lines, export and quotes are understood", () => {
  assert.deepEqual(parseEnv("# note\n\nexport A=1\nB = 'two words' \nC=\"x=y\"\nnonsense\nD="), {
    A: "1",
    B: "two words",
    C: "x=y",
    D: "",
  });
});

Deno.test("what is written is read back, by its owner only", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "env");
    assert.equal(await readEnvFile(path), null);
    await writeEnvFile(path, { URL: "postgres://a:b@127.0.0.1:1/c?d=e", EMPTY: "" });
    assert.deepEqual(await readEnvFile(path), {
      URL: "postgres://a:b@127.0.0.1:1/c?d=e",
      EMPTY: "",
    });
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["env"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
