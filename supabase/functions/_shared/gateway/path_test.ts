import assert from "node:assert/strict";
import { fillBaseUrl, fillPath, hasStrayBraces, placeholders } from "./path.ts";

const filled = (path: string, parameters: Record<string, unknown>, settings = {}) => {
  const result = fillPath(path, parameters, settings);
  return result.ok ? result.text : `refused ${result.name}: ${result.message}`;
};

Deno.test("a placeholder is one encoded path segment", () => {
  assert.equal(
    filled("/repos/{owner}/{repo}", { owner: "octo cat", repo: "a/b?c#d" }),
    "/repos/octo%20cat/a%2Fb%3Fc%23d",
  );
  assert.equal(
    filled("/spreadsheets/{id}/values/{range}:append", { id: "1", range: "Sheet1!A1:clear" }),
    "/spreadsheets/1/values/Sheet1!A1%3Aclear:append",
  );
  assert.equal(filled("/messages/{id}", { id: 42 }), "/messages/42");
  assert.equal(filled("/x/{name}", { name: "ünï/100%" }), "/x/%C3%BCn%C3%AF%2F100%25");
});

Deno.test("a greedy placeholder keeps its slashes and encodes each segment", () => {
  const path = "/contents/{+path}";
  assert.equal(filled(path, { path: "docs/a b/c#.md" }), "/contents/docs/a%20b/c%23.md");
  assert.equal(filled(path, { path: "folder/" }), "/contents/folder/");
  assert.match(filled(path, { path: "/etc/passwd" }), /^refused path: .*empty path segment/);
  assert.match(filled(path, { path: "a//b" }), /^refused path/);
});

Deno.test("a value cannot climb out of its place in any encoding", () => {
  const climbing = [
    "..",
    ".",
    "../admin",
    "a/../b",
    "a/..",
    "..\\admin",
    "%2e%2e",
    "%2E%2e/x",
    ".%2e",
    "..%2fadmin",
    "..%5cadmin",
    "a%2f..%2fb",
    "%252e%252e",
    "..%252f",
    "a/./b",
  ];
  for (const value of climbing) {
    assert.match(filled("/x/{v}/y", { v: value }), /^refused v: .*segment/, value);
    assert.match(filled("/x/{+v}", { v: value }), /^refused v: .*segment/, value);
  }
  for (const value of ["a..b", "...", "v1.2", "a%2fb", "100%", "%", "..a"]) {
    assert.doesNotMatch(filled("/x/{v}/y", { v: value }), /^refused/, value);
  }
});

Deno.test("control characters, lone surrogates, objects and nothing are refused", () => {
  for (const value of ["a\r\nb", "a\0", "\x7f", "\ud800", "", {}, [], null, undefined]) {
    assert.match(filled("/x/{v}", { v: value }), /^refused v/);
  }
  assert.match(filled("/x/{toString}", {}), /^refused toString: .*missing/);
});

Deno.test("a connection placeholder is filled from the settings alone", () => {
  const path = "/Accounts/{connection.account_sid}/Messages.json";
  assert.equal(filled(path, {}, { account_sid: "AC1" }), "/Accounts/AC1/Messages.json");
  assert.match(filled(path, { account_sid: "AC2" }), /^refused account_sid: the connection's/);
});

Deno.test("placeholders are listed in order, stray braces are found", () => {
  assert.deepEqual(placeholders("/{a}/{+b}/{connection.c}/{channel.id}"), [
    { name: "a", from: "parameters", isGreedy: false },
    { name: "b", from: "parameters", isGreedy: true },
    { name: "c", from: "connection", isGreedy: false },
    { name: "channel.id", from: "parameters", isGreedy: false },
  ]);
  assert.equal(hasStrayBraces("/{a}/{+b}"), false);
  assert.equal(hasStrayBraces("/{a b}/x"), true);
});

Deno.test("a setting in the host is one DNS label", () => {
  const url = (shop: unknown) => {
    const result = fillBaseUrl("https://{connection.shop}.myshopify.com/admin", { shop } as never);
    return result.ok ? result.text : `refused: ${result.message}`;
  };
  assert.equal(url("acme-1"), "https://acme-1.myshopify.com/admin");
  const hostile = [
    "evil.com/",
    "evil.com#",
    "a.b",
    "u@evil.com",
    "a:80",
    "-a",
    "",
    "a\nb",
    "%61",
    "ä",
    "a?",
    "x".repeat(64),
  ];
  for (const shop of hostile) assert.match(url(shop), /^refused/, shop);
  assert.match(url(undefined), /shop is missing/);
});

Deno.test("a base URL loses its trailing slash and keeps its path", () => {
  assert.deepEqual(fillBaseUrl("https://x.example/api/v1/", {}), {
    ok: true,
    text: "https://x.example/api/v1",
  });
  assert.deepEqual(fillBaseUrl("http://127.0.0.1:6806", {}), {
    ok: true,
    text: "http://127.0.0.1:6806",
  });
  assert.equal(fillBaseUrl("ftp://x", {}).ok, false);
});
