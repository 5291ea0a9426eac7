import assert from "node:assert/strict";
import {
  AuthenticationLinearError,
  InvalidInputLinearError,
  LinearClient,
  RatelimitedLinearError,
} from "@linear/sdk";
import { LINEAR_CREDENTIALS } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";

const { control, url } = useSandbox();
const { apiKey, accessToken, teamId } = LINEAR_CREDENTIALS;
const apiUrl = `${url}/linear/graphql`;
const linear = new LinearClient({ apiKey, apiUrl });

async function query(source: string, authorization: string = apiKey) {
  const response = await fetch(apiUrl, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ query: source }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

Deno.test("Linear's own client finds its team, makes an issue, reads it and finds it again", async () => {
  assert.equal((await linear.viewer).email, "ada@example.com");
  const id = crypto.randomUUID();
  const made = await linear.createIssue({ id, teamId, title: "Answer Ada", priority: 2 });
  assert.equal(made.success, true);
  const issue = await linear.issue(id);
  assert.deepEqual(
    [issue.identifier, issue.title, issue.priorityLabel, issue.description],
    ["ENG-1", "Answer Ada", "High", undefined],
  );
  assert.match(issue.url, /\/issue\/ENG-1\/answer-ada$/);
  await linear.createIssue({ teamId, title: "Another", description: "**bold**" });
  const found = await linear.issues({ filter: { id: { eq: id } }, first: 1 });
  assert.deepEqual(found.nodes.map((node) => node.title), ["Answer Ada"]);
  const page = await linear.issues({ first: 1, filter: { title: { containsIgnoreCase: "AN" } } });
  assert.equal(page.pageInfo.hasNextPage, true);
  await page.fetchNext();
  assert.deepEqual(page.nodes.map(({ title }) => title), ["Another", "Answer Ada"]);
  await linear.archiveIssue(id);
  assert.equal((await linear.issues()).nodes.length, 1);
  assert.equal((await linear.issues({ includeArchived: true })).nodes.length, 2);
  assert.equal((await control.linearIssues()).length, 2);
});

Deno.test("its client knows the errors: input, credential, rate", async () => {
  const refused = (input: Parameters<typeof linear.createIssue>[0]) =>
    assert.rejects(linear.createIssue(input), InvalidInputLinearError);
  await refused({ teamId, title: " " });
  await refused({ teamId: crypto.randomUUID(), title: "x" });
  await refused({ teamId, title: "x", priority: 9 });
  // Only random ids are ids.
  await refused({ teamId, title: "x", id: "74738ff5-5367-5958-9aee-98fffdcd1876" });
  const id = crypto.randomUUID();
  await linear.createIssue({ teamId, title: "x", id });
  await refused({ teamId, title: "x", id });
  await assert.rejects(linear.issue(crypto.randomUUID()), InvalidInputLinearError);
  await assert.rejects(
    async () => await new LinearClient({ apiKey: "lin_api_wrong", apiUrl }).viewer,
    AuthenticationLinearError,
  );
  await control.addFault({ provider: "linear", rate_limit: { retry_after: 90 } });
  await assert.rejects(async () => await linear.viewer, (error) => {
    assert.ok(error instanceof RatelimitedLinearError);
    assert.equal(error.requestsRemaining, 0);
    const wait = error.requestsResetAt! - Date.now();
    return wait > 80_000 && wait <= 90_000;
  });
});

Deno.test("failures are errors in a 200; what is not understood is a 400, who is not known a 401", async () => {
  const missing = await query(`{ issue(id: "${crypto.randomUUID()}") { id } }`);
  assert.deepEqual([missing.status, missing.body.data], [200, null]);
  assert.equal(missing.body.errors[0].extensions.code, "INPUT_ERROR");
  const unknown = await query("{ viewer { shoeSize } }");
  assert.deepEqual([unknown.status, "data" in unknown.body], [400, false]);
  assert.match(unknown.body.errors[0].message, /Cannot query field "shoeSize" on type "User"/);
  assert.equal((await query("{ viewer { id } }", "")).status, 401);
  assert.equal((await query("{ viewer { id } }", `Bearer ${accessToken}`)).status, 200);
  const mixed = await query("{ viewer { id } }", "Bearer lin_api_sandbox");
  assert.equal(mixed.status, 400);
  assert.match(mixed.body.errors[0].message, /Remove the Bearer prefix/);
  assert.equal(
    (await query("{ viewer { id } }")).headers.get("x-ratelimit-requests-limit"),
    "5000",
  );
});
