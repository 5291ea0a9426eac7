import type { Context } from "hono";

/** The origin and mount point a client reached a provider under, for absolute URLs in answers. */
export function baseUrl(c: Context, mountedAt: string): string {
  return `${new URL(c.req.url).origin}${mountedAt}`;
}

/** The token of an `Authorization` header, `""` when there is none. */
export function bearerToken(c: Context): string {
  return /^(?:bearer|token)\s+(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
}
