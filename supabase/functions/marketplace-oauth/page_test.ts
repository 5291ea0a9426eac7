import assert from "node:assert/strict";
import { XMLValidator } from "fast-xml-parser";
import { connectPage, goOnPage, resultPage, wantsPage } from "./page.ts";

const browser = new Request("https://us.example/", {
  headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" },
});
/** What nobody may bring onto a page. */
const EVIL = `"'><script>alert(1)</script>&amp;\0\x0b]]>\ud800<!--`;

const field = {
  place: "settings" as const,
  name: "shop",
  title: EVIL,
  description: EVIL,
  isRequired: true,
  pattern: `[a-z"]+`,
  default: null,
  isInteger: false,
  isMultiline: false,
};
const about = {
  provider: EVIL,
  organization: EVIL,
  scopes: [EVIL],
  fields: [field, { ...field, place: "credential" as const, name: "key", isMultiline: true }],
  values: { "settings.shop": EVIL, "credential.key": "never shown" },
  problems: [{ field: "settings.shop", message: EVIL }, { field: null, message: EVIL }],
  isConsentElsewhere: true,
};

Deno.test("whatever is put on a page is text, and the page is well-formed", async () => {
  for (
    const response of [
      connectPage(browser, about),
      connectPage(browser, { ...about, fields: [], problems: [], isConsentElsewhere: false }),
      goOnPage(browser, { url: `https://acme.example/?a=1&b="<`, name: EVIL }),
      resultPage(browser, { title: EVIL, message: EVIL, isFailure: true, status: 403 }),
    ]
  ) {
    const page = await response.text();
    assert.equal(XMLValidator.validate(page), true, page);
    assert.ok(!page.includes("<script") && !page.includes("never shown") && page.isWellFormed());
    assert.match(response.headers.get("content-type")!, /^application\/xhtml\+xml; charset=utf-8$/);
    assert.match(
      response.headers.get("content-security-policy")!,
      /^default-src 'none'; style-src/,
    );
  }
});

Deno.test("a form that is shown again says what is wrong, where it is", async () => {
  const response = connectPage(browser, about);
  assert.equal(response.status, 422);
  const page = await response.text();
  assert.match(page, /<input [^>]*id="settings\.shop"[^>]*aria-invalid="true"/);
  assert.match(page, /aria-describedby="settings\.shop\.hint settings\.shop\.wrong"/);
  assert.match(page, /<p id="settings\.shop\.wrong" role="alert">/);
  assert.match(page, /<textarea id="credential\.key"[^>]*><\/textarea>/);
  assert.equal(page.match(/<label for=/g)?.length, 2);
});

Deno.test("only who takes XHTML gets it, and only who takes pages gets one", async () => {
  const plain = new Request("https://us.example/", { headers: { accept: "text/html" } });
  const response = resultPage(plain, { title: "t", message: "m", isFailure: false });
  assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
  await response.body?.cancel();
  assert.equal(wantsPage(browser), true);
  assert.equal(wantsPage(plain), true);
  for (const accept of ["*/*", "application/json", ""]) {
    assert.equal(wantsPage(new Request("https://us.example/", { headers: { accept } })), false);
  }
});
