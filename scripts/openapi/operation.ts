/**
 * How an operation is written down here, and what OpenAPI makes of it.
 * @module
 */
import { z } from "zod";

/** Credentials, each a way to be let in. */
export type Credential =
  | "userToken"
  | "apiKey"
  | "jobToken"
  | "connectLink"
  | "serviceKey"
  | "ringKey";

/** What an answer is made of: JSON of a schema, a schema by media type, or nothing. */
export type Body = z.ZodType | Record<string, z.ZodType> | null;

/** One operation. */
export interface Operation {
  /** Unique; names it in generated clients. */
  id: string;
  method: "get" | "post" | "delete";
  /** Below the functions' base URL. */
  path: string;
  summary: string;
  description?: string;
  /** Who may; none: it is open. */
  credentials?: Credential[];
  /** Query parameters. */
  query?: z.ZodObject;
  headers?: Record<string, { description: string; schema?: z.ZodType; required?: boolean }>;
  body?: z.ZodType | Record<string, z.ZodType>;
  /** By status. */
  answers: Record<number, { description: string; body: Body; headers?: string[] }>;
  /** Codes of errors by status, beside those that every operation may have. */
  errors?: Record<number, string[]>;
}

const JSON_BODY = "application/json";

/** Headers of answers, by name. */
const ANSWER_HEADERS: Record<string, string> = {
  location: "Where it goes on.",
  "retry-after": "Seconds until it makes sense to try again.",
  "x-execution-id": "The execution's row in marketplace.execution_logs.",
  "x-provider-status": "The provider's HTTP status; only when the body is the provider's bytes.",
  "idempotent-replayed": "`true`: the answer was given before, to the same idempotency key.",
};

/** What path parameters are. */
const PATH_PARAMETERS: Record<string, { description: string; schema: Record<string, unknown> }> = {
  provider: {
    description: "Slug of a provider; `-` and `_` are the same.",
    schema: { type: "string", pattern: "^[a-z][a-z0-9_-]{0,63}$" },
  },
  integration: {
    description: "Slug of one of the provider's integrations; without it, the default one.",
    schema: { type: "string", pattern: "^[a-z0-9]+(-[a-z0-9]+)*$", maxLength: 128 },
  },
  id: { description: "The id it was given.", schema: { type: "string", format: "uuid" } },
  token: { description: "What the link ends with.", schema: { type: "string" } },
};

/** Codes that any operation with a credential, or with a body, may answer. */
const COMMON = {
  credentials: { 401: ["missing_token", "invalid_token"] },
  user: { 401: ["token_expired"], 503: ["keys_unavailable"] },
  body: { 400: ["invalid_json"], 413: ["payload_too_large"], 422: ["invalid_request"] },
  always: { 503: ["database_unavailable"], 500: ["internal_error", "configuration_invalid"] },
};

/** An operation as OpenAPI says it. */
export function describeOperation(
  operation: Operation,
  { tag, schemaOf }: {
    tag: string;
    schemaOf: (schema: z.ZodType, io: "input" | "output") => unknown;
  },
): Record<string, unknown> {
  const { credentials = [], query, headers = {}, body, answers } = operation;
  const parameters = [
    ...[...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      ...PATH_PARAMETERS[name!],
    })),
    ...Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: "query",
      required: !(schema as z.ZodType).safeParse(undefined).success,
      schema: schemaOf(schema as z.ZodType, "input"),
    })),
    ...Object.entries(headers).map(([name, { description, schema, required = false }]) => ({
      name,
      in: "header",
      required,
      description,
      schema: schema ? schemaOf(schema, "input") : { type: "string" },
    })),
  ];
  const contentOf = (given: z.ZodType | Record<string, z.ZodType>, io: "input" | "output") =>
    Object.fromEntries(
      Object.entries(given instanceof z.ZodType ? { [JSON_BODY]: given } : given)
        .map(([type, schema]) => [type, { schema: schemaOf(schema, io) }]),
    );
  return {
    operationId: operation.id,
    tags: [tag],
    summary: operation.summary,
    ...(operation.description ? { description: operation.description } : {}),
    security: credentials.map((name) => ({ [name]: [] })),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { content: contentOf(body, "input") } } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, answer]) => [status, {
          description: answer.description,
          headers: describeHeaders(answer.headers ?? []),
          ...(answer.body ? { content: contentOf(answer.body, "output") } : {}),
        }]),
      ),
      ...describeErrors(operation),
    },
  };
}

function describeHeaders(names: string[]): Record<string, unknown> {
  const described = names.map((name) => [
    name,
    { description: ANSWER_HEADERS[name], schema: { type: "string" } },
  ]);
  return {
    "x-correlation-id": { $ref: "#/components/headers/x-correlation-id" },
    ...Object.fromEntries(described),
  };
}

function describeErrors({ credentials = [], body, errors = {}, answers }: Operation) {
  const sets = [
    ...(credentials.length > 0 ? [COMMON.credentials] : []),
    ...(credentials.includes("userToken") ? [COMMON.user] : []),
    ...(body ? [COMMON.body] : []),
    COMMON.always,
    errors,
  ];
  const codes = new Map<string, Set<string>>();
  for (const set of sets) {
    for (const [status, names] of Object.entries(set)) {
      const known = codes.get(status) ?? new Set();
      for (const name of names) known.add(name);
      codes.set(status, known);
    }
  }
  return Object.fromEntries(
    [...codes].filter(([status]) => !(Number(status) in answers)).map(([status, names]) => [
      status,
      {
        description: [...names].map((name) => `\`${name}\``).join(", "),
        headers: describeHeaders(["429", "503"].includes(status) ? ["retry-after"] : []),
        content: { [JSON_BODY]: { schema: { $ref: "#/components/schemas/Error" } } },
      },
    ]),
  );
}
