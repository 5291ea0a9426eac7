import assert from "node:assert/strict";
import { AppError } from "./errors.ts";
import { SharedStatement, type SharedStatementOptions } from "./shared_statement.ts";

interface Row {
  key: string;
  payload: string;
}

const row = (key: string, payload = "{}"): Row => ({ key, payload });

const NOT_STORABLE = new AppError(
  "payload_not_storable",
  400,
  "The payload cannot be stored.",
);

/** A database that commits when it is told to, and remembers its statements. */
function openDatabase(options: Partial<SharedStatementOptions<Row, string>> = {}) {
  const statements: {
    keys: string[];
    commit: () => void;
    fail: (error: unknown) => void;
  }[] = [];
  const run = (rows: Row[]) => {
    const answered = Promise.withResolvers<string[]>();
    const keys = rows.map(({ key }) => key);
    statements.push({
      keys,
      commit: () => answered.resolve(keys),
      fail: (error) => answered.reject(error),
    });
    return answered.promise;
  };
  const sizeOf = ({ payload }: Row) => payload.length;
  const shared = new SharedStatement({ run, sizeOf, patienceMs: 60_000, ...options });
  return {
    statements,
    keys: () => statements.map(({ keys }) => keys),
    add: async (...rows: Row[]) => await shared.add(rows),
  };
}

/** Lets everything that is settled take effect. */
const settle = () => new Promise<void>((done) => setTimeout(done, 0));

Deno.test("who comes alone is sent at once", async () => {
  const { statements, add } = openDatabase();
  const first = add(row("a"));
  assert.equal(statements.length, 1, "not even a turn of the event loop later");
  statements[0]!.commit();
  assert.deepEqual(await first, ["a"]);
  const next = add(row("b"));
  assert.equal(statements.length, 2);
  statements[1]!.commit();
  assert.deepEqual(await next, ["b"]);
});

Deno.test("those who come meanwhile share the next statement, each with its own result", async () => {
  const { statements, keys, add } = openDatabase();
  const first = add(row("a"));
  const others = [add(row("b")), add(row("c1"), row("c2")), add(row("d"))];
  assert.deepEqual(keys(), [["a"]]);
  statements[0]!.commit();
  await first;
  await settle();
  assert.deepEqual(keys(), [["a"], ["b", "c1", "c2", "d"]]);
  statements[1]!.commit();
  assert.deepEqual(await Promise.all(others), [["b"], ["c1", "c2"], ["d"]]);
});

Deno.test("a crowd waits for nobody: it gets one statement more, and no third", async () => {
  const { statements, keys, add } = openDatabase({ crowd: 3 });
  const sent = [add(row("a")), add(row("b")), add(row("c"))];
  assert.deepEqual(keys(), [["a"]], "two are no crowd");
  sent.push(add(row("d")));
  assert.deepEqual(keys(), [["a"], ["b", "c", "d"]]);
  sent.push(add(row("e")), add(row("f")), add(row("g")), add(row("h")));
  assert.equal(statements.length, 2);
  statements[1]!.commit();
  await settle();
  assert.deepEqual(keys()[2], ["e", "f", "g", "h"]);
  sent.push(add(row("i")));
  statements[0]!.commit();
  await settle();
  assert.equal(statements.length, 3, "one alone waits for the one under way");
  statements[2]!.commit();
  await settle();
  statements[3]!.commit();
  assert.deepEqual((await Promise.all(sent)).flat(), [..."abcdefghi"]);
});

Deno.test("nobody is answered before its own statement has committed", async () => {
  const { statements, add } = openDatabase();
  const answered: string[] = [];
  const sent = ["a", "b"].map((key) => add(row(key)).then(() => answered.push(key)));
  statements[0]!.commit();
  await settle();
  assert.deepEqual(answered, ["a"]);
  statements[1]!.commit();
  await Promise.all(sent);
  assert.deepEqual(answered, ["a", "b"]);
});

Deno.test("what cannot be stored fails its own caller only", async () => {
  const { statements, keys, add } = openDatabase();
  const first = add(row("a"));
  const good = [add(row("b")), add(row("d"))];
  const refused = assert.rejects(add(row("c1"), row("c2")), { code: "payload_not_storable" });
  statements[0]!.commit();
  await first;
  await settle();
  statements[1]!.fail(NOT_STORABLE);
  await settle();
  assert.deepEqual(keys().slice(2), [["b"], ["d"], ["c1", "c2"]]);
  statements[2]!.commit();
  statements[3]!.commit();
  statements[4]!.fail(NOT_STORABLE);
  assert.deepEqual(await Promise.all(good), [["b"], ["d"]]);
  await refused;
});

Deno.test("a database that is away fails all who asked it, once", async () => {
  const { statements, add } = openDatabase();
  const all = Promise.allSettled([add(row("a")), add(row("b")), add(row("c"))]);
  const away = new AppError("database_unavailable", 503, "away");
  statements[0]!.fail(away);
  await settle();
  statements[1]!.fail(away);
  assert.deepEqual(
    (await all).map((each) => each.status === "rejected" && each.reason.code),
    ["database_unavailable", "database_unavailable", "database_unavailable"],
  );
  assert.equal(statements.length, 2);
  const after = add(row("d"));
  statements[2]!.commit();
  assert.deepEqual(await after, ["d"]);
});

Deno.test("a statement that hangs holds nobody up for long", async () => {
  const { statements, keys, add } = openDatabase({ patienceMs: 5 });
  const hanging = add(row("a"));
  const next = add(row("b"));
  while (statements.length < 2) await settle();
  const third = add(row("c"));
  while (statements.length < 3) await settle();
  assert.deepEqual(keys(), [["a"], ["b"], ["c"]]);
  statements[2]!.commit();
  assert.deepEqual(await third, ["c"]);
  statements[1]!.commit();
  assert.deepEqual(await next, ["b"]);
  statements[0]!.commit();
  assert.deepEqual(await hanging, ["a"]);
});

Deno.test("a statement takes so much and no more, and no caller is split", async () => {
  const { statements, keys, add } = openDatabase({
    maxItems: 3,
    maxCharacters: 20,
  });
  const sent = [
    add(row("first")),
    add(row("a"), row("b"), row("c"), row("d")),
    add(row("e"), row("f")),
    add(row("g")),
    add(row("h", JSON.stringify("twenty characters and more"))),
    add(row("i")),
  ];
  for (let i = 0; i < statements.length; i++) {
    statements[i]!.commit();
    await settle();
  }
  await Promise.all(sent);
  assert.deepEqual(keys(), [["first"], ["a", "b", "c", "d"], ["e", "f", "g"], [
    "h",
  ], ["i"]]);
});
