import { type Context, Hono } from "hono";
import { z } from "zod";
import { FaultRequest } from "./core/faults.ts";
import { FixtureError } from "./core/fixtures.ts";
import type { Provider, Sandbox } from "./core/provider.ts";
import { PushOptions } from "./core/pushes.ts";

/**
 * The sandbox's own interface, mounted at `/_control`: faults, journal, pushes, clock, reset, and
 * each provider's fixtures and inspections.
 */
export function createControl(sandbox: Sandbox, providers: readonly Provider[]): Hono {
  const names = providers.map(({ name }) => name);
  const control = new Hono();

  control.get("/health", (c) => c.json({ status: "ok", providers: names }));

  control.post("/faults", async (c) => {
    const request = FaultRequest.parse(await c.req.json());
    if (!names.includes(request.provider)) {
      return refuse(c, `There is no provider ${request.provider}; use one of ${names.join(", ")}.`);
    }
    return c.json(sandbox.faults.add(request), 201);
  });
  control.get("/faults", (c) => c.json({ faults: sandbox.faults.list() }));
  control.delete("/faults", (c) => {
    sandbox.faults.clear();
    return c.body(null, 204);
  });

  control.get("/journal", (c) => {
    const { provider, method, path, after } = c.req.query();
    const entries = sandbox.journal.select({
      provider,
      method,
      path,
      ...(after === undefined ? {} : { after: Number(after) }),
    });
    return c.json({ entries });
  });
  control.delete("/journal", (c) => {
    sandbox.journal.clear();
    return c.body(null, 204);
  });

  control.post("/pushes/options", async (c) => {
    const options = PushOptions.parse(await c.req.json());
    if (options.provider !== undefined && !names.includes(options.provider)) {
      return refuse(c, `There is no provider ${options.provider}; use one of ${names.join(", ")}.`);
    }
    return c.json(sandbox.pushes.configure(options));
  });
  control.get("/pushes", (c) => c.json({ pushes: sandbox.pushes.list() }));
  control.post("/pushes/release", async (c) => {
    const { reverse } = z.strictObject({ reverse: z.boolean().default(false) })
      .parse(await c.req.json());
    return c.json({ released: await sandbox.pushes.release(reverse) });
  });

  control.post("/clock", async (c) => {
    const { advance_ms } = z.strictObject({ advance_ms: z.int() }).parse(await c.req.json());
    sandbox.clock.advance(advance_ms);
    return c.json({ now: new Date(sandbox.clock.now()).toISOString() });
  });

  control.post("/reset", async (c) => {
    sandbox.faults.clear();
    sandbox.journal.clear();
    sandbox.clock.reset();
    await sandbox.pushes.reset();
    for (const provider of providers) await provider.reset();
    return c.body(null, 204);
  });

  for (const provider of providers) if (provider.control) control.route("/", provider.control);

  control.all("*", (c) =>
    c.json(
      { error: { code: "not_found", message: `There is no ${c.req.method} ${c.req.path}.` } },
      404,
    ));
  control.onError((error, c) => {
    if (error instanceof FixtureError) return refuse(c, error.message);
    if (error instanceof z.ZodError) return refuse(c, z.prettifyError(error));
    if (error instanceof SyntaxError) return refuse(c, `The body is not JSON: ${error.message}`);
    console.error(error);
    return c.json({ error: { code: "internal_error", message: error.message } }, 500);
  });
  return control;
}

function refuse(c: Context, message: string): Response {
  return c.json({ error: { code: "invalid_request", message } }, 400);
}
