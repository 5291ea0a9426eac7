-- The doorbell: the database wakes the dispatcher. A lost ring costs one sweep, never a job.

create table marketplace.dispatcher_state (
  is_singleton boolean primary key default true check (is_singleton),
  rung_at timestamptz not null default '-infinity',
  polling_until timestamptz not null default '-infinity',
  ring_request_id bigint -- null: never rung
);
comment on table marketplace.dispatcher_state is
  'One row: when the dispatcher was last rung, and until when it says that it looks by itself. No policy: only functions and the service role touch it.';
comment on column marketplace.dispatcher_state.rung_at is 'The last ring; another one follows only after a moment.';
comment on column marketplace.dispatcher_state.polling_until is
  'So long a dispatcher looks by itself and need not be rung for.';
comment on column marketplace.dispatcher_state.ring_request_id is
  'The ring''s id in pg_net, where its answer is found.';
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
  v_request_id bigint;
begin
  if v_url is null then
    return null;
  end if;
  v_request_id := net.http_post(
    url := v_url || '/marketplace-dispatch',
    body := '{}',
    headers := jsonb_build_object(
      'content-type', 'application/json',
      'authorization', 'Bearer ' || marketplace._vault_read_named('marketplace_ring_key')
    ),
    timeout_milliseconds := 2000
  );
  -- for the alert that watches whether rings are answered; never worth waiting for
  update marketplace.dispatcher_state as s
  set ring_request_id = v_request_id
  where s.is_singleton in (select d.is_singleton from marketplace.dispatcher_state as d for update skip locked);
  return v_request_id;
end
$$;
comment on function marketplace.ring_dispatch() is
  'Rings marketplace-dispatch through pg_net; returns the request id, or null when configure_platform has not been called.';

create function marketplace._take_turn_to_ring()
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
  if exists (select from marketplace.dispatcher_state as s where s.polling_until > clock_timestamp()) then
    return false;
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
  return found;
end
$$;
comment on function marketplace._take_turn_to_ring() is
  'Whether to ring now: not while the dispatcher is looking by itself, nor when it has been rung just now.';

create function marketplace._ring_if_silent()
returns trigger
language plpgsql
security definer -- whoever inserts an event need not have rights on the doorbell
set search_path = ''
as $$
begin
  if marketplace._take_turn_to_ring() then
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
  -- a transaction that rings and stays open must not hold the dispatcher up
  where s.is_singleton in (select d.is_singleton from marketplace.dispatcher_state as d for update skip locked)
$$;
comment on function marketplace.mark_polling(int) is
  'The dispatcher says that it looks for work by itself for so many milliseconds (at most 10 s; 0 = no longer): no ring needed meanwhile.';

create function marketplace._oldest_due_at(p_workflow_id uuid)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  -- the head of its queue, and of the jobs that wait behind many of their key
  select min(head.run_at)
  from (values (false), (true)) as side (is_parked)
  cross join lateral (
    select j.run_at
    from marketplace.sync_jobs as j
    where j.workflow_id = p_workflow_id and j.status = 'pending' and j.is_parked = side.is_parked
      -- a rank is at most 10,000 s later than run_at
      and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
    order by marketplace._claim_rank(j.run_at, j.priority), j.position
    limit 1
  ) as head
$$;
comment on function marketplace._oldest_due_at(uuid) is
  'Since when the job at the head of a workflow''s queue is due; null when none is.';

create function marketplace.has_due_work()
returns boolean
language plpgsql
stable
set search_path = ''
set plan_cache_mode = force_generic_plan -- asked often: a plan is made once, and looks at a few rows by index
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  -- the head of each queue, in the order of its index
  perform from marketplace.webhook_events as e where not e.processed order by e.created_at, e.id limit 1;
  if found then
    return true;
  end if;
  return exists (
    select
    from marketplace.workflows as w
    cross join lateral (
      select j.run_at
      from marketplace.sync_jobs as j
      where j.workflow_id = w.id and j.status = 'pending' and not j.is_parked
        and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
      order by marketplace._claim_rank(j.run_at, j.priority), j.position
      limit 1
    ) as due
    where w.is_active and w.paused_at is null and (w.breaker_until is null or w.breaker_until <= now())
  ) or exists (
    select
    from marketplace.workflows as w
    cross join lateral (
      select j.lease_expires_at
      from marketplace.sync_jobs as j
      where j.workflow_id = w.id and j.status = 'running'
      order by j.lease_expires_at
      limit 1
    ) as held
    where held.lease_expires_at <= now()
  );
end
$$;
comment on function marketplace.has_due_work() is 'Whether events wait for routing, jobs for dispatch, or leases for their end.';

create function marketplace.next_due_at()
returns timestamptz
language plpgsql
stable
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  return (
    select min(soon.at)
    from (
      -- a retry, or a job planned for later
      select greatest(j.run_at, w.breaker_until)
      from marketplace.workflows as w
      cross join lateral (
        select p.run_at
        from marketplace.sync_jobs as p
        where p.workflow_id = w.id and p.status = 'pending' and not p.is_parked
          and marketplace._claim_rank(p.run_at, p.priority) > now()
        order by marketplace._claim_rank(p.run_at, p.priority), p.position
        limit 1
      ) as j
      where w.is_active and w.paused_at is null
      union all
      -- the next token of a rate, or a circuit's next probe, for whom jobs wait
      select greatest(
        w.rate_refilled_at + make_interval(secs => (greatest(0, 1 - w.rate_tokens) / w.rate_per_second)::float8),
        w.breaker_until
      )
      from marketplace.workflows as w
      where w.is_active and w.paused_at is null and (w.rate_per_second is not null or w.breaker_until is not null)
        and exists (
          select from marketplace.sync_jobs as j
          where j.workflow_id = w.id and j.status = 'pending' and not j.is_parked
            and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
          offset 0
        )
      union all
      -- the end of a lease
      select held.lease_expires_at
      from marketplace.workflows as w
      cross join lateral (
        select j.lease_expires_at
        from marketplace.sync_jobs as j
        where j.workflow_id = w.id and j.status = 'running'
        order by j.lease_expires_at
        limit 1
      ) as held
    ) as soon (at)
    where soon.at > now() and soon.at < 'infinity'
  );
end
$$;
comment on function marketplace.next_due_at() is
  'When the dispatcher has something to do next that nobody rings for: a retry, a token of a rate, a probe, the end of a lease. Null: nothing is planned.';

create function marketplace.sweep()
returns bigint
language sql
volatile
set search_path = ''
as $$
  select marketplace.ring_dispatch() where marketplace.has_due_work()
$$;
comment on function marketplace.sweep() is 'Rung by pg_cron: wakes the dispatcher when anything is due, whatever rings were lost.';

create function marketplace.ring_if_due()
returns bigint
language sql
volatile
set search_path = ''
as $$
  select marketplace.ring_dispatch()
  where case when marketplace.has_due_work() then marketplace._take_turn_to_ring() end
$$;
comment on function marketplace.ring_if_due() is
  'After the end of a job: wakes the dispatcher for those that waited for its place, unless it is looking by itself. Losing a ring costs one sweep.';

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

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace.ring_dispatch(),
  marketplace._take_turn_to_ring(),
  marketplace.ring_if_due(),
  marketplace.mark_polling(int),
  marketplace._oldest_due_at(uuid),
  marketplace.has_due_work(),
  marketplace.next_due_at(),
  marketplace.sweep(),
  marketplace.dispatch_settings()
to service_role;
