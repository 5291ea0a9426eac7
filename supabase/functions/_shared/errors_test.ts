import assert from "node:assert/strict";
import postgres from "postgres";
import { ZodError } from "zod";
import { AppError, describeError, toAppError } from "./errors.ts";

const coded = (code: string, message = "boom", hint?: string) =>
  Object.assign(new Error(message), { code, hint });

Deno.test("a database error with an MK code keeps its status, message and hint", () => {
  const error = toAppError(coded("MK409", "lease lost", "ask for the job again"));
  assert.equal(error.status, 409);
  assert.equal(error.code, "conflict");
  assert.equal(error.message, "lease lost (ask for the job again)");
});

Deno.test("a database that is away, full, starting or too slow is 503 with Retry-After", () => {
  for (const code of ["ECONNREFUSED", "CONNECT_TIMEOUT", "08006", "53300", "57P03", "57014"]) {
    const error = toAppError(coded(code));
    assert.equal(error.code, "database_unavailable", code);
    assert.equal(error.status, 503);
    assert.ok(error.retryAfterSeconds! > 0);
  }
  assert.equal(
    toAppError(coded("XX000", "MaxClientsInSessionMode: max clients reached")).status,
    503,
  );
});

Deno.test("the client's refusal of a closed port is recognised", async () => {
  const sql = postgres("postgres://nobody@127.0.0.1:1/none", { connect_timeout: 1, max: 1 });
  try {
    const thrown = await sql`select 1`.then(() => null, (error) => error);
    assert.equal(toAppError(thrown).code, "database_unavailable");
  } finally {
    await sql.end({ timeout: 0 });
  }
});

Deno.test("other database errors are 500 and hide what they say", () => {
  const error = toAppError(coded("23505", "duplicate key value violates …", "secret"));
  assert.equal(error.status, 500);
  assert.ok(!error.message.includes("duplicate"));
});

Deno.test("a validation error names each path", () => {
  const error = toAppError(
    new ZodError([{ code: "custom", path: ["a", 0], message: "no", input: undefined }]),
  );
  assert.equal(error.status, 422);
  assert.equal(error.message, "a.0: no");
});

Deno.test("only failures of the moment are retryable unless said otherwise", () => {
  assert.ok(new AppError("x", 503, "").retryable);
  assert.ok(new AppError("x", 429, "").retryable);
  assert.ok(!new AppError("x", 422, "").retryable);
  assert.ok(!new AppError("x", 502, "", { retryable: false }).retryable);
});

Deno.test("a described error holds neither detail, query nor parameters", () => {
  const thrown = Object.assign(coded("23505"), {
    detail: "Key (token)=(s3cret)",
    query: "insert s3cret",
    parameters: ["s3cret"],
  });
  assert.ok(
    !JSON.stringify(describeError(new AppError("x", 500, "", { cause: thrown }))).includes(
      "s3cret",
    ),
  );
});
