import assert from "node:assert/strict";
import { AppError } from "../errors.ts";
import { googleDrive } from "./google_drive.ts";
import { carryOut, digest, MemoryStore, type TestSandbox, withSandbox } from "./testing.ts";
import type { Upload } from "./types.ts";

const BYTES = new TextEncoder().encode("the bytes of an artifact");
const NEW_BYTES = new TextEncoder().encode("the bytes of a new version");

const upload = (over: Partial<Upload> = {}): Upload => ({
  path: "CI/2026-03-01/build.zip",
  content_type: "application/zip",
  size_bytes: null,
  sha256: null,
  destination_ref: null,
  ...over,
});

const paths = async (sandbox: TestSandbox) =>
  (await sandbox.driveFiles()).map(({ path }) => path).sort();

async function patch(sandbox: TestSandbox, id: string, method: string, body?: unknown) {
  const response = await fetch(`${sandbox.running.url}/google/drive/v3/files/${id}`, {
    method,
    headers: { authorization: "Bearer sandbox-google-token", "content-type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  await response.body?.cancel();
  assert.ok(response.ok);
}

Deno.test("a ticket makes the folders and a session that takes the bytes without a token", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const store = new MemoryStore();
    const ticket = await googleDrive.ticket(drive, upload({ size_bytes: BYTES.length }), store);
    assert.equal(ticket.method, "PUT");
    assert.ok(!JSON.stringify(ticket).includes("sandbox-google-token"));
    assert.equal((await carryOut(ticket, BYTES)).status, 200);
    assert.deepEqual(await paths(sandbox), ["CI", "CI/2026-03-01", "CI/2026-03-01/build.zip"]);
    assert.deepEqual(await googleDrive.stat(drive, store.ref!), {
      size_bytes: BYTES.length,
      sha256: digest("sha256", BYTES),
      md5: digest("md5", BYTES),
    });
    assert.equal(
      googleDrive.location(drive, store.ref!),
      `https://drive.google.com/file/d/${store.ref}/view`,
    );
  });
});

Deno.test("paths begin in the configured folder", async () => {
  await withSandbox(async (sandbox) => {
    const store = new MemoryStore();
    await carryOut(
      await googleDrive.ticket(sandbox.drive(), upload({ path: "Inbox/x" }), store),
      BYTES,
    );
    const inbox = (await sandbox.driveFiles()).find(({ path }) => path === "Inbox")!;
    const drive = sandbox.drive();
    drive.config.folder_id = inbox.id;
    const ticket = await googleDrive.ticket(drive, upload({ path: "a/b.zip" }), new MemoryStore());
    await carryOut(ticket, BYTES);
    assert.ok((await paths(sandbox)).includes("Inbox/a/b.zip"));
  });
});

Deno.test("an upload that is tried again never makes a second file", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const store = new MemoryStore();
    await googleDrive.ticket(drive, upload(), store); // the workflow died before using it
    const second = await googleDrive.ticket(drive, upload({ destination_ref: store.ref }), store);
    await carryOut(second, BYTES);
    const third = await googleDrive.ticket(drive, upload({ destination_ref: store.ref }), store);
    assert.equal((await carryOut(third, NEW_BYTES)).status, 200);
    const found = (await sandbox.driveFiles()).filter(({ path }) => path.endsWith("build.zip"));
    assert.equal(found.length, 1);
    assert.equal(found[0]!.id, store.ref);
    assert.equal(found[0]!.sha256, digest("sha256", NEW_BYTES));
  });
});

Deno.test("a late upload and its retry end in one file", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const store = new MemoryStore();
    const late = await googleDrive.ticket(drive, upload(), store);
    const retry = await googleDrive.ticket(drive, upload({ destination_ref: store.ref }), store);
    assert.equal((await carryOut(late, BYTES)).status, 200);
    // The id is taken by now: this session fails, and the next ticket replaces the content.
    assert.equal((await carryOut(retry, NEW_BYTES)).status, 409);
    const again = await googleDrive.ticket(drive, upload({ destination_ref: store.ref }), store);
    assert.equal((await carryOut(again, NEW_BYTES)).status, 200);
    assert.equal((await paths(sandbox)).filter((path) => path.endsWith(".zip")).length, 1);
  });
});

Deno.test("transfers at the same time make each folder once", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const shared = new MemoryStore();
    const tickets = await Promise.all(
      Array.from({ length: 8 }, (_, i) => {
        const store = new MemoryStore();
        store.agreeOnFolder = (path, id) => shared.agreeOnFolder(path, id);
        return googleDrive.ticket(drive, upload({ path: `x/y/${i}.zip` }), store);
      }),
    );
    for (const ticket of tickets) assert.equal((await carryOut(ticket, BYTES)).status, 200);
    const folders = (await paths(sandbox)).filter((path) => !path.endsWith(".zip"));
    assert.deepEqual(folders, ["x", "x/y"]);
  });
});

Deno.test("a folder that was agreed upon but never made is made", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const store = new MemoryStore();
    const response = await fetch(
      `${sandbox.running.url}/google/drive/v3/files/generateIds?count=1`,
      { headers: { authorization: "Bearer sandbox-google-token" } },
    );
    store.folders.set("root/CI", (await response.json()).ids[0]);
    await carryOut(await googleDrive.ticket(drive, upload(), store), BYTES);
    assert.ok((await paths(sandbox)).includes("CI/2026-03-01/build.zip"));
  });
});

Deno.test("a folder that was trashed or deleted is made anew", async () => {
  for (const fate of ["trashed", "deleted"]) {
    await withSandbox(async (sandbox) => {
      const store = new MemoryStore();
      await carryOut(await googleDrive.ticket(sandbox.drive(), upload(), store), BYTES);
      const folder = (await sandbox.driveFiles()).find(({ path }) => path === "CI")!;
      if (fate === "trashed") await patch(sandbox, folder.id, "PATCH", { trashed: true });
      else await patch(sandbox, folder.id, "DELETE");
      // Another integration id: nothing of this is remembered in memory.
      const again = new MemoryStore();
      for (const [path, id] of store.folders) again.folders.set(path, id);
      const ticket = await googleDrive.ticket(sandbox.drive(), upload(), again);
      assert.equal((await carryOut(ticket, BYTES)).status, 200);
      const copy = (await sandbox.driveFiles()).find(({ id }) => id === again.ref)!;
      assert.equal(copy.path, "CI/2026-03-01/build.zip");
      assert.ok(
        (await sandbox.driveFiles()).some(({ id, trashed }) =>
          id === again.folders.get("root/CI") && !trashed
        ),
      );
    });
  }
});

Deno.test("a folder that is gone although it was there a moment ago is made anew", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const store = new MemoryStore();
    await carryOut(await googleDrive.ticket(drive, upload(), store), BYTES);
    const folder = (await sandbox.driveFiles()).find(({ path }) => path === "CI")!;
    await patch(sandbox, folder.id, "DELETE");
    const ticket = await googleDrive.ticket(drive, upload(), store);
    assert.equal((await carryOut(ticket, BYTES)).status, 200);
    assert.deepEqual(await paths(sandbox), ["CI", "CI/2026-03-01", "CI/2026-03-01/build.zip"]);
  });
});

Deno.test("a trashed or missing file is not a copy", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    const store = new MemoryStore();
    await carryOut(await googleDrive.ticket(drive, upload(), store), BYTES);
    await patch(sandbox, store.ref!, "PATCH", { trashed: true });
    assert.equal(await googleDrive.stat(drive, store.ref!), null);
    assert.equal(await googleDrive.stat(drive, "nothing"), null);
    // A retry takes it out of the trash.
    const ticket = await googleDrive.ticket(drive, upload({ destination_ref: store.ref }), store);
    await carryOut(ticket, BYTES);
    assert.equal((await googleDrive.stat(drive, store.ref!))!.size_bytes, BYTES.length);
  });
});

Deno.test("one token serves many calls, and a revoked one is replaced once", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    await googleDrive.stat(drive, "a");
    await googleDrive.stat(drive, "b");
    const refreshes = async () =>
      (await sandbox.journal({ provider: "google", path: "/oauth2/token" })).length;
    assert.equal(await refreshes(), 1);
    await sandbox.addFault({
      provider: "google",
      method: "GET",
      status: 401,
      times: 1,
    });
    assert.equal(await googleDrive.stat(drive, "c"), null);
    assert.equal(await refreshes(), 2);
  });
});

Deno.test("why there is no token is said in the words of the transfer", async () => {
  await withSandbox(async (sandbox) => {
    for (
      const [thrown, code, retryable] of [
        ["connection_reauthorization_required", "destination_reauthorization_required", false],
        ["token_refresh_failed", "destination_unavailable", true],
        ["token_refresh_busy", "destination_unavailable", true],
        ["credentials_missing", "destination_credentials_missing", false],
      ] as const
    ) {
      const drive = sandbox.drive({
        tokens: () => Promise.reject(new AppError(thrown, 503, "no token")),
      });
      await assert.rejects(googleDrive.stat(drive, "a"), { code, retryable });
    }
  });
});

Deno.test("Drive's rate limit is one to wait for, its full storage is not", async () => {
  await withSandbox(async (sandbox) => {
    const drive = sandbox.drive();
    await googleDrive.stat(drive, "a");
    await sandbox.addFault({
      provider: "google",
      error: "userRateLimitExceeded",
      times: 10,
    });
    await assert.rejects(googleDrive.stat(drive, "a"), {
      code: "destination_rate_limited",
      retryable: true,
    });
    await sandbox.clearFaults();
    await sandbox.addFault({ provider: "google", error: "storageQuotaExceeded" });
    await assert.rejects(googleDrive.stat(drive, "a"), {
      code: "destination_forbidden",
      retryable: false,
    });
  });
});
