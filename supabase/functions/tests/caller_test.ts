/** Reading as a user: what row level security shows, and nothing when the transaction has gone. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { asUser, type UserCaller } from "../_shared/caller.ts";
import { useDatabase } from "./support_queue.ts";

const sql = useDatabase();
const userId = crypto.randomUUID();
const caller = { claims: { sub: userId, role: "authenticated" } } as unknown as UserCaller;

Deno.test("statements run as the user, and the session is as before", async () => {
  const [row] = await asUser(
    sql,
    caller,
    (tx) => tx`select current_user as role, auth.uid()::text as id`,
  );
  assert.deepEqual({ ...row }, { role: "authenticated", id: userId });
  const [after] = await sql`select current_user as role`;
  assert.equal(after!.role, "postgres");
});

Deno.test("nothing can be written", async () => {
  const writing = asUser(sql, caller, (tx) => tx`create table public.never (id int)`);
  await assert.rejects(writing, { code: "25006" });
});

Deno.test("what was read outside the transaction is given to nobody", async () => {
  // What the client does to a transaction whose session ends: what follows goes on without it.
  const leave = (then: (tx: postgres.TransactionSql) => Promise<unknown>) =>
    asUser(sql, caller, async (tx) => {
      await tx`commit and chain`;
      return await then(tx);
    });
  await assert.rejects(leave((tx) => tx`select current_user`), { code: "database_unavailable" });
  await assert.rejects(
    leave((tx) => tx`select set_config('role', 'authenticated', true)`),
    { code: "database_unavailable" },
  );
});
