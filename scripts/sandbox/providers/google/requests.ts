import type { Context } from "hono";
import { z } from "zod";
import { GoogleError } from "./errors.ts";
import { parseFields, selectFields } from "./fields.ts";

/**
 * Reads a request's JSON body; no body is an empty object.
 *
 * @throws GoogleError `parseError`, `badRequest` when it is not of the schema
 */
export async function readBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.output<T>> {
  const text = await c.req.text();
  let json: unknown;
  try {
    json = text === "" ? {} : JSON.parse(text);
  } catch {
    throw new GoogleError("parseError", "Invalid JSON payload received.");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new GoogleError("badRequest", `Invalid value at '${path.join(".")}': ${message}`);
}

/**
 * Answers a resource, or the part of it that the request's `fields` name.
 *
 * @throws GoogleError `invalidParameter`
 */
export function answer(c: Context, resource: Record<string, unknown>): Response {
  const fields = c.req.query("fields");
  return c.json(fields ? selectFields(resource, parseFields(fields)) as object : resource);
}
