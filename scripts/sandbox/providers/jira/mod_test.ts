import assert from "node:assert/strict";
import { JIRA_CREDENTIALS } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";

const { control, url } = useSandbox();
const { email, apiToken, accessToken, project } = JIRA_CREDENTIALS;
const basic = `Basic ${btoa(`${email}:${apiToken}`)}`;

async function call(method: string, path: string, body?: unknown, headers = {}) {
  const response = await fetch(`${url}/jira${path.startsWith("/ex") ? "" : "/rest/api/3"}${path}`, {
    method,
    headers: {
      authorization: basic,
      ...(body === undefined || body instanceof FormData
        ? {}
        : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: /^[[{]/.test(text) ? JSON.parse(text) : text,
  };
}

const doc = (...lines: string[]) => ({
  type: "doc",
  version: 1,
  content: lines.map((text) => ({
    type: "paragraph",
    content: text === "" ? [] : [{ type: "text", text }],
  })),
});
const fields = (more: Record<string, unknown> = {}) => ({
  fields: {
    project: { key: project },
    issuetype: { name: "Task" },
    summary: "Answer Ada",
    ...more,
  },
});

Deno.test("an issue is made, read and found; what is not asked for is not told", async () => {
  const made = await call(
    "POST",
    "/issue",
    fields({ description: doc("Hello", "", "Ada"), labels: ["mail", "gmail-1"] }),
  );
  assert.equal(made.status, 201);
  assert.deepEqual([made.body.id, made.body.key], ["10001", "OPS-1"]);
  assert.ok(made.body.self.endsWith("/jira/rest/api/3/issue/10001"));
  await call("POST", "/issue", fields({ summary: "Another", priority: { name: "High" } }));
  assert.equal((await call("GET", "/issue/OPS-2")).body.fields.priority.name, "High");
  assert.deepEqual((await call("GET", "/issue/10001?fields=summary")).body.fields, {
    summary: "Answer Ada",
  });
  const search = (jql: string, more = "") =>
    call("GET", `/search/jql?jql=${encodeURIComponent(jql)}${more}`);
  assert.deepEqual((await search('project = "ops" AND labels = "gmail-1"')).body, {
    issues: [{ id: "10001" }],
    isLast: true,
  });
  const page = await search("project = OPS ORDER BY created DESC", "&maxResults=1&fields=summary");
  assert.equal(page.body.issues[0].fields.summary, "Another");
  assert.equal(page.body.isLast, false);
  const next = await search(
    "project = OPS",
    `&maxResults=1&nextPageToken=${page.body.nextPageToken}`,
  );
  assert.deepEqual(next.body, { issues: [{ id: "10001" }], isLast: true });
  assert.equal(
    (await search('summary ~ "ada" and labels not in (x, "y z")')).body.issues.length,
    1,
  );
  assert.deepEqual(
    (await control.jiraIssues()).map(({ key, text, labels }) => [key, text, labels]),
    [["OPS-1", "Hello\n\nAda", ["mail", "gmail-1"]], ["OPS-2", "", []]],
  );
});

Deno.test("what is wrong is named field by field, or as a message", async () => {
  const refused = await call(
    "POST",
    "/issue",
    fields({
      project: { key: "NONE" },
      issuetype: { name: "Wish" },
      summary: "two\nlines",
      description: "plain text",
      labels: ["two words"],
      priority: { name: "Someday" },
    }),
  );
  assert.equal(refused.status, 400);
  assert.deepEqual(refused.body.errorMessages, []);
  assert.deepEqual(Object.keys(refused.body.errors).sort(), [
    "description",
    "issuetype",
    "labels",
    "priority",
    "project",
    "summary",
  ]);
  const empty = { type: "doc", version: 1, content: [{ type: "text", text: "" }] };
  assert.ok(
    "description" in (await call("POST", "/issue", fields({ description: empty }))).body.errors,
  );
  const missing = await call("GET", "/issue/OPS-9");
  assert.deepEqual([missing.status, missing.body.errorMessages.length], [404, 1]);
  for (const jql of ["", "project", "shoes = 1", "project = OPS OR project = X"]) {
    const { status, body } = await call("GET", `/search/jql?jql=${encodeURIComponent(jql)}`);
    assert.deepEqual([status, body.errorMessages.length], [400, 1], jql);
  }
  assert.equal((await call("GET", "/myself", undefined, { authorization: "Basic x" })).status, 401);
});

Deno.test("apps reach it by its cloud id, files need their token, and a limit says when it ends", async () => {
  const cloud = "/ex/jira/5a4db0c5-0000-4000-8000-000000000000/rest/api/3";
  const bearer = { authorization: `Bearer ${accessToken}` };
  assert.equal((await call("GET", `${cloud}/myself`, undefined, bearer)).body.emailAddress, email);
  await call("POST", "/issue", fields());
  const form = new FormData();
  form.append("file", new Blob(["hello"]), "a.txt");
  form.append("file", new Blob(["world!"]), "b.txt");
  assert.equal((await call("POST", "/issue/OPS-1/attachments", form)).status, 403);
  const attached = await call("POST", "/issue/OPS-1/attachments", form, {
    "x-atlassian-token": "no-check",
  });
  assert.equal(attached.status, 200);
  assert.deepEqual(
    (await control.jiraIssues())[0]!.attachments.map(({ filename, size }) => [filename, size]),
    [["a.txt", 5], ["b.txt", 6]],
  );
  await control.addFault({ provider: "jira", rate_limit: { retry_after: 30 } });
  const limited = await call("GET", "/myself");
  assert.deepEqual([limited.status, limited.headers.get("retry-after")], [429, "30"]);
  assert.match(limited.headers.get("x-ratelimit-reset")!, /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/);
});
