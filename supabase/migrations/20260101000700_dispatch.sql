-- Events become jobs, jobs become attempts. All of it set-based; every function may run many times at once.

-- The doorbell --------------------------------------------------------------------------------

create table marketplace.dispatcher_state (
  is_singleton boolean primary key default true check (is_singleton),
  rung_at timestamptz not null default '-infinity',
  polling_until timestamptz not null default '-infinity'
);
comment on table marketplace.dispatcher_state is
  'One row: when the dispatcher was last rung, and until when it says that it looks by itself. No policy: only functions and the service role touch it.';
insert into marketplace.dispatcher_state default values;
alter table marketplace.dispatcher_state enable row level security;
grant select, insert, update, delete on marketplace.dispatcher_state to service_role;

create function marketplace.ring_dispatch()
returns bigint
language plpgsql
volatile
security definer -- reads the ring key from Vault and calls pg_net; executable by the service role only
set search_path = ''
as $$
declare
  v_url text := marketplace._vault_read_named('marketplace_functions_url');
begin
  if v_url is null then
    return null;
  end if;
  return net.http_post(
    url := v_url || '/marketplace-dispatch',
    body := '{}',
    headers := jsonb_build_object(
      'content-type', 'application/json',
      'authorization', 'Bearer ' || marketplace._vault_read_named('marketplace_ring_key')
    ),
    timeout_milliseconds := 2000
  );
end
$$;
comment on function marketplace.ring_dispatch() is
  'Rings marketplace-dispatch through pg_net; returns the request id, or null when configure_platform has not been called.';

create function marketplace._ring_if_silent()
returns trigger
language plpgsql
security definer -- whoever inserts an event need not have rights on the doorbell
set search_path = ''
as $$
begin
  if exists (select from marketplace.dispatcher_state as s where s.polling_until > clock_timestamp()) then
    return null;
  end if;
  -- Ring at most every 50 ms, and never wait for somebody else who is ringing just now.
  update marketplace.dispatcher_state as s
  set rung_at = clock_timestamp()
  where s.is_singleton in (
    select d.is_singleton
    from marketplace.dispatcher_state as d
    where d.rung_at < clock_timestamp() - interval '50 milliseconds'
    for update skip locked
  );
  if found then
    perform marketplace.ring_dispatch();
  end if;
  return null;
exception when others then
  -- A broken bell must not refuse an event: the sweep finds what was not rung for.
  raise warning 'marketplace: the dispatcher was not rung (%): %', sqlstate, sqlerrm;
  return null;
end
$$;
comment on function marketplace._ring_if_silent() is
  'After an insert of events or jobs: wakes the dispatcher unless it is looking by itself. Losing a ring costs one sweep.';
create trigger webhook_events_ring after insert on marketplace.webhook_events
  for each statement execute function marketplace._ring_if_silent();

create function marketplace.mark_polling(p_for_ms int)
returns void
language sql
volatile
set search_path = ''
as $$
  update marketplace.dispatcher_state as s
  set polling_until = case
    when p_for_ms > 0 then clock_timestamp() + make_interval(secs => least(p_for_ms, 10000) / 1000.0)
    else '-infinity'
  end
$$;
comment on function marketplace.mark_polling(int) is
  'The dispatcher says that it looks for work by itself for so many milliseconds (at most 10 s; 0 = no longer): no ring needed meanwhile.';

create function marketplace.has_due_work()
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select from marketplace.webhook_events as e where not e.processed)
    or exists (select from marketplace.sync_jobs as j where j.status = 'pending' and j.run_at <= now())
    or exists (select from marketplace.sync_jobs as j where j.status = 'running' and j.lease_expires_at <= now())
$$;
comment on function marketplace.has_due_work() is 'Whether events wait for routing, jobs for dispatch, or leases for their end.';

create function marketplace.sweep()
returns bigint
language sql
volatile
set search_path = ''
as $$
  select marketplace.ring_dispatch() where marketplace.has_due_work()
$$;
comment on function marketplace.sweep() is 'Rung by pg_cron: wakes the dispatcher when anything is due, whatever rings were lost.';

create function marketplace.dispatch_settings()
returns jsonb
language sql
stable
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  select jsonb_build_object(
    'ring_key', marketplace._vault_read_named('marketplace_ring_key'),
    'signing_secret', marketplace._vault_read_named('marketplace_signing_secret'),
    'functions_url', marketplace._vault_read_named('marketplace_functions_url')
  )
$$;
comment on function marketplace.dispatch_settings() is
  'The key that a ring proves itself with, and the Standard Webhooks secret that dispatches are signed with. For Edge Functions only.';

-- Routing -------------------------------------------------------------------------------------

create function marketplace._rule_matches(
  p_rule marketplace.sync_rules,
  p_event_type text,
  p_resource_path text,
  p_payload jsonb
)
returns boolean
language sql
stable
set search_path = ''
as $$
  select
    (
      cardinality(p_rule.event_types) = 0
      or p_event_type = any (p_rule.event_types)
      or exists (
        select from unnest(p_rule.event_types) as t
        where right(t, 1) = '*' and starts_with(p_event_type, left(t, -1))
      )
    )
    and case
      when right(p_resource_path, 1) = '/' then
        -- a collection: its members are not known yet, so match when one of them could
        starts_with(p_rule.pattern_key, p_resource_path)
        or p_rule.source_pattern like '%**%'
        or regexp_count(p_rule.source_pattern, '/') >= regexp_count(p_resource_path, '/')
          and p_resource_path ~ marketplace._glob_to_regex(regexp_replace(p_rule.source_pattern, '[^/]*$', ''))
      else p_resource_path ~ p_rule.pattern_regex
    end
    and (
      p_rule.filter is null
      or coalesce(
        jsonb_path_match(p_payload, p_rule.filter, '{}', true),
        jsonb_path_exists(p_payload, p_rule.filter, '{}', true)
      )
    )
$$;
comment on function marketplace._rule_matches(marketplace.sync_rules, text, text, jsonb) is
  'Whether a rule applies to an event of its source: event type, path (or a collection that can hold such a path), filter.';

create function marketplace._matching_rules(
  p_integration_id uuid,
  p_event_type text,
  p_resource_path text,
  p_payload jsonb
)
returns setof marketplace.sync_rules
language sql
stable
set search_path = ''
as $$
  select r.*
  from marketplace.sync_rules as r
  where r.is_active
    and r.source_integration_id = p_integration_id
    and r.pattern_key collate "C" = any (marketplace._path_keys(p_resource_path))
    and marketplace._rule_matches(r, p_event_type, p_resource_path, p_payload)
  union all
  -- patterns that reach deeper into a collection
  select r.*
  from marketplace.sync_rules as r
  where right(p_resource_path, 1) = '/'
    and r.is_active
    and r.source_integration_id = p_integration_id
    and r.pattern_key collate "C" > p_resource_path
    and r.pattern_key collate "C" < left(p_resource_path, -1) || '0' -- '0' follows '/'
    and marketplace._rule_matches(r, p_event_type, p_resource_path, p_payload)
$$;
comment on function marketplace._matching_rules(uuid, text, text, jsonb) is
  'The active rules that apply to an event, found by index on what their pattern starts with.';

create function marketplace.route_events(p_limit int default 500)
returns table (events int, jobs int)
language sql
volatile
set search_path = ''
as $$
  with
  batch as (
    select e.id, e.created_at, e.integration_id, e.event_type, e.resource_path, e.payload, e.correlation_id
    from marketplace.webhook_events as e
    where not e.processed
    order by e.created_at, e.id
    limit p_limit
    for update skip locked
  ),
  matched as (
    select
      b.id as event_id, b.created_at as event_created_at, b.correlation_id,
      r.id as rule_id, r.organization_id, r.workflow_id, r.priority,
      coalesce(r.max_attempts, w.max_attempts) as max_attempts
    from batch as b
    cross join lateral marketplace._matching_rules(b.integration_id, b.event_type, b.resource_path, b.payload) as r
    join marketplace.workflows as w on w.id = r.workflow_id
  ),
  made as (
    insert into marketplace.sync_jobs (
      organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, priority, max_attempts
    )
    select m.organization_id, m.rule_id, m.workflow_id, m.event_id, m.event_created_at, m.correlation_id, m.priority, m.max_attempts
    from matched as m
    on conflict (event_id, rule_id) do nothing
    returning event_id
  ),
  marked as (
    update marketplace.webhook_events as e
    set processed = true, processed_at = clock_timestamp(),
      job_count = (select count(*) from made as m where m.event_id = e.id)
    from batch as b
    where e.id = b.id and e.created_at = b.created_at
    returning e.id
  )
  select (select count(*) from marked)::int, (select count(*) from made)::int
$$;
comment on function marketplace.route_events(int) is
  'Applies the rules to events not processed yet, oldest first: exactly one job per (event, rule). Returns how many events and jobs.';

-- Claiming ------------------------------------------------------------------------------------

create function marketplace._job_body(p_job_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'job', jsonb_build_object('id', j.id, 'correlation_id', j.correlation_id),
    'workflow', w.slug,
    'rule', jsonb_build_object('id', r.id, 'name', r.name, 'config', r.config),
    'event', case when e.id is not null then
      jsonb_build_object(
        'id', e.id, 'type', e.event_type, 'provider', e.provider, 'integration', source.slug,
        'resource_path', e.resource_path, 'account', e.account, 'occurred_at', e.occurred_at
      ) || case when w.sends_payload then jsonb_build_object('payload', e.payload) else '{}' end
    end,
    'source', jsonb_build_object('integration', source.slug, 'provider', source.provider),
    'destination', case when destination.id is not null then
      jsonb_build_object('integration', destination.slug, 'provider', destination.provider)
    end,
    'notify', case when notified.id is not null then
      jsonb_build_object(
        'integration', notified.slug, 'provider', notified.provider, 'action', 'chat.postMessage',
        'channel', coalesce(r.notify_channel, notified.config ->> 'channel')
      )
    end
  )
  from marketplace.sync_jobs as j
  join marketplace.workflows as w on w.id = j.workflow_id
  join marketplace.sync_rules as r on r.id = j.rule_id
  join marketplace.integrations as source on source.id = r.source_integration_id
  left join marketplace.integrations as destination on destination.id = r.destination_integration_id
  left join marketplace.integrations as notified on notified.id = r.notify_integration_id
  left join marketplace.webhook_events as e on e.id = j.event_id and e.created_at = j.event_created_at
  where j.id = p_job_id
$$;
comment on function marketplace._job_body(uuid) is 'What a workflow is told about its job; the dispatcher adds the attempt, the token and the URLs.';

create function marketplace.claim_jobs(p_limit int default 50)
returns table (
  job_id uuid,
  lease_id uuid,
  attempt int,
  max_attempts int,
  lease_expires_at timestamptz,
  token text,
  workflow_slug text,
  workflow_kind text,
  endpoint text,
  timeout_ms int,
  correlation_id uuid,
  body jsonb
)
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_workflow_ids uuid[];
begin
  -- One dispatcher at a time claims for a workflow, so that its concurrency limit holds. A statement
  -- of its own: the next one must see what the former holder of these locks has committed.
  select array_agg(locked.id) into v_workflow_ids
  from (
    select w.id
    from marketplace.workflows as w
    where w.is_active
      and exists (
        select from marketplace.sync_jobs as j
        where j.workflow_id = w.id and j.status = 'pending' and j.run_at <= now()
      )
    order by w.id
    for no key update skip locked
  ) as locked;

  return query
  with
  due as (
    select d.id, w.slug, w.kind, w.endpoint, w.timeout_ms, w.lease
    from marketplace.workflows as w
    cross join lateral (
      select j.id
      from marketplace.sync_jobs as j
      where j.workflow_id = w.id and j.status = 'pending' and j.run_at <= now()
      order by j.priority desc, j.run_at, j.id
      limit greatest(
        0,
        w.max_concurrency - (
          select count(*) from marketplace.sync_jobs as r where r.workflow_id = w.id and r.status = 'running'
        )
      )
      for update skip locked
    ) as d
    where w.id = any (v_workflow_ids)
    limit p_limit
  ),
  leased as (
    select
      due.*,
      gen_random_uuid() as lease_id,
      -- 244 random bits
      'mpj_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex') as token
    from due
  ),
  claimed as (
    update marketplace.sync_jobs as j
    set status = 'running',
      attempt_count = j.attempt_count + 1,
      lease_id = l.lease_id,
      claimed_at = now(),
      lease_expires_at = now() + l.lease,
      token_hash = sha256(convert_to(l.token, 'UTF8')),
      dispatched_at = null
    from leased as l
    where j.id = l.id
    returning j.id, j.organization_id, j.lease_id, j.claimed_at, j.attempt_count, j.max_attempts,
      j.lease_expires_at, j.correlation_id, l.token, l.slug, l.kind, l.endpoint, l.timeout_ms
  ),
  begun as (
    insert into marketplace.sync_job_attempts (id, started_at, organization_id, job_id, attempt)
    select c.lease_id, c.claimed_at, c.organization_id, c.id, c.attempt_count
    from claimed as c
  )
  select
    c.id, c.lease_id, c.attempt_count, c.max_attempts, c.lease_expires_at, c.token,
    c.slug, c.kind, c.endpoint, c.timeout_ms, c.correlation_id, marketplace._job_body(c.id)
  from claimed as c;
end
$$;
comment on function marketplace.claim_jobs(int) is
  'Leases due jobs to the caller, within each workflow''s concurrency, with a token for this attempt only. Many dispatchers may call it at once.';

-- Outcomes ------------------------------------------------------------------------------------

create function marketplace._release_jobs(p_rows jsonb)
returns table (job_id uuid, status text)
language sql
volatile
set search_path = ''
as $$
  with
  -- who still holds the lease that failed
  held as (
    select
      j.id, j.lease_id, j.claimed_at, r.result, r.error_code, r.error_message, r.status_code, r.duration_ms,
      r.outcome, r.response,
      coalesce(r.retryable, true) and j.attempt_count < j.max_attempts as is_retried,
      -- exponential backoff with full jitter, never before the destination's Retry-After
      now() + greatest(
        random() * least(w.retry_cap, w.retry_base * power(2, least(j.attempt_count, 30) - 1)),
        make_interval(secs => coalesce(r.retry_after_ms, 0) / 1000.0)
      ) as next_run_at
    from jsonb_to_recordset(p_rows) as r (
      job_id uuid, lease_id uuid, result text, error_code text, error_message text, retryable boolean,
      retry_after_ms bigint, outcome text, status_code int, duration_ms numeric, response text
    )
    join marketplace.sync_jobs as j on j.id = r.job_id and j.lease_id = r.lease_id and j.status = 'running'
    join marketplace.workflows as w on w.id = j.workflow_id
    order by j.id
    for update of j
  ),
  ended as (
    update marketplace.sync_job_attempts as a
    set result = h.result, ended_at = now(),
      error_code = h.error_code, error_message = left(h.error_message, 2000),
      dispatch_outcome = coalesce(h.outcome, a.dispatch_outcome),
      dispatch_status = coalesce(h.status_code, a.dispatch_status),
      dispatch_ms = coalesce(h.duration_ms, a.dispatch_ms),
      response = coalesce(left(h.response, 2000), a.response)
    from held as h
    where a.id = h.lease_id and a.started_at = h.claimed_at
  ),
  freed as (
    update marketplace.sync_jobs as j
    set status = case when h.is_retried then 'pending' else 'dead' end,
      run_at = case when h.is_retried then h.next_run_at else j.run_at end,
      finished_at = case when h.is_retried then null else now() end,
      lease_id = null, lease_expires_at = null, claimed_at = null,
      error_code = h.error_code, error_message = left(h.error_message, 2000)
    from held as h
    where j.id = h.id
    returning j.id, j.status
  )
  select f.id, f.status from freed as f
$$;
comment on function marketplace._release_jobs(jsonb) is
  'Ends attempts that failed: their jobs wait for a retry, or are dead after the last one. Rows whose lease is not held any more change nothing.';

create function marketplace.record_dispatches(p_results jsonb)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_recorded int;
  v_released int;
begin
  with
  sent as (
    select r.*, j.claimed_at
    from jsonb_to_recordset(p_results) as r (
      job_id uuid, lease_id uuid, outcome text, status_code int, duration_ms numeric,
      error_code text, error text, response text
    )
    join marketplace.sync_job_attempts as a on a.id = r.lease_id and a.job_id = r.job_id
    left join marketplace.sync_jobs as j on j.id = r.job_id and j.lease_id = r.lease_id
    where r.outcome in ('delivered', 'unknown')
  ),
  noted as (
    -- the workflow may have reported, and even finished, before its answer to us came in
    update marketplace.sync_job_attempts as a
    set dispatch_outcome = s.outcome, dispatch_status = s.status_code, dispatch_ms = s.duration_ms,
      error_code = coalesce(a.error_code, s.error_code), error_message = coalesce(a.error_message, left(s.error, 2000)),
      response = left(s.response, 2000)
    from sent as s
    where a.id = s.lease_id and a.job_id = s.job_id
    returning a.id
  ),
  started as (
    update marketplace.sync_jobs as j
    set dispatched_at = coalesce(j.dispatched_at, now())
    from sent as s
    where j.id = s.job_id and j.lease_id = s.lease_id and s.outcome = 'delivered'
  )
  select count(*)::int into v_recorded from noted;

  select count(*)::int into v_released
  from marketplace._release_jobs((
    select coalesce(
      jsonb_agg(
        r.value || jsonb_build_object(
          'result', 'failed',
          'error_code', coalesce(r.value ->> 'error_code', 'dispatch_failed'),
          'error_message', r.value ->> 'error',
          'retryable', coalesce(
            (r.value ->> 'retryable')::boolean,
            -- a client error is final, but for those that say "not now" (404: n8n has not registered the webhook yet)
            not coalesce(
              (r.value ->> 'status_code')::int between 400 and 499
                and (r.value ->> 'status_code')::int not in (404, 408, 409, 425, 429),
              false
            )
          )
        )
      ),
      '[]'
    )
    from jsonb_array_elements(p_results) as r
    where r.value ->> 'outcome' = 'failed'
  ));
  return v_recorded + v_released;
end
$$;
comment on function marketplace.record_dispatches(jsonb) is
  'Writes down how a batch of dispatches went: delivered = started; failed = retried or dead; unknown = the lease decides. Returns how many were still ours.';

create function marketplace.reap_leases(p_limit int default 100)
returns int
language sql
volatile
set search_path = ''
as $$
  with ended as (
    select j.id, j.lease_id
    from marketplace.sync_jobs as j
    where j.status = 'running' and j.lease_expires_at <= now()
    order by j.lease_expires_at
    limit p_limit
    for update skip locked
  )
  select count(*)::int
  from marketplace._release_jobs((
    select coalesce(
      jsonb_agg(jsonb_build_object(
        'job_id', e.id, 'lease_id', e.lease_id, 'result', 'lease_lost', 'error_code', 'lease_lost',
        'error_message', 'The workflow did not report before its lease ended.'
      )),
      '[]'
    )
    from ended as e
  ))
$$;
comment on function marketplace.reap_leases(int) is
  'Takes back jobs whose lease ended without a report: they are retried, or dead after the last attempt. Returns how many.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace.ring_dispatch(),
  marketplace.mark_polling(int),
  marketplace.has_due_work(),
  marketplace.sweep(),
  marketplace.dispatch_settings(),
  marketplace._rule_matches(marketplace.sync_rules, text, text, jsonb),
  marketplace._matching_rules(uuid, text, text, jsonb),
  marketplace.route_events(int),
  marketplace._job_body(uuid),
  marketplace.claim_jobs(int),
  marketplace._release_jobs(jsonb),
  marketplace.record_dispatches(jsonb),
  marketplace.reap_leases(int)
to service_role;
