-- Claiming: due jobs are leased to a dispatcher, within what their workflow allows.

create function marketplace._lock_claimable_workflows(p_except text[])
returns uuid[]
language sql
volatile
set search_path = ''
as $$
  with
  -- One dispatcher at a time claims for a workflow, so that its limits hold; others pass it by.
  locked as (
    select w.id
    from marketplace.workflows as w
    where w.is_active and w.paused_at is null
      and (w.breaker_until is null or w.breaker_until <= now())
      and w.slug <> all (p_except)
      and exists (
        select from marketplace.sync_jobs as j
        where j.workflow_id = w.id and j.status = 'pending'
          and marketplace._claim_rank(j.run_at, j.priority) <= now() + interval '1 day' and j.run_at <= now()
      )
    order by w.id
    for no key update skip locked
  ),
  -- An open circuit whose time is over lets one probe through; the bucket fills with time.
  refreshed as (
    update marketplace.workflows as w
    set breaker_state = case when w.breaker_state = 'open' then 'half_open' else w.breaker_state end,
      rate_tokens = case when w.rate_per_second is null then w.rate_tokens else least(
        greatest(1, w.rate_per_second),
        w.rate_tokens + w.rate_per_second * greatest(0, extract(epoch from clock_timestamp() - w.rate_refilled_at))
      ) end,
      rate_refilled_at = clock_timestamp()
    from locked as l
    where w.id = l.id and (w.breaker_state = 'open' or w.rate_per_second is not null)
  )
  select coalesce(array_agg(l.id), '{}') from locked as l
$$;
comment on function marketplace._lock_claimable_workflows(text[]) is
  'Locks, until the end of the transaction, the workflows that have due jobs and may start some, but for those of the given slugs; returns their ids.';

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
  body jsonb,
  allows_private_network boolean,
  signing_secret text,
  auth_token text
)
language plpgsql
volatile
security definer -- hands out signing secrets from Vault; executable by the service role only
set search_path = ''
set jit = off -- compiling would take longer than running
as $$
declare
  -- A statement of its own: the next one must see what the former holder of these locks committed.
  v_workflow_ids uuid[] := marketplace._lock_claimable_workflows(p_except);
begin
  return query
  with
  due as (
    select d.id as job_id, w.id as workflow_id, w.lease
    -- at random: one with a long queue must not always come before the others
    from (select f.* from marketplace.workflows as f where f.id = any (v_workflow_ids) order by random()) as w
    cross join lateral (
      select j.id
      from marketplace.sync_jobs as j
      where j.workflow_id = w.id and j.status = 'pending' and j.run_at <= now()
        -- in order per key: nobody overtakes an earlier job of the key that is not finished
        and (
          j.concurrency_key is null
          or (
            select count(*)
            from (
              select from marketplace.sync_jobs as earlier
              where earlier.workflow_id = w.id and earlier.concurrency_key = j.concurrency_key
                and earlier.status in ('pending', 'running') and earlier.position < j.position
              limit w.max_per_key
            ) as ahead
          ) < w.max_per_key
        )
      order by marketplace._claim_rank(j.run_at, j.priority), j.position
      limit greatest(0, least(
        case w.breaker_state when 'half_open' then 1 else w.max_concurrency end - (
          select count(*) from marketplace.sync_jobs as r where r.workflow_id = w.id and r.status = 'running'
        ),
        case when w.rate_per_second is null then p_limit else floor(w.rate_tokens) end
      ))
      for update skip locked
    ) as d
    limit p_limit
  ),
  leased as (
    select
      due.job_id, due.workflow_id, due.lease,
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
    where j.id = l.job_id
    returning j.id, j.organization_id, j.workflow_id, j.lease_id, j.claimed_at, j.attempt_count, j.max_attempts,
      j.lease_expires_at, j.correlation_id, j.rule_id, j.event_id, j.event_created_at, j.replay_of, l.token
  ),
  begun as (
    insert into marketplace.sync_job_attempts (id, started_at, organization_id, job_id, attempt)
    select c.lease_id, c.claimed_at, c.organization_id, c.id, c.attempt_count
    from claimed as c
  ),
  spent as (
    update marketplace.workflows as w
    set rate_tokens = greatest(0, w.rate_tokens - n.count)
    from (select c.workflow_id, count(*) as count from claimed as c group by c.workflow_id) as n
    where w.id = n.workflow_id and w.rate_per_second is not null
  )
  select
    c.id, c.lease_id, c.attempt_count, c.max_attempts, c.lease_expires_at, c.token,
    w.slug, w.kind, w.endpoint, w.timeout_ms, c.correlation_id,
    -- what the workflow is told; the dispatcher adds the attempt, the token and the URLs
    jsonb_build_object(
      'job', jsonb_strip_nulls(jsonb_build_object('id', c.id, 'correlation_id', c.correlation_id, 'replay_of', c.replay_of)),
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
    ),
    w.allows_private_network,
    case when w.signing_vault_id is not null then marketplace._vault_read(w.signing_vault_id) end,
    case when w.token_vault_id is not null then marketplace._vault_read(w.token_vault_id) end
  from claimed as c
  join marketplace.workflows as w on w.id = c.workflow_id
  join marketplace.sync_rules as r on r.id = c.rule_id
  join marketplace.integrations as source on source.id = r.source_integration_id
  left join marketplace.integrations as destination on destination.id = r.destination_integration_id
  left join marketplace.integrations as notified on notified.id = r.notify_integration_id
  left join marketplace.webhook_events as e on e.id = c.event_id and e.created_at = c.event_created_at;
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
  marketplace.claim_jobs(int, text[]),
  marketplace.set_workflow_secret(text, text, text)
to service_role;
