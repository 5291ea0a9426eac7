import assert from "node:assert/strict";
import { compareConfigurations, Configuration, onlyIn, refuseDuplicates } from "./configuration.ts";

const rule = {
  name: "Mirror",
  description: "",
  source: "github",
  is_active: true,
  event_types: ["push"],
  source_pattern: "**",
  filter: null,
  artifact_types: [],
  destination: null,
  destination_template: "{name}",
  workflow: "mirror",
  notify: null,
  notify_channel: null,
  priority: 0,
  max_attempts: null,
  retry_base: null,
  retry_cap: null,
  concurrency_key: null,
  absorbs: false,
  schedule: null,
  config: { a: 1, b: { c: 2 } },
};

const document = (rules: object[]): Configuration =>
  Configuration.parse({
    version: 1,
    settings: {
      event_retention: "30 days",
      dedupe_retention: "30 days",
      attempt_retention: "30 days",
      execution_retention: "30 days",
      job_retention: "90 days",
      rejection_retention: "7 days",
      partitions_ahead: 7,
      reconcile_every: "15 minutes",
    },
    organizations: [{ slug: "default", name: "Default", is_default: true }],
    integrations: [],
    workflows: [],
    rules,
    notification_endpoints: [],
  });

Deno.test("the same configuration has no changes, whatever the order of an object's members", () => {
  const other = { ...rule, config: { b: { c: 2 }, a: 1 } };
  assert.deepEqual(compareConfigurations(document([rule]), document([other])), []);
});

Deno.test("a change names what it changes, from what to what", () => {
  const wanted = document([{ ...rule, event_types: ["push", "release.*"] }]);
  assert.deepEqual(compareConfigurations(document([rule]), wanted), [{
    list: "rules",
    key: "github: Mirror",
    kind: "update",
    fields: { event_types: { from: ["push"], to: ["push", "release.*"] } },
  }]);
});

Deno.test("what is new is made, what is only there is left alone", () => {
  const [current, wanted] = [document([rule]), document([{ ...rule, name: "Other" }])];
  const [change, ...more] = compareConfigurations(current, wanted);
  assert.deepEqual([change!.kind, change!.key, more], ["create", "github: Other", []]);
  assert.deepEqual(onlyIn(current, wanted), ["rules github: Mirror"]);
});

Deno.test("two rules of one source and name cannot be told apart", () => {
  assert.throws(
    () => refuseDuplicates(document([rule, rule])),
    /two rules called "github: Mirror"/,
  );
});

Deno.test("a member that nobody knows is refused, so that no typing error is taken for a default", () => {
  assert.throws(() => document([{ ...rule, desination: "drive" }]), /desination/);
});
