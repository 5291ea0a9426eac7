import assert from "node:assert/strict";
import { patternFault, schemaFaults, validate } from "./schema.ts";

const object = (properties: Record<string, unknown>, rest: Record<string, unknown> = {}) => ({
  type: "object",
  properties,
  additionalProperties: false,
  ...rest,
});
const errors = (schema: Record<string, unknown>, parameters: unknown) => {
  const result = validate(schema, parameters);
  return result.ok ? [] : result.errors.map(({ pointer, message }) => `${pointer}: ${message}`);
};

Deno.test("valid parameters come back with the defaults filled in", () => {
  const schema = object({ a: { type: "string" }, mode: { type: "string", default: "RAW" } });
  assert.deepEqual(validate(schema, { a: "x" }), {
    ok: true,
    parameters: { a: "x", mode: "RAW" },
  });
});

Deno.test("an error names its place as a JSON pointer", () => {
  const schema = object({
    title: { type: "string", minLength: 1 },
    "a/b": { type: "array", items: object({ n: { type: "integer" } }, { required: ["n"] }) },
  }, { required: ["title"] });
  assert.deepEqual(errors(schema, {}), ["/title: is required"]);
  assert.deepEqual(errors(schema, { title: "x", "a/b": [{ n: 1 }, {}] }), [
    "/a~1b/1/n: is required",
  ]);
  assert.deepEqual(errors(schema, { title: 1 }), ["/title: expected string, received number"]);
  assert.deepEqual(errors(schema, { title: "x", colour: 1, size: 2 }), [
    "/colour: is not known here",
    "/size: is not known here",
  ]);
  assert.deepEqual(errors(schema, "text"), [": expected object, received string"]);
});

Deno.test("enumerations say what is allowed, values are not repeated", () => {
  const schema = object({ state: { enum: ["open", "closed"] } });
  assert.deepEqual(errors(schema, { state: "canary" }), [
    `/state: expected one of "open"|"closed"`,
  ]);
});

Deno.test("of several alternatives the one that came furthest speaks", () => {
  const schema = object({
    to: {
      anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }],
    },
  });
  assert.deepEqual(errors(schema, { to: [1] }), ["/to/0: expected string, received number"]);
  assert.deepEqual(errors(schema, { to: true }), [
    "/to: expected string, received boolean or expected array, received boolean",
  ]);
});

Deno.test("one of two required parameters", () => {
  const a = { type: "string" };
  const schema = object({ a, b: a }, {
    anyOf: [
      { type: "object", properties: { a }, required: ["a"] },
      { type: "object", properties: { b: a }, required: ["b"] },
    ],
  });
  assert.deepEqual(errors(schema, {}), [": /a is required or /b is required"]);
  assert.deepEqual(errors(schema, { b: "x" }), []);
});

Deno.test("what would not be checked as written is a fault", () => {
  const string = { type: "string" };
  const cases: [unknown, string][] = [
    [{ type: "object", not: { type: "object" } }, "/not: is not supported"],
    [{ type: "object", if: {}, then: {} }, "/if: is not supported"],
    [{ type: "object", unevaluatedProperties: false }, "/unevaluatedProperties: is not supported"],
    [{ type: "object", dependentRequired: {} }, "/dependentRequired: is not supported"],
    [{ type: "object", required: ["x"] }, "/required: names x, which properties does not describe"],
    [object({ a: { minLength: 3 } }), "/properties/a/minLength: needs the type it is about"],
    [object({ a: { required: ["b"] } }), "/properties/a/required: needs the type it is about"],
    [object({ a: { const: { b: 1 } } }), "/properties/a/const: may hold plain values only"],
    [object({ a: { enum: [[1]] } }), "/properties/a/enum: may hold plain values only"],
    [object({ a: { type: "text" } }), "/properties/a/type: is not a JSON Schema type"],
    [object({ a: { type: "string", format: "color" } }), "/properties/a/format: is not a format"],
    [object({ a: { type: "string", format: "uri-reference" } }), "/properties/a/format"],
    [object({ a: { type: "string", pattern: "(" } }), "/properties/a/pattern: is not a regular"],
    [object({ a: { type: "string", pattern: "^(a+)+$" } }), "/properties/a/pattern: repeats what"],
    [
      object({ a: { type: "string", pattern: "\\p{L}" } }),
      "/properties/a/pattern: needs the u flag",
    ],
    [object({ a: { type: "string", minimum: 1 } }), "/properties/a/minimum: needs the type"],
    [object({ a: { $ref: "#/$defs/b" } }), "/properties/a/$ref: does not name"],
    [object({ a: { $ref: "https://x.example/s" } }), "/properties/a/$ref: does not name"],
    [
      object({ a: { $ref: "#/$defs/b", minLength: 1 } }, { $defs: { b: string } }),
      "/properties/a/minLength: stands beside $ref",
    ],
    [
      { type: "object", patternProperties: { "^a": string }, additionalProperties: string },
      "/additionalProperties: may only be true or false",
    ],
    [object({ a: { type: "array", items: { minLength: 1 } } }), "/properties/a/items/minLength"],
    [object({ a: { type: "array", minItems: 1 } }), "/properties/a/minItems: needs items"],
    [object({ a: 1 }), "/properties/a: is not a schema"],
  ];
  for (const [schema, expected] of cases) {
    const found = schemaFaults(schema).map(({ pointer, message }) => `${pointer}: ${message}`);
    assert.ok(
      found.some((fault) => fault.startsWith(expected)),
      `${expected}\n${found.join("\n")}`,
    );
  }
});

Deno.test("every keyword that is not a fault is checked", () => {
  // Each pair: a schema, and a value that violates the one keyword it is about.
  const cases: [Record<string, unknown>, unknown][] = [
    [{ type: "string", minLength: 2 }, "a"],
    [{ type: "string", maxLength: 1 }, "ab"],
    [{ type: "string", pattern: "^a" }, "b"],
    ...["email", "uri", "uuid", "date-time", "date", "time", "duration", "ipv4", "ipv6", "e164"]
      .map((format): [Record<string, unknown>, unknown] => [{ type: "string", format }, "§"]),
    [{ type: "string", format: "hostname" }, "a b"],
    [{ type: "string", format: "base64" }, "***"],
    [{ type: "string", format: "base64url" }, "***"],
    [{ type: "number", minimum: 1 }, 0],
    [{ type: "number", maximum: 1 }, 2],
    [{ type: "integer", exclusiveMinimum: 1 }, 1],
    [{ type: "integer", exclusiveMaximum: 1 }, 1],
    [{ type: "integer", multipleOf: 2 }, 3],
    [{ type: "integer" }, 1.5],
    [{ type: "boolean" }, "true"],
    [{ type: "null" }, 0],
    [{ type: ["string", "null"] }, 1],
    [{ enum: [1, "a", null] }, 2],
    [{ const: "a" }, "b"],
    [{ type: "array", items: { type: "string" } }, [1]],
    [{ type: "array", prefixItems: [{ type: "string" }] }, [1]],
    [{ type: "array", items: {}, minItems: 1 }, []],
    [{ type: "array", items: {}, maxItems: 1 }, [1, 2]],
    [{ type: "array", uniqueItems: true }, [1, 1]],
    [{ type: "array", contains: { type: "string" } }, [1]],
    [{ type: "array", contains: { type: "string" }, minContains: 2 }, ["a"]],
    [{ type: "array", contains: { type: "string" }, maxContains: 1 }, ["a", "b"]],
    [object({}), { a: 1 }],
    [{ type: "object", additionalProperties: { type: "string" } }, { a: 1 }],
    [{ type: "object", properties: { a: { type: "string" } } }, { a: 1 }],
    [object({ a: {} }, { required: ["a"] }), {}],
    [{ type: "object", patternProperties: { "^a": { type: "string" } } }, { ab: 1 }],
    [{ type: "object", propertyNames: { pattern: "^a" } }, { b: 1 }],
    [{ type: "object", minProperties: 1 }, {}],
    [{ type: "object", maxProperties: 1 }, { a: 1, b: 2 }],
    [{ anyOf: [{ type: "string" }, { type: "null" }] }, 1],
    [{ oneOf: [{ type: "string" }, { type: "string", minLength: 1 }] }, "a"],
    [{ allOf: [{ type: "string" }, { type: "string", minLength: 2 }] }, "a"],
    [{ not: {} }, 1],
    [object({ a: { $ref: "#/$defs/s" } }, { $defs: { s: { type: "string" } } }), { a: 1 }],
  ];
  for (const [schema, value] of cases) {
    assert.deepEqual(schemaFaults(schema), [], JSON.stringify(schema));
    assert.equal(validate(schema, value).ok, false, JSON.stringify(schema));
  }
});

Deno.test("patterns that match for ever are told from those that do not", () => {
  for (
    const pattern of [
      "^(a+)+$",
      "^(a*)*$",
      "^([a-z]+\\s?)*$",
      "^(\\w+\\.?)+@x$",
      "^(a|a)*$",
      "^(a|ab)+$",
      "^(.|\\s)*$",
      "^((ab)*)+$",
      "^(?:x{1,}){2,}$",
      "^(a{1,500})*$",
      "^(a)\\1+$",
    ]
  ) {
    assert.match(patternFault(pattern) ?? "", /for ever/, pattern);
  }
  for (
    const pattern of [
      "^[a-z][a-z0-9_]*$",
      "^refs/.+/.+",
      "^([a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?)$",
      "^(act_)?[0-9]+$",
      "^(SM|MM)[0-9a-fA-F]{32}$",
      "^(ab|cd)+$",
      "^\\(+\\)*$",
      "^[(+)*]+$",
      "^(?:a|b)*$",
    ]
  ) {
    assert.equal(patternFault(pattern), undefined, pattern);
  }
});
