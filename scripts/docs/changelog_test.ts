import assert from "node:assert/strict";
import { join } from "node:path";
import settings from "../../deno.json" with { type: "json" };
import { REPOSITORY } from "../platform/layout.ts";
import { CHANGELOG, releaseNotes } from "./changelog.ts";

Deno.test("the version of deno.json has its notes", () => {
  assert.match(settings.version, /^\d+\.\d+\.\d+$/);
  const notes = releaseNotes(Deno.readTextFileSync(join(REPOSITORY, CHANGELOG)), settings.version);
  assert.match(notes, /^### (Added|Changed|Fixed|Security)$/m);
});

Deno.test("notes are a version's own, and a version without any is refused", () => {
  const text = [
    "# Changelog\n## [Unreleased]\n- later\n## [1.1.0] - 2026-03-01\n- second",
    "## [1.0.0] - 2026-01-01\n\n### Added\n\n- first\n\n[1.0.0]: https://example.com",
  ].join("\n");
  assert.equal(releaseNotes(text, "1.1.0"), "- second");
  assert.equal(releaseNotes(text, "1.0.0"), "### Added\n\n- first");
  assert.throws(() => releaseNotes(text, "1.2.0"), /says nothing of 1\.2\.0/);
  assert.throws(() => releaseNotes("## [2.0.0]\n\n## [1.0.0]\n- a", "2.0.0"), /says nothing/);
});
