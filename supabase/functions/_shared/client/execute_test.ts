import assert from "node:assert/strict";
import { createExecute, ExecuteError, type Execution } from "./execute.ts";

/** An execute whose requests end in `respond`. */
function executeWith(respond: (request: Request) => Response | Promise<Response>) {
  return createExecute({
    url: "https://project.example/functions/v1",
    token: () => Promise.resolve("mpk_key"),
    fetch: (input, init) => Promise.resolve(respond(new Request(input, init))),
  });
}

const SUCCEEDED = {
  ok: true,
  status: 201,
  result: { ts: "1" },
  quota: null,
  execution_id: "e",
  correlation_id: "c",
};

Deno.test("a request carries the token, the key and the correlation id", async () => {
  let received: Request | undefined;
  const execute = executeWith((request) => {
    received = request;
    return Response.json(SUCCEEDED, { headers: { "idempotent-replayed": "true" } });
  });
  const answer = await execute<"slack">(
    { integration: "slack", action: "chat.postMessage", parameters: { channel: "C1", text: "hi" } },
    { idempotencyKey: "k", correlationId: "0199a000-0000-7000-8000-000000000000" },
  );
  assert.deepEqual(answer, {
    status: 201,
    result: { ts: "1" },
    quota: null,
    execution_id: "e",
    correlation_id: "c",
    content: null,
    isReplay: true,
  });
  assert.equal(received!.url, "https://project.example/functions/v1/marketplace-execute");
  assert.equal(received!.headers.get("authorization"), "Bearer mpk_key");
  assert.equal(received!.headers.get("idempotency-key"), "k");
  assert.equal(received!.headers.get("x-correlation-id"), "0199a000-0000-7000-8000-000000000000");
  assert.deepEqual(await received!.json(), {
    integration: "slack",
    action: "chat.postMessage",
    parameters: { channel: "C1", text: "hi" },
  });
});

Deno.test("a refusal is an error with its code, its ids and when to come back", async () => {
  const execute = executeWith(() =>
    Response.json({
      error: {
        code: "rate_limited",
        message: "Later.",
        retry_after: 7,
        correlation_id: "c",
        execution_id: "e",
      },
    }, { status: 429 })
  );
  await assert.rejects(execute({ integration: "slack", action: "auth.test" }), (error) => {
    assert.ok(error instanceof ExecuteError);
    assert.deepEqual(
      [error.code, error.status, error.retryAfterSeconds, error.correlationId, error.executionId],
      ["rate_limited", 429, 7, "c", "e"],
    );
    return true;
  });
});

Deno.test("an answer of somebody else, such as a gateway's page, is an error too", async () => {
  for (const status of [200, 502]) {
    const execute = executeWith(() => new Response("<h1>Hello</h1>", { status }));
    await assert.rejects(
      execute({ integration: "slack", action: "auth.test" }),
      { code: "unexpected_answer", status },
    );
  }
});

Deno.test("the compiler knows each action's parameters", () => {
  const execute = executeWith(() => Response.json(SUCCEEDED));
  // Never called: what matters is whether it compiles.
  const calls = (): Promise<Execution>[] => [
    execute<"slack">({
      integration: "team-chat",
      action: "reactions.add",
      parameters: { channel: "C1", timestamp: "1", name: "tada" },
    }),
    // @ts-expect-error: reactions.add wants a name
    execute<"slack">({
      integration: "team-chat",
      action: "reactions.add",
      parameters: { channel: "C1", timestamp: "1" },
    }),
    execute<"slack">({
      integration: "team-chat",
      action: "chat.postMessage",
      // @ts-expect-error: it is channel
      parameters: { chanel: "C1", text: "hi" },
    }),
    execute<"slack">({
      integration: "team-chat",
      // @ts-expect-error: Slack has no such action
      action: "chat.post",
      parameters: { channel: "C1" },
    }),
    // @ts-expect-error: nothing is known of such a provider
    execute<"acme">({ action: "things.list", parameters: {} }),
    // An action that was added as a row.
    execute({ integration: "acme", action: "things.list" }),
  ];
  assert.equal(typeof calls, "function");
});
