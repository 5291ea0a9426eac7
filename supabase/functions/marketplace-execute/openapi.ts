/** The API's description, made by `deno task openapi`, for where it is served. */
import description from "./openapi.json" with { type: "json" };

/**
 * OpenAPI 3.1 of all functions.
 *
 * @param url the functions' base URL
 */
export function describeApi(url: string): Record<string, unknown> {
  return { ...description, servers: [{ url }] };
}
