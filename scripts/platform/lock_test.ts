import assert from "node:assert/strict";
import { join } from "node:path";
import { lockHolder, takeLock } from "./lock.ts";

Deno.test("the second one learns who holds the lock, and gets it once it is released", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "home", "lock");
    assert.equal(await lockHolder(path), null);
    const first = await takeLock(path);
    assert.ok("release" in first);
    assert.deepEqual(await takeLock(path), { heldBy: Deno.pid });
    assert.equal(await lockHolder(path), Deno.pid);

    first.release();
    assert.equal(await lockHolder(path), null);
    const second = await takeLock(path);
    assert.ok("release" in second);
    second.release();
    assert.deepEqual([...Deno.readDirSync(join(folder, "home"))], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file left by a killed process is no lock", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "lock");
    await Deno.writeTextFile(path, "1\n");
    const lock = await takeLock(path);
    assert.ok("release" in lock);
    assert.equal(await Deno.readTextFile(path), `${Deno.pid}\n`);
    lock.release();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
