import assert from "node:assert/strict";
import type { Patient } from "./check.ts";
import { Skipped } from "./check.ts";
import { skewFindings } from "./database_checks.ts";
import { type Receiving, receivingFindings } from "./integration_checks.ts";
import { CHECKS, examine } from "./mod.ts";
import { intervalSeconds } from "./queue_checks.ts";

Deno.test("every check has a name of its own and says what holds", () => {
  assert.equal(new Set(CHECKS.map(({ name }) => name)).size, CHECKS.length);
  for (const { name, title } of CHECKS) {
    assert.match(name, /^[a-z0-9_]+$/);
    assert.ok(title.length > 10 && title.length < 72, title);
  }
});

Deno.test("a check that breaks is a problem and keeps no other from running", async () => {
  const check = (name: string, run: () => Promise<never[]>) => ({ name, title: name, run });
  const results = await examine({} as Patient, [
    check("breaks", () => Promise.reject(new Error("boom"))),
    check("skips", () => Promise.reject(new Skipped("not here"))),
    check("holds", () => Promise.resolve([])),
  ]);
  assert.deepEqual(results.map(({ state }) => state), ["problem", "skipped", "ok"]);
  assert.match(results[0]!.findings[0]!.message, /boom/);
});

Deno.test("clocks may differ by half a minute", () => {
  const at = (seconds: number) => ({ before: 0, after: 200, database: 100 + seconds * 1000 });
  assert.deepEqual(skewFindings(at(29)), []);
  assert.match(skewFindings(at(400))[0]!.message, /400 s ahead/);
  assert.match(skewFindings(at(-40))[0]!.message, /40 s behind/);
});

Deno.test("a schedule's interval is read from the forms that are used", () => {
  const schedules = ["5 seconds", "* * * * *", "*/10 * * * *", "7 * * * *", "3 4 * * *"];
  assert.deepEqual(schedules.map(intervalSeconds), [5, 60, 600, 3600, 86_400]);
});

const GITHUB: Receiving = {
  slug: "github",
  provider: "github",
  is_default: false,
  secret_env: null,
  webhook_config: {
    verify: { family: "hmac", algorithm: "sha256", encoding: "hex", header: "x-signature" },
    event: { type: "event" },
  },
  has_secret: false,
  rules: 1,
  is_destination: false,
  receives: false,
};

Deno.test("a source without a secret refuses everything; without rules that is only worth a note", () => {
  const [found] = receivingFindings(GITHUB);
  assert.match(found!.message, /no webhook secret/);
  assert.equal(found!.isNote, false);
  assert.equal(receivingFindings({ ...GITHUB, rules: 0 })[0]!.isNote, true);
  assert.deepEqual(receivingFindings({ ...GITHUB, has_secret: true }), []);
});

Deno.test("a default integration that receives has its secret in the functions' environment", () => {
  const fromEnv = { ...GITHUB, is_default: true, secret_env: "GITHUB_WEBHOOK_SECRET" };
  assert.deepEqual(receivingFindings({ ...fromEnv, receives: true }), []);
  assert.match(receivingFindings(fromEnv)[0]!.message, /GITHUB_WEBHOOK_SECRET/);
});

Deno.test("a scheme without a secret needs the settings that say which sender counts", () => {
  const verify = {
    family: "jwt",
    jwks_url: "https://keys.example.com",
    issuers: ["x"],
    algorithms: ["RS256"],
    audience: "{setting:audience}",
    claims: { "/email": "{setting:account}" },
  };
  const config = { verify, event: { type: "event" }, account: "a@example.com" };
  const found = receivingFindings({ ...GITHUB, webhook_config: config });
  assert.deepEqual(found.map(({ message }) => /config\.webhook\.(\w+)/.exec(message)![1]), [
    "audience",
  ]);
});

Deno.test("settings that cannot be read are named with their place", () => {
  const webhook_config = { verify: { family: "smoke" }, event: { type: "event" } };
  assert.match(
    receivingFindings({ ...GITHUB, webhook_config })[0]!.message,
    /settings are invalid: verify/,
  );
});
