import assert from "node:assert/strict";
import { idAt } from "./arguments.ts";
import { createdAt, Follower, type Source, type TailRow } from "./follow.ts";

const START = Date.parse("2026-01-31T09:00:00Z");

/** Rows in memory, found as the database would find them. */
class Table implements Source {
  rows: TailRow[] = [];
  looks = 0;

  add(atMs: number, n: number, fields: Partial<TailRow> = {}): TailRow {
    const id = idAt(new Date(START + atMs)).slice(0, 24) + String(n).padStart(12, "0");
    const at = new Date(START + atMs);
    const row: TailRow = {
      id,
      at,
      kind: "job",
      state: "pending",
      subject: "",
      detail: "",
      correlation_id: id,
      ...fields,
    };
    this.rows.push(row);
    return row;
  }

  page(after: string, _from: Date, limit: number) {
    this.looks++;
    const rows = this.rows.filter(({ id }) => id > after).sort((a, b) => a.id < b.id ? -1 : 1);
    return Promise.resolve(rows.slice(0, limit).map((row) => ({ ...row })));
  }

  again(ids: string[]) {
    return Promise.resolve(
      this.rows.filter(({ id }) => ids.includes(id)).map((row) => ({ ...row })),
    );
  }
}

Deno.test("each row is given once", async () => {
  const table = new Table();
  const follower = new Follower(table, new Date(START));
  table.add(1, 1);
  table.add(2, 2);
  assert.equal((await follower.poll()).length, 2);
  assert.equal((await follower.poll()).length, 0);
  table.add(3, 3);
  assert.deepEqual((await follower.poll()).map(({ id }) => id.slice(-1)), ["3"]);
});

Deno.test("what was there before the beginning is left out", async () => {
  const table = new Table();
  table.add(-5, 1);
  assert.equal((await new Follower(table, new Date(START)).poll()).length, 0);
});

Deno.test("a row whose transaction ended later than that of a later one is not missed", async () => {
  const table = new Table();
  const follower = new Follower(table, new Date(START));
  table.add(5_000, 1);
  await follower.poll();
  table.add(200, 2);
  assert.deepEqual((await follower.poll()).map(({ id }) => id.slice(-1)), ["2"]);
});

Deno.test("an open row is given again when it has changed, a closed one no more", async () => {
  const table = new Table();
  const follower = new Follower(table, new Date(START));
  const job = table.add(1, 1, { is_open: true });
  await follower.poll();
  table.add(60_000, 2); // the job is far behind the overlap now
  await follower.poll();
  job.state = "running";
  assert.deepEqual((await follower.poll()).map(({ state }) => state), ["running"]);
  Object.assign(job, { state: "completed", is_open: false });
  assert.deepEqual((await follower.poll()).map(({ state }) => state), ["completed"]);
  job.state = "never to be seen";
  assert.equal((await follower.poll()).length, 0);
});

Deno.test("a flood is caught up with in bounded looks, each row once", async () => {
  const table = new Table();
  for (let n = 1; n <= 12_345; n++) table.add(n % 3, n);
  const follower = new Follower(table, new Date(START));
  const seen = new Set<string>();
  do {
    for (const { id } of await follower.poll()) {
      assert.ok(!seen.has(id));
      seen.add(id);
    }
  } while (follower.isBehind);
  assert.equal(seen.size, 12_345);
  assert.equal(table.looks, 25);
});

Deno.test("a UUIDv7 says when it was made", () => {
  assert.equal(createdAt(idAt(new Date(START))), START);
});
