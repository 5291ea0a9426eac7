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
    // Not by the URL class: a request's URL is normal already, and this is done for each of them.
    const { origin, path, query } = partsOf(request.url);
    const called = /^\/functions\/v1\/([^/]+)(\/.*)?$/.exec(path);
    if (called) {
      const handler = functions.get(called[1]!);
      if (!handler) return gatewayError(404, "NOT_FOUND", "Requested function was not found");
      // Hosted takes /functions/v1 off before the function sees the request. OPTIONS goes through
      // as well: a function answers its own preflight.
      const url = `${origin}/${called[1]}${called[2] ?? ""}${query}`;
      const { method, headers, body, signal } = request;
      const passed = new Request(url, { method, headers, body, signal });
      // On the copy that this is anyway: each further one costs as much as parsing a small body.
      const forwarded = headers.get("x-forwarded-for");
      passed.headers.set("x-forwarded-for", forwarded ? `${forwarded}, ${peer}` : peer);
      return handler(passed);
    }
    if (/^\/(rest|auth)\/v1(\/|$)/.test(path)) {
      return isPreflight(request) ? preflight(request) : dataApi(request);
    }
    return gatewayError(404, "NOT_FOUND", "no Route matched with those values");
  };
}

/** The parts of an absolute http URL. */
function partsOf(url: string): { origin: string; path: string; query: string } {
  const pathAt = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", pathAt);
  return end < 0
    ? { origin: url.slice(0, pathAt), path: url.slice(pathAt), query: "" }
    : { origin: url.slice(0, pathAt), path: url.slice(pathAt, end), query: url.slice(end) };
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
