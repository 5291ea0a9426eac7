/**
 * The way of an event: schedules, rings, functions, the queue and its workflows.
 * @module
 */
import { readSchedules } from "../../deploy/database.ts";
import { age, duration } from "../output.ts";
import { type Check, type Finding, Skipped } from "./check.ts";

const CONFIGURE = "select marketplace.configure_platform('https://<ref>.supabase.co/functions/v1')";

const cron: Check = {
  name: "cron",
  title: "pg_cron runs every schedule",
  async run({ sql }) {
    const wanted = await readSchedules();
    const jobs = await sql<
      {
        jobname: string;
        schedule: string;
        active: boolean;
        start_time: Date | null;
        status: string | null;
        return_message: string | null;
        installed_at: Date;
        now: Date;
      }[]
    >`
      select c.jobname, c.schedule, c.active, d.start_time, d.status, d.return_message, now() as now,
        (select min(o.created_at) from marketplace.organizations as o) as installed_at
      from cron.job as c
      left join lateral (
        select r.start_time, r.status, r.return_message from cron.job_run_details as r
        where r.jobid = c.jobid order by r.runid desc limit 1
      ) as d on true
      where c.jobname like 'marketplace\\_%'`;
    const missing = [...wanted].filter(([name]) => !jobs.some(({ jobname }) => jobname === name))
      .map(([name, statement]) => ({
        subject: name,
        message: "is not scheduled.",
        remedy: statement.replaceAll(/\s+/g, " "),
      }));
    const unwell = jobs.flatMap(({ jobname, schedule, active, start_time, status, ...job }) => {
      const say = (message: string, remedy: string) => [{ subject: jobname, message, remedy }];
      if (!active) {
        return say(
          "is switched off.",
          `update cron.job set active = true where jobname = '${jobname}'`,
        );
      }
      const silentSeconds = (job.now.getTime() - (start_time ?? job.installed_at).getTime()) / 1000;
      if (silentSeconds > 3 * intervalSeconds(schedule) + 120) {
        return say(
          `has not run for ${duration(silentSeconds)}; its schedule is "${schedule}".`,
          "Restart the database: pg_cron's worker is not running, or this is not its database.",
        );
      }
      if (status === "failed") {
        return say(
          `failed ${age(start_time)} ago: ${job.return_message}`,
          `select * from cron.job_run_details where status = 'failed' order by runid desc limit 5`,
        );
      }
      return [];
    });
    return [...missing, ...unwell];
  },
};

/** How far apart a schedule's runs are, for the forms that are used here; a day for any other. */
export function intervalSeconds(schedule: string): number {
  const seconds = /^(\d+) seconds?$/.exec(schedule)?.[1];
  if (seconds) return Number(seconds);
  const minutes = /^(?:\*|\*\/(\d+)) \* \* \* \*$/.exec(schedule);
  if (minutes) return 60 * Number(minutes[1] ?? 1);
  return /^\d+ \* \* \* \*$/.test(schedule) ? 3600 : 86_400;
}

const functionsUrlKnown: Check = {
  name: "functions_url",
  title: "the database knows where its Edge Functions are",
  async run({ sql, place }) {
    const [row] = await sql<{ url: string | null }[]>`
      select marketplace.dispatch_settings() ->> 'functions_url' as url`;
    const url = row!.url;
    if (url === null) {
      const message = "It is not configured: nothing is rung, and events wait.";
      return [{ subject: "functions URL", message, remedy: CONFIGURE }];
    }
    if (!place.functionsUrl || place.functionsUrl === url) return [];
    return [{
      subject: "functions URL",
      message: `The database rings ${url}, MARKETPLACE_FUNCTIONS_URL is ${place.functionsUrl}.`,
      remedy:
        `If the latter is right: select marketplace.configure_platform('${place.functionsUrl}')`,
      isNote: true,
    }];
  },
};

const functionsReachable: Check = {
  name: "functions_reachable",
  title: "marketplace-webhook answers",
  run: async ({ functionsUrl }) => {
    if (functionsUrl === null) throw new Skipped("the functions' URL is not configured");
    const url = `${functionsUrl}/marketplace-webhook/health`;
    const subject = "marketplace-webhook";
    let response: Response;
    try {
      response = await fetch(url, { signal: AbortSignal.timeout(10_000), redirect: "manual" });
    } catch (error) {
      return [{
        subject,
        message: `${url} cannot be reached: ${(error as Error).message}`,
        remedy:
          "Are the functions deployed (deno task deploy) and the name right? Locally: deno task start",
      }];
    }
    const answer = await response.json().catch(() => null) as
      | { status?: string; reasons?: string[] }
      | null;
    if (response.status === 404) {
      const message = `${url} answers 404: the function is not deployed there.`;
      return [{ subject, message, remedy: `deno task deploy, or ${CONFIGURE}` }];
    }
    if (response.status === 401) {
      const message = `${url} answers 401 before the function sees a delivery.`;
      const remedy =
        "Deploy it with verify_jwt = false, as supabase/config.toml says: deno task deploy";
      return [{ subject, message, remedy }];
    }
    if (!response.ok) {
      return [{
        subject,
        message: `${url} answers ${response.status}${answer?.status ? ` (${answer.status})` : ""}.`,
        remedy: "Look at the function's logs; 503 means that it cannot reach the database.",
      }];
    }
    return [];
  },
};

const rings: Check = {
  name: "rings",
  title: "the last ring was answered",
  async run({ sql }) {
    const [ring] = await sql<
      {
        status_code: number | null;
        error_msg: string | null;
        created: Date | null;
        waiting: boolean;
      }[]
    >`
      select r.status_code, r.error_msg, r.created,
        exists (select from net.http_request_queue as q where q.id = d.ring_request_id)
          and d.rung_at < clock_timestamp() - interval '30 seconds' as waiting
      from marketplace.dispatcher_state as d
      left join net._http_response as r on r.id = d.ring_request_id
      where d.ring_request_id is not null`;
    const subject = "marketplace-dispatch";
    if (ring?.waiting) {
      const message = "The last ring has not been sent: pg_net's worker does not run.";
      return [{ subject, message, remedy: "select net.worker_restart()" }];
    }
    if (!ring?.created || ring.status_code !== null && ring.status_code < 400) return [];
    const { status_code: status, error_msg: error, created } = ring;
    return [{
      subject,
      message: `The last ring, ${age(created)} ago, was ${
        status === null ? `not answered: ${error}` : `answered with status ${status}.`
      }`,
      remedy: status === 401
        ? "Deploy marketplace-dispatch with verify_jwt = false, as supabase/config.toml says: deno task deploy"
        : status === 404
        ? `Is it deployed, and the URL right? deno task deploy, or ${CONFIGURE}`
        : "Does the database reach the functions' URL? Look at marketplace-dispatch's logs.",
    }];
  },
};

const waiting: Check = {
  name: "waiting",
  title: "no event and no job waits too long",
  async run({ sql }) {
    const alerts = await sql<{ alert: string; subject: string; message: string }[]>`
      select alert, subject, message from marketplace.v_alerts
      where alert in ('event_waiting', 'job_waiting')`;
    return alerts.map(({ alert, subject, message }) => ({
      subject,
      message,
      remedy: alert === "event_waiting"
        ? "Nobody routes: see cron, functions_url and rings; mp events ls --waiting lists them."
        : "Nobody fetches them: see rings; or the workflow is at its concurrency: mp workflows ls",
    }));
  },
};

const deadLetters: Check = {
  name: "dead_letters",
  title: "no job was given up",
  async run({ sql }) {
    const dead = await sql<
      { slug: string; error_code: string; count: number; message: string | null; id: string }[]
    >`
      select w.slug, j.error_code, count(*) as count,
        (array_agg(j.error_message order by j.finished_at desc))[1] as message,
        (array_agg(j.id order by j.finished_at desc))[1] as id
      from marketplace.sync_jobs as j
      join marketplace.workflows as w on w.id = j.workflow_id
      where j.status = 'dead' and j.replayed_at is null
      group by w.slug, j.error_code
      order by 3 desc`;
    return dead.map(({ slug, error_code, count, message, id }) => ({
      subject: slug,
      message: `${count} dead with ${error_code}; the latest: ${message ?? "no message"}`,
      remedy: `mp dead show ${id}; once the cause is gone: mp dead replay --error ${error_code}`,
    }));
  },
};

const workflows: Check = {
  name: "workflows",
  title: "every workflow takes jobs",
  async run({ sql }) {
    const held = await sql<
      {
        slug: string;
        is_active: boolean;
        disabled_reason: string | null;
        paused_at: Date | null;
        breaker_state: string;
        breaker_failures: number;
        breaker_until: Date | null;
        rules: number;
      }[]
    >`
      select w.slug, w.is_active, w.disabled_reason, w.paused_at, w.breaker_state,
        w.breaker_failures, w.breaker_until,
        (select count(*) from marketplace.sync_rules as r where r.workflow_id = w.id and r.is_active) as rules
      from marketplace.workflows as w
      where not w.is_active or w.paused_at is not null or w.breaker_state <> 'closed'
      order by w.slug`;
    return held.map((row): Finding => {
      const { slug: subject, rules } = row;
      const remedy = `mp workflows resume ${subject}`;
      if (!row.is_active) {
        const message = `is disabled: ${
          row.disabled_reason ?? "switched off"
        } (${rules} active rules use it).`;
        return { subject, message, remedy, isNote: rules === 0 };
      }
      if (row.paused_at) {
        return {
          subject,
          message: `is paused since ${age(row.paused_at)}; its jobs wait.`,
          remedy,
        };
      }
      return {
        subject,
        message:
          `Its circuit is ${row.breaker_state}: ${row.breaker_failures} dispatches failed in ` +
          `a row, the next probe goes in ${age(row.breaker_until)}.`,
        remedy: `mp jobs ls --workflow ${subject} says why; then ${remedy}`,
      };
    });
  },
};

const rules: Check = {
  name: "rules",
  title: "no rule is held, and every active rule can work",
  async run({ sql }) {
    const rows = await sql<
      { id: string; name: string; paused_at: Date | null; inactive: string[]; held: number }[]
    >`
      select r.id, r.name, r.paused_at,
        array_remove(array[
          case when s.status = 'inactive' then s.slug end,
          case when d.status = 'inactive' then d.slug end,
          case when n.status = 'inactive' then n.slug end], null) as inactive,
        (select count(*) from marketplace.sync_jobs as j
          where j.rule_id = r.id and j.status = 'pending' and j.run_at = 'infinity') as held
      from marketplace.sync_rules as r
      join marketplace.integrations as s on s.id = r.source_integration_id
      left join marketplace.integrations as d on d.id = r.destination_integration_id
      left join marketplace.integrations as n on n.id = r.notify_integration_id
      where r.is_active
        and (r.paused_at is not null or 'inactive' in (s.status, d.status, n.status))
      order by r.name`;
    return rows.flatMap(({ id, name: subject, paused_at, inactive, held }): Finding[] => [
      ...(paused_at
        ? [{
          subject,
          message: `is paused since ${age(paused_at)}; ${held} jobs wait.`,
          remedy: `mp rules resume ${id}`,
        }]
        : []),
      ...inactive.map((slug) => ({
        subject,
        message: `needs integration ${slug}, which is inactive.`,
        remedy: `update marketplace.integrations set status = 'active' where slug = '${slug}'`,
      })),
    ]);
  },
};

/** The checks along the way of an event. */
export const QUEUE_CHECKS: Check[] = [
  cron,
  functionsUrlKnown,
  functionsReachable,
  rings,
  waiting,
  deadLetters,
  workflows,
  rules,
];
