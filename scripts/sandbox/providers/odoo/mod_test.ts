import assert from "node:assert/strict";
import odooClient from "@fernandoslim/odoo-jsonrpc";
import { ODOO_CREDENTIALS } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";

const { control, url } = useSandbox();
const { db, login, password, uid } = ODOO_CREDENTIALS;
// A CommonJS module: what it exports by default is a property of what is imported.
const { default: OdooJSONRpc } = odooClient;

async function rpc(service: string, method: string, args: unknown[]) {
  const response = await fetch(`${url}/odoo/jsonrpc`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      method: "call",
      id: 7,
      params: { service, method, args },
    }),
  });
  return { status: response.status, body: await response.json() };
}

async function kw(model: string, method: string, args: unknown[], kwargs = {}) {
  const { body } = await rpc("object", "execute_kw", [
    db,
    uid,
    password,
    model,
    method,
    args,
    kwargs,
  ]);
  if (body.error) throw new Error(`${body.error.data.name}: ${body.error.data.message}`);
  return body.result;
}

Deno.test("a client that is not ours logs in with an API key and works with tasks", async () => {
  const { hostname, port } = new URL(url);
  const odoo = new OdooJSONRpc({
    baseUrl: `http://${hostname}`,
    port: Number(port),
    db,
    username: login,
    apiKey: password,
  });
  // The client knows no path below the host.
  odoo.url = `${url}/odoo`;
  assert.equal((await odoo.connect() as { uid: number }).uid, uid);
  const id = await odoo.create("project.task", {
    name: "Answer Ada",
    project_id: 1,
    user_ids: [[6, 0, [uid]]],
    description: "<p>Hello</p>",
  });
  const [task] = await odoo.read<Record<string, unknown>>("project.task", id, [
    "name",
    "project_id",
    "user_ids",
    "priority",
    "parent_id",
  ]);
  assert.deepEqual(task, {
    id,
    name: "Answer Ada",
    project_id: [1, "Sandbox"],
    user_ids: [uid],
    priority: "0",
    parent_id: false,
  });
  assert.equal(await odoo.update("project.task", id, { priority: "1" }), true);
  const found = await odoo.searchRead("project.task", [["priority", "=", "1"]], ["name"]);
  assert.deepEqual(found, [{ id, name: "Answer Ada" }]);
  assert.equal((await odoo.getFields("project.task")).name.required, true);
  assert.equal(await odoo.delete("project.task", id), true);
  assert.deepEqual(await control.odooRecords("project.task"), []);
});

Deno.test("the version is told to everybody, a wrong password is false, and no login is an error", async () => {
  assert.equal((await rpc("common", "version", [])).body.result.server_version, "18.0");
  const authenticate = (...args: unknown[]) => rpc("common", "authenticate", [...args, {}]);
  assert.equal((await authenticate(db, login, password)).body.result, uid);
  assert.equal((await authenticate(db, login, "wrong")).body.result, false);
  const denied = await rpc("object", "execute_kw", [db, uid, "wrong", "project.task", "search", [
    [],
  ]]);
  assert.equal(denied.status, 200);
  assert.equal(denied.body.id, 7);
  assert.deepEqual(
    [denied.body.error.code, denied.body.error.message, denied.body.error.data.name],
    [200, "Odoo Server Error", "odoo.exceptions.AccessDenied"],
  );
  const other = await authenticate("other", login, password);
  assert.match(other.body.error.data.message, /database "other" does not exist/);
});

Deno.test("records are found by domains with operators, joins and relations", async () => {
  const { ids } = await control.createOdooRecords({
    model: "project.task",
    records: [
      { name: "alpha", project_id: 1, stage_id: 1 },
      { name: "Beta", stage_id: 3, priority: "1" },
      { name: "gamma", active: false },
    ],
  });
  const found = async (domain: unknown[], kwargs = {}) =>
    (await kw("project.task", "search", [domain], kwargs)).map((id: number) => ids.indexOf(id));
  assert.deepEqual(await found([]), [0, 1]);
  assert.deepEqual(await found([["name", "ilike", "BET"]]), [1]);
  assert.deepEqual(await found(["|", ["name", "=", "alpha"], ["priority", "=", "1"]]), [0, 1]);
  assert.deepEqual(await found(["!", ["name", "like", "a%a"], ["id", ">", 0]]), [1]);
  assert.deepEqual(await found([["project_id", "=", false]]), [1]);
  assert.deepEqual(await found([["stage_id.name", "=", "Done"]]), [1]);
  assert.deepEqual(await found([["project_id", "ilike", "sand"]]), [0]);
  assert.deepEqual(await found([["id", "not in", [ids[0]]]]), [1]);
  assert.deepEqual(await found([["active", "in", [true, false]]], { order: "name desc" }), [
    2,
    0,
    1,
  ]);
  assert.deepEqual(await found([], { limit: 1, offset: 1 }), [1]);
  assert.equal(await kw("project.task", "search_count", [[["name", "!=", "alpha"]]]), 1);
  assert.deepEqual(await kw("project.project", "name_search", ["sand"]), [[1, "Sandbox"]]);
});

Deno.test("what Odoo refuses is told by the exception's name, and nothing is half done", async () => {
  const cases: [RegExp, Promise<unknown>][] = [
    [/UserError: Object nope doesn't exist/, kw("nope", "search", [[]])],
    [/AttributeError: The method 'project.task.nope' does/, kw("project.task", "nope", [])],
    [/AccessError: Private methods/, kw("project.task", "_write", [])],
    [/ValueError: Invalid field 'nope' on/, kw("project.task", "create", [{ nope: 1 }])],
    [
      /ValidationError: .*Field: Title \(name\)/s,
      kw("project.task", "create", [{ priority: "1" }]),
    ],
    [
      /ValidationError: .*project\.project/s,
      kw("project.task", "create", [{ name: "a", project_id: 99 }]),
    ],
    [/MissingError: .*project\.task\(99,\), User: 2/s, kw("project.task", "write", [[99], {}])],
    [/ValueError: Malformed domain/, kw("project.task", "search", [[["a"]]])],
    [/ValueError: time data/, kw("project.task", "create", [{ name: "a", date_deadline: "soon" }])],
    [/ValidationError/, kw("project.task", "create", [[{ name: "a" }, { name: "" }]])],
  ];
  for (const [message, call] of cases) await assert.rejects(call, message);
  assert.deepEqual(await control.odooRecords("project.task"), []);
});

Deno.test("attachments and messages belong to a record; several records are made at once", async () => {
  const [first, second] = await kw("project.task", "create", [[{ name: "a" }, { name: "b" }]]);
  const attachment = await kw("ir.attachment", "create", [{
    name: "a.txt",
    datas: btoa("hello"),
    res_model: "project.task",
    res_id: second,
  }]);
  const message = await kw("project.task", "message_post", [[second]], {
    body: "see a.txt",
    attachment_ids: [attachment],
  });
  const [posted] = await kw("mail.message", "read", [[message], ["model", "res_id", "body"]]);
  assert.deepEqual(posted, {
    id: message,
    model: "project.task",
    res_id: second,
    body: "see a.txt",
  });
  assert.notEqual(first, second);
});

Deno.test("faults come as a page of the proxy or as an exception of Odoo", async () => {
  await control.addFault({ provider: "odoo", rate_limit: { retry_after: 3 } });
  const limited = await fetch(`${url}/odoo/jsonrpc`, { method: "POST", body: "{}" });
  assert.deepEqual([limited.status, limited.headers.get("retry-after")], [429, "3"]);
  await limited.body?.cancel();
  await control.addFault({ provider: "odoo", error: "odoo.exceptions.AccessError" });
  const { status, body } = await rpc("common", "version", []);
  assert.deepEqual([status, body.error.data.name], [200, "odoo.exceptions.AccessError"]);
});
