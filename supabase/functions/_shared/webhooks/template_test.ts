import assert from "node:assert/strict";
import { renderFirst, renderTemplate, type Templates } from "./template.ts";

const VALUES: Record<string, string> = {
  "header:x-event": "push",
  "body:/action": "opened",
  "body:/key": "a+b%2Fc%20d",
  "body:/uri": "https://www.googleapis.com/drive/v3/files/abc?alt=json",
  "body:/sneaky": "[{header:x-event}]",
};
const lookup = (reference: string) => VALUES[reference];

Deno.test("an optional part is left out when something in it is missing", () => {
  assert.equal(renderTemplate("{header:x-event}[.{body:/action}]", lookup), "push.opened");
  assert.equal(renderTemplate("{header:x-event}[.{body:/other}]", lookup), "push");
});

Deno.test("a template gives nothing when something outside of an optional part is missing", () => {
  assert.equal(renderTemplate("{header:x-event}/{body:/other}", lookup), undefined);
});

Deno.test("the first template that applies and is complete wins", () => {
  const templates: Templates = [
    { if: { "header:x-event": ["release", "create"] }, then: "wrong" },
    { if: { "header:x-event": "push" }, then: "{body:/other}" },
    { if: { "body:/other": true }, then: "wrong" },
    { if: { "body:/other": false, "body:/action": true }, then: "right" },
    "late",
  ];
  assert.equal(renderFirst(templates, lookup), "right");
  assert.equal(renderFirst(["{body:/other}"], lookup), undefined);
});

Deno.test("values are never read as templates", () => {
  assert.equal(
    renderTemplate("<{body:/sneaky}>[{body:/sneaky}]", lookup),
    "<[{header:x-event}]>[{header:x-event}]",
  );
});

Deno.test("filters decode, shorten and pick path segments", () => {
  assert.equal(renderTemplate("objects/{body:/key|url_decode}", lookup), "objects/a b/c d");
  assert.equal(renderTemplate("{body:/uri|segment:files}", lookup), "abc");
  assert.equal(renderTemplate("{body:/uri|segment:folders}", lookup), undefined);
  assert.equal(renderTemplate("{body:/uri|before:://}", lookup), "https");
  assert.equal(renderTemplate("{body:/uri|after:/}", lookup), "abc?alt=json");
});

Deno.test("text that is not percent-encoded stays as it is", () => {
  assert.equal(renderTemplate("{key|url_decode}", () => "100%"), "100%");
});
