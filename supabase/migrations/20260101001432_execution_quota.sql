-- Quota: reserved before a call from every limit it counts against, settled after it.

-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
alter table marketplace.api_quotas add constraint api_quotas_connection_id_fkey
  foreign key (connection_id) references marketplace.connections (id) on delete cascade;

create function marketplace._quota_windows(p_integration_id uuid, p_connection_id uuid, p_action text)
returns table (connection_id uuid, organization_id uuid, name text, limit_count bigint, length interval)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  with
  setting as (
    select i.organization_id, coalesce(c.organization_id, i.organization_id) as credential_organization_id,
      coalesce(told.name, p.rate_limit ->> 'name', 'requests') as name, i.config -> 'quota' as for_all,
      coalesce(i.config -> 'connection_quota', p.rate_limit -> 'quota') as for_each
    from marketplace.integrations as i
    join marketplace.providers as p on p.slug = i.provider
    left join marketplace.connections as c on c.id = p_connection_id
    -- where a provider has several limits, the one that it has counted this action against
    left join lateral (
      select q.name
      from marketplace.api_quotas as q
      where q.integration_id = p_integration_id and q.connection_id is not distinct from p_connection_id and p_action = any (q.action_slugs)
      order by q.updated_at desc
      limit 1
    ) as told on true
    where i.id = p_integration_id
  )
  select null, s.organization_id, 'all connections', (s.for_all ->> 'limit')::bigint, make_interval(secs => (s.for_all ->> 'window_seconds')::float8)
  from setting as s
  where s.for_all is not null
  union all
  select p_connection_id, s.credential_organization_id, s.name, (s.for_each ->> 'limit')::bigint,
    make_interval(secs => (s.for_each ->> 'window_seconds')::float8)
  from setting as s
  where s.for_each is not null
  union all
  -- nothing is assumed, but the provider has told what is left
  select q.connection_id, q.organization_id, q.name, q.limit_count, q.resets_at - q.window_started_at
  from setting as s
  join marketplace.api_quotas as q on q.integration_id = p_integration_id
    and q.connection_id is not distinct from p_connection_id and q.name = s.name
  where s.for_each is null and q.resets_at > now();
end
$$;
comment on function marketplace._quota_windows(uuid, uuid, text) is
  'The limits a call counts against: of the integration''s connections together (config.quota), and of the credential (config.connection_quota, else the provider''s rate_limit.quota, else what it told).';

create function marketplace._quota_refusal(p_name text, p_limit bigint, p_resets_at timestamptz, p_message text)
returns jsonb
language sql
volatile
set search_path = ''
as $$
  select marketplace._refusal(429, 'rate_limited', p_message, jsonb_build_object(
    'retry_after_ms', ceil(extract(epoch from greatest(p_resets_at, clock_timestamp()) - clock_timestamp()) * 1000)::bigint,
    'details', jsonb_build_object('quota', p_name, 'limit', p_limit, 'resets_at', p_resets_at)
  ))
$$;
comment on function marketplace._quota_refusal(text, bigint, timestamptz, text) is
  'The refusal of a call for which there is no quota until then.';

create function marketplace._asked_to_wait(p_integration_id uuid, p_connection_id uuid, p_action text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_wait marketplace.api_quotas;
begin
  select * into v_wait
  from marketplace.api_quotas as q
  where q.integration_id = p_integration_id and q.connection_id is not distinct from p_connection_id
    and q.name = 'retry-after ' || p_action and q.resets_at > now();
  return case when v_wait.id is not null then marketplace._quota_refusal(
    v_wait.name, v_wait.limit_count, v_wait.resets_at, format('The provider asked to be left alone with %s until %s.', p_action, v_wait.resets_at)
  ) end;
end
$$;
comment on function marketplace._asked_to_wait(uuid, uuid, text) is
  'The refusal of a call which the provider asked to leave alone for a while, with Retry-After; null otherwise.';

create function marketplace._reserve_quota(p_integration_id uuid, p_connection_id uuid, p_action text, p_unit bigint, p_pages bigint)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_cost bigint := p_unit * coalesce(p_pages, 1);
  v_reserved jsonb;
  v_spent jsonb;
  v_quota marketplace.api_quotas;
begin
  if v_cost <= 0 then
    return '{"windows": []}';
  end if;
  with
  wanted as (
    select w.* from marketplace._quota_windows(p_integration_id, p_connection_id, p_action) as w
  ),
  -- in one order everywhere: two calls never wait for each other
  reserved as (
    insert into marketplace.api_quotas as q
      (organization_id, integration_id, connection_id, name, limit_count, reserved_count, resets_at)
    select w.organization_id, p_integration_id, w.connection_id, w.name, w.limit_count, v_cost, now() + w.length
    from wanted as w
    where v_cost <= w.limit_count
    order by w.name = 'all connections' desc, w.name
    on conflict (integration_id, connection_id, name) do update
      set limit_count = case when q.is_observed then q.limit_count else excluded.limit_count end,
        reserved_count = case when q.resets_at <= now() then v_cost else q.reserved_count + v_cost end,
        used_count = case when q.resets_at <= now() then 0 else q.used_count end,
        observed_count = case when q.resets_at <= now() then 0 else q.observed_count end,
        window_started_at = case when q.resets_at <= now() then now() else q.window_started_at end,
        resets_at = case when q.resets_at <= now() then excluded.resets_at else q.resets_at end,
        updated_at = now()
      where q.resets_at <= now()
        or q.used_count + q.reserved_count + v_cost <= case when q.is_observed then q.limit_count else excluded.limit_count end
    returning q.id, q.connection_id, q.name, q.limit_count, q.used_count, q.reserved_count, q.window_started_at, q.resets_at
  )
  select
    (select coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object('cost', v_cost, 'unit', p_unit)), '[]') from reserved as r),
    (
      select jsonb_build_object('name', w.name, 'limit', w.limit_count, 'connection_id', w.connection_id)
      from wanted as w
      where not exists (select from reserved as r where r.name = w.name and r.connection_id is not distinct from w.connection_id)
      limit 1
    )
  into v_reserved, v_spent;
  if v_spent is null then
    return jsonb_build_object('windows', v_reserved);
  end if;

  -- one of two limits is spent: what the other one gave is given back
  update marketplace.api_quotas as q
  set reserved_count = q.reserved_count - v_cost
  from jsonb_to_recordset(v_reserved) as r (id uuid)
  where q.id = r.id;
  select * into v_quota
  from marketplace.api_quotas as q
  where q.integration_id = p_integration_id and q.name = v_spent ->> 'name'
    and q.connection_id is not distinct from (v_spent ->> 'connection_id')::uuid;
  v_quota.limit_count := coalesce(v_quota.limit_count, (v_spent ->> 'limit')::bigint);
  return jsonb_build_object('refusal', marketplace._quota_refusal(
    v_spent ->> 'name', v_quota.limit_count, v_quota.resets_at,
    format('The quota %s is spent: it allows %s a window, and this needs %s.', v_spent ->> 'name', v_quota.limit_count, v_cost)
  ));
end
$$;
comment on function marketplace._reserve_quota(uuid, uuid, text, bigint, bigint) is
  'Reserves a number of pages at so much each from every limit a call counts against, in one statement, or from none: {windows: […]} or {refusal}.';

create function marketplace._settle_quota(p_ended jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_window record;
begin
  for v_window in
    select w.id, w.window_started_at, sum(w.cost) as cost,
      -- what the provider has counted, here or elsewhere, is taken over from it
      coalesce(sum(greatest(coalesce(e.spent, w.unit), 0)) filter (where w.name = 'all connections' or e.is_told is not true), 0) as spent
    from jsonb_to_recordset(p_ended) as e (reserved jsonb, spent bigint, is_told boolean)
    cross join lateral jsonb_to_recordset(e.reserved) as w (id uuid, name text, window_started_at timestamptz, cost bigint, unit bigint)
    group by w.id, w.name, w.window_started_at
    -- in the order in which they are reserved
    order by w.name = 'all connections' desc, w.name, w.id, w.window_started_at
  loop
    update marketplace.api_quotas as q
    set reserved_count = greatest(q.reserved_count - v_window.cost, 0), used_count = q.used_count + v_window.spent, updated_at = now()
    -- a window that began since then knows nothing of this reservation
    where q.id = v_window.id and q.window_started_at = v_window.window_started_at;
  end loop;
end
$$;
comment on function marketplace._settle_quota(jsonb) is
  'Turns what executions had reserved into what they used: [{reserved, spent, is_told}]; spent null: nobody knows, then one request; is_told: the provider says itself what is left.';

create function marketplace._note_limits(p_result jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  if p_result @> '{"observed": [{}]}' then
    perform marketplace._note_quota(
      e.organization_id, e.integration_id, e.connection_id, o.name, o.limit_count, o.remaining, o.resets_at, e.action
    )
    from jsonb_to_record(p_result) as e (organization_id uuid, integration_id uuid, connection_id uuid, action text),
      jsonb_to_recordset(p_result -> 'observed') as o (name text, limit_count bigint, remaining bigint, resets_at timestamptz);
  end if;
  if (p_result ->> 'retry_after_ms')::float8 > 0 then
    insert into marketplace.api_quotas as q
      (organization_id, integration_id, connection_id, name, limit_count, used_count, is_observed, resets_at)
    select e.organization_id, e.integration_id, e.connection_id, 'retry-after ' || e.action, 1, 1, true,
      now() + make_interval(secs => e.retry_after_ms / 1000.0)
    from jsonb_to_record(p_result) as e (organization_id uuid, integration_id uuid, connection_id uuid, action text, retry_after_ms float8)
    on conflict (integration_id, connection_id, name) do update
      set resets_at = greatest(q.resets_at, excluded.resets_at), updated_at = now();
  end if;
end
$$;
comment on function marketplace._note_limits(jsonb) is
  'Takes over what the provider said of its limits, and when to come back.';

-- a limit of somebody's own account is for him alone
alter policy "members read their quotas" on marketplace.api_quotas
  using (
    organization_id in (select marketplace.my_organization_ids())
    and (connection_id is null or connection_id in (select c.id from marketplace.connections as c))
  );

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._quota_windows(uuid, uuid, text),
  marketplace._quota_refusal(text, bigint, timestamptz, text),
  marketplace._asked_to_wait(uuid, uuid, text),
  marketplace._reserve_quota(uuid, uuid, text, bigint, bigint),
  marketplace._settle_quota(jsonb),
  marketplace._note_limits(jsonb)
to service_role;
