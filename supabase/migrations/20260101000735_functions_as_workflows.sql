-- Functions as workflows: a job whose workflow is a function of this database is called and completed in one
-- transaction, so that what the function writes is there exactly once.

create type marketplace._call as (row_id tid, event marketplace.webhook_events, rule marketplace.sync_rules);
comment on type marketplace._call is 'A job that is locked, and what its workflow''s function is called with.';

create function marketplace._workflow_function(p_slug text, p_endpoint text)
returns regproc
language plpgsql
stable
set search_path = ''
as $$
declare
  v_function regproc := to_regprocedure(p_endpoint || '(marketplace.webhook_events, marketplace.sync_rules)')::oid;
begin
  if v_function is null then
    raise exception 'workflow % calls function %, which does not exist', quote_literal(p_slug), quote_literal(p_endpoint)
      using errcode = 'MK422', hint = format(
        'create function %s(event marketplace.webhook_events, rule marketplace.sync_rules) returns jsonb …', p_endpoint
      );
  end if;
  return v_function;
end
$$;
comment on function marketplace._workflow_function(text, text) is
  'The function "<schema>.<name>"(marketplace.webhook_events, marketplace.sync_rules) that a workflow calls; MK422 when there is none.';

create function marketplace._check_workflow_function()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
  if (
    select p.prokind <> 'f' or p.proretset or p.prorettype <> 'jsonb'::regtype
    from pg_catalog.pg_proc as p
    where p.oid = marketplace._workflow_function(new.slug, new.endpoint)
  ) then
    raise exception 'workflow % calls %, which does not return jsonb', quote_literal(new.slug), quote_literal(new.endpoint)
      using errcode = 'MK422', hint = 'A function that has nothing to say returns null.';
  end if;
  return new;
end
$$;
comment on function marketplace._check_workflow_function() is 'Refuses a workflow of a function that does not exist.';
create trigger workflows_check_function before insert or update of kind, endpoint on marketplace.workflows
  for each row when (new.kind = 'postgres') execute function marketplace._check_workflow_function();

create function marketplace._call_function(p_function regproc, p_event marketplace.webhook_events, p_rule marketplace.sync_rules)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_result jsonb;
begin
  execute format('select %s($1, $2)', p_function) into v_result using p_event, p_rule;
  return v_result;
end
$$;
comment on function marketplace._call_function(regproc, marketplace.webhook_events, marketplace.sync_rules) is
  'Calls a workflow''s function, with no setting but an empty search_path; returns what it returns.';

create function marketplace._held_call(p_job_id uuid, p_lease_id uuid)
returns table (slug text, endpoint text, event marketplace.webhook_events, rule marketplace.sync_rules)
language plpgsql
volatile
rows 1
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  return query
  select w.slug, w.endpoint, e, r
  from marketplace.sync_jobs as j
  join marketplace.workflows as w on w.id = j.workflow_id and w.kind = 'postgres'
  join marketplace.sync_rules as r on r.id = j.rule_id
  left join marketplace.webhook_events as e on e.id = j.event_id and e.created_at = j.event_created_at
  where j.id = p_job_id and j.lease_id = p_lease_id
  for no key update of j;
end
$$;
comment on function marketplace._held_call(uuid, uuid) is 'Locks a job whose lease is held, and says what its function is called with.';

create function marketplace.run_job(p_job_id uuid, p_lease_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_call record;
  v_result jsonb;
begin
  select * into v_call from marketplace._held_call(p_job_id, p_lease_id);
  if not found then
    return false;
  end if;
  v_result := marketplace._call_function(
    marketplace._workflow_function(v_call.slug, v_call.endpoint), v_call.event, v_call.rule
  );
  perform marketplace._finish_jobs(jsonb_build_array(jsonb_build_object(
    'job_id', p_job_id, 'lease_id', p_lease_id, 'result', v_result
  )));
  return true;
end
$$;
comment on function marketplace.run_job(uuid, uuid) is
  'Calls the function of a claimed job and completes the job, in one transaction. False: its lease is not held any more. Raises what the function raises.';

create function marketplace._runnable_workflows()
returns table (id uuid, slug text, endpoint text, max_jobs int, has_failed boolean)
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_workflow record;
begin
  for v_workflow in
    select w.id, w.slug, w.endpoint, w.rate_per_second, w.breaker_failures, w.max_concurrency - (
      select count(*) from marketplace.sync_jobs as r where r.workflow_id = w.id and r.status = 'running'
    ) as places
    from marketplace.workflows as w
    -- the probe of an open circuit is one job, and claim_jobs' affair
    where w.kind = 'postgres' and w.is_active and w.paused_at is null and w.breaker_state = 'closed'
      and exists (
        select from marketplace.sync_jobs as j
        where j.workflow_id = w.id and j.status = 'pending' and not j.is_parked
          and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
        offset 0
      )
    order by random()
  loop
    -- not while claim_jobs counts what may run, and one place for whoever runs jobs of it
    continue when not pg_try_advisory_xact_lock_shared(hashtext(v_workflow.id::text), 0);
    perform from generate_series(1, v_workflow.places) as place
    where pg_try_advisory_xact_lock(hashtext(v_workflow.id::text), place::int)
    limit 1;
    continue when not found;
    id := v_workflow.id;
    slug := v_workflow.slug;
    endpoint := v_workflow.endpoint;
    has_failed := v_workflow.breaker_failures > 0;
    max_jobs := null;
    if v_workflow.rate_per_second is not null then
      update marketplace.workflows as w
      set rate_tokens = least(
          greatest(1, w.rate_per_second),
          w.rate_tokens + w.rate_per_second * greatest(0, extract(epoch from clock_timestamp() - w.rate_refilled_at))
        ),
        rate_refilled_at = clock_timestamp()
      where w.id in (select l.id from marketplace.workflows as l where l.id = v_workflow.id for no key update skip locked)
      returning floor(w.rate_tokens) into max_jobs;
      continue when coalesce(max_jobs, 0) = 0;
    end if;
    return next;
  end loop;
end
$$;
comment on function marketplace._runnable_workflows() is
  'The workflows of functions that have due jobs and a place for the caller, which he has until the end of his transaction; max_jobs as their rate allows, null for any number.';

create function marketplace._take_calls(p_workflow_id uuid, p_limit int)
returns marketplace._call[]
language plpgsql
volatile
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  return array(
    select row(d.row_id, e, r)::marketplace._call
    from (
      select j.ctid as row_id, j.rule_id, j.event_id, j.event_created_at
      from (
        select h.row_id
        from (
          select c.ctid as row_id, c.position, c.concurrency_key
          from marketplace.sync_jobs as c
          where c.workflow_id = p_workflow_id and c.status = 'pending' and not c.is_parked
            -- a rank is at most 10,000 s later than run_at
            and marketplace._claim_rank(c.run_at, c.priority) <= now() + interval '1 day' and c.run_at <= now()
          order by marketplace._claim_rank(c.run_at, c.priority), c.position
          -- beside those that others have locked
          limit 10 * p_limit + 500
        ) as h
        -- in order per key: nobody overtakes an earlier job of the key that is not finished
        where h.concurrency_key is null
          or not exists (
            select from marketplace.sync_jobs as earlier
            where earlier.workflow_id = p_workflow_id and earlier.concurrency_key = h.concurrency_key
              and earlier.status in ('pending', 'running') and earlier.position < h.position
            offset 0
          )
      ) as next
      -- where it was found, and still pending, said so that no partial index will do
      join marketplace.sync_jobs as j on j.ctid = next.row_id and j.lease_id is null and j.finished_at is null
      limit p_limit
      for no key update of j skip locked
    ) as d
    join marketplace.sync_rules as r on r.id = d.rule_id
    left join marketplace.webhook_events as e on e.id = d.event_id and e.created_at = d.event_created_at
  );
end
$$;
comment on function marketplace._take_calls(uuid, int) is
  'Locks due jobs of a workflow, the first of each key, and says what its function is called with for each.';

create function marketplace._end_calls(p_row_ids tid[], p_results jsonb[], p_began_at timestamptz)
returns int
language plpgsql
volatile
set search_path = ''
set jit = off
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_finished uuid[];
begin
  with
  moved as (
    update marketplace.sync_jobs as j
    set status = 'completed', attempt_count = j.attempt_count + 1, claimed_at = p_began_at, dispatched_at = p_began_at,
      finished_at = clock_timestamp(), result = coalesce(c.result, '{}'), error_code = null, error_message = null
    from unnest(p_row_ids, p_results) as c (row_id, result)
    -- locked, so that it has not moved
    where j.ctid = c.row_id
    returning j.id, j.organization_id, j.attempt_count, j.finished_at
  ),
  noted as (
    insert into marketplace.sync_job_attempts (
      id, started_at, organization_id, job_id, attempt, dispatch_outcome, result, ended_at
    )
    select gen_random_uuid(), p_began_at, m.organization_id, m.id, m.attempt_count, 'delivered', 'completed', m.finished_at
    from moved as m
  )
  select array_agg(m.id) into v_finished from moved as m;
  perform marketplace._emit_job_events('sync.completed', v_finished);
  return coalesce(cardinality(v_finished), 0);
end
$$;
comment on function marketplace._end_calls(tid[], jsonb[], timestamptz) is
  'Completes jobs whose function has returned, and says so. Returns how many.';

create function marketplace.run_jobs(p_limit int default 500)
returns table (workflow text, jobs int)
language plpgsql
volatile
set search_path = ''
as $$
declare
  c_enough constant interval := '250 milliseconds';
  v_workflow record;
  v_function regproc;
  v_calls marketplace._call[];
  v_row_ids tid[];
  v_results jsonb[];
  v_take int;
  v_left int := p_limit;
  v_started_at timestamptz := clock_timestamp();
  v_began_at timestamptz;
begin
  for v_workflow in select w.* from marketplace._runnable_workflows() as w loop
    workflow := v_workflow.slug;
    jobs := 0;
    v_take := 20;
    begin
      v_function := marketplace._workflow_function(v_workflow.slug, v_workflow.endpoint);
      loop
        v_calls := marketplace._take_calls(v_workflow.id, least(v_take, v_left - jobs, v_workflow.max_jobs - jobs));
        if cardinality(v_calls) = 0 then
          exit when not marketplace._park_jobs(array[v_workflow.id]);
          continue;
        end if;
        v_began_at := clock_timestamp();
        -- with the settings of the caller: those of our own queries are not made for others
        execute format('select array_agg(c.row_id), array_agg(%s(c.event, c.rule)) from unnest($1) as c', v_function)
        into v_row_ids, v_results using v_calls;
        jobs := jobs + marketplace._end_calls(v_row_ids, v_results, v_began_at);
        exit when jobs >= least(v_left, v_workflow.max_jobs) or clock_timestamp() - v_started_at >= c_enough;
        -- as many as take about a tenth of a second
        v_take := greatest(1, least(500, cardinality(v_calls) * 0.1 / greatest(
          extract(epoch from clock_timestamp() - v_began_at), 0.0001
        )));
      end loop;
      if v_workflow.max_jobs is not null then
        update marketplace.workflows as w set rate_tokens = w.rate_tokens - jobs where w.id = v_workflow.id;
      end if;
    exception when others then
      -- undone, all of it: claim_jobs takes them one by one, and finds out whose fault it is
      continue;
    end;
    if jobs > 0 then
      return next;
      if v_workflow.has_failed then
        update marketplace.workflows as w set breaker_failures = 0 where w.id = v_workflow.id and w.breaker_failures > 0;
      end if;
    end if;
    v_left := v_left - jobs;
    exit when v_left <= 0 or clock_timestamp() - v_started_at >= c_enough;
  end loop;
end
$$;
comment on function marketplace.run_jobs(int) is
  'Calls the functions of due jobs whose workflow is one, many in a statement, and completes the jobs in the same transaction; of each workflow all or, when one raises, none: they are left to claim_jobs. Returns how many of which workflow.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._workflow_function(text, text),
  marketplace._check_workflow_function(),
  marketplace._call_function(regproc, marketplace.webhook_events, marketplace.sync_rules),
  marketplace._held_call(uuid, uuid),
  marketplace.run_job(uuid, uuid),
  marketplace._runnable_workflows(),
  marketplace._take_calls(uuid, int),
  marketplace._end_calls(tid[], jsonb[], timestamptz),
  marketplace.run_jobs(int)
to service_role;
