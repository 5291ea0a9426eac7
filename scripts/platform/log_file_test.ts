import assert from "node:assert/strict";
import { join } from "node:path";
import { logStream } from "./log_file.ts";

const textStream = (text: string) => new Blob([text]).stream();

Deno.test("a full log is put aside once when both streams of a process are opened", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "logs", "edge.log");
    await logStream(path, textStream("x".repeat(5_000_001)));
    await Promise.all([logStream(path, textStream("out\n")), logStream(path, textStream("err\n"))]);
    assert.equal((await Deno.stat(`${path}.1`)).size, 5_000_001);
    const lines = (await Deno.readTextFile(path)).trim().split("\n");
    assert.deepEqual(lines.sort(), ["err", "out"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
