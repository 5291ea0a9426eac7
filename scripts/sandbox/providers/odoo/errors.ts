/** Python's names of what Odoo raises. */
export type OdooException =
  | "builtins.AttributeError"
  | "builtins.TypeError"
  | "builtins.ValueError"
  | "odoo.exceptions.AccessDenied"
  | "odoo.exceptions.AccessError"
  | "odoo.exceptions.MissingError"
  | "odoo.exceptions.UserError"
  | "odoo.exceptions.ValidationError"
  | "psycopg2.OperationalError";

/** An expected failure that becomes Odoo's JSON-RPC error: HTTP 200 with an error object. */
export class OdooError extends Error {
  constructor(readonly exception: OdooException | string, message: string) {
    super(message);
    this.name = "OdooError";
  }
}

/** Writes an error as Odoo does. */
export function odooErrorResponse(id: unknown, { exception, message }: OdooError): Response {
  return Response.json({
    jsonrpc: "2.0",
    id: id ?? null,
    error: {
      code: 200,
      message: "Odoo Server Error",
      data: {
        name: exception,
        debug: `Traceback (most recent call last):\n${exception}: ${message}\n`,
        message,
        arguments: [message],
        context: {},
      },
    },
  });
}
