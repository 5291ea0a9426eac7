import { Hono } from "hono";
import { z } from "zod";
import type { Refusal } from "../../core/faults.ts";
import { FixtureError } from "../../core/fixtures.ts";
import type { ObservedEnv, Provider, Sandbox } from "../../core/provider.ts";
import { compileDomain } from "./domain.ts";
import { OdooError, odooErrorResponse } from "./errors.ts";
import { MODELS } from "./models.ts";
import { type OdooRecord, OdooRecords, UID } from "./records.ts";

/** The fixed, public account of the sandbox's Odoo. */
export const ODOO_CREDENTIALS = {
  db: "sandbox",
  login: "sandbox@example.com",
  /** Taken as an API key and as a password. */
  password: "sandbox-odoo-key",
  uid: UID,
} as const;

/** Records to make, as `POST /_control/odoo/records` takes them. */
export const OdooFixture = z.strictObject({
  model: z.string(),
  records: z.array(z.record(z.string(), z.unknown())).min(1),
});
/** The input form of {@linkcode OdooFixture}. */
export type OdooFixture = z.input<typeof OdooFixture>;

const Call = z.object({
  id: z.unknown(),
  params: z.object({
    service: z.string(),
    method: z.string(),
    args: z.array(z.unknown()).default([]),
  }),
});

type Kwargs = Record<string, unknown>;

/**
 * Odoo's external API over JSON-RPC: `common` to log in, `object` to call models. Errors are HTTP
 * 200 with an error object, as Odoo answers them.
 *
 * @see https://www.odoo.com/documentation/18.0/developer/reference/external_api.html
 */
export function createOdoo(sandbox: Sandbox): Provider {
  const records = new OdooRecords(sandbox.clock);
  const app = new Hono<ObservedEnv>();

  app.post("/jsonrpc", async (c) => {
    let id: unknown = null;
    try {
      const body = await c.req.json().catch(() => undefined);
      if (body === undefined) return c.text("Invalid JSON data", 400);
      id = body?.id;
      const { params } = Call.parse(body);
      return c.json({ jsonrpc: "2.0", id: id ?? null, result: call(params) });
    } catch (error) {
      if (error instanceof OdooError) return odooErrorResponse(id, error);
      if (error instanceof z.ZodError) {
        return odooErrorResponse(id, new OdooError("builtins.TypeError", z.prettifyError(error)));
      }
      throw error;
    }
  });

  app.all("*", (c) => c.html("<!doctype html><title>404 Not Found</title>", 404));

  function call({ service, method, args }: z.output<typeof Call>["params"]): unknown {
    if (service === "common") {
      if (method === "version") return VERSION;
      if (method === "login" || method === "authenticate") {
        const [db, login, password] = args;
        checkDatabase(db);
        return login === ODOO_CREDENTIALS.login && password === ODOO_CREDENTIALS.password && UID;
      }
    }
    if (service === "object" && (method === "execute_kw" || method === "execute")) {
      const [db, uid, password, model, name, ...rest] = args;
      checkDatabase(db);
      if (uid !== UID || password !== ODOO_CREDENTIALS.password) {
        throw new OdooError("odoo.exceptions.AccessDenied", "Access Denied");
      }
      const [positional = [], kwargs = {}] = method === "execute" ? [rest, {}] : rest;
      return callModel(String(model), String(name), positional as unknown[], kwargs as Kwargs);
    }
    throw new OdooError("builtins.AttributeError", `Method not found: ${method}`);
  }

  function callModel(model: string, method: string, args: unknown[], kwargs: Kwargs): unknown {
    records.model(model);
    if (method.startsWith("_")) {
      throw new OdooError(
        "odoo.exceptions.AccessError",
        `Private methods (such as '${model}.${method}') cannot be called remotely.`,
      );
    }
    const handler = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
    if (handler) return handler({ records, model, args, kwargs });
    throw new OdooError(
      "builtins.AttributeError",
      `The method '${model}.${method}' does not exist`,
    );
  }

  const control = new Hono();
  control.post("/odoo/records", async (c) => {
    const { model, records: wanted } = OdooFixture.parse(await c.req.json());
    try {
      return c.json({ ids: wanted.map((values) => records.create(model, values, UID)) }, 201);
    } catch (error) {
      throw error instanceof OdooError ? new FixtureError(error.message) : error;
    }
  });
  control.get("/odoo/records", (c) => {
    const model = c.req.query("model") ?? "project.task";
    if (Object.hasOwn(MODELS, model)) return c.json({ records: records.all(model) });
    throw new FixtureError(
      `There is no model ${model}; use one of ${Object.keys(MODELS).join(", ")}.`,
    );
  });

  return {
    name: "odoo",
    app,
    control,
    refuse,
    reset: () => records.clear(),
  };
}

const VERSION = {
  server_version: "18.0",
  server_version_info: [18, 0, 0, "final", 0, ""],
  server_serie: "18.0",
  protocol_version: 1,
};

function checkDatabase(db: unknown): void {
  if (db === ODOO_CREDENTIALS.db) return;
  throw new OdooError(
    "psycopg2.OperationalError",
    `connection to server at "127.0.0.1", port 5432 failed: FATAL:  database "${db}" does not exist\n`,
  );
}

/** An Odoo behind a proxy: the proxy's errors are pages, its own ones HTTP 200. */
function refuse({ status, error, retryAfter }: Refusal): Response {
  if (retryAfter !== undefined) {
    const headers = { "retry-after": String(retryAfter), "content-type": "text/html" };
    return new Response("<h1>429 Too Many Requests</h1>", { status: status ?? 429, headers });
  }
  if (error === undefined && status !== undefined && status !== 200) {
    return new Response(`<html><body><h1>${status}</h1></body></html>`, {
      status,
      headers: { "content-type": "text/html" },
    });
  }
  const exception = error ?? "odoo.exceptions.UserError";
  const response = odooErrorResponse(1, new OdooError(exception, "A fault was asked for."));
  return new Response(response.body, { status: status ?? 200, headers: response.headers });
}

interface ModelCall {
  records: OdooRecords;
  model: string;
  args: unknown[];
  kwargs: Kwargs;
}

/** The methods that may be called, each with its arguments by position or by name. */
const METHODS: Readonly<Record<string, (call: ModelCall) => unknown>> = {
  create({ records, model, ...call }) {
    const [values] = bind(call, ["vals_list"]);
    const lists = (Array.isArray(values) ? values : [values]) as Kwargs[];
    // All or none: what one of them refuses must not leave the others behind.
    const made: number[] = [];
    try {
      for (const each of lists) made.push(records.create(model, each ?? {}, UID));
    } catch (error) {
      records.unlink(model, made, UID);
      throw error;
    }
    return Array.isArray(values) ? made : made[0];
  },
  write({ records, model, ...call }) {
    const [ids, values] = bind(call, ["ids", "vals"]);
    records.write(model, idsOf(ids), values as Kwargs ?? {}, UID);
    return true;
  },
  unlink({ records, model, ...call }) {
    records.unlink(model, idsOf(bind(call, ["ids"])[0]), UID);
    return true;
  },
  read({ records, model, ...call }) {
    const [ids, fields] = bind(call, ["ids", "fields"]);
    return records.browse(model, idsOf(ids), UID)
      .map((record) => records.show(model, record, fieldsOf(fields)));
  },
  search({ records, model, ...call }) {
    const [domain, offset, limit, order] = bind(call, ["domain", "offset", "limit", "order"]);
    return search({ records, model, ...call }, { domain, offset, limit, order })
      .map(({ id }) => id);
  },
  search_count({ records, model, ...call }) {
    const [domain] = bind(call, ["domain"]);
    return search({ records, model, ...call }, { domain }).length;
  },
  search_read({ records, model, ...call }) {
    const [domain, fields, offset, limit, order] = bind(call, [
      "domain",
      "fields",
      "offset",
      "limit",
      "order",
    ]);
    return search({ records, model, ...call }, { domain, offset, limit, order })
      .map((record) => records.show(model, record, fieldsOf(fields)));
  },
  name_search({ records, model, ...call }) {
    const [name = "", , operator = "ilike", limit = 100] = bind(call, [
      "name",
      "args",
      "operator",
      "limit",
    ]);
    const domain = name === "" ? [] : [["name", operator, name]];
    return search({ records, model, ...call }, { domain, limit })
      .map((record) => [record.id, records.nameOf(record)]);
  },
  fields_get({ records, model, ...call }) {
    const [names, attributes] = bind(call, ["allfields", "attributes"]);
    const wanted = fieldsOf(names);
    const kept = fieldsOf(attributes);
    const described = Object.entries(records.model(model).fields)
      .filter(([name]) => wanted.length === 0 || wanted.includes(name))
      .map(([name, { required = false, ...field }]) => {
        const all = Object.entries({ ...field, name, required });
        return [name, Object.fromEntries(all.filter(([key]) => !kept[0] || kept.includes(key)))];
      });
    return Object.fromEntries(described);
  },
  check_access_rights: () => true,
  message_post({ records, model, ...call }) {
    const [ids, body = "", subject = false, attachments = []] = bind(call, [
      "ids",
      "body",
      "subject",
      "attachment_ids",
    ]);
    const [record] = records.browse(model, idsOf(ids), UID);
    if (!record) throw new OdooError("builtins.ValueError", "Expected singleton: ()");
    const values = { model, res_id: record.id, body, subject, attachment_ids: attachments };
    return records.create("mail.message", values, UID);
  },
};

function search(
  { records, model, kwargs }: ModelCall,
  { domain, offset, limit, order }: Kwargs,
): OdooRecord[] {
  const matches = compileDomain(records, model, domain ?? []);
  // Archived records are found by those only who ask for them.
  const asks = JSON.stringify(domain ?? []).includes('"active"') ||
    (kwargs.context as Kwargs | undefined)?.active_test === false;
  const found = records.all(model).filter((record) =>
    matches(record) && (asks || record.active !== false || !("active" in record))
  );
  const orders = String(order || "id").split(",").map((part) => part.trim().split(/\s+/));
  for (const [name = ""] of orders) records.field(model, name);
  found.sort((a, b) => {
    for (const [name = "", direction = "asc"] of orders) {
      const [x, y] = [a[name] as string, b[name] as string];
      if (x !== y) return (x < y ? -1 : 1) * (direction.toLowerCase() === "desc" ? -1 : 1);
    }
    return 0;
  });
  const start = Number(offset || 0);
  return found.slice(start, limit ? start + Number(limit) : undefined);
}

/** @throws OdooError `TypeError` when there are more arguments than the method takes */
function bind({ args, kwargs }: { args: unknown[]; kwargs: Kwargs }, names: string[]): unknown[] {
  if (args.length > names.length) {
    throw new OdooError(
      "builtins.TypeError",
      `takes from 1 to ${names.length + 1} positional arguments but ${args.length + 1} were given`,
    );
  }
  return names.map((name, index) => args[index] ?? kwargs[name]);
}

function idsOf(ids: unknown): number[] {
  return (Array.isArray(ids) ? ids : [ids]).filter((id): id is number => typeof id === "number");
}

function fieldsOf(fields: unknown): string[] {
  return Array.isArray(fields) ? fields.map(String) : [];
}
