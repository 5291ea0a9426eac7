import assert from "node:assert/strict";
import { documentPath, findType, globsOf, slugOf } from "./document_types.ts";
import type { DocumentType } from "./rule_config.ts";

const TYPES: DocumentType[] = [
  { type: "prd", folder: "Product/**", title: "PRD*", path: "docs/prd/{slug}.md" },
  { type: "spec", title: "/^spec\\b/i", path: "docs/{type}/{slug}.md" },
  { type: "note", property: { publish: "yes" }, path: "{folder}/{date} {title}" },
];
const GLOBS: Record<string, RegExp> = { "Product/**": /^Product\/.*$/, "PRD*": /^PRD[^/]*$/ };
const typeOf = (file: { name: string; folder?: string; properties?: Record<string, string> }) =>
  findType(TYPES, { folder: "", properties: {}, ...file }, (glob) => GLOBS[glob]!)?.type;

Deno.test("the first type that fits in all it names is a document's", () => {
  assert.deepEqual(globsOf(TYPES), ["Product/**", "PRD*"]);
  assert.equal(typeOf({ name: "PRD Login", folder: "Product/Web" }), "prd");
  assert.equal(typeOf({ name: "PRD Login", folder: "Product" }), "prd");
  assert.equal(typeOf({ name: "PRD Login", folder: "Sales" }), undefined);
  assert.equal(typeOf({ name: "SPEC: x", folder: "Product" }), "spec");
  assert.equal(typeOf({ name: "specify", properties: { publish: "yes" } }), "note");
  assert.equal(typeOf({ name: "specify", properties: { publish: "no" } }), undefined);
});

Deno.test("a path is made of what the document says, and leads nowhere else", () => {
  const file = { id: "1AbC", name: "Über/Suche: ../../x?", folder: "Team/../May" };
  const moment = { date: "2026-05-01" };
  assert.equal(documentPath(TYPES[0]!, file, moment), "docs/prd/uber-suche-x.md");
  assert.equal(
    documentPath(TYPES[2]!, file, moment),
    "Team/__/May/2026-05-01 Über-Suche- ..-..-x-.md",
  );
  assert.equal(documentPath(TYPES[0]!, { ...file, name: "???" }, moment), "docs/prd/1abc.md");
});

Deno.test("a slug has letters, digits and hyphens", () => {
  assert.equal(slugOf("  Größe & Gewicht – v2.1 "), "grosse-gewicht-v2-1");
  assert.equal(slugOf("日本語"), "日本語");
  assert.ok(slugOf("x".repeat(200)).length <= 80);
});

Deno.test("an expression that is none is the rule's mistake", () => {
  const types = [{ type: "x", title: "/(/", path: "x" }];
  assert.throws(() => globsOf(types), { code: "rule_misconfigured" });
});
