import assert from "node:assert/strict";
import type { ResponseErrors } from "./catalogue.ts";
import { readProviderError } from "./provider_errors.ts";

Deno.test("a flag that is not true is a failure", () => {
  const slack: ResponseErrors = {
    pointer: "/ok",
    success: true,
    code: "/error",
    rate_limited: ["ratelimited"],
    unauthorized: ["invalid_auth"],
    rejected: ["channel_not_found"],
  };
  assert.equal(readProviderError(slack, { ok: true }), undefined);
  assert.deepEqual(readProviderError(slack, { ok: false, error: "channel_not_found" }), {
    code: "channel_not_found",
    message: "channel_not_found",
    kind: "rejected",
  });
  assert.equal(readProviderError(slack, { ok: false, error: "ratelimited" })?.kind, "rate_limited");
  assert.equal(
    readProviderError(slack, { ok: false, error: "invalid_auth" })?.kind,
    "unauthorized",
  );
  assert.equal(readProviderError(slack, "no JSON")?.kind, "failed");
});

Deno.test("errors that are there are a failure, an empty list is none", () => {
  const graphql: ResponseErrors = {
    pointer: "/errors",
    code: "/errors/0/extensions/code",
    message: "/errors/0/message",
    rate_limited: ["RATELIMITED"],
  };
  assert.equal(readProviderError(graphql, { data: {} }), undefined);
  assert.equal(readProviderError(graphql, { data: {}, errors: [] }), undefined);
  assert.deepEqual(
    readProviderError(graphql, {
      errors: [{ message: "Slow\ndown", extensions: { code: "RATELIMITED" } }],
    }),
    { code: "RATELIMITED", message: "Slow down", kind: "rate_limited" },
  );
});

Deno.test("what is meant for people is told before what is not", () => {
  const linear: ResponseErrors = {
    pointer: "/errors",
    message: ["/errors/0/extensions/userPresentableMessage", "/errors/0/message"],
  };
  const said = (extensions: Record<string, unknown>) =>
    readProviderError(linear, { errors: [{ message: "Argument Validation Error", extensions }] });
  assert.equal(said({ userPresentableMessage: "title is empty." })?.message, "title is empty.");
  assert.equal(said({ userPresentableMessage: "" })?.message, "Argument Validation Error");
  assert.equal(said({})?.message, "Argument Validation Error");
});

Deno.test("a provider that uses statuses reports nothing here", () => {
  assert.equal(readProviderError({}, { error: "x" }), undefined);
});
