import assert from "node:assert/strict";
import type { Sql } from "../_shared/db.ts";
import { AppError } from "../_shared/errors.ts";
import { readSettings } from "./queue.ts";

/** A database that answers with one row. */
const answering = (row: unknown) => (() => Promise.resolve([row])) as unknown as Sql;

Deno.test("keys that are gone from Vault are the platform's fault, not the caller's", async () => {
  const settings = { ring_key: null, signing_secret: "whsec_x", functions_url: null };
  await assert.rejects(
    readSettings(answering({ settings })),
    (error) => error instanceof AppError && error.status === 503 && !/null/.test(error.message),
  );
});

Deno.test("keys that are there are given", async () => {
  const settings = { ring_key: "mpr_0123456789abcdef", signing_secret: "whsec_x" };
  assert.deepEqual(await readSettings(answering({ settings })), settings);
});
