import assert from "node:assert/strict";
import { taskFields, type TaskMessage } from "./task_fields.ts";
import { idFrom, marker, taskProvider } from "./task_providers.ts";

const MESSAGE: TaskMessage = {
  id: "18c2a9f0",
  thread_id: "18c2a900",
  subject: "Fix <b>this</b> {text}",
  from: { name: "Grace", email: "grace@example.com" },
  to: [{ name: "", email: "ada@example.com" }],
  received_at: "2026-05-01T08:30:00.000Z",
  text: 'One & "two"\n* <script>alert(1)</script> @octocat #12',
  snippet: "One",
  link: "https://mail.google.com/mail/u/0/#all/18c2a900",
};
const fieldsAt = (provider: string, template: Record<string, unknown>, attachments = [
  { name: "a].pdf", location: "https://drive.google.com/file/d/1/view" },
  { name: "b.txt", location: null },
]) =>
  taskFields(taskProvider(provider), template, { message: MESSAGE, label: "Tasks", attachments });

Deno.test("in Odoo a mail's text is text, whatever it says", () => {
  const { name, description, project_id } = fieldsAt("odoo", { project_id: 4 });
  assert.equal(name, "Fix <b>this</b> {text}");
  assert.equal(project_id, 4);
  const html = String(description);
  assert.ok(html.startsWith("One &amp; &quot;two&quot;<br/>* &lt;script&gt;"), html);
  assert.ok(html.includes('<li><a href="https://drive.google.com/file/d/1/view">a].pdf</a></li>'));
  assert.ok(html.includes(`>Open in Gmail</a> · ${marker(MESSAGE.id)}</p>`));
});

Deno.test("in an issue it neither calls people nor adds markup", () => {
  const { body } = fieldsAt("github", { body: "**{from}** wrote:\n\n{text}" });
  const text = String(body);
  assert.ok(text.startsWith("**Grace \\<grace@\u2060example.com\\>** wrote:\n\nOne & "), text);
  assert.ok(text.includes("\\* \\<script\\>alert(1)\\</script\\> @\u2060octocat \\#12"), text);
  assert.ok(text.includes("- [a\\].pdf](<https://drive.google.com/file/d/1/view>)"), text);
});

Deno.test("a title is one line, never empty, never too long", () => {
  const long = fieldsAt("jira", { summary: "{text} ".repeat(50) });
  assert.equal(String(long.summary).length, 250);
  assert.ok(!String(long.summary).includes("\n"));
  assert.equal(fieldsAt("jira", { summary: " " }).summary, "(no subject)");
});

Deno.test("templates reach into lists and objects; unknown placeholders stay", () => {
  const { labels, fields } = fieldsAt("jira", {
    labels: ["{label}", "{nothing}"],
    fields: { customfield_1: "{from_email}", points: 3 },
  });
  assert.deepEqual(labels, ["Tasks", "{nothing}"]);
  assert.deepEqual(fields, { customfield_1: "grace@example.com", points: 3 });
});

Deno.test("every provider makes, finds and reads tasks with actions of its own", () => {
  const origin = { messageId: "m1", repository: "o/r", key: "rule:m1" };
  const actions = ["odoo", "github", "linear", "jira"].map((slug) => {
    const provider = taskProvider(slug);
    return [
      provider.create({}, origin),
      provider.find({ project: "OPS" }, origin),
      provider.read("7", origin),
    ].map(({ action }) => action);
  });
  assert.deepEqual(actions, [
    ["project.task.create", "search_read", "read"],
    ["issues.create", "issues.listForRepo", "issues.get"],
    ["issueCreate", "issues", "issue"],
    ["createIssue", "searchAndReconsileIssuesUsingJql", "getIssue"],
  ]);
  assert.throws(() => taskProvider("slack"), { code: "destination_unsupported" });
});

Deno.test("a repeated request has the same id", () => {
  const id = idFrom("rule:message");
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(id, idFrom("rule:message"));
  assert.notEqual(id, idFrom("rule:other"));
});

Deno.test("a task of an earlier attempt is known by its message", () => {
  const origin = { messageId: "m1", repository: "o/r", key: "k" };
  const issues = [{ number: 8, body: "Gmail message m10" }, {
    number: 9,
    body: `x ${marker("m1")}`,
  }];
  assert.equal(taskProvider("github").found(issues, { ...origin, messageId: "m2" }), null);
  assert.equal(taskProvider("github").found(issues, origin), "9");
  assert.equal(taskProvider("odoo").found([{ id: 5 }], origin), "5");
  assert.equal(taskProvider("odoo").found([], origin), null);
  assert.equal(taskProvider("linear").found({ nodes: [{ id: "u" }] }, origin), "u");
  assert.equal(taskProvider("jira").found({ issues: [{ id: "10" }] }, origin), "10");
});

Deno.test("an issue of Jira has a link where its site is known", () => {
  const { linkOf } = taskProvider("jira");
  const self = (base: string) => `${base}/rest/api/3/issue/10001`;
  assert.equal(
    linkOf({ key: "OPS-7", self: self("https://acme.atlassian.net") }),
    "https://acme.atlassian.net/browse/OPS-7",
  );
  assert.equal(linkOf({ key: "OPS-7", self: self("https://api.atlassian.com/ex/jira/1-2") }), null);
  assert.equal(linkOf({ key: "OPS-7" }), null);
});
