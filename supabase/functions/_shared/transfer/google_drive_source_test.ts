import assert from "node:assert/strict";
import { exportOf, googleDriveSource } from "./google_drive_source.ts";
import { renderPath } from "./template.ts";
import { withSandbox } from "./testing.ts";

const GOOGLE = "application/vnd.google-apps.";
const event = (file: unknown, folder = "") => ({
  event_type: "drive.file.changed",
  provider: "google_drive",
  resource_path: "files/Reports/a.pdf",
  occurred_at: "2026-03-01T12:34:56Z",
  payload: { change: { removed: false }, file, folder },
});

Deno.test("Google's documents are exported as the rule says, else to be edited on", () => {
  assert.equal(exportOf("application/pdf", "pdf"), undefined);
  assert.equal(exportOf(`${GOOGLE}folder`, "pdf"), undefined);
  assert.equal(exportOf(`${GOOGLE}document`, undefined)!.extension, "docx");
  assert.equal(exportOf(`${GOOGLE}document`, "PDF")!.mime, "application/pdf");
  assert.equal(exportOf(`${GOOGLE}spreadsheet`, { spreadsheet: "csv" })!.mime, "text/csv");
  // One format for all, where it can be.
  assert.equal(exportOf(`${GOOGLE}spreadsheet`, "md")!.extension, "xlsx");
  assert.throws(() => exportOf(`${GOOGLE}document`, { document: "xlsx" }), {
    code: "rule_misconfigured",
  });
});

Deno.test("a file is listed as it is now, not as it was when it changed", async () => {
  await withSandbox(async (sandbox) => {
    const file = await sandbox.createDriveFile({ name: "a.pdf", folder: "Reports", text: "one" });
    const told = { id: file.id, name: "a.pdf", mimeType: "text/plain", version: "1" };
    await sandbox.editDriveFile(file.id, { text: "two!" });
    const [listed] = await googleDriveSource.list(sandbox.drive(), event(told));
    assert.equal(listed!.size_bytes, 4);
    assert.notEqual(listed!.version, "1");
    await sandbox.removeDriveFile(file.id);
    const [gone] = await googleDriveSource.list(sandbox.drive(), event(told));
    assert.match(gone!.refusal!, /gone/);
    assert.deepEqual(await googleDriveSource.list(sandbox.drive(), event(null)), []);
  });
});

Deno.test("bytes come through the gateway, with the job's token", async () => {
  const gateway = { url: "https://gateway.test/marketplace-execute", token: "job-token" };
  await withSandbox(async (sandbox) => {
    const ticket = (mimeType: string, content_type: string) =>
      googleDriveSource.ticket(
        sandbox.drive(),
        event({ id: "f1", name: "x", mimeType }),
        {
          ref: "f1",
          content_type,
          size_bytes: mimeType.startsWith(GOOGLE) ? null : 3,
        },
        gateway,
      );
    const { method, url, headers, body } = await ticket("text/plain", "text/plain");
    assert.deepEqual([method, url, headers.authorization], [
      "POST",
      gateway.url,
      "Bearer job-token",
    ]);
    assert.deepEqual(JSON.parse(body!), {
      integration: "test-google-drive",
      action: "files.getContent",
      parameters: { fileId: "f1", supportsAllDrives: true },
      output: "stream",
    });
    const exported = await ticket(`${GOOGLE}document`, "application/pdf");
    assert.deepEqual(JSON.parse(exported.body!).parameters, {
      fileId: "f1",
      mimeType: "application/pdf",
    });
  });
});

Deno.test("a folder keeps its levels, and no name in it adds one", () => {
  const { folder } = googleDriveSource.placeholders(
    event({ id: "f", name: "n" }, "Specs/../2026\\May"),
  );
  assert.equal(
    renderPath("In/{folder}/{name}", { folder: folder!, name: "a/b" }),
    "In/Specs/__/2026-May/a-b",
  );
  assert.equal(renderPath("In/{folder}/{name}", { folder: [], name: "a" }), "In/a");
});
