/**
 * What a busy month leaves behind, stored set-based, each day in its partition.
 * @module
 */
import { INTEGRATION } from "./jobs.ts";
import type { Place } from "./stack.ts";

const DAYS = 30;

/** How much is stored. */
export interface MonthSize {
  /** Events of the month before the last hour. */
  events: number;
  /** Finished jobs of these events, each with an attempt, an artifact and an execution. */
  jobs: number;
  /** Events of the last hour; every second one has a job as above. */
  hourEvents: number;
  /** Jobs that are due and wait. */
  waiting: number;
}

const MANY = "00000000-0000-4000-8000-00000000000a";
const FEW = "00000000-0000-4000-8000-00000000000b";

/** Who looks at it. Without a user id it is the service, which sees all. */
export const READERS: { who: string; userId?: string }[] = [
  { who: "the service" },
  { who: "a member of the organization that has nearly all", userId: MANY },
  { who: "a member of one that has every thousandth", userId: FEW },
];

/** Registers who looks: members of two organizations, one with nearly all and one with little. */
export async function registerReaders({ sql }: Place): Promise<void> {
  await sql`insert into marketplace.organizations (slug, name) values ('small', 'Small')`;
  await sql`
    select marketplace.add_member(o.slug, case when o.is_default then ${MANY} else ${FEW} end::uuid)
    from marketplace.organizations as o`;
  await sql`
    select marketplace.register_integration('small-files', 'Small', 'bench', 'storage', '{}', 'small')`;
  await sql`
    insert into marketplace.workflows (organization_id, slug, name, kind, endpoint, completion, max_concurrency)
    select o.id, o.slug || '-run-' || n, 'Run', 'http', 'https://bench.example/run', 'response', 1000
    from marketplace.organizations as o, generate_series(1, 4) as n`;
  await sql`
    insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id)
    select 'Small', i.id, 'files/**', w.id
    from marketplace.integrations as i, marketplace.workflows as w
    where i.slug = 'small-files' and w.slug = 'small-run-1'`;
}

/** Stores it all. */
export async function fillMonth({ sql, admin }: Place, size: MonthSize): Promise<void> {
  for (const table of ["webhook_events", "sync_job_attempts", "execution_logs"]) {
    await sql`
      select marketplace._make_partition(${table}, (now() at time zone 'UTC')::date - n)
      from generate_series(1, ${DAYS - 1}) as n`;
  }
  await admin.begin(async (tx) => {
    // Neither bells nor foreign keys: what is inserted here has been through them.
    await tx`set local session_replication_role = replica`;
    await tx`set local synchronous_commit = off`;
    await tx`
      create temp table event on commit drop as
      select n, marketplace.uuid_v7() as id, gen_random_uuid() as correlation_id,
        case when n <= ${size.events}
          then now() - interval '1 second' * (3600 + ${
      (DAYS - 1) * 86400
    }::float8 * (1 - n / ${size.events}::float8))
          else now() - interval '1 second' * 3600 * (1 - (n - ${size.events}) / ${size.hourEvents}::float8)
        end as at,
        case when n % 1000 = 7 then 'small-files' else ${INTEGRATION} end as integration,
        case when n % 1000 = 7 then 'Small' else 'Bench' end as rule,
        case when n <= ${size.events} then n % ${Math.round(size.events / size.jobs)} = 2
          else n % 2 = 1 end as has_job
      from generate_series(1, ${size.events + size.hourEvents}::int) as n`;
    await tx`analyze event`;
    await tx`
      insert into marketplace.webhook_events (
        id, created_at, organization_id, integration_id, provider, event_type, resource_path,
        dedupe_key, payload, correlation_id, processed, processed_at, job_count
      )
      select e.id, e.at, i.organization_id, i.id, i.provider,
        (array['file.added', 'file.changed', 'file.moved', 'file.removed', 'folder.added'])[1 + e.n % 5],
        'files/' || e.n, e.n::text, jsonb_build_object('file', jsonb_build_object('id', e.id, 'size', e.n)),
        e.correlation_id, true, e.at, e.has_job::int
      from event as e
      join marketplace.integrations as i on i.slug = e.integration
      order by e.n`;
    await tx`
      insert into marketplace.webhook_deliveries (
        integration_id, dedupe_key, event_id, correlation_id, received_at, last_received_at
      )
      select i.id, md5(e.n::text)::uuid::text, e.id, e.correlation_id, e.at, e.at
      from event as e
      join marketplace.integrations as i on i.slug = e.integration`;
    // One in a hundred jobs is dead, and of those one in ten not replayed.
    await tx`
      insert into marketplace.sync_jobs (
        organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, status,
        run_at, attempt_count, token_hash, finished_at, created_at, error_code, replayed_at, result
      )
      select r.organization_id, r.id, r.workflow_id, e.id, e.at, e.correlation_id,
        case when e.n % 500 = 2 then 'dead' else 'completed' end, e.at, 1,
        sha256(e.id::text::bytea), e.at + interval '1 second', e.at,
        case when e.n % 500 = 2 then 'http_500' end,
        case when e.n % 500 = 2 and e.n % 5000 > 2 then e.at end, '{"status_code": 200}'
      from event as e
      join marketplace.sync_rules as r on r.name = e.rule
      where e.has_job
      order by e.n`;
    await tx`
      insert into marketplace.sync_job_attempts (
        id, started_at, organization_id, job_id, attempt, dispatch_outcome, dispatch_status,
        dispatch_ms, result, ended_at
      )
      select marketplace.uuid_v7(), j.run_at + interval '5 ms', j.organization_id, j.id, 1, 'delivered', 200, 5 + j.position % 40,
        case j.status when 'dead' then 'failed' else 'completed' end, j.finished_at
      from marketplace.sync_jobs as j
      order by j.position`;
    await tx`
      insert into marketplace.artifact_syncs (
        organization_id, job_id, rule_id, source_integration_id, destination_integration_id,
        correlation_id, source_ref, source_path, name, size_bytes, destination_path,
        destination_size_bytes, destination_checksum, status, created_at, started_at, completed_at
      )
      select j.organization_id, j.id, j.rule_id, r.source_integration_id, r.source_integration_id, j.correlation_id, j.position::text,
        'files/' || j.position, 'file ' || j.position, 4096, 'copies/' || j.position, 4096,
        'md5:' || md5(j.position::text), 'completed', j.created_at, j.created_at, j.finished_at
      from marketplace.sync_jobs as j
      join marketplace.sync_rules as r on r.id = j.rule_id
      where j.status = 'completed'
      order by j.position`;
    await tx`
      insert into marketplace.execution_logs (
        created_at, organization_id, integration_id, caller, job_id, correlation_id, action, outcome,
        status_code, attempt_count, duration_ms
      )
      select j.created_at, j.organization_id, r.source_integration_id, 'job', j.id, j.correlation_id, 'files.get',
        'succeeded', 200, 1, 12
      from marketplace.sync_jobs as j
      join marketplace.sync_rules as r on r.id = j.rule_id
      order by j.position`;
  });
  await admin`vacuum (analyze, freeze)`;
  // After it: what waits has just come, and no vacuum has passed since.
  await admin`
    insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, run_at)
    select r.organization_id, r.id, w.id, now() - interval '1 second' * (n % 60)
    from generate_series(1, ${size.waiting}::int) as n
    join marketplace.sync_rules as r on r.name = case when n % 1000 = 7 then 'Small' else 'Bench' end
    join marketplace.workflows as w on w.organization_id = r.organization_id and w.slug like '%-run-' || 1 + n % 4`;
}
