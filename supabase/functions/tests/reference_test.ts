// supabase/reference.md is made from the comments on the schema.
import assert from "node:assert/strict";
import { GENERATED } from "../../../scripts/generate/files.ts";
import { makeReference } from "../../../scripts/generate/reference.ts";
import { stackEnv } from "./support_queue.ts";

const REMEDY = "run `deno task reference` and commit what it writes";

Deno.test("reference.md is what the migrations make of it", async () => {
  const made = await makeReference(stackEnv("SUPABASE_DB_URL"));
  assert.equal(await Deno.readTextFile(GENERATED.reference), made, REMEDY);
  // What is left out is left out, and nothing else is.
  assert.doesNotMatch(made, /^### \w+_\d{8}$/m);
  for (const name of ["### webhook_events", "### v_alerts", "**`trace`**", "**`claim_jobs`**"]) {
    assert.ok(made.includes(name), name);
  }
});
