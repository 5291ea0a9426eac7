-- Claiming: due jobs are leased to a dispatcher, within what their workflow allows.

-- Plans are made once and kept, and look at a few rows by index: one made while there was little must do
-- when there is much, and making it takes longer than claiming a job.

create function marketplace._lock_claimable_workflows(p_except text[])
returns uuid[]
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
as $$
declare
  v_ids uuid[];
begin
  -- One dispatcher at a time claims for a workflow, so that its limits hold; others pass it by.
  select array_agg(locked.id) into v_ids
  from (
    select w.id
    from marketplace.workflows as w
    where w.is_active and w.paused_at is null
      and (w.breaker_until is null or w.breaker_until <= now())
      and w.slug <> all (p_except)
      and exists (
        select from marketplace.sync_jobs as j
        where j.workflow_id = w.id and j.status = 'pending' and not j.is_parked
          and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
        offset 0 -- one look for each workflow, whatever the planner knows of the table
      )
      -- not while run_jobs runs some of them
      and (w.kind <> 'postgres' or pg_try_advisory_xact_lock(hashtext(w.id::text), 0))
    order by w.id
    for no key update skip locked
  ) as locked;
  -- An open circuit whose time is over lets one probe through; the bucket fills with time.
  if v_ids is not null then
    update marketplace.workflows as w
    set breaker_state = case when w.breaker_state = 'open' then 'half_open' else w.breaker_state end,
      rate_tokens = case when w.rate_per_second is null then w.rate_tokens else least(
        greatest(1, w.rate_per_second),
        w.rate_tokens + w.rate_per_second * greatest(0, extract(epoch from clock_timestamp() - w.rate_refilled_at))
      ) end,
      rate_refilled_at = clock_timestamp()
    where w.id = any (v_ids) and (w.breaker_state = 'open' or w.rate_per_second is not null);
  end if;
  return v_ids;
end
$$;
comment on function marketplace._lock_claimable_workflows(text[]) is
  'Locks, until the end of the transaction, the workflows that have due jobs and may start some, but for those of the given slugs; returns their ids, null for none.';

create function marketplace._park_jobs(p_workflow_ids uuid[])
returns boolean
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
  v_job_ids uuid[];
begin
  select array_agg(head.id) into v_job_ids
  from marketplace.workflows as w
  cross join lateral (
    select array_agg(h.id) as ids
    from (
      select j.id
      from marketplace.sync_jobs as j
      where j.workflow_id = w.id and j.status = 'pending' and not j.is_parked
        and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
      order by marketplace._claim_rank(j.run_at, j.priority), j.position
      limit 500
    ) as h
    having count(*) = 500
  ) as crowd
  cross join unnest(crowd.ids) as head (id)
  where w.id = any (p_workflow_ids)
    and (w.rate_per_second is null or w.rate_tokens >= 1)
    and case w.breaker_state when 'half_open' then 1 else w.max_concurrency end > (
      select count(*) from marketplace.sync_jobs as r where r.workflow_id = w.id and r.status = 'running'
    );
  if v_job_ids is null then
    return false;
  end if;

  with
  waiting as materialized (
    select j.id, j.workflow_id, j.concurrency_key
    from unnest(v_job_ids) as head (id)
    join marketplace.sync_jobs as j on j.id = head.id
    join marketplace.workflows as w on w.id = j.workflow_id
    where j.concurrency_key is not null and (
      select count(*)
      from (
        select from marketplace.sync_jobs as earlier
        where earlier.workflow_id = w.id and earlier.concurrency_key = j.concurrency_key
          and earlier.status in ('pending', 'running') and earlier.position < j.position
        limit w.max_per_key
      ) as ahead
    ) >= w.max_per_key
  ),
  -- The first job of each key cannot end unseen before we commit, and free those behind it; one that is just
  -- ending is left alone.
  first as materialized (
    select k.workflow_id, k.concurrency_key
    from (select distinct w.workflow_id, w.concurrency_key from waiting as w) as k
    cross join lateral (
      select j.id
      from marketplace.sync_jobs as j
      where j.workflow_id = k.workflow_id and j.concurrency_key = k.concurrency_key and j.status in ('pending', 'running')
      order by j.position
      limit 1
      for share skip locked
    ) as held
  )
  update marketplace.sync_jobs as j
  set is_parked = true
  from waiting as w
  join first as f on f.workflow_id = w.workflow_id and f.concurrency_key = w.concurrency_key
  where j.id = w.id and j.lease_id is null and j.finished_at is null;
  return found;
end
$$;
comment on function marketplace._park_jobs(uuid[]) is
  'Where the first 500 due jobs of a workflow that could start some wait for others of their key, sets them aside so that those behind them come into view. Whether it did.';

create function marketplace._unpark_jobs()
returns trigger
language plpgsql
volatile
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
begin
  update marketplace.sync_jobs as j
  set is_parked = false
  where j.id in (
    select p.id
    from marketplace.sync_jobs as p
    where p.workflow_id = old.workflow_id and p.concurrency_key = old.concurrency_key and p.status = 'pending' and p.is_parked
    order by p.position
    limit (select w.max_per_key from marketplace.workflows as w where w.id = old.workflow_id)
  );
  return null;
end
$$;
comment on function marketplace._unpark_jobs() is 'The end of a job of a key brings the next ones of its key back into view.';
create trigger sync_jobs_unpark after update of status on marketplace.sync_jobs
  for each row
  when (old.concurrency_key is not null and old.status in ('pending', 'running') and new.status not in ('pending', 'running'))
  execute function marketplace._unpark_jobs();
create function marketplace._unpark_after_delete()
returns trigger
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- once for each key: a rule that goes takes all of its jobs along
  update marketplace.sync_jobs as j
  set is_parked = false
  where j.id in (
    select next.id
    from (
      select distinct g.workflow_id, g.concurrency_key
      from gone as g
      where g.concurrency_key is not null and g.finished_at is null
    ) as k
    join marketplace.workflows as w on w.id = k.workflow_id
    cross join lateral (
      select p.id
      from marketplace.sync_jobs as p
      where p.workflow_id = k.workflow_id and p.concurrency_key = k.concurrency_key and p.status = 'pending' and p.is_parked
      order by p.position
      limit w.max_per_key
    ) as next
  );
  return null;
end
$$;
comment on function marketplace._unpark_after_delete() is 'Jobs of a key that are deleted bring the next ones of their key back into view.';
create trigger sync_jobs_unpark_deleted after delete on marketplace.sync_jobs
  referencing old table as gone
  for each statement execute function marketplace._unpark_after_delete();

create function marketplace.claim_jobs(p_limit int default 50, p_except text[] default '{}')
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
  body json,
  allows_private_network boolean,
  signing_secret text,
  auth_token text
)
language plpgsql
volatile
security definer -- hands out signing secrets from Vault; executable by the service role only
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  -- A statement of its own: the next one must see what the former holder of these locks committed.
  v_workflow_ids uuid[] := marketplace._lock_claimable_workflows(p_except);
  v_wanted int := p_limit;
  v_claimed int;
begin
  if v_workflow_ids is null then
    return;
  end if;
  for v_look in 1..20 loop
    return query
    with
    due as materialized (
      select d.row_id, w.lease
      -- at random: one with a long queue must not always come before the others
      from (select f.* from marketplace.workflows as f where f.id = any (v_workflow_ids) order by random()) as w
      cross join lateral (
        select j.ctid as row_id
        from (
          select h.row_id
          from (
            select c.ctid as row_id, c.position, c.concurrency_key
            from marketplace.sync_jobs as c
            where c.workflow_id = w.id and c.status = 'pending' and not c.is_parked
              -- a rank is at most 10,000 s later than run_at
              and marketplace._claim_rank(c.run_at, c.priority) <= now() + interval '1 day' and c.run_at <= now()
            order by marketplace._claim_rank(c.run_at, c.priority), c.position
            limit v_wanted + 500
          ) as h
          -- in order per key: nobody overtakes an earlier job of the key that is not finished
          where h.concurrency_key is null
            or (
              select count(*)
              from (
                select from marketplace.sync_jobs as earlier
                where earlier.workflow_id = w.id and earlier.concurrency_key = h.concurrency_key
                  and earlier.status in ('pending', 'running') and earlier.position < h.position
                limit w.max_per_key
              ) as ahead
            ) < w.max_per_key
        ) as next
        -- where it was found, and still pending, said so that no partial index will do; one that is just changing
        -- is left for the next claim
        join marketplace.sync_jobs as j on j.ctid = next.row_id and j.lease_id is null and j.finished_at is null
        limit greatest(0, least(
          case w.breaker_state when 'half_open' then 1 else w.max_concurrency end - (
            select count(*) from marketplace.sync_jobs as r where r.workflow_id = w.id and r.status = 'running'
          ),
          case when w.rate_per_second is null then v_wanted else floor(w.rate_tokens) end
        ))
        for no key update of j skip locked
      ) as d
      limit v_wanted
    ),
    leased as materialized (
      -- 244 random bits
      select d.row_id, d.lease, 'mpj_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex') as token
      from due as d
    ),
    claimed as (
      update marketplace.sync_jobs as j
      set status = 'running',
        attempt_count = j.attempt_count + 1,
        lease_id = gen_random_uuid(),
        claimed_at = now(),
        lease_expires_at = now() + l.lease,
        token_hash = sha256(convert_to(l.token, 'UTF8')),
        dispatched_at = null
      from leased as l
      -- locked, so that it has not moved
      where j.ctid = l.row_id
      returning
        j.id, j.workflow_id, j.rule_id, j.event_id, j.event_created_at, j.correlation_id, j.replay_of,
        j.attempt_count, j.max_attempts, j.lease_id, j.lease_expires_at, l.token
    ),
    spent as (
      update marketplace.workflows as w
      set rate_tokens = greatest(0, w.rate_tokens - n.count)
      from (select c.workflow_id, count(*) as count from claimed as c group by c.workflow_id) as n
      where w.id = n.workflow_id and w.rate_per_second is not null
    ),
    -- what is the same for all jobs of a rule
    told as materialized (
      select
        k.workflow_id, k.rule_id, w.slug, w.kind, w.endpoint, w.timeout_ms, w.allows_private_network, w.sends_payload,
        case when w.signing_vault_id is not null then marketplace._vault_read(w.signing_vault_id) end as signing_secret,
        case when w.token_vault_id is not null then marketplace._vault_read(w.token_vault_id) end as auth_token,
        source.slug as source_slug,
        json_build_object('id', r.id, 'name', r.name, 'config', r.config) as rule,
        json_build_object('integration', source.slug, 'provider', source.provider) as source,
        case when destination.id is not null then
          json_build_object('integration', destination.slug, 'provider', destination.provider)
        end as destination,
        case when notified.id is not null then
          json_build_object(
            'integration', notified.slug, 'provider', notified.provider, 'action', 'chat.postMessage',
            'channel', coalesce(r.notify_channel, notified.config ->> 'channel'), 'is_default', notified.is_default
          )
        end as notify
      from (select distinct c.workflow_id, c.rule_id from claimed as c) as k
      join marketplace.workflows as w on w.id = k.workflow_id
      join marketplace.sync_rules as r on r.id = k.rule_id
      join marketplace.integrations as source on source.id = r.source_integration_id
      left join marketplace.integrations as destination on destination.id = r.destination_integration_id
      left join marketplace.integrations as notified on notified.id = r.notify_integration_id
    )
    select
      c.id, c.lease_id, c.attempt_count, c.max_attempts, c.lease_expires_at, c.token,
      t.slug, t.kind, t.endpoint, t.timeout_ms, c.correlation_id,
      -- what the workflow is told; the dispatcher adds the attempt, the token and the URLs
      json_build_object(
        'job', case when c.replay_of is null then json_build_object('id', c.id, 'correlation_id', c.correlation_id)
          else json_build_object('id', c.id, 'correlation_id', c.correlation_id, 'replay_of', c.replay_of) end,
        'workflow', t.slug, 'rule', t.rule, 'source', t.source, 'destination', t.destination, 'notify', t.notify,
        'event', event.told
      ),
      t.allows_private_network, t.signing_secret, t.auth_token
    from claimed as c
    join told as t on t.workflow_id = c.workflow_id and t.rule_id = c.rule_id
    left join lateral (
      select
        case when t.sends_payload then json_build_object(
          'id', e.id, 'type', e.event_type, 'provider', e.provider, 'integration', t.source_slug,
          'resource_path', e.resource_path, 'account', e.account, 'occurred_at', e.occurred_at, 'payload', e.payload
        ) else json_build_object(
          'id', e.id, 'type', e.event_type, 'provider', e.provider, 'integration', t.source_slug,
          'resource_path', e.resource_path, 'account', e.account, 'occurred_at', e.occurred_at
        ) end as told
      from marketplace.webhook_events as e
      where e.id = c.event_id and e.created_at = c.event_created_at
    ) as event on true;

    get diagnostics v_claimed = row_count;
    v_wanted := v_wanted - v_claimed;
    exit when v_wanted <= 0 or not marketplace._park_jobs(v_workflow_ids);
  end loop;
end
$$;
comment on function marketplace.claim_jobs(int, text[]) is
  'Leases due jobs to the caller, within each workflow''s concurrency, rate and circuit and in order per key, with a token for this attempt only; none of the workflows in p_except. Many dispatchers may call it at once.';

create function marketplace.set_workflow_secret(p_slug text, p_purpose text, p_secret text)
returns void
language plpgsql
volatile
security definer -- writes Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_workflow marketplace.workflows;
begin
  select * into v_workflow from marketplace.workflows as w where w.slug = p_slug for update;
  if v_workflow.id is null then
    raise exception 'workflow % does not exist', coalesce(quote_literal(p_slug), 'null')
      using errcode = 'MK404', hint = 'select slug from marketplace.workflows lists the known ones.';
  end if;
  if coalesce(p_secret, '') = '' then
    raise exception 'the % secret of workflow % is empty', p_purpose, quote_literal(p_slug) using errcode = 'MK400';
  end if;
  case p_purpose
    when 'signing' then
      update marketplace.workflows as w
      set signing_vault_id = marketplace._vault_write(w.signing_vault_id, p_secret, format('marketplace/workflow/%s/signing', p_slug))
      where w.id = v_workflow.id;
    when 'token' then
      update marketplace.workflows as w
      set token_vault_id = marketplace._vault_write(w.token_vault_id, p_secret, format('marketplace/workflow/%s/token', p_slug))
      where w.id = v_workflow.id;
    else
      raise exception 'a workflow has no % secret', coalesce(quote_literal(p_purpose), 'null')
        using errcode = 'MK400', hint = 'Use signing (Standard Webhooks: whsec_… or whsk_…) or token (bearer).';
  end case;
end
$$;
comment on function marketplace.set_workflow_secret(text, text, text) is
  'Stores a workflow''s own signing secret (whsec_…, or whsk_… for ed25519) or bearer token in Vault.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._lock_claimable_workflows(text[]),
  marketplace._park_jobs(uuid[]),
  marketplace._unpark_jobs(),
  marketplace._unpark_after_delete(),
  marketplace.claim_jobs(int, text[]),
  marketplace.set_workflow_secret(text, text, text)
to service_role;
