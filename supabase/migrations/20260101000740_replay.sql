-- Replay, cancel, pause. A replay is a job of its own that says what it replays and keeps the correlation id.

create function marketplace._replay_jobs(p_job_ids uuid[], p_per_second numeric)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_replayed int;
begin
  with
  original as (
    select j.*, r.paused_at as rule_paused_at, coalesce(r.max_attempts, w.max_attempts) as fresh_max_attempts
    from marketplace.sync_jobs as j
    join marketplace.sync_rules as r on r.id = j.rule_id
    join marketplace.workflows as w on w.id = j.workflow_id
    where j.id = any (p_job_ids) and j.finished_at is not null
    order by j.id
    for update of j
  ),
  marked as (
    update marketplace.sync_jobs as j
    set replayed_at = clock_timestamp()
    from original as o
    where j.id = o.id
  ),
  made as (
    insert into marketplace.sync_jobs (
      organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, priority, run_at,
      max_attempts, concurrency_key, replay_of
    )
    select
      o.organization_id, o.rule_id, o.workflow_id, o.event_id, o.event_created_at, o.correlation_id, o.priority,
      case
        when o.rule_paused_at is not null then 'infinity'
        when p_per_second > 0 then now() + make_interval(secs => ((row_number() over (order by o.position) - 1) / p_per_second)::float8)
        else now()
      end,
      o.fresh_max_attempts, o.concurrency_key, o.id
    from original as o
    order by o.position
    on conflict (replay_of) where status in ('pending', 'running') and replay_of is not null do nothing
    returning id
  )
  select count(*)::int into v_replayed from made;
  if v_replayed > 0 then
    perform marketplace.ring_dispatch();
  end if;
  return v_replayed;
end
$$;
comment on function marketplace._replay_jobs(uuid[], numeric) is
  'Makes a job anew for each finished one that has no replay under way; paced when a rate is given. Returns how many.';

create function marketplace.replay_job(p_job_id uuid)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_status text;
  v_replay_id uuid;
begin
  select j.status into v_status from marketplace.sync_jobs as j where j.id = p_job_id;
  if v_status is null then
    raise exception 'job % does not exist', coalesce(p_job_id::text, 'null') using errcode = 'MK404';
  elsif v_status in ('pending', 'running') then
    raise exception 'job % is still %', p_job_id, v_status
      using errcode = 'MK409', hint = 'Wait for it, or cancel it with marketplace.cancel_job first.';
  end if;
  perform marketplace._replay_jobs(array[p_job_id], null);
  select j.id into v_replay_id
  from marketplace.sync_jobs as j
  where j.replay_of = p_job_id
  order by j.position desc
  limit 1;
  return v_replay_id;
end
$$;
comment on function marketplace.replay_job(uuid) is
  'Runs a finished job again, under its correlation id; returns the new job''s id (or that of the replay already under way).';

create function marketplace.replay_event(p_event_id uuid)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_event marketplace.webhook_events;
  v_new int;
begin
  select * into v_event from marketplace.webhook_events as e where e.id = p_event_id;
  if v_event.id is null then
    raise exception 'event % does not exist', coalesce(p_event_id::text, 'null')
      using errcode = 'MK404', hint = 'Events are kept for settings.event_retention.';
  end if;
  -- rules that match today and had no job yet get one; the others' jobs are replayed
  insert into marketplace.sync_jobs (
    organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, priority, run_at, max_attempts, concurrency_key
  )
  select
    r.organization_id, r.id, r.workflow_id, v_event.id, v_event.created_at, v_event.correlation_id, r.priority,
    case when r.paused_at is null then now() else 'infinity' end, coalesce(r.max_attempts, w.max_attempts),
    case when r.concurrency_key is not null then marketplace._render_key(r.concurrency_key, v_event, i.slug) end
  from marketplace._matching_rules(v_event.integration_id, v_event.event_type, v_event.resource_path, v_event.payload) as r
  join marketplace.workflows as w on w.id = r.workflow_id
  join marketplace.integrations as i on i.id = r.source_integration_id
  on conflict (event_id, rule_id) where replay_of is null do nothing;
  get diagnostics v_new = row_count;
  if v_new > 0 then
    perform marketplace.ring_dispatch();
  end if;
  return v_new + marketplace._replay_jobs(
    array(
      select j.id
      from marketplace.sync_jobs as j
      where j.event_id = p_event_id and j.replay_of is null and j.finished_at is not null
    ),
    null
  );
end
$$;
comment on function marketplace.replay_event(uuid) is
  'Applies today''s rules to an event again: new jobs for rules that had none, replays of finished ones. Returns how many jobs that makes.';

create function marketplace.replay_events(
  p_provider text default null,
  p_integration text default null,
  p_event_type text default null,
  p_from timestamptz default null,
  p_until timestamptz default null,
  p_status text default null,
  p_rule_id uuid default null,
  p_limit int default 10000,
  p_per_second numeric default null,
  p_dry_run boolean default false
)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job_ids uuid[];
begin
  if p_status not in ('completed', 'dead', 'cancelled') then
    raise exception 'status % cannot be replayed', quote_literal(p_status)
      using errcode = 'MK400', hint = 'Only finished jobs can: completed, dead or cancelled; null means any of them.';
  end if;
  select array_agg(found.id order by found.position) into v_job_ids
  from (
    select j.id, j.position
    from marketplace.sync_jobs as j
    join marketplace.sync_rules as r on r.id = j.rule_id
    join marketplace.integrations as i on i.id = r.source_integration_id
    left join marketplace.webhook_events as e on e.id = j.event_id and e.created_at = j.event_created_at
    where j.finished_at is not null
      and not exists (select from marketplace.sync_jobs as o where o.replay_of = j.id and o.status in ('pending', 'running'))
      -- of a chain of replays only the last one counts
      and not exists (select from marketplace.sync_jobs as o where o.replay_of = j.id)
      and (p_provider is null or i.provider = replace(p_provider, '-', '_'))
      and (p_integration is null or i.slug = p_integration)
      and (p_event_type is null or e.event_type = p_event_type
        or right(p_event_type, 1) = '*' and starts_with(e.event_type, left(p_event_type, -1)))
      and (p_from is null or j.created_at >= p_from)
      and (p_until is null or j.created_at < p_until)
      and (p_status is null or j.status = p_status)
      and (p_rule_id is null or j.rule_id = p_rule_id)
    order by j.position
    limit p_limit
  ) as found;
  if p_dry_run then
    return coalesce(cardinality(v_job_ids), 0);
  end if;
  return marketplace._replay_jobs(coalesce(v_job_ids, '{}'), p_per_second);
end
$$;
comment on function marketplace.replay_events(text, text, text, timestamptz, timestamptz, text, uuid, int, numeric, boolean) is
  'Replays finished jobs by provider, integration, event type (trailing *), time, status and rule, at most p_limit, paced by p_per_second. A dry run only counts.';

create function marketplace.replay_dead_letters(
  p_provider text default null,
  p_rule_id uuid default null,
  p_error_code text default null,
  p_from timestamptz default null,
  p_until timestamptz default null,
  p_limit int default 10000,
  p_per_second numeric default null,
  p_dry_run boolean default false
)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job_ids uuid[];
begin
  select array_agg(found.id order by found.position) into v_job_ids
  from (
    select j.id, j.position
    from marketplace.sync_jobs as j
    join marketplace.sync_rules as r on r.id = j.rule_id
    join marketplace.integrations as i on i.id = r.source_integration_id
    where j.status = 'dead' and j.replayed_at is null
      and (p_provider is null or i.provider = replace(p_provider, '-', '_'))
      and (p_rule_id is null or j.rule_id = p_rule_id)
      and (p_error_code is null or j.error_code = p_error_code)
      and (p_from is null or j.finished_at >= p_from)
      and (p_until is null or j.finished_at < p_until)
    order by j.position
    limit p_limit
  ) as found;
  if p_dry_run then
    return coalesce(cardinality(v_job_ids), 0);
  end if;
  return marketplace._replay_jobs(coalesce(v_job_ids, '{}'), p_per_second);
end
$$;
comment on function marketplace.replay_dead_letters(text, uuid, text, timestamptz, timestamptz, int, numeric, boolean) is
  'Replays dead letters by provider, rule, error code and time of death, at most p_limit, paced by p_per_second. A dry run only counts.';

create function marketplace.cancel_job(p_job_id uuid, p_reason text default null)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs;
begin
  select * into v_job from marketplace.sync_jobs as j where j.id = p_job_id for update;
  if v_job.id is null then
    raise exception 'job % does not exist', coalesce(p_job_id::text, 'null') using errcode = 'MK404';
  elsif v_job.status = 'cancelled' then
    return;
  elsif v_job.finished_at is not null then
    raise exception 'job % is % already', p_job_id, v_job.status using errcode = 'MK409';
  end if;
  if v_job.status = 'running' then
    insert into marketplace.sync_job_attempts as a (
      id, started_at, organization_id, job_id, attempt, result, ended_at, error_code, error_message
    )
    values (
      v_job.lease_id, v_job.claimed_at, v_job.organization_id, v_job.id, v_job.attempt_count,
      'cancelled', clock_timestamp(), 'cancelled', left(p_reason, 2000)
    )
    on conflict (job_id, id, started_at) do update
      set result = excluded.result, ended_at = excluded.ended_at,
        error_code = excluded.error_code, error_message = excluded.error_message;
  end if;
  update marketplace.sync_jobs as j
  set status = 'cancelled', finished_at = clock_timestamp(), error_code = 'cancelled', error_message = left(p_reason, 2000),
    lease_id = null, lease_expires_at = null
  where j.id = p_job_id;
end
$$;
comment on function marketplace.cancel_job(uuid, text) is
  'Ends a job that waits or runs; a running workflow''s token is dead from then on. Cancelling twice is harmless.';

create function marketplace._set_rule_pause(p_rule_id uuid, p_is_paused boolean)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_jobs int;
begin
  update marketplace.sync_rules as r
  set paused_at = case when p_is_paused then coalesce(r.paused_at, now()) end
  where r.id = p_rule_id;
  if not found then
    raise exception 'rule % does not exist', coalesce(p_rule_id::text, 'null') using errcode = 'MK404';
  end if;
  update marketplace.sync_jobs as j
  set run_at = case when p_is_paused then 'infinity' else now() end
  where j.rule_id = p_rule_id and j.status = 'pending' and (j.run_at = 'infinity') <> p_is_paused;
  get diagnostics v_jobs = row_count;
  if not p_is_paused and v_jobs > 0 then
    perform marketplace.ring_dispatch();
  end if;
  return v_jobs;
end
$$;
comment on function marketplace._set_rule_pause(uuid, boolean) is 'Holds or frees a rule''s waiting jobs; returns how many.';

create function marketplace.pause_rule(p_rule_id uuid)
returns int
language sql
volatile
set search_path = ''
as $$
  select marketplace._set_rule_pause(p_rule_id, true)
$$;
comment on function marketplace.pause_rule(uuid) is 'A rule''s jobs are still made, but wait. Returns how many waiting jobs it holds back.';

create function marketplace.resume_rule(p_rule_id uuid)
returns int
language sql
volatile
set search_path = ''
as $$
  select marketplace._set_rule_pause(p_rule_id, false)
$$;
comment on function marketplace.resume_rule(uuid) is 'Frees the jobs that a paused rule held back. Returns how many.';

create function marketplace._set_workflow_pause(p_slug text, p_is_paused boolean)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update marketplace.workflows as w
  set paused_at = case when p_is_paused then coalesce(w.paused_at, now()) end
  where w.slug = p_slug;
  if not found then
    raise exception 'workflow % does not exist', coalesce(quote_literal(p_slug), 'null')
      using errcode = 'MK404', hint = 'select slug from marketplace.workflows lists the known ones.';
  end if;
  if not p_is_paused then
    perform marketplace.ring_dispatch();
  end if;
end
$$;
comment on function marketplace._set_workflow_pause(text, boolean) is 'Holds or frees the jobs of a workflow.';

create function marketplace.pause_workflow(p_slug text)
returns void
language sql
volatile
set search_path = ''
as $$
  select marketplace._set_workflow_pause(p_slug, true)
$$;
comment on function marketplace.pause_workflow(text) is 'A workflow starts no further jobs until resume_workflow; running ones go on.';

create function marketplace.resume_workflow(p_slug text)
returns void
language sql
volatile
set search_path = ''
as $$
  select marketplace._set_workflow_pause(p_slug, false)
$$;
comment on function marketplace.resume_workflow(text) is 'A paused workflow starts jobs again.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._replay_jobs(uuid[], numeric),
  marketplace.replay_job(uuid),
  marketplace.replay_event(uuid),
  marketplace.replay_events(text, text, text, timestamptz, timestamptz, text, uuid, int, numeric, boolean),
  marketplace.replay_dead_letters(text, uuid, text, timestamptz, timestamptz, int, numeric, boolean),
  marketplace.cancel_job(uuid, text),
  marketplace._set_rule_pause(uuid, boolean),
  marketplace.pause_rule(uuid),
  marketplace.resume_rule(uuid),
  marketplace._set_workflow_pause(text, boolean),
  marketplace.pause_workflow(text),
  marketplace.resume_workflow(text)
to service_role;
