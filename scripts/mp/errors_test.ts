import assert from "node:assert/strict";
import postgres from "postgres";
import { describeFault, redact, UsageError } from "./errors.ts";

const fromDatabase = (fields: object) =>
  Object.assign(Object.create(postgres.PostgresError.prototype), fields);

Deno.test("an error of the schema shows its message and its hint", () => {
  const fault = fromDatabase({
    code: "MK404",
    message: "rule x does not exist",
    hint: "See rules.",
  });
  assert.deepEqual(describeFault(fault), {
    code: "MK404",
    message: "rule x does not exist",
    hint: "See rules.",
    exitCode: 1,
  });
  assert.equal(describeFault(fromDatabase({ code: "MK400", message: "no" })).exitCode, 2);
});

Deno.test("a database without the migrations says how to apply them", () => {
  const fault = describeFault(fromDatabase({ code: "42P01", message: "relation does not exist" }));
  assert.match(fault.hint!, /db:push/);
});

Deno.test("a refused connection names the remedy, also when several addresses were tried", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  for (const error of [refused, new AggregateError([refused])]) {
    assert.match(describeFault(error).hint!, /deno task start/);
  }
});

Deno.test("wrong usage ends with 2, everything else with 1", () => {
  assert.equal(describeFault(new UsageError("no")).exitCode, 2);
  assert.equal(describeFault(new Error("no")).exitCode, 1);
  assert.equal(describeFault("no").message, "no");
});

Deno.test("no password, key or token is printed", () => {
  const said = redact(
    "postgres://postgres.ref:pa$$w0rd@db:5432/x whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw= mpr_0123abc " +
      "mpk_0123abcd_deadbeef sb_secret_abc",
  );
  assert.equal(said, "postgres://postgres.ref:***@db:5432/x *** *** *** ***");
});
