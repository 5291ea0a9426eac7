/**
 * What a call through the gateway costs beside the same call made directly.
 *
 * `deno run -A scripts/bench/gateway.ts` on a running stack (`deno task start --no-n8n`). The
 * provider is a server in this process that answers after a given time; both ways carry the same
 * request. Nothing is asserted: figures depend on the machine.
 * @module
 */
import { parseArgs } from "node:util";
import postgres from "postgres";
import { readEnvFile } from "../platform/env_file.ts";
import { runCommand, showHelp } from "../platform/command.ts";
import { resolveLayout } from "../platform/layout.ts";

const HELP = `
Usage: deno run -A scripts/bench/gateway.ts [--calls N] [--width N] [--delay MS]

  --calls   how many calls each way (default 500)
  --width   how many run side by side (default 4)
  --delay   how long the provider takes (default 50)`;

const BODY = JSON.stringify({ items: Array.from({ length: 50 }, (_, id) => ({ id, name: "n" })) });

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      calls: { type: "string", default: "500" },
      width: { type: "string", default: "4" },
      delay: { type: "string", default: "50" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) showHelp(HELP);
  const [calls, width, delay] = [values.calls, values.width, values.delay].map(Number) as [
    number,
    number,
    number,
  ];

  const layout = resolveLayout({});
  const env = await readEnvFile(layout.envFile);
  if (!env?.SUPABASE_DB_URL) throw new Error("No stack runs: begin with deno task start --no-n8n.");
  const sql = postgres(env.SUPABASE_DB_URL, { max: 2, onnotice: () => {} });
  const provider = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async () => {
      await new Promise((resolve) => setTimeout(resolve, delay));
      return new Response(BODY, { headers: { "content-type": "application/json" } });
    },
  );
  const slug = `bench-${crypto.randomUUID().slice(0, 8)}`;
  try {
    const url = `http://127.0.0.1:${provider.addr.port}`;
    await prepare(sql, slug, url);
    const direct = () =>
      fetch(`${url}/things`, { headers: { authorization: "Bearer bench-token" } });
    const through = () =>
      fetch(`${env.SUPABASE_URL}/functions/v1/marketplace-execute`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${env.SUPABASE_SECRET_KEY}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ integration: slug, action: "things.list" }),
      });
    await measure(20, width, direct);
    await measure(50, width, through);
    const rows = {
      direct: await measure(calls, width, direct),
      gateway: await measure(calls, width, through),
    };
    console.log(`${calls} calls each way, ${width} side by side, the provider takes ${delay} ms`);
    for (const [name, { p50, p99, perSecond }] of Object.entries(rows)) {
      console.log(
        `${name.padEnd(8)} p50 ${p50.toFixed(1).padStart(7)} ms   p99 ${
          p99.toFixed(1).padStart(7)
        } ms   ${perSecond.toFixed(0).padStart(5)} calls/s`,
      );
    }
    const { direct: d, gateway: g } = rows;
    console.log(
      `overhead p50 ${(g.p50 - d.p50).toFixed(1)} ms, p99 ${(g.p99 - d.p99).toFixed(1)} ms, ratio ${
        (g.p50 / d.p50).toFixed(2)
      }`,
    );
  } finally {
    await sql`delete from marketplace.integrations where slug = ${slug}`;
    await sql`delete from marketplace.providers where slug = ${slug.replaceAll("-", "_")}`;
    await sql.end();
    await provider.shutdown();
  }
  return 0;
});

async function prepare(sql: postgres.Sql, slug: string, url: string): Promise<void> {
  const provider = slug.replaceAll("-", "_");
  await sql`
    select marketplace.register_provider(
      ${provider}, 'Bench', 'storage', ${url}, 'bearer',
      p_rate_limit => '{"quota": {"limit": 1000000, "window_seconds": 3600}}'
    )
  `;
  await sql`
    select marketplace.register_action(
      ${provider}, 'things.list', 'GET', '/things', '{"type": "object", "properties": {}}'
    )
  `;
  await sql`
    select marketplace.register_integration(
      ${slug}, 'Bench', ${provider}, 'storage', '{"allow_private_network": true}'
    )
  `;
  await sql`select marketplace.set_integration_secret(${slug}, 'api_token', 'bench-token')`;
}

/** Runs calls side by side; times in milliseconds. */
async function measure(
  calls: number,
  width: number,
  call: () => Promise<Response>,
): Promise<{ p50: number; p99: number; perSecond: number }> {
  const times: number[] = [];
  let next = 0;
  const began = performance.now();
  await Promise.all(Array.from({ length: width }, async () => {
    while (next++ < calls) {
      const start = performance.now();
      const response = await call();
      const text = await response.text();
      if (!response.ok) throw new Error(`${response.status} ${text}`);
      times.push(performance.now() - start);
    }
  }));
  const perSecond = calls / ((performance.now() - began) / 1000);
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))]!;
  return { p50: at(0.5), p99: at(0.99), perSecond };
}
