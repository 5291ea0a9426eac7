import assert from "node:assert/strict";
import type { Pagination } from "./catalogue.ts";
import { itemsOf, nextLink, nextPage } from "./pagination.ts";

const next = (
  pagination: Pagination,
  parameters: Record<string, unknown>,
  body: unknown,
  { link, properties = {}, path = "/x" }: {
    link?: string;
    properties?: Record<string, unknown>;
    path?: string;
  } = {},
) =>
  nextPage(
    {
      pagination,
      path,
      request_schema: { type: "object", properties },
      query_parameters: Object.keys(properties),
    },
    parameters,
    { body, headers: new Headers(link ? { link } : {}) },
  );

Deno.test("a cursor is taken from the answer until there is none", () => {
  const slack: Pagination = {
    style: "cursor",
    parameter: "cursor",
    next: "/response_metadata/next_cursor",
    items: "/messages",
  };
  const page = (next_cursor: string) => ({ messages: [1], response_metadata: { next_cursor } });
  assert.deepEqual(next(slack, { limit: 1 }, page("c2")), { limit: 1, cursor: "c2" });
  assert.equal(next(slack, {}, page("")), undefined);
  assert.equal(next(slack, {}, { messages: [] }), undefined);
  assert.equal(next(slack, { cursor: "c2" }, page("c2")), undefined, "no going round in circles");
});

Deno.test("a flag decides where a cursor is always there", () => {
  const linear: Pagination = {
    style: "cursor",
    parameter: "after",
    next: "/data/issues/pageInfo/endCursor",
    more: "/data/issues/pageInfo/hasNextPage",
    items: "/data/issues/nodes",
  };
  const page = (hasNextPage: boolean) => ({
    data: { issues: { nodes: [], pageInfo: { endCursor: "e", hasNextPage } } },
  });
  assert.deepEqual(next(linear, {}, page(true)), { after: "e" });
  assert.equal(next(linear, {}, page(false)), undefined);
});

Deno.test("a cursor may be the last item's id", () => {
  const stripe: Pagination = {
    style: "cursor",
    parameter: "starting_after",
    next_of_last_item: "/id",
    more: "/has_more",
    items: "/data",
  };
  const body = { data: [{ id: "cus_1" }, { id: "cus_2" }], has_more: true };
  assert.deepEqual(next(stripe, { limit: 2 }, body), { limit: 2, starting_after: "cus_2" });
  assert.equal(next(stripe, {}, { ...body, has_more: false }), undefined);
  assert.equal(next(stripe, {}, { data: [], has_more: true }), undefined);
});

Deno.test("pages are counted until one is not full, empty, or says so", () => {
  const paged: Pagination = {
    style: "page",
    parameter: "page",
    size_parameter: "size",
    default_size: 2,
    items: "",
  };
  assert.deepEqual(next(paged, {}, [1, 2]), { page: 2 });
  assert.deepEqual(next(paged, { page: 4, size: 1 }, [1]), { page: 5, size: 1 });
  assert.equal(next(paged, {}, [1]), undefined);
  assert.equal(next(paged, {}, []), undefined);
  const said: Pagination = {
    style: "page",
    parameter: "p",
    items: "/i",
    is_last: "/last",
    first: 0,
  };
  assert.deepEqual(next(said, {}, { i: [1], last: false }), { p: 1 });
  assert.equal(next(said, {}, { i: [1], last: true }), undefined);
});

Deno.test("an offset moves on by what came, up to the total", () => {
  const offset: Pagination = {
    style: "offset",
    parameter: "startAt",
    total: "/total",
    items: "/values",
  };
  assert.deepEqual(next(offset, {}, { values: [1, 2], total: 5 }), { startAt: 2 });
  assert.deepEqual(next(offset, { startAt: 2 }, { values: [1, 2], total: 5 }), { startAt: 4 });
  assert.equal(next(offset, { startAt: 4 }, { values: [1], total: 5 }), undefined);
  const last: Pagination = {
    style: "offset",
    parameter: "o",
    is_last: "/isLast",
    items: "/values",
  };
  assert.equal(next(last, {}, { values: [1], isLast: true }), undefined);
  const sized: Pagination = {
    style: "offset",
    parameter: "o",
    size_parameter: "n",
    items: "/values",
  };
  assert.equal(next(sized, { n: 2 }, { values: [1] }), undefined);
  assert.deepEqual(next(sized, { n: 1 }, { values: [1] }), { n: 1, o: 1 });
});

Deno.test("a link's query replaces this page's, as far as the schema knows it", () => {
  const link = '<https://evil.example/repos?page=3&per_page=2&evil=1>; rel="next", ' +
    '<https://api.github.com/x?page=9>; rel="last"';
  const properties = {
    owner: { type: "string" },
    page: { type: "integer" },
    per_page: { type: "integer" },
    state: { type: "string" },
  };
  assert.deepEqual(
    next({ style: "link", items: "" }, { owner: "o", per_page: 2, state: "open" }, [1], {
      link,
      properties,
      path: "/repos/{owner}/x",
    }),
    { owner: "o", page: 3, per_page: 2 },
  );
  assert.equal(next({ style: "link", items: "" }, {}, [1], { properties }), undefined);
});

Deno.test("a link may stand in the body, and be relative", () => {
  const twilio: Pagination = { style: "link", next: "/next_page_uri", items: "/messages" };
  const properties = { Page: { type: "integer" }, PageToken: { type: "string" } };
  const body = { messages: [], next_page_uri: "/2010-04-01/x.json?Page=1&PageToken=PA" };
  assert.deepEqual(next(twilio, {}, body, { properties }), { Page: 1, PageToken: "PA" });
  assert.equal(next(twilio, {}, { messages: [], next_page_uri: null }, { properties }), undefined);
  assert.equal(
    next(twilio, { Page: 1, PageToken: "PA" }, body, { properties }),
    undefined,
    "no going round in circles",
  );
});

Deno.test("rel next is found in every spelling of a Link header", () => {
  const cases: [string | null, string | undefined][] = [
    ['<https://x/2>; rel="next"', "https://x/2"],
    ["<https://x/2>; rel=next", "https://x/2"],
    ['<https://x/1>; rel="prev", <https://x/2>; title="a, b"; rel="next"', "https://x/2"],
    ['<https://x/2>; rel="nofollow next"', "https://x/2"],
    ['<https://x/2>; rel="nextish"', undefined],
    ["", undefined],
    [null, undefined],
  ];
  for (const [header, expected] of cases) assert.equal(nextLink(header), expected, String(header));
});

Deno.test("an action without pagination has one page", () => {
  assert.equal(next({}, {}, { data: [1] }), undefined);
  assert.equal(itemsOf({}, { data: [1] }), undefined);
  assert.deepEqual(itemsOf({ style: "link", items: "/data" }, { data: [1] }), [1]);
});
