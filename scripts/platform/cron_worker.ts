/**
 * The scheduler behind the stand-in of pg_cron: runs due jobs as their role, one instance of a job
 * at a time, and records each run. No catch-up after a pause, as the real one.
 * @see https://github.com/citusdata/pg_cron
 * @module
 */
import postgres from "postgres";
import { parseSchedule, type Schedule } from "./cron_schedule.ts";
import type { Worker } from "./net_worker.ts";

/** A row of `cron.job`. */
interface Job {
  jobid: string;
  schedule: string;
  command: string;
  database: string;
  username: string;
}

interface Entry {
  job: Job;
  schedule: Schedule;
  /** Next due time of an interval job, in milliseconds since 1970. */
  due: number;
  running: boolean;
}

const MINUTE_MS = 60_000;

/** What pg_cron writes as `return_message` of a command. */
function summary(result: unknown): string {
  const last = (Array.isArray(result) && Array.isArray(result[0]) ? result.at(-1) : result) as {
    command?: string;
    count?: number;
  };
  if (last.command === "SELECT") return `${last.count} row${last.count === 1 ? "" : "s"}`;
  return [last.command, last.count].filter((part) => part != null).join(" ");
}

/**
 * Starts the scheduler.
 * @param urlOf connection URL of a role; the superuser's is used for the job table, and each job
 *   runs on a connection of its own role
 * @param superuser name of the superuser
 */
export async function startCronWorker(
  urlOf: (role: string) => string,
  superuser: string,
): Promise<Worker> {
  const sql = postgres(urlOf(superuser), {
    max: 3,
    fetch_types: false, // see net_worker.ts
    onnotice: () => {},
    connection: { application_name: "pg_cron scheduler" },
    backoff: (attempt) => Math.min(0.05 * 2 ** attempt, 2),
  });
  let entries = new Map<string, Entry>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastMinute = Math.floor(Date.now() / MINUTE_MS);
  let stopped = false;
  const running = new Set<Promise<void>>();

  const load = async () => {
    const [there] = await sql`select to_regclass('cron.job') is not null as yes`;
    const jobs = there?.yes
      ? await sql<Job[]>`
          select jobid, schedule, command, database, username from cron.job where active`
      : [];
    const next = new Map<string, Entry>();
    for (const job of jobs) {
      const old = entries.get(job.jobid);
      if (old?.job.schedule === job.schedule) {
        old.job = job;
        next.set(job.jobid, old);
        continue;
      }
      const schedule = parseSchedule(job.schedule);
      const due = schedule.kind === "interval" ? Date.now() + schedule.ms : 0;
      next.set(job.jobid, { job, schedule, due, running: old?.running ?? false });
    }
    entries = next;
    plan();
  };
  const reload = () => {
    load().catch((error) => {
      if (!stopped) console.error(`pg_cron scheduler: ${error.message}`);
    });
  };

  const run = async (entry: Entry) => {
    const { job } = entry;
    const [record] = await sql<{ runid: string }[]>`
      insert into cron.job_run_details (jobid, database, username, command, status, start_time)
      values (
        ${job.jobid}, ${job.database}, ${job.username}, ${job.command}, 'running',
        clock_timestamp()
      )
      returning runid`;
    let status = "succeeded";
    let message: string;
    let pid: number | null = null;
    const session = postgres(urlOf(job.username), {
      max: 1,
      fetch_types: false,
      database: job.database,
      onnotice: () => {},
      connect_timeout: 10,
      connection: { application_name: "pg_cron" },
    });
    try {
      pid = (await session<{ pid: number }[]>`select pg_backend_pid() as pid`)[0]!.pid;
      message = summary(await session.unsafe(job.command).simple());
    } catch (error) {
      status = "failed";
      message = `ERROR: ${error instanceof Error ? error.message : error}`;
    } finally {
      await session.end({ timeout: 1 });
    }
    await sql`
      update cron.job_run_details
      set status = ${status}, return_message = ${message}, job_pid = ${pid},
        end_time = clock_timestamp()
      where runid = ${record!.runid}`;
  };

  const start = (entry: Entry) => {
    if (entry.running) return;
    entry.running = true;
    const work = run(entry).catch((error) => {
      if (!stopped) console.error(`pg_cron scheduler: job ${entry.job.jobid}: ${error.message}`);
    }).finally(() => {
      entry.running = false;
      running.delete(work);
    });
    running.add(work);
  };

  const tick = () => {
    const now = Date.now();
    const minute = Math.floor(now / MINUTE_MS);
    for (const entry of entries.values()) {
      if (entry.schedule.kind === "interval") {
        if (now < entry.due) continue;
        entry.due = now + entry.schedule.ms;
        start(entry);
      } else if (minute !== lastMinute && entry.schedule.matches(new Date(minute * MINUTE_MS))) {
        start(entry);
      }
    }
    lastMinute = minute;
    plan();
  };

  // Sleeps until the next minute or the next interval job, whichever is first.
  function plan() {
    clearTimeout(timer);
    if (stopped) return;
    const dues = [...entries.values()].map((entry) =>
      entry.schedule.kind === "interval" ? entry.due : Infinity
    );
    const next = Math.min((lastMinute + 1) * MINUTE_MS, ...dues);
    timer = setTimeout(tick, Math.max(5, next - Date.now()));
  }

  await sql.listen("pg_cron", reload, reload);
  await sql`
    update cron.job_run_details
    set status = 'failed', return_message = 'server restarted', end_time = clock_timestamp()
    where status in ('starting', 'running')`.catch(() => {}); // the extension may not be there yet
  plan();

  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await Promise.race([
        Promise.allSettled(running),
        new Promise((done) => setTimeout(done, 2000)),
      ]);
      await sql.end({ timeout: 1 });
    },
  };
}
