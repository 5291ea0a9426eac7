/**
 * How fast the database takes the same rows when nothing stands before it: no HTTP, no proof, no
 * parsing.
 * @module
 */
import postgres from "postgres";
import { quantile, type Sample } from "./compare.ts";
import type { SignedBody } from "./deliveries.ts";

/** One row of a delivery, and its dedupe key, by one prepared statement. */
const INSERT = `
  with delivery as (
    insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
    values ($1::uuid, $2, marketplace.uuid_v7(), gen_random_uuid())
    returning *
  )
  insert into marketplace.webhook_events (
    id, organization_id, integration_id, provider, event_type, resource_path, account, dedupe_key,
    occurred_at, headers, payload, correlation_id, receive_ms, verify_ms
  )
  select
    d.event_id, $3::uuid, d.integration_id, 'github', 'push', 'refs/heads/master', $4, d.dedupe_key,
    $5::timestamptz, $6::text::jsonb, $7::text::jsonb, d.correlation_id, 1, 1
  from delivery as d`;

/** What a row is made of besides its payload. */
export interface RowFacts {
  integrationId: string;
  organizationId: string;
}

/** A driver that inserts. */
export interface Ceiling {
  /** Inserts for so many seconds; the rows inserted are added to `inserted`. */
  run(connections: number, seconds: number): Promise<Sample>;
  /** Rows inserted so far. */
  inserted(): number;
  stop(): Promise<void>;
}

/**
 * The driver of the functions, with its prepared statements and the functions' pool.
 *
 * @param facts of the integration that the rows belong to
 */
export function startDriver(
  url: string,
  facts: RowFacts,
  bodies: SignedBody[],
  pool: number,
): Ceiling {
  const sql = postgres(url, { max: pool, onnotice: () => {} });
  const headers = JSON.stringify(bodies[0]!.headers);
  let inserted = 0;
  return {
    inserted: () => inserted,
    stop: () => sql.end({ timeout: 1 }),
    async run(connections, seconds) {
      const latencies: number[] = [];
      const started = performance.now();
      const endAt = started + seconds * 1000;
      const worker = async () => {
        for (let began = performance.now(); began < endAt; began = performance.now()) {
          await sql.unsafe(INSERT, [
            facts.integrationId,
            crypto.randomUUID(),
            facts.organizationId,
            "octokit/repository",
            new Date().toISOString(),
            headers,
            bodies[inserted % bodies.length]!.body,
          ], { prepare: true });
          inserted++;
          latencies.push(performance.now() - began);
        }
      };
      await Promise.all(Array.from({ length: connections }, worker));
      const elapsed = performance.now() - started;
      latencies.sort((a, b) => a - b);
      return {
        per_second: latencies.length / (elapsed / 1000),
        p50_ms: quantile(latencies, 0.5),
        p99_ms: quantile(latencies, 0.99),
      };
    },
  };
}

/** Prepared pgbench, where it is installed; null where it is not. */
export async function startPgbench(
  url: string,
  facts: RowFacts,
  body: SignedBody,
): Promise<Ceiling | null> {
  const version = await new Deno.Command("pgbench", { args: ["--version"] }).output()
    .catch(() => null);
  if (!version?.success) return null;
  const script = await Deno.makeTempFile({ prefix: "marketplace-bench-", suffix: ".sql" });
  const values = ["integration", "", "organization", "account", "at", "headers", "payload"];
  const text = INSERT.replace("$2", "gen_random_uuid()::text")
    .replace(/\$(\d)/g, (_, n) => `:${values[n - 1]}`);
  await Deno.writeTextFile(script, text.replaceAll("\n", " ") + ";\n");
  const variables = {
    integration: facts.integrationId,
    organization: facts.organizationId,
    account: "octokit/repository",
    at: new Date().toISOString(),
    headers: JSON.stringify(body.headers),
    payload: body.body,
  };
  let inserted = 0;
  return {
    inserted: () => inserted,
    stop: () => Deno.remove(script),
    async run(connections, seconds) {
      // Each of its clients is a connection of its own, and the server has a hundred.
      const clients = Math.min(connections, 32);
      const log = await Deno.makeTempDir({ prefix: "marketplace-bench-" });
      try {
        const { success, stdout, stderr } = await new Deno.Command("pgbench", {
          args: ["-n", "-M", "prepared", "-f", script, "-c", String(clients), "-j", "1"]
            .concat(["-T", String(Math.max(1, Math.round(seconds))), "-l", "--log-prefix=t"])
            .concat(Object.entries(variables).map(([name, value]) => `-D${name}=${value}`))
            .concat([url]),
          cwd: log,
        }).output();
        const report = new TextDecoder().decode(stdout);
        if (!success) throw new Error(`pgbench failed: ${new TextDecoder().decode(stderr)}`);
        inserted += Number(/actually processed: (\d+)/.exec(report)?.[1]);
        const latencies: number[] = [];
        for await (const { name } of Deno.readDir(log)) {
          for (const line of (await Deno.readTextFile(`${log}/${name}`)).split("\n")) {
            const micros = Number(line.split(" ")[2]);
            if (micros > 0) latencies.push(micros / 1000);
          }
        }
        latencies.sort((a, b) => a - b);
        return {
          per_second: Number(/tps = ([\d.]+)/.exec(report)?.[1]),
          p50_ms: quantile(latencies, 0.5),
          p99_ms: quantile(latencies, 0.99),
        };
      } finally {
        await Deno.remove(log, { recursive: true });
      }
    },
  };
}
