/** Routes of marketplace-mcp. */
import { z } from "zod";
import type { Operation } from "./operation.ts";

const Message = z.looseObject({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string(), z.number()]).optional(),
}).meta({ id: "JsonRpcMessage" });

/** Routes of marketplace-mcp. */
export const MCP: Operation[] = [
  {
    id: "sendMcpMessage",
    method: "post",
    path: "/marketplace-mcp",
    summary: "One message of the Model Context Protocol",
    description: "Streamable HTTP without sessions. Tools and resources are told by the protocol " +
      "itself: see https://modelcontextprotocol.io.",
    credentials: ["userToken", "apiKey"],
    headers: {
      accept: {
        description: "`application/json, text/event-stream`",
        required: true,
      },
    },
    body: Message,
    answers: {
      200: { description: "The answer.", body: Message },
      202: { description: "A notification was taken.", body: null },
      // The protocol's own errors, in its own format.
      406: { description: "Accept is not as the protocol wants it.", body: Message },
    },
    errors: { 400: ["invalid_request"], 403: ["forbidden"] },
  },
  {
    id: "getMcpResource",
    method: "get",
    path: "/marketplace-mcp/.well-known/oauth-protected-resource",
    summary: "How an MCP client gets a token",
    answers: {
      200: {
        description: "RFC 9728.",
        body: z.object({
          resource: z.url(),
          resource_name: z.string(),
          bearer_methods_supported: z.array(z.string()),
          authorization_servers: z.array(z.string()).optional(),
        }),
      },
    },
  },
];
