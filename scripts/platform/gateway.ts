/**
 * The routes of the base port: functions, Data API and Auth under the paths of hosted Supabase.
 * @module
 */
import { gatewayError, type Handler } from "./functions.ts";

/**
 * Builds the gateway's request handler.
 * @param functions by name
 * @param dataApi answers `/rest/v1` and `/auth/v1`
 */
export function createGateway(
  functions: ReadonlyMap<string, Handler>,
  dataApi: Handler,
): (request: Request, peer: string) => Response | Promise<Response> {
  return (request, peer) => {
    const url = new URL(request.url);
    const called = /^\/functions\/v1\/([^/]+)(\/.*)?$/.exec(url.pathname);
    if (called) {
      const handler = functions.get(called[1]!);
      if (!handler) return gatewayError(404, "NOT_FOUND", "Requested function was not found");
      // Hosted takes /functions/v1 off before the function sees the request. OPTIONS goes through
      // as well: a function answers its own preflight.
      url.pathname = `/${called[1]}${called[2] ?? ""}`;
      const headers = new Headers(request.headers);
      const forwarded = headers.get("x-forwarded-for");
      headers.set("x-forwarded-for", forwarded ? `${forwarded}, ${peer}` : peer);
      return handler(
        new Request(url, {
          method: request.method,
          headers,
          body: request.body,
          signal: request.signal,
        }),
      );
    }
    if (/^\/(rest|auth)\/v1(\/|$)/.test(url.pathname)) {
      return isPreflight(request) ? preflight(request) : dataApi(request);
    }
    return gatewayError(404, "NOT_FOUND", "no Route matched with those values");
  };
}

const isPreflight = (request: Request): boolean =>
  request.method === "OPTIONS" && request.headers.has("access-control-request-method");

/** Hosted answers a browser's preflight for every path of the Data API and Auth, known or not. */
function preflight(request: Request): Response {
  return new Response(null, {
    status: 200,
    headers: {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-max-age": "86400",
    },
  });
}
