-- Outcomes: what became of an attempt, in batches. A row whose lease is not held any more changes nothing.

create function marketplace._emit_event(
  p_organization_id uuid,
  p_event_type text,
  p_subject text,
  p_correlation_id uuid,
  p_payload jsonb
)
returns uuid
language sql
volatile
set search_path = ''
as $$
  -- only where somebody subscribes: the organization's own "marketplace" integration has an active rule
  insert into marketplace.webhook_events (
    organization_id, integration_id, provider, event_type, resource_path, dedupe_key, occurred_at, payload, correlation_id
  )
  select
    i.organization_id, i.id, i.provider, p_event_type, p_subject, marketplace.uuid_v7()::text, clock_timestamp(),
    p_payload, coalesce(p_correlation_id, gen_random_uuid())
  from marketplace.integrations as i
  where i.provider = 'marketplace' and i.organization_id = p_organization_id
    and exists (
      select from marketplace.sync_rules as r
      where r.source_integration_id = i.id and r.is_active
        and (cardinality(r.event_types) = 0 or p_event_type = any (r.event_types)
          or exists (select from unnest(r.event_types) as t where right(t, 1) = '*' and starts_with(p_event_type, left(t, -1))))
    )
  limit 1
  returning id
$$;
comment on function marketplace._emit_event(uuid, text, text, uuid, jsonb) is
  'Puts one of our own events (sync.completed, job.dead, …) on the same way as any webhook, if a rule wants it; null when none does.';

create function marketplace._emit_job_events(p_event_type text, p_job_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- nobody listens, as a rule: then nothing is put together
  if not exists (
    select
    from marketplace.integrations as own
    join marketplace.sync_rules as subscribed on subscribed.source_integration_id = own.id and subscribed.is_active
    where own.provider = 'marketplace'
  ) then
    return;
  end if;
  perform marketplace._emit_event(
    j.organization_id, p_event_type, 'jobs/' || j.id, j.correlation_id,
    jsonb_build_object(
      'job_id', j.id, 'status', j.status, 'attempts', j.attempt_count, 'error_code', j.error_code, 'error', j.error_message,
      'correlation_id', j.correlation_id, 'rule', r.name, 'workflow', w.slug, 'source', i.slug, 'event_id', j.event_id,
      'artifacts', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'name', a.name, 'status', a.status, 'destination_path', a.destination_path,
          'size_bytes', a.destination_size_bytes, 'checksum', a.destination_checksum, 'error_code', a.error_code
        ) order by a.id), '[]')
        from marketplace.artifact_syncs as a
        where a.job_id = j.id
      )
    )
  )
  from marketplace.sync_jobs as j
  join marketplace.sync_rules as r on r.id = j.rule_id
  join marketplace.workflows as w on w.id = j.workflow_id
  join marketplace.integrations as i on i.id = r.source_integration_id
  where j.id = any (p_job_ids)
    and j.organization_id in (
      select own.organization_id
      from marketplace.integrations as own
      join marketplace.sync_rules as subscribed on subscribed.source_integration_id = own.id and subscribed.is_active
      where own.provider = 'marketplace'
    )
    -- a notification that fails must not notify
    and i.provider <> 'marketplace';
end
$$;
comment on function marketplace._emit_job_events(text, uuid[]) is
  'Emits an event about each job, with its artifacts; nothing for jobs that are notifications themselves.';

create function marketplace._lock_jobs(p_rows jsonb)
returns void
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = force_generic_plan -- a plan is made once, and looks at a few rows by index
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  -- Jobs before their attempts and in order of id, as everybody locks them: a workflow may be reporting just now.
  perform
  from (select r.job_id from jsonb_to_recordset(p_rows) as r (job_id uuid) order by r.job_id) as r
  cross join lateral (
    select from marketplace.sync_jobs as j where j.id = r.job_id for no key update
  ) as locked;
end
$$;
comment on function marketplace._lock_jobs(jsonb) is 'Locks the jobs of [{job_id}] until the end of the transaction.';

create function marketplace._release_jobs(p_rows jsonb)
returns table (job_id uuid, status text)
language plpgsql
volatile
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_dead uuid[];
begin
  perform marketplace._lock_jobs(p_rows);
  return query
  with
  -- who still holds the lease that failed
  held as materialized (
    select
      j.id, j.lease_id, j.claimed_at, j.organization_id, j.attempt_count, r.result, r.error_code, r.error_message,
      r.status_code, r.duration_ms, r.outcome, r.response,
      coalesce(r.retryable, true) and j.attempt_count < j.max_attempts as is_retried,
      case when rule.paused_at is not null then 'infinity' else
        -- exponential backoff with full jitter, never before the destination's Retry-After or the end of a rate limit
        greatest(j.not_before, now() + greatest(
          random() * least(
            coalesce(rule.retry_cap, w.retry_cap),
            coalesce(rule.retry_base, w.retry_base) * power(2, least(j.attempt_count, 20) - 1)
          ),
          make_interval(secs => least(coalesce(r.retry_after_ms, 0), 2592000000) / 1000.0)
        ))
      end as next_run_at
    from jsonb_to_recordset(p_rows) as r (
      job_id uuid, lease_id uuid, result text, error_code text, error_message text, retryable boolean,
      retry_after_ms bigint, outcome text, status_code int, duration_ms numeric, response text
    )
    join marketplace.sync_jobs as j on j.id = r.job_id and j.lease_id = r.lease_id and j.status = 'running'
    join marketplace.sync_rules as rule on rule.id = j.rule_id
    join marketplace.workflows as w on w.id = j.workflow_id
  ),
  ended as (
    insert into marketplace.sync_job_attempts as a (
      id, started_at, organization_id, job_id, attempt, dispatch_outcome, dispatch_status, dispatch_ms, response,
      result, ended_at, error_code, error_message
    )
    select
      h.lease_id, h.claimed_at, h.organization_id, h.id, h.attempt_count, h.outcome, h.status_code, h.duration_ms,
      left(h.response, 2000), h.result, clock_timestamp(), h.error_code, left(h.error_message, 2000)
    from held as h
    on conflict (job_id, id, started_at) do update
      set result = excluded.result, ended_at = excluded.ended_at,
        error_code = excluded.error_code, error_message = excluded.error_message,
        dispatch_outcome = coalesce(excluded.dispatch_outcome, a.dispatch_outcome),
        dispatch_status = coalesce(excluded.dispatch_status, a.dispatch_status),
        dispatch_ms = coalesce(excluded.dispatch_ms, a.dispatch_ms),
        response = coalesce(excluded.response, a.response)
  )
  update marketplace.sync_jobs as j
  set status = case when h.is_retried then 'pending' else 'dead' end,
    run_at = case when h.is_retried then h.next_run_at else j.run_at end,
    finished_at = case when h.is_retried then null else clock_timestamp() end,
    lease_id = null, lease_expires_at = null, claimed_at = case when not h.is_retried then j.claimed_at end,
    error_code = h.error_code, error_message = left(h.error_message, 2000)
  from held as h
  where j.id = h.id
  returning j.id, j.status;

  select array_agg(j.id order by j.id) into v_dead
  from jsonb_to_recordset(p_rows) as r (job_id uuid)
  join marketplace.sync_jobs as j on j.id = r.job_id
  where j.status = 'dead' and j.finished_at >= now();
  if v_dead is not null then
    perform marketplace._emit_job_events('job.dead', v_dead);
    perform marketplace._emit_job_events('sync.failed', array(
      select distinct a.job_id from marketplace.artifact_syncs as a where a.job_id = any (v_dead) and a.status = 'failed'
    ));
  end if;
end
$$;
comment on function marketplace._release_jobs(jsonb) is
  'Ends attempts that failed: their jobs wait for a retry, or are dead after the last one (and say so). Rows whose lease is not held any more change nothing.';

create function marketplace._finish_jobs(p_rows jsonb)
returns int
language plpgsql
volatile
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_finished uuid[];
begin
  perform marketplace._lock_jobs(p_rows);
  with
  held as materialized (
    select j.id, j.lease_id, j.claimed_at, j.organization_id, j.attempt_count, r.result
    from jsonb_to_recordset(p_rows) as r (job_id uuid, lease_id uuid, result jsonb)
    join marketplace.sync_jobs as j on j.id = r.job_id and j.lease_id = r.lease_id and j.status = 'running'
  ),
  ended as (
    insert into marketplace.sync_job_attempts as a (id, started_at, organization_id, job_id, attempt, result, ended_at)
    select h.lease_id, h.claimed_at, h.organization_id, h.id, h.attempt_count, 'completed', clock_timestamp()
    from held as h
    on conflict (job_id, id, started_at) do update
      set result = excluded.result, ended_at = excluded.ended_at, error_code = null, error_message = null
  ),
  finished as (
    update marketplace.sync_jobs as j
    set status = 'completed', finished_at = clock_timestamp(), result = coalesce(h.result, '{}'),
      lease_id = null, lease_expires_at = null, error_code = null, error_message = null
    from held as h
    where j.id = h.id
    returning j.id
  )
  select array_agg(f.id) into v_finished from finished as f;
  if v_finished is null then
    return 0;
  end if;
  perform marketplace._emit_job_events('sync.completed', v_finished);
  return cardinality(v_finished);
end
$$;
comment on function marketplace._finish_jobs(jsonb) is
  'Completes jobs [{job_id, lease_id, result}] whose lease is held, and says so. Returns how many.';

create function marketplace._turn_breakers(p_results jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_turned record;
begin
  for v_turned in
    with
    -- per workflow: did anything get through, and how much failed on the destination's side
    outcome as (
      select
        j.workflow_id,
        coalesce(bool_or(r.outcome = 'delivered'), false) as is_reached,
        count(*) filter (
          where r.outcome <> 'delivered' and (r.status_code is null or r.status_code >= 500 or r.status_code = 429)
        ) as failures,
        coalesce(bool_or(r.status_code = 410), false) as is_gone
      from jsonb_to_recordset(p_results) as r (job_id uuid, lease_id uuid, outcome text, status_code int)
      join marketplace.sync_jobs as j on j.id = r.job_id
      group by j.workflow_id
    ),
    changed as (
      select
        w.id, w.slug, w.organization_id, w.breaker_state as old_state, w.is_active as was_active,
        o.is_gone,
        case when o.is_reached then 0 else w.breaker_failures + o.failures end as failures,
        not o.is_reached and o.failures > 0
          and (w.breaker_state = 'half_open' or w.breaker_state = 'closed' and w.breaker_failures + o.failures >= w.breaker_threshold)
          as is_opening
      from outcome as o
      join marketplace.workflows as w on w.id = o.workflow_id
      where (o.is_reached and (w.breaker_failures > 0 or w.breaker_state <> 'closed')) or o.failures > 0 or o.is_gone
      order by w.id
      for no key update of w
    ),
    turned as (
      update marketplace.workflows as w
      set breaker_failures = c.failures,
        breaker_state = case when c.failures = 0 then 'closed' when c.is_opening then 'open' else w.breaker_state end,
        breaker_openings = case when c.failures = 0 then 0 else w.breaker_openings + c.is_opening::int end,
        breaker_until = case
          when c.failures = 0 then null
          when c.is_opening then clock_timestamp() + least(
            interval '30 minutes', w.breaker_cooldown * power(2, least(10, w.breaker_openings))
          )
          else w.breaker_until
        end,
        is_active = w.is_active and not c.is_gone,
        disabled_reason = case when c.is_gone then 'The endpoint answered 410 Gone.' else w.disabled_reason end
      from changed as c
      where w.id = c.id
      returning w.id, w.slug, w.organization_id, c.old_state, w.breaker_state as new_state, c.was_active, w.is_active,
        w.breaker_until, w.breaker_failures
    )
    select * from turned as t
    -- a notification that fails must not notify
    where not exists (select from marketplace.notification_endpoints as n where n.workflow_id = t.id)
  loop
    if v_turned.old_state = 'closed' and v_turned.new_state = 'open'
      or v_turned.old_state <> 'closed' and v_turned.new_state = 'closed'
      or v_turned.was_active and not v_turned.is_active then
      perform marketplace._emit_event(
        v_turned.organization_id,
        case when not v_turned.is_active then 'workflow.disabled'
          when v_turned.new_state = 'open' then 'workflow.circuit_opened' else 'workflow.circuit_closed' end,
        'workflows/' || v_turned.slug, null,
        jsonb_build_object('workflow', v_turned.slug, 'failures', v_turned.breaker_failures, 'until', v_turned.breaker_until)
      );
    end if;
  end loop;
end
$$;
comment on function marketplace._turn_breakers(jsonb) is
  'Counts dispatches that failed at the destination, opens, probes and closes the circuit of each workflow, and disables one that answers 410. Says so, but for notification endpoints.';

create function marketplace._record_others(p_results jsonb)
returns int
language plpgsql
volatile
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan -- a plan is made once, and looks at a few rows by index
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_recorded int;
  v_failed jsonb;
  v_count int;
begin
  perform marketplace._lock_jobs(p_results);
  with
  result as materialized (
    select
      r.*, j.id, j.organization_id, j.attempt_count,
      case when j.status = 'running' and j.lease_id = r.lease_id then j.claimed_at end as held_since,
      -- unanswered: a workflow that reports may be running, so its lease decides; another one is asked again
      r.outcome = 'failed' or r.outcome = 'unknown' and w.completion = 'response' as is_failing
    from jsonb_to_recordset(p_results) as r (
      job_id uuid, lease_id uuid, outcome text, status_code int, duration_ms numeric, error_code text, error text, response text,
      retryable boolean, retry_after_ms bigint
    )
    -- by its key, one after the other, whatever the planner knows of the table
    cross join lateral (select q.* from marketplace.sync_jobs as q where q.id = r.job_id offset 0) as j
    join marketplace.workflows as w on w.id = j.workflow_id
  ),
  -- it may be running; or it is running, and that was written down already
  held as (
    update marketplace.sync_jobs as j
    set dispatched_at = now()
    from result as r
    where r.held_since is not null and not r.is_failing and j.id = r.id and j.dispatched_at is null
  ),
  noted as (
    insert into marketplace.sync_job_attempts as a (
      id, started_at, organization_id, job_id, attempt, dispatch_outcome, dispatch_status, dispatch_ms, response,
      error_code, error_message
    )
    select
      r.lease_id, r.held_since, r.organization_id, r.id, r.attempt_count, r.outcome, r.status_code, r.duration_ms,
      left(r.response, 2000), r.error_code, left(r.error, 2000)
    from result as r
    where r.held_since is not null and not r.is_failing
    on conflict (job_id, id, started_at) do update
      set dispatch_outcome = excluded.dispatch_outcome, dispatch_status = excluded.dispatch_status,
        dispatch_ms = excluded.dispatch_ms, response = excluded.response,
        error_code = excluded.error_code, error_message = excluded.error_message
    returning 1
  ),
  -- their workflow had reported, and even finished, before the answer came in
  late as (
    update marketplace.sync_job_attempts as a
    set dispatch_outcome = r.outcome, dispatch_status = r.status_code, dispatch_ms = r.duration_ms,
      error_code = coalesce(a.error_code, r.error_code), error_message = coalesce(a.error_message, left(r.error, 2000)),
      response = left(r.response, 2000)
    from result as r
    where r.outcome in ('delivered', 'unknown') and r.held_since is null and a.job_id = r.id and a.id = r.lease_id
    returning 1
  )
  select
    (select count(*) from noted) + (select count(*) from late),
    jsonb_agg(jsonb_build_object(
      'job_id', r.id, 'lease_id', r.lease_id, 'result', 'failed', 'outcome', r.outcome, 'status_code', r.status_code,
      'duration_ms', r.duration_ms, 'error_code', coalesce(r.error_code, 'dispatch_failed'), 'error_message', r.error,
      'response', r.response, 'retry_after_ms', r.retry_after_ms,
      'retryable', coalesce(
        r.retryable,
        -- a client error is final, but for those that say "not now" (404: n8n has not registered the webhook yet)
        not coalesce(r.status_code between 400 and 499 and r.status_code not in (404, 408, 409, 425, 429), false)
      )
    )) filter (where r.is_failing)
  into v_recorded, v_failed
  from result as r;

  if v_failed is not null then
    select count(*) into v_count from marketplace._release_jobs(v_failed);
    v_recorded := v_recorded + v_count;
  end if;
  return v_recorded;
end
$$;
comment on function marketplace._record_others(jsonb) is
  'Writes down dispatches that failed, got no answer, or whose job is not theirs any more. Returns how many rows it wrote down.';

create function marketplace.record_dispatches(p_results jsonb)
returns int
language plpgsql
volatile
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan -- a plan is made once, and looks at a few rows by index
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_delivered uuid[];
  v_finished uuid[];
  v_is_turning boolean;
  v_others jsonb;
  v_recorded int;
begin
  -- As a rule all were delivered to jobs that are still held, and nothing is written down of them yet.
  with
  result as materialized (
    select r.job_id, r.lease_id, r.status_code, r.duration_ms, r.error_code, r.error, r.response
    from jsonb_to_recordset(p_results) as r (
      job_id uuid, lease_id uuid, outcome text, status_code int, duration_ms numeric, error_code text, error text, response text
    )
    where r.outcome = 'delivered'
    -- jobs before their attempts and in order of id, as everybody locks them: a workflow may be reporting just now
    order by r.job_id
  ),
  moved as (
    update marketplace.sync_jobs as j
    set dispatched_at = now(),
      -- where the answer itself is the proof, 2xx completes
      status = case when r.is_finishing then 'completed' else 'running' end,
      finished_at = case when r.is_finishing then clock_timestamp() end,
      result = case when r.is_finishing then jsonb_build_object('status_code', r.status_code) else j.result end,
      lease_id = case when not r.is_finishing then j.lease_id end,
      lease_expires_at = case when not r.is_finishing then j.lease_expires_at end,
      error_code = case when not r.is_finishing then j.error_code end,
      error_message = case when not r.is_finishing then j.error_message end
    from (
      select
        r.*, w.completion = 'response' as is_finishing,
        w.breaker_failures > 0 or w.breaker_state <> 'closed' as is_turning
      from result as r
      -- by its key, one after the other, whatever the planner knows of the table
      cross join lateral (select s.workflow_id from marketplace.sync_jobs as s where s.id = r.job_id offset 0) as q
      join marketplace.workflows as w on w.id = q.workflow_id
    ) as r
    -- a lease is held by a running job only; to say "running" would let the planner read all that run
    where j.id = r.job_id and j.lease_id = r.lease_id and j.dispatched_at is null
    returning
      j.id, j.organization_id, j.claimed_at, j.attempt_count, j.finished_at, r.lease_id, r.status_code, r.duration_ms,
      r.error_code, r.error, r.response, r.is_turning
  ),
  noted as (
    insert into marketplace.sync_job_attempts (
      id, started_at, organization_id, job_id, attempt, dispatch_outcome, dispatch_status, dispatch_ms, response,
      error_code, error_message, result, ended_at
    )
    select
      m.lease_id, m.claimed_at, m.organization_id, m.id, m.attempt_count, 'delivered', m.status_code, m.duration_ms,
      left(m.response, 2000),
      case when m.finished_at is null then m.error_code end, case when m.finished_at is null then left(m.error, 2000) end,
      case when m.finished_at is not null then 'completed' end, m.finished_at
    from moved as m
  )
  select array_agg(m.lease_id), array_agg(m.id) filter (where m.finished_at is not null), coalesce(bool_or(m.is_turning), false)
  into v_delivered, v_finished, v_is_turning
  from moved as m;

  v_recorded := coalesce(cardinality(v_delivered), 0);
  if v_recorded < jsonb_array_length(p_results) then
    select jsonb_agg(r) into v_others
    from jsonb_array_elements(p_results) as r
    where v_delivered is null or (r ->> 'lease_id')::uuid <> all (v_delivered);
    v_is_turning := true;
  end if;
  if v_is_turning then
    perform marketplace._turn_breakers(p_results);
  end if;
  if v_finished is not null then
    perform marketplace._emit_job_events('sync.completed', v_finished);
  end if;
  if v_others is not null then
    v_recorded := v_recorded + marketplace._record_others(v_others);
  end if;
  return v_recorded;
end
$$;
comment on function marketplace.record_dispatches(jsonb) is
  'Writes down how a batch of dispatches went: delivered = started (or done); failed = retried or dead; unknown = the lease decides. Returns how many rows it wrote down.';

create function marketplace.reap_leases(p_limit int default 100)
returns int
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = force_generic_plan -- asked often: a plan is made once, and looks at a few rows by index
set enable_seqscan = off
as $$
declare
  v_ended jsonb;
begin
  select jsonb_agg(jsonb_build_object(
    'job_id', ended.id, 'lease_id', ended.lease_id, 'result', 'lease_lost', 'error_code', 'lease_lost',
    'error_message', 'The workflow did not report before its lease ended.'
  ))
  into v_ended
  from (
    select held.id, held.lease_id
    from marketplace.workflows as w
    cross join lateral (
      select j.id, j.lease_id
      from marketplace.sync_jobs as j
      where j.workflow_id = w.id and j.status = 'running' and j.lease_expires_at <= now()
      order by j.lease_expires_at
      limit p_limit
      for update skip locked
    ) as held
    limit p_limit
  ) as ended;
  if v_ended is null then
    return 0;
  end if;
  return (select count(*) from marketplace._release_jobs(v_ended));
end
$$;
comment on function marketplace.reap_leases(int) is
  'Takes back jobs whose lease ended without a report: they are retried, or dead after the last attempt. Returns how many.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._lock_jobs(jsonb),
  marketplace._emit_event(uuid, text, text, uuid, jsonb),
  marketplace._emit_job_events(text, uuid[]),
  marketplace._release_jobs(jsonb),
  marketplace._finish_jobs(jsonb),
  marketplace._turn_breakers(jsonb),
  marketplace._record_others(jsonb),
  marketplace.record_dispatches(jsonb),
  marketplace.reap_leases(int)
to service_role;
