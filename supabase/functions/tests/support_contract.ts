/** For tests of the API's description: calls by operation, and holds every answer to it. */
import assert from "node:assert/strict";
import { Ajv2020, type ValidateFunction } from "ajv/2020";
import addFormats from "ajv-formats";
import { FUNCTIONS_URL } from "./support_queue.ts";

type Json = Record<string, unknown>;

interface Described {
  method: string;
  path: string;
  responses: Record<string, { content?: Record<string, { schema: Json }> }>;
}

/** How an operation is called. */
export interface ContractCall {
  token?: string;
  path?: Record<string, string>;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** JSON, unless it is text or a form. */
  body?: unknown;
  /** The status that is meant to come. */
  expect: number;
}

/** A served OpenAPI document, and what was seen of it. */
export class Contract {
  /** Operations that answered 2xx or 3xx. */
  readonly seen = new Set<string>();
  readonly operations = new Map<string, Described>();
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(readonly document: Json) {
    // deno-lint-ignore no-explicit-any
    (addFormats as any)(this.#ajv);
    this.#ajv.addSchema({ $id: "api", components: closed(document.components) });
    for (const [path, methods] of Object.entries(document.paths as Record<string, Json>)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { operationId, responses } = operation as Described & { operationId: string };
        this.operations.set(operationId, { method, path, responses });
      }
    }
  }

  /** Calls an operation; the answer is as described. */
  async call(id: string, call: ContractCall): Promise<{ response: Response; body: unknown }> {
    const { method, path } = this.#operation(id);
    const query = call.query ? `?${new URLSearchParams(call.query)}` : "";
    const filled = path.replace(/\{(\w+)\}/g, (_all, name) => call.path?.[name] ?? "missing");
    const isPlain = typeof call.body === "string" || call.body instanceof URLSearchParams ||
      call.body === undefined;
    const response = await fetch(`${FUNCTIONS_URL}${filled}${query}`, {
      method: method.toUpperCase(),
      redirect: "manual",
      headers: {
        ...(call.token ? { authorization: `Bearer ${call.token}` } : {}),
        ...(isPlain ? {} : { "content-type": "application/json" }),
        ...call.headers,
      },
      body: isPlain ? call.body as string | undefined : JSON.stringify(call.body),
    });
    const body = await this.check(id, response);
    assert.equal(response.status, call.expect, `${id}: ${JSON.stringify(body)}`);
    return { response, body };
  }

  /** Holds an answer to its description. */
  async check(id: string, response: Response): Promise<unknown> {
    const { responses } = this.#operation(id);
    const described = responses[response.status];
    const text = await response.text();
    const say = `${id} answered ${response.status}: ${text.slice(0, 500)}`;
    assert.ok(described, `${say}\nThis status is not described.`);
    assert.ok(response.headers.has("x-correlation-id"), `${say}\nIt has no correlation id.`);
    if (response.status < 400) this.seen.add(id);
    if (!described.content) {
      assert.equal(text, "", `${say}\nA body is not described.`);
      return undefined;
    }
    const type = response.headers.get("content-type")?.split(";")[0] ?? "";
    const media = described.content[type] ?? described.content["*/*"];
    assert.ok(media, `${say}\nThe media type ${type} is not described.`);
    const body = type === "application/json" ? JSON.parse(text) : text;
    const validate = this.#validator(`${id} ${response.status} ${type}`, media.schema);
    assert.ok(validate(body), `${say}\n${this.#ajv.errorsText(validate.errors)}`);
    if (response.status >= 400 && type === "application/json") this.#checkCode(id, response, body);
    return body;
  }

  /** An error's code is one of those that its status is described with. */
  #checkCode(id: string, { status }: Response, body: unknown): void {
    const { description } = this.#operation(id).responses[status] as unknown as Json;
    const { error } = body as { error?: { code: string } };
    if (!error) return;
    assert.ok(
      String(description).includes(`\`${error.code}\``),
      `${id} answered ${status} ${error.code}, described are ${description}`,
    );
  }

  #operation(id: string): Described {
    const operation = this.operations.get(id);
    assert.ok(operation, `${id} is not described`);
    return operation;
  }

  #validator(key: string, schema: Json): ValidateFunction {
    let validate = this.#validators.get(key);
    if (!validate) {
      validate = this.#ajv.compile(pointed(closed(schema)) as Json);
      this.#validators.set(key, validate);
    }
    return validate;
  }
}

/** Answers may grow, but not behind the document's back: here, what is not described is refused. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, closed(member)]),
  );
  const isOpen = copy.type === "object" && copy.properties && !("additionalProperties" in copy);
  return isOpen ? { ...copy, additionalProperties: false } : copy;
}

/** References into the document, for a schema outside of it. */
function pointed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pointed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === "$ref" ? `api${member}` : pointed(member),
    ]),
  );
}
