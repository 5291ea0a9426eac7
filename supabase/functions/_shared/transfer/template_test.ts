import assert from "node:assert/strict";
import { disambiguate, extensionOf, renderPath, sanitizeValue } from "./template.ts";

const VALUES = {
  date: "2026-03-01",
  workflow: "CI / build",
  name: "coverage",
  branch: "feature/login",
  missing: null,
};
const render = (template: string, values: Record<string, string | null> = {}, ext?: string) =>
  renderPath(template, { ...VALUES, ...values }, ext);
const bytes = (text: string) => new TextEncoder().encode(text).byteLength;

Deno.test("the documented template renders as one would expect", () => {
  assert.equal(
    render("CI-Artifacts/{date}/{workflow}/{name}", {}, "zip"),
    "CI-Artifacts/2026-03-01/CI - build/coverage.zip",
  );
});

Deno.test("an extension is appended only where it is missing, whatever its case", () => {
  assert.equal(render("{name}", { name: "a.zip" }, "zip"), "a.zip");
  assert.equal(render("{name}", { name: "a.ZIP" }, "zip"), "a.ZIP");
  assert.equal(render("{name}", { name: "report.pdf" }, "zip"), "report.pdf.zip");
  assert.equal(render("{name}", { name: "zip" }, "zip"), "zip.zip");
  assert.equal(render("{name}", { name: "a" }), "a");
});

Deno.test("values never add a folder", () => {
  assert.equal(render("{branch}/{name}"), "feature-login/coverage");
  assert.equal(render("{name}", { name: "a\\b/c" }), "a-b-c");
});

Deno.test("values never climb out of a folder", () => {
  assert.equal(render("x/{name}/y", { name: ".." }), "x/__/y");
  assert.equal(render("x/{name}", { name: "../../etc/passwd" }), "x/..-..-etc-passwd");
  assert.equal(render("{name}{branch}", { name: ".", branch: "." }), "__");
  assert.equal(render("x/{name}/y", { name: "" }), "x/_/y");
});

Deno.test("a template that climbs out of its folder is refused", () => {
  for (const template of ["../{name}", "a/../{name}", "a/./{name}", "a\\..\\{name}", "a/ .. /b"]) {
    assert.throws(() => render(template), { code: "template_invalid", status: 422 }, template);
  }
});

Deno.test("leading, trailing and doubled slashes do not make empty folders", () => {
  assert.equal(render("//a//{name}/"), "a/coverage");
});

Deno.test("a template that renders to nothing is refused", () => {
  for (const template of ["/", "   ", "...", "//"]) {
    assert.throws(() => render(template), /renders to nothing/, template);
  }
});

Deno.test("an unknown placeholder is named, with the known ones", () => {
  assert.throws(
    () => render("{nmae}"),
    (error: Error) =>
      error.message.includes("{nmae}") && error.message.includes("{name}") &&
      error.message.includes("{workflow}"),
  );
  assert.throws(() => render("{constructor}"), /unknown/);
  assert.throws(() => render("{}"), /unknown/);
});

Deno.test("braces without a partner are refused", () => {
  for (const template of ["{name", "name}", "{{name}}"]) {
    assert.throws(() => render(template), /brace/, template);
  }
});

Deno.test("braces that come from a value are only text", () => {
  assert.equal(render("{name}", { name: "a{date}b}" }), "a{date}b}");
});

Deno.test("a placeholder that this event does not fill says so", () => {
  assert.equal(render("{missing}/{name}"), "unknown/coverage");
});

Deno.test("control, bidirectional and unpaired characters are replaced", () => {
  assert.equal(sanitizeValue("a\u0000b\nc\u202ed\u2066e"), "a-b-c-d-e");
  assert.equal(sanitizeValue("a\ud800b"), "a\ufffdb");
  assert.equal(sanitizeValue('a:b*c?d"e<f>g|h'), "a-b-c-d-e-f-g-h");
});

Deno.test("text is composed: two spellings of one name are one path", () => {
  assert.equal(render("{name}", { name: "u\u0308ber" }), "\u00fcber");
  assert.equal(render("u\u0308ber/{name}"), "\u00fcber/coverage");
});

Deno.test("names that Windows reserves are escaped, in any case and with any extension", () => {
  assert.equal(render("con/{name}", { name: "NUL" }, "zip"), "_con/_NUL.zip");
  assert.equal(render("{name}", { name: "com1.txt" }), "_com1.txt");
  assert.equal(render("{name}", { name: "console" }), "console");
});

Deno.test("trailing dots and spaces, which Windows drops, are dropped by us", () => {
  assert.equal(render("a. /{name}", { name: "b.. " }), "a/b");
});

Deno.test("a name that is too long is cut at a character, keeps its extension and stays distinct", () => {
  const one = render("{name}", { name: "é".repeat(300) + "1" }, "zip");
  const two = render("{name}", { name: "é".repeat(300) + "2" }, "zip");
  assert.ok(bytes(one) <= 240);
  assert.ok(one.endsWith(".zip"));
  assert.ok(!one.includes("\ufffd"));
  assert.notEqual(one, two);
  assert.equal(one, render("{name}", { name: "é".repeat(300) + "1" }, "zip"));
});

Deno.test("a path that is too long in all is refused", () => {
  assert.throws(
    () => render(Array(5).fill("{name}").join("/"), { name: "x".repeat(230) }),
    /bytes/,
  );
});

Deno.test("artifacts that render to one path are told apart by their id, whatever their case", () => {
  const paths = disambiguate([
    { ref: "11", path: "a/x.zip" },
    { ref: "12", path: "a/X.zip" },
    { ref: "13", path: "b/x.zip" },
    { ref: "14", path: "a/x-12.zip" },
  ]);
  assert.deepEqual([...paths], [
    ["11", "a/x.zip"],
    ["12", "a/X-12.zip"],
    ["13", "b/x.zip"],
    ["14", "a/x-12-14.zip"],
  ]);
});

Deno.test("an extension is the short end of a name", () => {
  assert.equal(extensionOf("report.PDF"), "pdf");
  assert.equal(extensionOf("archive.tar.gz"), "gz");
  assert.equal(extensionOf(".gitignore"), "");
  assert.equal(extensionOf("v1.2 final"), "");
  assert.equal(extensionOf("plain"), "");
});
