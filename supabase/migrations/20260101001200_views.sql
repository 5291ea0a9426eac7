-- What an operator looks at. Every view runs with the rights of its reader.

create view marketplace.v_integration_health
with (security_invoker = true) as
with span as materialized (
  select s.since, s.until, s.is_counted from marketplace._minute_spans('syncs', '24 hours') as s
),
-- of the last 24 hours, by where from and where to
route as materialized (
  select
    m.source_integration_id as source_id, m.destination_integration_id as destination_id,
    sum(m.completed_count)::bigint as completed_count, sum(m.failed_count)::bigint as failed_count,
    max(m.last_completed_at) as last_completed_at
  from (
    select c.source_integration_id, c.destination_integration_id, c.completed_count, c.failed_count, c.last_completed_at
    from span as s
    join marketplace.sync_minutes as c on c.minute = s.since
    where s.is_counted
    union all
    -- what is not counted yet: this minute, the last one or two, and those in which something has just changed
    select a.source_id, a.destination_id, a.completed_count, a.failed_count, a.last_completed_at
    from span as s
    cross join lateral (
      select
        n.source_integration_id as source_id, coalesce(n.destination_integration_id, n.source_integration_id) as destination_id,
        count(*) filter (where n.status = 'completed') as completed_count, count(*) filter (where n.status = 'failed') as failed_count,
        max(n.completed_at) as last_completed_at
      from marketplace.artifact_syncs as n
      where n.created_at >= s.since and n.created_at < s.until and n.created_at > now() - interval '24 hours'
      group by 1, 2
    ) as a
    where not s.is_counted
  ) as m
  group by 1, 2
),
syncs as materialized (
  select
    e.integration_id, sum(r.completed_count)::bigint as completed_24h, sum(r.failed_count)::bigint as failed_24h,
    max(r.last_completed_at) as last_completed_at
  from route as r
  cross join lateral (select r.source_id union select r.destination_id) as e (integration_id)
  group by 1
)
select
  i.slug, i.name, i.provider, i.category, i.status, i.health_status, i.error_message, i.health_checked_at,
  -- today's partition first: only of a quiet one all are opened
  coalesce(
    (
      select e.created_at
      from marketplace.webhook_events as e
      where e.integration_id = i.id and e.created_at > now() - interval '1 hour'
      order by e.created_at desc
      limit 1
    ),
    (
      select e.created_at
      from marketplace.webhook_events as e
      -- said so that none but the index by integration will do, however rare its events are
      where e.integration_id between i.id and i.id
      order by e.integration_id, e.created_at desc
      limit 1
    )
  ) as last_event_at,
  syncs.last_completed_at,
  coalesce(syncs.completed_24h, 0) as completed_24h,
  coalesce(syncs.failed_24h, 0) as failed_24h,
  i.organization_id, i.id as integration_id
from marketplace.integrations as i
left join syncs on syncs.integration_id = i.id
order by i.slug;
comment on view marketplace.v_integration_health is
  'Each integration: its status, what was last wrong with it, its last event, and its artifact syncs of the last 24 hours.';

create view marketplace.v_recent_syncs
with (security_invoker = true) as
select
  a.id, a.status, a.name, source.slug as source, a.source_path, destination.slug as destination, a.destination_path,
  coalesce(a.destination_size_bytes, a.size_bytes) as size_bytes, a.destination_checksum,
  a.error_code, a.error_message, r.name as rule,
  a.created_at, a.completed_at,
  round(extract(epoch from a.completed_at - a.created_at) * 1000) as duration_ms,
  a.correlation_id, a.job_id, a.organization_id,
  a.kind, a.result
from marketplace.artifact_syncs as a
join marketplace.sync_rules as r on r.id = a.rule_id
join marketplace.integrations as source on source.id = a.source_integration_id
left join marketplace.integrations as destination on destination.id = a.destination_integration_id
order by a.created_at desc;
comment on view marketplace.v_recent_syncs is 'Artifact syncs, latest first: what went where, and whether it arrived.';

create view marketplace.v_quota_status
with (security_invoker = true) as
select
  i.slug as integration, i.provider, q.connection_id, q.name as quota, q.limit_count,
  case when q.resets_at > now() then q.used_count else 0 end as used_count,
  q.limit_count - case when q.resets_at > now() then least(q.used_count, q.limit_count) else 0 end as remaining_count,
  round(100.0 * case when q.resets_at > now() then q.used_count else 0 end / q.limit_count, 1) as usage_percent,
  q.resets_at, q.updated_at, q.organization_id
from marketplace.api_quotas as q
join marketplace.integrations as i on i.id = q.integration_id
order by 8 desc, i.slug;
comment on view marketplace.v_quota_status is 'How much of each provider''s rate limit is spent in the running window, by integration and connection.';

create function marketplace._count_waiting_by_page()
returns table (workflow_id uuid, pending bigint, held bigint, due bigint, oldest_run_at timestamptz)
language plpgsql
stable
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
-- the rows of a page together: one by one in the order of the index, each visit to a page costs more than its row
set enable_indexscan = off
set enable_indexonlyscan = off
set enable_sort = off
as $$
#variable_conflict use_column
declare
  v_now timestamptz := now();
begin
  return query
  select
    j.workflow_id, count(*), count(*) filter (where j.run_at = 'infinity'), count(*) filter (where j.run_at <= v_now), min(j.run_at)
  from marketplace.sync_jobs as j
  where j.workflow_id = any (array(select w.id from marketplace.workflows as w)) and j.status = 'pending'
  group by j.workflow_id;
end
$$;
comment on function marketplace._count_waiting_by_page() is 'The jobs that wait, by workflow, for v_job_queue while most of them have just come.';

create view marketplace.v_job_queue
with (security_invoker = true) as
with
-- what has come or changed since the last vacuum, an index finds only by a visit to the table
stored as materialized (
  select
    pg_stat_get_ins_since_vacuum('marketplace.sync_jobs'::regclass) + pg_stat_get_dead_tuples('marketplace.sync_jobs'::regclass)
      > 50000 as is_mostly_new
),
waiting as (
  select w.id as workflow_id, q.pending, q.held, q.due, q.oldest_run_at
  from marketplace.workflows as w
  cross join lateral (
    select
      count(*) as pending,
      count(*) filter (where j.run_at = 'infinity') as held,
      count(*) filter (where j.run_at <= now()) as due,
      min(j.run_at) as oldest_run_at
    from marketplace.sync_jobs as j
    where j.workflow_id = w.id and j.status = 'pending'
  ) as q
  where not (select s.is_mostly_new from stored as s)
  union all
  select p.workflow_id, p.pending, p.held, p.due, p.oldest_run_at
  from marketplace._count_waiting_by_page() as p
  where (select s.is_mostly_new from stored as s)
)
select
  w.slug as workflow, w.is_active, w.paused_at, w.breaker_state, w.breaker_until, w.max_concurrency,
  coalesce(waiting.pending, 0) as pending, coalesce(waiting.held, 0) as held, coalesce(waiting.due, 0) as due, running.running,
  oldest.due_at as oldest_due_at, extract(epoch from now() - oldest.due_at)::int as oldest_due_seconds,
  w.organization_id
from marketplace.workflows as w
left join waiting on waiting.workflow_id = w.id
cross join lateral (select case when waiting.due > 0 then waiting.oldest_run_at end as due_at) as oldest
cross join lateral (
  select count(*) as running
  from marketplace.sync_jobs as j
  where j.workflow_id = w.id and j.status = 'running'
) as running
order by w.slug;
comment on view marketplace.v_job_queue is 'Per workflow: its circuit, how many jobs wait (held = by a paused rule), are due, are running, and since when the oldest is due.';

create view marketplace.v_dead_letters
with (security_invoker = true) as
select
  j.id as job_id, j.finished_at as died_at, w.slug as workflow, r.name as rule, source.slug as source,
  j.error_code, j.error_message, j.attempt_count, j.correlation_id, j.event_id, j.created_at, j.organization_id
from marketplace.sync_jobs as j
join marketplace.workflows as w on w.id = j.workflow_id
join marketplace.sync_rules as r on r.id = j.rule_id
join marketplace.integrations as source on source.id = r.source_integration_id
where j.status = 'dead' and j.replayed_at is null
order by j.finished_at desc;
comment on view marketplace.v_dead_letters is 'Jobs that were given up and not replayed since, latest first, with the reason.';

create view marketplace.v_webhook_rejections
with (security_invoker = true) as
select w.minute, w.provider, w.reason, w.rejection_count
from marketplace.webhook_rejections as w
order by w.minute desc, w.provider, w.reason;
comment on view marketplace.v_webhook_rejections is 'Refused deliveries by minute, provider and reason, latest first. For the service role.';

create view marketplace.v_event_rates
with (security_invoker = true) as
with span as materialized (
  select s.since, s.until, s.is_counted from marketplace._minute_spans('events', '1 hour') as s
)
select
  r.minute, r.provider, r.event_type,
  sum(r.event_count)::bigint as event_count, sum(r.waiting_count)::bigint as waiting_count, sum(r.job_count)::bigint as job_count
from (
  select c.minute, c.provider, c.event_type, c.event_count, 0 as waiting_count, c.job_count
  from span as s
  join marketplace.event_minutes as c on c.minute = s.since
  where s.is_counted
  union all
  -- what is not counted yet: this minute, the last one or two, and those in which events wait
  select e.minute, e.provider, e.event_type, e.event_count, e.waiting_count, e.job_count
  from span as s
  cross join lateral (
    select
      marketplace._minute_of(w.created_at) as minute, w.provider, w.event_type,
      count(*) as event_count, count(*) filter (where not w.processed) as waiting_count, sum(w.job_count) as job_count
    from marketplace.webhook_events as w
    where w.created_at >= s.since and w.created_at < s.until and w.created_at > now() - interval '1 hour'
    group by 1, 2, 3
  ) as e
  where not s.is_counted
) as r
group by 1, 2, 3
order by 1 desc, 4 desc;
comment on view marketplace.v_event_rates is 'Events of the last hour by minute, provider and type.';

create view marketplace.v_latency
with (security_invoker = true) as
select
  p.workflow, p.job_count,
  round(1000 * p.wait[1]::numeric) as wait_ms_p50, round(1000 * p.wait[2]::numeric) as wait_ms_p99,
  round(p.dispatch[1]::numeric) as dispatch_ms_p50, round(p.dispatch[2]::numeric) as dispatch_ms_p99,
  round(1000 * p.run[1]::numeric) as run_ms_p50, round(1000 * p.run[2]::numeric) as run_ms_p99
from (
  select
    w.slug as workflow,
    count(*) as job_count,
    -- both at once: each would sort them again
    percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from a.started_at - j.created_at)) as wait,
    percentile_cont(array[0.5, 0.99]) within group (order by a.dispatch_ms) as dispatch,
    percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from a.ended_at - a.started_at)) as run
  from (
    -- enough for a percentile, however many there were
    select r.*
    from marketplace.sync_job_attempts as r
    where r.started_at > now() - interval '1 hour' and r.result = 'completed'
    order by r.started_at desc
    limit 5000
  ) as a
  join marketplace.sync_jobs as j on j.id = a.job_id
  join marketplace.workflows as w on w.id = j.workflow_id
  group by w.slug
) as p
order by p.workflow;
comment on view marketplace.v_latency is
  'Completed attempts of the last hour, at most the latest 5,000, by workflow: waiting in the queue, answer to the dispatch, and run time, in milliseconds.';

create view marketplace.v_recent_executions
with (security_invoker = true) as
select
  x.id, x.created_at, i.slug as integration, x.connection_id, x.action, x.caller, x.user_id, x.api_key_id, x.job_id,
  x.outcome, x.status_code, x.attempt_count, x.duration_ms, x.error_code, x.error_message, x.request, x.response,
  x.correlation_id, x.organization_id
from marketplace.execution_logs as x
left join marketplace.integrations as i on i.id = x.integration_id
order by x.created_at desc;
comment on view marketplace.v_recent_executions is 'Actions run at providers, latest first: who, what, where, when, and how it went.';

-- The story of one correlation id ------------------------------------------------------------

create function marketplace.trace(p_correlation_id uuid)
returns table (at timestamptz, stage text, subject text, detail jsonb, duration_ms numeric)
language plpgsql -- keeps its plan: making it, over all partitions, takes longer than looking
stable
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  with
  event as (
    select e.* from marketplace.webhook_events as e where e.correlation_id = p_correlation_id
  ),
  job as (
    select j.id, j.status, j.replay_of, j.created_at, j.finished_at, j.error_code, j.error_message, j.attempt_count,
      j.claimed_at, w.slug as workflow, r.name as rule, r.notify_integration_id
    from marketplace.sync_jobs as j
    join marketplace.workflows as w on w.id = j.workflow_id
    join marketplace.sync_rules as r on r.id = j.rule_id
    where j.correlation_id = p_correlation_id
  ),
  attempt as (
    select a.*, job.workflow, job.replay_of
    from marketplace.sync_job_attempts as a
    join job on job.id = a.job_id
  ),
  artifact as (
    select a.*, i.slug as destination
    from marketplace.artifact_syncs as a
    left join marketplace.integrations as i on i.id = a.destination_integration_id
    where a.correlation_id = p_correlation_id
  ),
  step as (
    select e.created_at - make_interval(secs => (coalesce(e.receive_ms, 0) + e.verify_ms)::float8 / 1000), -1, 'received', e.event_type,
      jsonb_build_object('provider', e.provider), e.receive_ms::numeric
    from event as e
    where e.verify_ms is not null
    union all
    select e.created_at - make_interval(secs => e.verify_ms::float8 / 1000), 0, 'verified', e.event_type,
      jsonb_build_object('provider', e.provider), e.verify_ms::numeric
    from event as e
    where e.verify_ms is not null
    union all
    select e.created_at, 1, 'stored', e.event_type,
      jsonb_build_object('event_id', e.id, 'provider', e.provider, 'delivery', e.dedupe_key, 'account', e.account, 'resource_path', e.resource_path),
      null::numeric
    from event as e
    union all
    select e.processed_at, 2, 'routed', e.event_type, jsonb_strip_nulls(jsonb_build_object('jobs', e.job_count, 'absorbed_by', e.absorbed_by)),
      extract(epoch from e.processed_at - e.created_at) * 1000
    from event as e
    where e.processed
    union all
    select a.started_at, 3, 'claimed', a.workflow, jsonb_strip_nulls(jsonb_build_object('job_id', a.job_id, 'attempt', a.attempt, 'replay_of', a.replay_of)), null
    from attempt as a
    union all
    -- one that is on its way to its workflow has no row yet
    select j.claimed_at, 3, 'claimed', j.workflow, jsonb_strip_nulls(jsonb_build_object('job_id', j.id, 'attempt', j.attempt_count, 'replay_of', j.replay_of)), null
    from job as j
    where j.status = 'running'
      and not exists (select from attempt as a where a.job_id = j.id and a.attempt = j.attempt_count and a.started_at = j.claimed_at)
    union all
    select a.started_at + make_interval(secs => coalesce(a.dispatch_ms, 0)::float8 / 1000), 4,
      case a.dispatch_outcome when 'delivered' then 'dispatched' when 'failed' then 'dispatch_failed' else 'dispatch_unanswered' end,
      a.workflow,
      jsonb_strip_nulls(jsonb_build_object('job_id', a.job_id, 'attempt', a.attempt, 'status', a.dispatch_status, 'error_code', a.error_code)),
      a.dispatch_ms
    from attempt as a
    where a.dispatch_outcome is not null
    union all
    select a.created_at, 5, 'planned', a.name,
      jsonb_build_object('job_id', a.job_id, 'destination', a.destination, 'path', a.destination_path, 'size_bytes', a.size_bytes), null
    from artifact as a
    where a.status <> 'skipped'
    union all
    select coalesce(a.completed_at, a.updated_at), 6,
      case a.status when 'completed' then 'copied' else a.status end, a.name,
      jsonb_strip_nulls(jsonb_build_object(
        'job_id', a.job_id, 'destination', a.destination, 'path', a.destination_path, 'size_bytes', a.destination_size_bytes,
        'checksum', a.destination_checksum, 'error_code', a.error_code, 'error', a.error_message
      )),
      extract(epoch from coalesce(a.completed_at, a.updated_at) - coalesce(a.started_at, a.created_at)) * 1000
    from artifact as a
    where a.status in ('completed', 'failed', 'skipped')
    union all
    select x.created_at, 7,
      case
        when x.outcome = 'failed' then 'execution_failed'
        when x.outcome = 'running' then 'executing'
        when x.integration_id = job.notify_integration_id then 'notified'
        else 'executed'
      end,
      x.action,
      jsonb_strip_nulls(jsonb_build_object(
        'job_id', x.job_id, 'integration', i.slug, 'status', x.status_code, 'error_code', x.error_code, 'error', x.error_message
      )),
      x.duration_ms
    from marketplace.execution_logs as x
    left join marketplace.integrations as i on i.id = x.integration_id
    left join job on job.id = x.job_id
    where x.correlation_id = p_correlation_id
    union all
    select a.ended_at, 8, case a.result when 'completed' then 'reported' else a.result end, a.workflow,
      jsonb_strip_nulls(jsonb_build_object('job_id', a.job_id, 'attempt', a.attempt, 'error_code', a.error_code, 'error', a.error_message)),
      extract(epoch from a.ended_at - a.started_at) * 1000
    from attempt as a
    where a.ended_at is not null
    union all
    select j.finished_at, 9, j.status, j.rule,
      jsonb_strip_nulls(jsonb_build_object('job_id', j.id, 'attempts', j.attempt_count, 'error_code', j.error_code, 'error', j.error_message)),
      extract(epoch from j.finished_at - j.created_at) * 1000
    from job as j
    where j.finished_at is not null
  )
  select s.at, s.stage, s.subject, s.detail, round(s.duration_ms, 1)
  from step as s (at, rank, stage, subject, detail, duration_ms)
  order by s.at, s.rank, s.subject;
end
$$;
comment on function marketplace.trace(uuid) is
  'Everything that happened under one correlation id, in order: received, verified, stored, routed, claimed, dispatched, planned, copied, notified, completed. Members see what is theirs.';

create function marketplace.health()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with
  -- counting stops at a bound: health must stay cheap when much is waiting
  waiting_event as (
    select e.created_at from marketplace.webhook_events as e where not e.processed order by e.created_at limit 1000
  ),
  waiting_job as (
    select from marketplace.sync_jobs as j where j.status = 'pending' limit 1000
  ),
  -- the head of each workflow's queue; of one that somebody paused nothing is expected
  oldest_job as (
    select min(marketplace._oldest_due_at(w.id)) as run_at
    from marketplace.workflows as w
    where w.paused_at is null
  ),
  running_job as (
    select 1 from marketplace.sync_jobs as j where j.status = 'running' limit 1000
  ),
  dead_job as (
    select 1 from marketplace.sync_jobs as j
    where j.status = 'dead' and j.replayed_at is null and j.finished_at > now() - interval '24 hours' limit 1000
  ),
  queue as (
    select
      (select count(*) from waiting_event) as events_waiting,
      (select extract(epoch from now() - min(w.created_at))::int from waiting_event as w) as oldest_event_seconds,
      (select count(*) from waiting_job) as jobs_waiting,
      (select extract(epoch from now() - o.run_at)::int from oldest_job as o) as oldest_job_seconds,
      (select count(*) from running_job) as jobs_running,
      (select count(*) from dead_job) as jobs_dead_24h
  ),
  reason as (
    select array_remove(array[
      case when q.oldest_event_seconds > 60 then format('an event has waited %s s for routing', q.oldest_event_seconds) end,
      case when q.oldest_job_seconds > 300 then format('a job has waited %s s for dispatch', q.oldest_job_seconds) end,
      case when q.jobs_dead_24h > 0 then format('%s jobs died in the last 24 hours', q.jobs_dead_24h) end
    ], null) as list
    from queue as q
  )
  select jsonb_build_object(
    'status', case when cardinality(r.list) = 0 then 'ok' else 'degraded' end,
    'reasons', to_jsonb(r.list),
    'database', 'ok',
    'queue', jsonb_build_object(
      'events_waiting', q.events_waiting,
      'oldest_waiting_seconds', greatest(q.oldest_event_seconds, q.oldest_job_seconds, 0),
      'jobs_waiting', q.jobs_waiting,
      'jobs_running', q.jobs_running,
      'jobs_dead', q.jobs_dead_24h
    )
  )
  from queue as q, reason as r
$$;
comment on function marketplace.health() is
  'State of the database and the queue for the health check: ok, or degraded with reasons. Counts stop at 1000.';

revoke all on all functions in schema marketplace from public;
grant select on
  marketplace.v_integration_health, marketplace.v_recent_syncs, marketplace.v_quota_status,
  marketplace.v_job_queue, marketplace.v_dead_letters, marketplace.v_event_rates, marketplace.v_latency,
  marketplace.v_recent_executions
to authenticated;
grant select on
  marketplace.v_integration_health, marketplace.v_recent_syncs, marketplace.v_quota_status,
  marketplace.v_job_queue, marketplace.v_dead_letters, marketplace.v_event_rates, marketplace.v_latency,
  marketplace.v_recent_executions, marketplace.v_webhook_rejections
to service_role;
grant execute on function marketplace.trace(uuid), marketplace._count_waiting_by_page() to authenticated, service_role;
grant execute on function marketplace.health() to service_role;
