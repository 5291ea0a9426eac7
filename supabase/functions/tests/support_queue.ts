/** For tests of the queue: rules and workflows of their own, events, and a workflow to look at. */
import postgres from "postgres";

/** A variable of the running stack. */
export function stackEnv(name: string): string {
  const value = Deno.env.get(name);
  if (value) return value;
  throw new Error(`${name} is not set: run \`deno task start\` and load .local/env`);
}

/** Where the functions answer. */
export const FUNCTIONS_URL = `${stackEnv("SUPABASE_URL")}/functions/v1`;

/** The stack's database; closed after the last test of a file that calls {@link useDatabase}. */
export function useDatabase(): postgres.Sql {
  const sql = postgres(stackEnv("SUPABASE_DB_URL"), { max: 5, onnotice: () => {} });
  Deno.test.afterAll(() => sql.end({ timeout: 2 }));
  return sql;
}

/** A job as a workflow is told about it. */
export interface DispatchedJob {
  id: string;
  attempt: number;
  max_attempts: number;
  lease_expires_at: string;
  correlation_id: string;
  token: string;
  url: string;
}

/** One request that reached the sink. */
export interface SinkRequest {
  path: string;
  headers: Headers;
  body: string;
  at: number;
}

/** A workflow that can behave in any way. */
export class Sink {
  readonly requests: SinkRequest[] = [];
  readonly #behaviours = new Map<string, (request: SinkRequest) => Response | Promise<Response>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const received: SinkRequest = {
          path: new URL(request.url).pathname,
          headers: request.headers,
          body: await request.text(),
          at: performance.now(),
        };
        this.requests.push(received);
        const behaviour = this.#behaviours.get(received.path);
        return await behaviour?.(received) ?? Response.json({ ok: true }, { status: 202 });
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Answers requests to a path in another way than 202. */
  on(path: string, behaviour: (request: SinkRequest) => Response | Promise<Response>): void {
    this.#behaviours.set(path, behaviour);
  }

  at(path: string): SinkRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  /** Waits until so many requests have come to a path. */
  async received(path: string, count = 1): Promise<SinkRequest[]> {
    await until(() => this.at(path).length >= count, `${count} requests at ${path}`);
    return this.at(path);
  }

  /** The job of the latest request to a path. */
  job(path: string): DispatchedJob {
    return JSON.parse(this.at(path).at(-1)!.body).data.job;
  }

  async stop(): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Gives a test file a sink, stopped after its last test. */
export function useSink(): Sink {
  const sink = new Sink();
  Deno.test.afterAll(() => sink.stop());
  return sink;
}

type Falsy = false | null | undefined;

/** Waits for a condition, looking every 25 ms. */
export async function until<T>(
  condition: () => T | Falsy | Promise<T | Falsy>,
  what: string,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const found = await condition();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`);
}

/** An integration, a workflow at the sink and a rule between them, with names of their own. */
export interface Lane {
  integrationId: string;
  integrationSlug: string;
  workflowId: string;
  workflowSlug: string;
  ruleId: string;
  /** Path of the workflow at the sink. */
  path: string;
}

/** What a lane may have different. */
export interface LaneOptions {
  /** The workflow's endpoint, instead of a path of its own at the sink. */
  endpoint?: string;
  provider?: string;
  workflow?: Record<string, string | number | boolean>;
  rule?: Record<string, string | string[] | boolean | null>;
}

let lanes = 0;
const RUN = crypto.randomUUID().slice(0, 8);

/** Makes a lane. */
export async function makeLane(
  sql: postgres.Sql,
  sink: Sink,
  options: LaneOptions = {},
): Promise<Lane> {
  const name = `queue-test-${RUN}-${++lanes}`;
  const path = `/${name}`;
  const [integration] = await sql`
    select marketplace.register_integration(
      ${name}, 'Queue test', ${options.provider ?? "github"}, 'automation', '{}'
    ) as id
  `;
  const [workflow] = await sql`
    insert into marketplace.workflows ${
    sql({
      slug: name,
      name,
      kind: "http",
      endpoint: options.endpoint ?? `${sink.url}${path}`,
      allows_private_network: true,
      retry_base: "0",
      max_concurrency: 50,
      ...options.workflow,
    })
  } returning id
  `;
  const [rule] = await sql`
    insert into marketplace.sync_rules ${
    sql({
      name,
      source_integration_id: integration!.id,
      workflow_id: workflow!.id,
      ...options.rule,
    })
  } returning id
  `;
  return {
    integrationId: integration!.id,
    integrationSlug: name,
    workflowId: workflow!.id,
    workflowSlug: name,
    ruleId: rule!.id,
    path,
  };
}

/** Removes everything that {@link makeLane} made in this file. */
export async function removeLanes(sql: postgres.Sql): Promise<void> {
  const mine = `queue-test-${RUN}-%`;
  await sql`
    delete from marketplace.sync_rules as r using marketplace.integrations as i
    where i.id = r.source_integration_id and i.slug like ${mine}
  `;
  await sql`delete from marketplace.integrations where slug like ${mine}`;
  await sql`delete from marketplace.workflows where slug like ${mine}`;
}

/** Stores events as marketplace-webhook does; the trigger rings the dispatcher. */
export async function ingest(
  sql: postgres.ISql,
  integrationId: string,
  events: { key?: string; type?: string; path?: string; payload?: unknown }[],
): Promise<{ outcome: string; event_id: string; correlation_id: string }[]> {
  const [{ version }] = await sql<[{ version: string }]>`
    select config_version as version from marketplace.integrations where id = ${integrationId}
  `;
  return await sql<{ outcome: string; event_id: string; correlation_id: string }[]>`
    select outcome, event_id, correlation_id
    from marketplace.ingest_events(
      ${events.map(() => integrationId)}, ${events.map(() => version)},
      ${events.map(({ key }) => key ?? crypto.randomUUID())},
      ${events.map(({ type }) => type ?? "workflow_run.completed")},
      ${events.map(({ path }) => path ?? "artifacts/")},
      ${events.map(() => "octo-org/octo-repo")},
      ${events.map(() => "2026-03-01T12:34:56Z")}::timestamptz[],
      ${events.map(() => "{}")},
      ${events.map(({ payload }) => JSON.stringify(payload ?? {}))}
    )
    order by ordinal
  `;
}

/** A row of `sync_jobs`, as far as tests look at it. */
export interface JobRow {
  id: string;
  status: string;
  attempt_count: number;
  lease_id: string | null;
  run_at: Date;
  error_code: string | null;
  error_message: string | null;
  correlation_id: string;
}

/** The jobs of a lane, oldest first. */
export async function jobsOf(sql: postgres.Sql, { ruleId }: Lane): Promise<JobRow[]> {
  return await sql<JobRow[]>`
    select id, status, attempt_count, lease_id, run_at, error_code, error_message, correlation_id
    from marketplace.sync_jobs where rule_id = ${ruleId} order by created_at, id
  `;
}

/** A row of `sync_job_attempts`, as far as tests look at it. */
export interface AttemptRow {
  attempt: number;
  dispatch_outcome: string | null;
  dispatch_status: number | null;
  result: string | null;
  error_code: string | null;
  error_message: string | null;
  response: string | null;
}

/** The attempts of a job, in order. */
export async function attemptsOf(sql: postgres.Sql, jobId: string): Promise<AttemptRow[]> {
  return await sql<AttemptRow[]>`
    select attempt, dispatch_outcome, dispatch_status, result, error_code, error_message, response
    from marketplace.sync_job_attempts where job_id = ${jobId} order by attempt
  `;
}

/** Rings the stack's dispatcher with a key of the platform's. */
export async function ring(query = ""): Promise<Response> {
  return await fetch(`${FUNCTIONS_URL}/marketplace-dispatch${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${stackEnv("SUPABASE_SECRET_KEY")}` },
  });
}
