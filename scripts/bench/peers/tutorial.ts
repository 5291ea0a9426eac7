/**
 * Serves the tutorial's Edge Function by the same platform, in an edge process of its own.
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { REPOSITORY } from "../../platform/layout.ts";
import { findFreeBase } from "../../platform/mod.ts";
import { endProcess } from "../../platform/processes.ts";
import { SECRET } from "../harness/deliveries.ts";
import type { Place } from "../harness/stack.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url)).replace(/[\\/]$/, "");

/** The peer while it runs. */
export interface Tutorial {
  url: string;
  pid: number;
  /** Stored deliveries. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

/** Makes the tutorial's table and starts its function. */
export async function startTutorial({ sql, env, layout }: Place): Promise<Tutorial> {
  await sql`
    create table public.tutorial_events (
      id bigint generated always as identity primary key,
      delivery_id text not null unique,
      event_type text not null,
      payload jsonb not null,
      created_at timestamptz not null default now()
    )`;
  await sql`alter table public.tutorial_events enable row level security`;
  await sql`grant select, insert on public.tutorial_events to service_role`;
  await sql`notify pgrst, 'reload schema'`;

  const port = findFreeBase();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-no-legacy-abort", "--config", join(REPOSITORY, "deno.json")]
      .concat([join(REPOSITORY, "scripts", "platform", "edge.ts"), "--port", String(port)])
      .concat([
        "--db-url",
        `postgres://supabase_lite:postgres@127.0.0.1:${layout.ports.postgres}/postgres`,
      ])
      .concat(["--functions", FOLDER]),
    env: { ...env, TUTORIAL_WEBHOOK_SECRET: SECRET },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const listening = Promise.withResolvers<void>();
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      if (decoder.decode(chunk).includes("listening")) listening.resolve();
    }
    listening.reject(new Error("The tutorial's edge process ended before it listened."));
  })();
  await listening.promise;
  return {
    url: `http://127.0.0.1:${port}/functions/v1/tutorial-webhook`,
    pid: child.pid,
    async count() {
      const [row] = await sql<{ count: number }[]>`
        select count(*)::int from public.tutorial_events`;
      return row!.count;
    },
    async stop() {
      await endProcess(child.pid, [["SIGTERM", 5000], ["SIGKILL", 2000]]);
    },
  };
}
