/**
 * Running an action: over HTTP, by marketplace-execute, with the caller's own credential. Logs,
 * quota, row level security and the rules for outgoing requests are that function's, once.
 */
import { functionsUrl } from "../_shared/env.ts";
import { AppError } from "../_shared/errors.ts";
import { traceparent } from "../_shared/trace.ts";
import type { Access } from "./access.ts";

/** Below the 150 s after which the host ends a request. */
const TIMEOUT_MS = 140_000;

/** Body of `POST /marketplace-execute`. */
export interface ExecuteRequest {
  connection_id?: string | undefined;
  integration?: string | undefined;
  action: string;
  parameters: Record<string, unknown>;
  idempotency_key?: string | undefined;
}

/** What the gateway answered: the result, or why there is none. */
export interface ExecuteAnswer {
  ok: boolean;
  body: Record<string, unknown>;
}

/**
 * Has the gateway run an action as the caller.
 *
 * @param correlationId the request's; the execution is logged under it
 * @throws AppError `gateway_unreachable` (502), `gateway_timeout` (504)
 */
export async function execute(
  access: Access,
  request: ExecuteRequest,
  correlationId: string,
): Promise<ExecuteAnswer> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${functionsUrl()}/marketplace-execute`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${access.bearer}`,
        "content-type": "application/json",
        traceparent: traceparent(correlationId),
      },
      body: JSON.stringify(request),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    text = await response.text();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "TimeoutError") {
      throw new AppError(
        "gateway_timeout",
        504,
        "The action has not answered in time; it may have been done. Look before you repeat it.",
        { cause },
      );
    }
    throw new AppError(
      "gateway_unreachable",
      502,
      "marketplace-execute did not answer. Look whether the action was done before you repeat it.",
      { cause },
    );
  }
  const body = parseObject(text);
  if (!body) {
    throw new AppError(
      "gateway_unreachable",
      502,
      `marketplace-execute answered ${response.status} with something that is no JSON object.`,
    );
  }
  return { ok: response.ok && body.ok !== false, body };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
