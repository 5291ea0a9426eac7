import assert from "node:assert/strict";
import { NOCODB_TOKEN } from "../../mod.ts";
import { useSandbox } from "../../testing.ts";

const { control, url } = useSandbox();

async function call(method: string, path: string, body?: unknown, token: string = NOCODB_TOKEN) {
  const response = await fetch(`${url}/nocodb/api/v2${path}`, {
    method,
    headers: { "xc-token": token, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

const FRUITS = [
  { name: "apple", count: 3, fresh: true },
  { name: "pear", count: 5 },
  { name: "fig (dried)", count: 10, fresh: false },
];

async function table(): Promise<string> {
  const { id } = await control.createNocoTable({
    title: "Fruits",
    columns: [
      { title: "name", required: true, unique: true },
      { title: "count", type: "Number" },
      { title: "fresh", type: "Checkbox" },
    ],
    records: FRUITS,
  });
  return `/tables/${id}/records`;
}

Deno.test("records are listed in pages, found by where, sorted and reduced to fields", async () => {
  const records = await table();
  const first = await call("GET", `${records}?limit=2`);
  assert.deepEqual(first.body.list.map(({ Id, name }: Record<string, unknown>) => [Id, name]), [
    [1, "apple"],
    [2, "pear"],
  ]);
  assert.deepEqual(first.body.pageInfo, {
    totalRows: 3,
    page: 1,
    pageSize: 2,
    isFirstPage: true,
    isLastPage: false,
  });
  const second = await call("GET", `${records}?limit=2&offset=2&fields=Id,name`);
  assert.deepEqual(second.body.list, [{ Id: 3, name: "fig (dried)" }]);
  assert.equal(second.body.pageInfo.isLastPage, true);
  const found = async (where: string, sort = "Id") => {
    const query = new URLSearchParams({ where, sort });
    const { body } = await call("GET", `${records}?${query}`);
    return body.list.map(({ Id }: { Id: number }) => Id);
  };
  assert.deepEqual(await found("(name,eq,pear)"), [2]);
  assert.deepEqual(await found("(count,gt,3)~and(name,like,%ea%)"), [2]);
  assert.deepEqual(await found("(count,lt,4)~or(name,eq,fig (dried))", "-count"), [3, 1]);
  assert.deepEqual(await found("~not(name,in,apple,pear)"), [3]);
  assert.deepEqual(await found("((count,eq,3)~or(count,eq,5))~and(fresh,checked)"), [1]);
  assert.deepEqual(await found("(fresh,is,null)"), [2]);
  assert.deepEqual(await found("(count,btw,4,10)"), [2, 3]);
  assert.deepEqual((await call("GET", `${records}/count?where=(count,ge,5)`)).body, { count: 2 });
});

Deno.test("records are made, changed and deleted, one or many, all or none", async () => {
  const records = await table();
  assert.deepEqual((await call("POST", records, { name: "plum", count: "7", other: 1 })).body, {
    Id: 4,
  });
  assert.deepEqual((await call("POST", records, [{ name: "a" }, { name: "b" }])).body, [
    { Id: 5 },
    { Id: 6 },
  ]);
  assert.deepEqual((await call("PATCH", records, [{ Id: 4, count: 8 }])).body, [{ Id: 4 }]);
  const { body: plum } = await call("GET", `${records}/4`);
  assert.deepEqual([plum.name, plum.count, plum.fresh, plum.other], ["plum", 8, null, undefined]);
  assert.match(plum.UpdatedAt, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00$/);
  assert.deepEqual((await call("DELETE", records, [{ Id: 5 }, { Id: 6 }])).body, [
    { Id: 5 },
    { Id: 6 },
  ]);

  const half = await call("PATCH", records, [{ Id: 4, count: 9 }, { Id: 99, count: 9 }]);
  assert.deepEqual(half, {
    status: 404,
    body: { error: "RECORD_NOT_FOUND", message: "Record '99' not found" },
  });
  assert.equal((await call("GET", `${records}/4`)).body.count, 8);
  assert.equal((await call("POST", records, [{ name: "x" }, { count: 1 }])).status, 422);
  assert.equal((await call("POST", records, [{ name: "x" }, { name: "x" }])).status, 422);
  const id = records.split("/")[2]!;
  assert.equal((await control.nocoRecords(id)).length, 4);
});

Deno.test("what NocoDB refuses is told by its codes", async () => {
  const records = await table();
  const refused = async (method: string, path: string, body?: unknown, token?: string) => {
    const answer = await call(method, path, body, token);
    return `${answer.status} ${answer.body.error}`;
  };
  assert.equal(await refused("GET", records, undefined, "no"), "401 AUTHENTICATION_REQUIRED");
  assert.equal(await refused("GET", "/tables/nope/records"), "404 TABLE_NOT_FOUND");
  assert.equal(await refused("GET", `${records}/99`), "404 RECORD_NOT_FOUND");
  assert.equal(await refused("GET", `${records}?where=(nope,eq,1)`), "404 FIELD_NOT_FOUND");
  assert.equal(await refused("GET", `${records}?where=(name,about,1)`), "422 INVALID_FILTER");
  assert.equal(await refused("GET", `${records}?where=(name,eq,1`), "422 INVALID_FILTER");
  assert.equal(await refused("GET", `${records}?offset=-1`), "422 INVALID_OFFSET_VALUE");
  assert.equal(await refused("POST", records, { count: 1 }), "422 REQUIRED_FIELD_MISSING");
  assert.equal(
    await refused("POST", records, { name: "x", count: "many" }),
    "422 INVALID_VALUE_FOR_FIELD",
  );
  assert.equal(await refused("PATCH", records, { count: 1 }), "422 INVALID_PK_VALUE");
});

Deno.test("the base tells its tables, and a table its columns", async () => {
  const records = await table();
  const { body: bases } = await call("GET", "/meta/bases");
  const { body: tables } = await call("GET", `/meta/bases/${bases.list[0].id}/tables`);
  assert.equal(tables.list[0].title, "Fruits");
  const { body: meta } = await call("GET", `/meta/tables/${records.split("/")[2]}`);
  assert.deepEqual(
    meta.columns.map(({ title, uidt }: Record<string, string>) => `${title} ${uidt}`),
    [
      "Id ID",
      "name SingleLineText",
      "count Number",
      "fresh Checkbox",
    ],
  );
});

Deno.test("too many requests are told as 429", async () => {
  await control.addFault({ provider: "nocodb", rate_limit: { retry_after: 30 } });
  const { status, body } = await call("GET", "/meta/bases");
  assert.equal(status, 429);
  assert.match(body.message, /Too Many Requests/);
});
