import { Buffer } from "node:buffer";
import type { Context } from "hono";
import { z } from "zod";

/** Where GitHub's documentation of its REST API begins. */
export const DOCS = "https://docs.github.com/rest";

/** What is wrong with a member of a request, as a 422 tells it. */
export interface FieldProblem {
  resource: string;
  code: "already_exists" | "custom" | "invalid" | "missing" | "missing_field";
  field?: string;
  message?: string;
}

/** An expected failure that becomes GitHub's JSON error. */
export class GitHubError extends Error {
  constructor(
    readonly status: 401 | 403 | 404 | 409 | 410 | 422,
    message: string,
    readonly errors?: FieldProblem[],
  ) {
    super(message);
    this.name = "GitHubError";
  }
}

/** Refuses a member of a request. */
export function invalid(...errors: FieldProblem[]): GitHubError {
  return new GitHubError(422, "Validation Failed", errors);
}

/** Writes an error as GitHub does. */
export function problem(
  c: Context,
  { status, message, errors }: GitHubError,
  documentation_url = DOCS,
): Response {
  const body = { message, ...(errors && { errors }), documentation_url, status: String(status) };
  return c.json(body, status);
}

/**
 * Reads a request's JSON body.
 *
 * @throws GitHubError 422 naming the first member that is not of the schema
 */
export async function readBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.output<T>> {
  const text = await c.req.text();
  let json: unknown;
  try {
    json = text === "" ? {} : JSON.parse(text);
  } catch {
    throw new GitHubError(422, "Problems parsing JSON");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { path, code } = parsed.error.issues[0]!;
  const field = path.join(".");
  const isMissing = code === "invalid_type" && !Object.hasOwn(json as object, String(path[0]));
  throw new GitHubError(
    422,
    isMissing
      ? `Invalid request.\n\n"${field}" wasn't supplied.`
      : `Invalid request.\n\nInvalid value for "${field}".`,
  );
}

/**
 * Answers a page of a list, with links to the others.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
export function paginate<T>(c: Context, all: readonly T[]): T[] {
  const perPage = clamp(c.req.query("per_page"), 30, 100);
  const page = clamp(c.req.query("page"), 1, Number.MAX_SAFE_INTEGER);
  const pages = Math.max(1, Math.ceil(all.length / perPage));
  const link = (to: number, rel: string) => {
    const target = new URL(c.req.url);
    target.searchParams.set("page", String(to));
    return `<${target}>; rel="${rel}"`;
  };
  const links = [];
  if (page > 1) links.push(link(page - 1, "prev"));
  if (page < pages) links.push(link(page + 1, "next"), link(pages, "last"));
  if (page > 1) links.push(link(1, "first"));
  if (links.length > 0) c.header("link", links.join(", "));
  return all.slice((page - 1) * perPage, page * perPage);
}

/** A number of a query, within its bounds. */
export function clamp(text: string | undefined, otherwise: number, max: number): number {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? Math.min(number, max) : otherwise;
}

/** GitHub's opaque id of a thing. */
export function nodeId(kind: string, id: number | string): string {
  return Buffer.from(`0:${kind}${id}`).toString("base64");
}

/** A time as GitHub writes it: without milliseconds. */
export function time(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}
