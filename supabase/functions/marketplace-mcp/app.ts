/**
 * marketplace-mcp: a Model Context Protocol server over the gateway and the control plane.
 *
 * Streamable HTTP without sessions: isolates are many and live shortly, so every request carries
 * all there is to know, and is answered with one JSON document.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
 */
// The package names types for its paths without ".js" only.
// @ts-types="@modelcontextprotocol/sdk/server/webStandardStreamableHttp"
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { cors } from "hono/cors";
import { z } from "zod";
import { db } from "../_shared/db.ts";
import { env, functionsUrl } from "../_shared/env.ts";
import { AppError, toAppError } from "../_shared/errors.ts";
import { createApp, methodNotAllowed, readJson } from "../_shared/http.ts";
import { type Access, openAccess } from "./access.ts";
import { createServer } from "./server.ts";

const METADATA_PATH = "/.well-known/oauth-protected-resource";
const MAX_MESSAGE_BYTES = 1024 * 1024;

/** The function's Hono app, mounted at /marketplace-mcp. */
export const app = createApp("marketplace-mcp");

// Clients in a browser send their token in a header, never a cookie: any origin may ask.
app.use(
  "*",
  cors({
    origin: "*",
    allowMethods: ["GET", "POST", "OPTIONS"],
    allowHeaders: [
      "accept",
      "authorization",
      "content-type",
      "mcp-protocol-version",
      "mcp-session-id",
      "traceparent",
      "x-correlation-id",
    ],
    exposeHeaders: ["www-authenticate", "x-correlation-id"],
    maxAge: 86_400,
  }),
);

app.post("/", async (c) => {
  let access: Access;
  try {
    access = await openAccess(db(), c.req.raw);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.status === 401) c.header("www-authenticate", challenge(error));
    throw error;
  }
  const message = await readJson(c.req.raw, z.unknown(), { maxBytes: MAX_MESSAGE_BYTES });
  if (Array.isArray(message)) {
    throw new AppError("invalid_request", 400, "Send one JSON-RPC message a request, no batch.");
  }
  const server = createServer(access, {
    correlationId: c.get("correlationId"),
    log: c.get("log"),
  });
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  try {
    return await transport.handleRequest(c.req.raw, { parsedBody: message });
  } finally {
    await server.close();
  }
});

// Without sessions there is no stream to listen to (GET) and nothing to end (DELETE).
app.all("/", methodNotAllowed("POST"));

app.get(METADATA_PATH, (c) => c.json(resourceMetadata()));

/**
 * What a client without a valid token is told: how to get one.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 */
function challenge({ code }: AppError): string {
  const parts = [`resource_metadata="${functionsUrl()}/marketplace-mcp${METADATA_PATH}"`];
  // A request without any token is no error to be named.
  if (code !== "missing_token") {
    parts.unshift(
      'error="invalid_token"',
      'error_description="Send a living API key, or a user\'s access token."',
    );
  }
  return `Bearer ${parts.join(", ")}`;
}

/** @see https://www.rfc-editor.org/rfc/rfc9728#section-2 */
function resourceMetadata() {
  const { SUPABASE_URL, MARKETPLACE_JWT_ISSUER } = env();
  const issuer = MARKETPLACE_JWT_ISSUER ?? (SUPABASE_URL && `${SUPABASE_URL}/auth/v1`);
  return {
    resource: `${functionsUrl()}/marketplace-mcp`,
    resource_name: "Marketplace",
    bearer_methods_supported: ["header"],
    ...(issuer ? { authorization_servers: [issuer] } : {}),
  };
}
