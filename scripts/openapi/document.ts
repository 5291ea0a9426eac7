/**
 * The OpenAPI document of all functions.
 * @see https://spec.openapis.org/oas/v3.1.1.html
 * @module
 */
import { z } from "zod";
import { EXECUTE } from "./execute.ts";
import { JOBS } from "./jobs.ts";
import { MCP } from "./mcp.ts";
import { OAUTH } from "./oauth.ts";
import { describeOperation, type Operation } from "./operation.ts";
import { DISPATCH, MAINTAIN } from "./queue.ts";
import { ErrorAnswer } from "./schemas.ts";
import { WEBHOOK } from "./webhook.ts";

const FUNCTIONS: { tag: string; description: string; operations: Operation[] }[] = [
  { tag: "webhook", description: "Deliveries of providers, signed by them.", operations: WEBHOOK },
  { tag: "dispatch", description: "The queue, rung by the database.", operations: DISPATCH },
  {
    tag: "jobs",
    description: "What a running workflow asks and reports. 409: the lease was lost, stop.",
    operations: JOBS,
  },
  { tag: "execute", description: "Actions of the catalogue.", operations: EXECUTE },
  { tag: "oauth", description: "Connecting accounts.", operations: OAUTH },
  { tag: "maintain", description: "Rung by pg_cron.", operations: MAINTAIN },
  { tag: "mcp", description: "Actions and control plane as tools.", operations: MCP },
];

const bearer = (description: string, bearerFormat: string) => ({
  type: "http",
  scheme: "bearer",
  bearerFormat,
  description,
});

const SECURITY = {
  userToken: bearer("A signed-in user's access token, as Supabase Auth issues it.", "JWT"),
  apiKey: bearer("Made with marketplace.create_api_key.", "mpk_…"),
  jobToken: bearer("Comes with a job; valid for one attempt, until its lease ends.", "mpj_…"),
  connectLink: bearer("The token that a connect link ends with.", "mpl_…"),
  serviceKey: bearer("A secret key of the project.", "sb_secret_…"),
  ringKey: bearer("Kept in Vault; the database rings with it.", "mpr_…"),
};

/** All operations, in the document's order. */
export const OPERATIONS: Operation[] = FUNCTIONS.flatMap(({ operations }) => operations);

/**
 * Makes the document.
 * @param version of the product
 */
export function makeDocument(version: string): Record<string, unknown> {
  const components: Record<string, unknown> = {};
  const schemaOf = (schema: z.ZodType, io: "input" | "output") =>
    inline(toJsonSchema(schema, io), components);
  schemaOf(ErrorAnswer, "output");

  const paths: Record<string, Record<string, unknown>> = {};
  for (const { tag, operations } of FUNCTIONS) {
    for (const operation of operations) {
      const path = paths[operation.path] ??= {};
      path[operation.method] = describeOperation(operation, { tag, schemaOf });
    }
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Marketplace",
      version,
      summary: "An integration control plane inside a Supabase project",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{
      url: "https://{project}.supabase.co/functions/v1",
      variables: { project: { default: "project", description: "The project's reference." } },
    }],
    tags: FUNCTIONS.map(({ tag, description }) => ({ name: tag, description })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(components).sort(([a], [b]) => a < b ? -1 : 1)),
      headers: {
        "x-correlation-id": {
          description: "marketplace.trace(…) tells the story behind it.",
          schema: { type: "string", format: "uuid" },
        },
      },
      securitySchemes: SECURITY,
    },
  };
}

type Json = Record<string, unknown>;

function toJsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  return z.toJSONSchema(schema, {
    io,
    // What is coerced, or checked by code, is described as far as it can be.
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }) => {
      // Answers may grow: that they hold nothing else is for the tests to see, not for clients.
      const { catchall } = zodSchema._zod.def as { catchall?: unknown };
      if (io === "output" && !catchall) delete jsonSchema.additionalProperties;
      // Said by the format, by the type, and by every JSON object already.
      if (jsonSchema.format) delete jsonSchema.pattern;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.propertyNames;
    },
  }) as Json;
}

/** A schema whose definitions, and which itself if it has a name, stand among the components. */
function inline({ $schema: _, $defs = {}, ...schema }: Json, components: Json): unknown {
  for (const [name, definition] of Object.entries($defs as Record<string, Json>)) {
    const { id: __, ...rest } = definition;
    components[name] = rewrite(rest);
  }
  const { id, ...rest } = rewrite(schema) as Json;
  if (typeof id !== "string") return rest;
  components[id] = rest;
  return { $ref: `#/components/schemas/${id}` };
}

function rewrite(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewrite);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === "$ref" && typeof member === "string"
        ? member.replace("#/$defs/", "#/components/schemas/")
        : rewrite(member),
    ]),
  );
}
