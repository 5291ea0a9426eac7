import assert from "node:assert/strict";
import { redactDocument, REDACTED, redactText, redactUrl, sensitiveValues } from "./redact.ts";

// Put together here, so that no scanner takes them for real ones.
const TOKENS = [
  ["Bearer", " abcdefghijklmnop.1234"],
  ["Basic", " dXNlcjpwYXNzd29yZDEyMw=="],
  ["gh", "p_abcdefghijklmnopqrstuvwx"],
  ["github_", "pat_abcdefghijklmnopqrstuvwx"],
  ["xo", "xb-1234567890-abc"],
  ["sk", "_live_abcdefghijkl"],
  ["whs", "ec_abcdefghijkl"],
  ["sk", "-ant-api03-abcdefghijklmnop"],
  ["ya", "29.abcdefghijklmnop"],
  ["AK", "IAABCDEFGHIJKLMNOP"],
  ["S", "G.abcdefghijklmnop.abcdefghijklmnop"],
  ["shp", "at_abcdefghijklmnopqrstuvwx"],
  ["eyJ", "hbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"],
  ["-----BEGIN ", "PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"],
].map((parts) => parts.join(""));

Deno.test("a URL loses user, password, fragment and secret query values", () => {
  assert.equal(
    redactUrl("https://u:p@api.example.com/v1/x?key=1&access_token=canary&page_token=n#frag"),
    `https://api.example.com/v1/x?key=1&access_token=${REDACTED}&page_token=n`,
  );
  const presigned = new URL("https://b.s3.example/k?X-Amz-Signature=canary&X-Amz-Expires=60");
  presigned.searchParams.set("X-Amz-Credential", "canary");
  presigned.searchParams.set("X-Amz-Security-Token", "canary");
  assert.doesNotMatch(redactUrl(presigned.href), /canary/);
  assert.match(redactUrl(presigned.href), /X-Amz-Expires=60/);
  for (const name of ["token", "api_key", "apikey", "client_secret", "sig", "password"]) {
    assert.doesNotMatch(redactUrl(`https://x.example/?${name}=canary`), /canary/, name);
  }
  assert.equal(redactUrl("no url"), REDACTED);
});

Deno.test("sensitive parameters do not show in a path either", () => {
  const sensitive = sensitiveValues({ id: 1, webhook_token: "ca/nary" }, ["/webhook_token"]);
  assert.deepEqual(sensitive, ["ca/nary"]);
  assert.equal(
    redactUrl("https://x.example/webhooks/1/ca%2Fnary?wait=true", sensitive),
    `https://x.example/webhooks/1/${REDACTED}?wait=true`,
  );
});

Deno.test("declared places and members named like credentials are replaced", () => {
  assert.deepEqual(
    redactDocument({
      to: "a@x.example",
      attachments: [{ name: "a", data: "canary" }, { name: "b", data: "canary" }],
      accessToken: "canary",
      nested: [{ client_secret: "canary", password: { a: "canary" } }],
      nextPageToken: "n",
      newStartPageToken: "n",
      paginationToken: "n",
      "continuation-token": "n",
      usage: { total_tokens: 3, input_tokens: 1 },
      max_tokens: 5,
      token_type: "bearer",
      refresh_tokens: ["canary"],
    }, { sensitivePaths: ["/attachments/*/data"] }),
    {
      to: "a@x.example",
      attachments: [{ name: "a", data: REDACTED }, { name: "b", data: REDACTED }],
      accessToken: REDACTED,
      nested: [{ client_secret: REDACTED, password: REDACTED }],
      nextPageToken: "n",
      newStartPageToken: "n",
      paginationToken: "n",
      "continuation-token": "n",
      usage: { total_tokens: 3, input_tokens: 1 },
      max_tokens: 5,
      token_type: "bearer",
      refresh_tokens: REDACTED,
    },
  );
});

Deno.test("well-known credentials are found inside any text", () => {
  for (const token of TOKENS) {
    const text = redactText(`before ${token} after`);
    assert.equal(text, `before ${REDACTED} after`, token);
    assert.deepEqual(redactDocument({ log: [`x=${token}`] }), { log: [`x=${REDACTED}`] });
  }
  const harmless = "The Basic plan costs 5; a token is a word. sk-learn, eyJ is a prefix.";
  assert.equal(redactText(harmless), harmless);
});

Deno.test("sizes are capped", () => {
  const long = redactDocument({ text: "x".repeat(10_000) }) as { text: string };
  assert.match(long.text, /^x{4096}… \(10000 characters\)$/);
  const many = redactDocument(Array.from({ length: 5_000 }, (_, index) => ({ index })), {
    maxLength: 100,
  }) as { truncated: boolean; length: number; start: string };
  assert.equal(many.truncated, true);
  assert.equal(many.start.length, 100);
  assert.ok(many.length > 100);
  let deep: unknown = "canary";
  for (let level = 0; level < 100; level++) deep = [deep];
  assert.doesNotMatch(JSON.stringify(redactDocument(deep)), /canary/);
});

Deno.test("odd members survive", () => {
  const document = JSON.parse('{"__proto__": {"a": 1}, "b": null, "token": null, "secret": true}');
  assert.equal(JSON.stringify(redactDocument(document)), JSON.stringify(document));
  assert.equal(redactDocument(undefined), undefined);
});

Deno.test("of a large document no more is looked at than is kept", () => {
  let looked = 0;
  const items = Array.from({ length: 100_000 }, (_, id) => ({
    get id() {
      looked++;
      return id;
    },
    token: "t",
  }));
  const kept = redactDocument({ items }, { maxLength: 1_000 }) as Record<string, unknown>;
  // Once more for the length.
  assert.ok(looked - items.length < 200, `${looked}`);
  assert.equal(kept.truncated, true);
  assert.equal(kept.length, JSON.stringify({ items }).length);
  assert.equal((kept.start as string).length, 1_000);
  assert.match(kept.start as string, /^\{"items":\[\{"id":0,"token":"\[redacted\]"\},\{"id":1,/);
  assert.deepEqual(redactDocument({ a: [1, { b: "c" }] }, { maxLength: 30 }), {
    a: [1, { b: "c" }],
  });
});
