/** The MCP server of one request. */
import { Server } from "@modelcontextprotocol/sdk/server";
// The package names types for its paths without ".js" only.
// @ts-types="@modelcontextprotocol/sdk/types"
import {
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import { z } from "zod";
import { AppError, describeError, toAppError } from "../_shared/errors.ts";
import type { Logger } from "../_shared/logger.ts";
import type { Access } from "./access.ts";
import { actionTools, callableActions, nameActions, searchActions } from "./actions.ts";
import { execute } from "./gateway.ts";
import { type ControlTool, controlTools } from "./tools.ts";
import { readView, viewsOf } from "./views.ts";

/** With more actions than these, they are searched for instead of listed. */
const MAX_LISTED_ACTIONS = 40;

const VIEW_URI = "marketplace://views/";

const INSTRUCTIONS =
  "Actions of connected accounts are tools named <integration>__<action>; where there are many, " +
  "find them with search_actions and run them with execute_action. Answers carry a correlation_id, " +
  "which the trace tool explains.";

// One for all requests: making it takes longer than anything else here, and this server asks its
// clients for nothing that would have to be validated.
const jsonSchemaValidator = new AjvJsonSchemaValidator();

/** What belongs to one request. */
export interface RequestContext {
  /** UUID under which its executions are logged. */
  correlationId: string;
  log: Logger;
}

const SearchInput = z.strictObject({
  query: z.string().max(500).default("").describe("Words, such as: send message. Empty lists all"),
  integration: z.string().optional().describe("Only actions of this integration"),
  limit: z.int().min(1).max(25).default(8),
});

const ExecuteInput = z.strictObject({
  integration: z.string().min(1).describe("As search_actions has it"),
  connection_id: z.guid().optional().describe("Which account, where there are several"),
  action: z.string().min(1).describe("As search_actions has it"),
  parameters: z.record(z.string(), z.unknown()).default({}).describe(
    "By the action's parameters schema",
  ),
  idempotency_key: z.string().min(1).max(200).optional().describe(
    "The same key and request run once; the answer is given again for a day",
  ),
});

/** An MCP server that acts for a caller; it serves one request. */
export function createServer(access: Access, context: RequestContext): Server {
  const server = new Server(
    { name: "marketplace", title: "Marketplace", version: "0.1.0" },
    { capabilities: { tools: {}, resources: {} }, instructions: INSTRUCTIONS, jsonSchemaValidator },
  );
  server.onerror = (error) => context.log.warn("mcp.failed", describeError(error));

  server.setRequestHandler(ListToolsRequestSchema, async () => {
    const [named, control] = await Promise.all([
      callableActions(access).then(nameActions),
      controlTools(access),
    ]);
    const actions = named.size > MAX_LISTED_ACTIONS ? [] : await actionTools(access, named);
    return {
      tools: [
        ...(access.can("execute") ? [SEARCH_TOOL, EXECUTE_TOOL] : []),
        ...control.map(asTool),
        ...actions,
      ],
    };
  });

  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    const { name, arguments: input = {} } = params;
    try {
      return await callTool(access, context, name, input);
    } catch (thrown) {
      if (thrown instanceof McpError) throw thrown;
      return failed(context, thrown);
    }
  });

  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: viewsOf(access).map(({ name, title, description }) => ({
      uri: `${VIEW_URI}${name}`,
      name,
      title,
      description,
      mimeType: "application/json",
    })),
  }));

  server.setRequestHandler(ReadResourceRequestSchema, async ({ params: { uri } }) => {
    try {
      const name = uri.startsWith(VIEW_URI) ? uri.slice(VIEW_URI.length) : uri;
      const rows = await readView(access, name);
      return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify(rows) }] };
    } catch (thrown) {
      const error = toAppError(thrown);
      logFailure(context, error);
      // -32002: resource not found
      throw new McpError(error.status === 404 ? -32002 : ErrorCode.InternalError, error.message, {
        uri,
      });
    }
  });
  return server;
}

const SEARCH_TOOL: Tool = {
  name: "search_actions",
  title: "Search actions",
  description:
    "Finds actions of the connected accounts by words, with their parameters; execute_action runs them.",
  inputSchema: inputSchema(SearchInput),
  annotations: {
    readOnlyHint: true,
    destructiveHint: false,
    idempotentHint: true,
    openWorldHint: false,
  },
};

const EXECUTE_TOOL: Tool = {
  name: "execute_action",
  title: "Run an action",
  description:
    "Runs an action that search_actions found, on a connected account. It may write: see is_read_only and is_destructive there.",
  inputSchema: inputSchema(ExecuteInput),
  annotations: {
    readOnlyHint: false,
    destructiveHint: true,
    idempotentHint: false,
    openWorldHint: true,
  },
};

function asTool({ name, title, description, input, annotations }: ControlTool): Tool {
  return { name, title, description, inputSchema: inputSchema(input), annotations };
}

function inputSchema(schema: z.ZodObject): Tool["inputSchema"] {
  return z.toJSONSchema(schema, { io: "input" }) as Tool["inputSchema"];
}

async function callTool(
  access: Access,
  context: RequestContext,
  name: string,
  input: Record<string, unknown>,
): Promise<CallToolResult> {
  if (access.can("execute")) {
    if (name === SEARCH_TOOL.name) {
      const { integration, ...search } = SearchInput.parse(input);
      const actions = (await callableActions(access))
        .filter((action) => integration === undefined || action.integration === integration);
      return succeeded(await searchActions(access, actions, search));
    }
    if (name === EXECUTE_TOOL.name) {
      return await run(access, context, ExecuteInput.parse(input));
    }
  }
  const control = (await controlTools(access)).find((tool) => tool.name === name);
  if (control) return succeeded(await control.run(access, input));

  // Also those that are not listed because there are many: their names are the same.
  const action = nameActions(await callableActions(access)).get(name);
  if (!action) {
    throw new McpError(ErrorCode.InvalidParams, `There is no tool ${name} that you may use.`);
  }
  return await run(access, context, {
    action: action.action,
    parameters: input,
    ...(action.connection_id === null
      ? { integration: action.integration }
      : { connection_id: action.connection_id }),
  });
}

async function run(
  access: Access,
  context: RequestContext,
  request: Parameters<typeof execute>[1],
): Promise<CallToolResult> {
  const { ok, body } = await execute(access, request, context.correlationId);
  return { ...succeeded(body), isError: !ok };
}

/** As text for models, and as it is for programs. */
function succeeded(body: Record<string, unknown>): CallToolResult {
  const text = JSON.stringify(body);
  // Dates become what they are in JSON.
  return { content: [{ type: "text", text }], structuredContent: JSON.parse(text) };
}

function failed(context: RequestContext, thrown: unknown): CallToolResult {
  const error = toAppError(thrown);
  logFailure(context, error);
  return {
    ...succeeded({
      error: {
        code: error.code,
        message: error.message,
        correlation_id: context.correlationId,
        ...(error.details ? { details: error.details } : {}),
      },
    }),
    isError: true,
  };
}

function logFailure({ log }: RequestContext, error: AppError): void {
  log[error.status >= 500 ? "error" : "warn"]("request.failed", {
    code: error.code,
    status: error.status,
    message: error.message,
    cause: error.cause === undefined ? undefined : describeError(error.cause),
  });
}
