-- Quota: reserved before a call from every limit it counts against, settled after it.

-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
alter table marketplace.api_quotas add constraint api_quotas_connection_id_fkey
  foreign key (connection_id) references marketplace.connections (id) on delete cascade;

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

create function marketplace._told_limit(p_integration_id uuid, p_connection_id uuid, p_action text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_wait text := 'retry-after ' || p_action;
  v_quota marketplace.api_quotas;
begin
  select q.* into v_quota
  from (
    -- not "is not distinct from", which no index answers
    select c.* from marketplace.api_quotas as c
    where c.integration_id = p_integration_id and c.connection_id = p_connection_id
    union all
    select o.* from marketplace.api_quotas as o
    where o.integration_id = p_integration_id and o.connection_id is null and p_connection_id is null
  ) as q
  where q.name = v_wait and q.resets_at > now() or p_action = any (q.action_slugs)
  order by q.name = v_wait desc, q.updated_at desc
  limit 1;
  if v_quota.name = v_wait then
    return jsonb_build_object('refusal', marketplace._quota_refusal(
      v_wait, v_quota.limit_count, v_quota.resets_at, format('The provider asked to be left alone with %s until %s.', p_action, v_quota.resets_at)
    ));
  end if;
  return jsonb_build_object('name', v_quota.name);
end
$$;
comment on function marketplace._told_limit(uuid, uuid, text) is
  'Which of a provider''s limits an action counts against, as it told at an earlier call: {name}, null where it has not; {refusal} when it asked to be left alone with the action for a while, with Retry-After.';

create function marketplace._reserve_window(
  p_integration_id uuid,
  p_connection_id uuid,
  p_organization_id uuid,
  p_name text,
  p_limit bigint,
  p_length interval,
  p_cost bigint
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_window jsonb;
begin
  if p_cost <= p_limit then
    insert into marketplace.api_quotas as q
      (id, organization_id, integration_id, connection_id, name, limit_count, reserved_count, resets_at)
    values (gen_random_uuid(), p_organization_id, p_integration_id, p_connection_id, p_name, p_limit, p_cost, now() + p_length)
    on conflict (integration_id, connection_id, name) do update
      set limit_count = case when q.is_observed then q.limit_count else excluded.limit_count end,
        reserved_count = case when q.resets_at <= now() then p_cost else q.reserved_count + p_cost end,
        used_count = case when q.resets_at <= now() then 0 else q.used_count end,
        observed_count = case when q.resets_at <= now() then 0 else q.observed_count end,
        window_started_at = case when q.resets_at <= now() then now() else q.window_started_at end,
        resets_at = case when q.resets_at <= now() then excluded.resets_at else q.resets_at end,
        updated_at = now()
      where q.resets_at <= now()
        or q.used_count + q.reserved_count + p_cost <= case when q.is_observed then q.limit_count else excluded.limit_count end
    returning jsonb_build_object(
      'id', q.id, 'connection_id', q.connection_id, 'name', q.name, 'limit_count', q.limit_count, 'used_count', q.used_count,
      'reserved_count', q.reserved_count, 'window_started_at', q.window_started_at, 'resets_at', q.resets_at, 'cost', p_cost
    ) into v_window;
  end if;
  return v_window;
end
$$;
comment on function marketplace._reserve_window(uuid, uuid, uuid, text, bigint, interval, bigint) is
  'Reserves so much of one limit, in a window that begins now where the last one is over; null when that much is not left.';

create function marketplace._reserve_quota(
  p_integration marketplace.integrations,
  p_connection marketplace.connections,
  p_rate_limit jsonb,
  p_told text,
  p_unit bigint,
  p_pages bigint
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_cost bigint := p_unit * coalesce(p_pages, 1);
  v_unit jsonb := jsonb_build_object('unit', p_unit);
  v_for_all jsonb := (p_integration).config -> 'quota';
  v_for_each jsonb := coalesce((p_integration).config -> 'connection_quota', p_rate_limit -> 'quota');
  v_limit bigint;
  v_length interval;
  v_name text := 'all connections';
  v_window jsonb;
  v_windows jsonb := '[]';
  v_quota marketplace.api_quotas;
begin
  if v_cost <= 0 then
    return '{"windows": []}';
  end if;
  -- in one order everywhere, this one first: two calls never wait for each other
  if v_for_all is not null then
    v_limit := v_for_all ->> 'limit';
    v_window := marketplace._reserve_window(
      (p_integration).id, null, (p_integration).organization_id, v_name, v_limit,
      make_interval(secs => (v_for_all ->> 'window_seconds')::float8), v_cost
    );
    if v_window is not null then
      v_windows := v_windows || (v_window || v_unit);
    end if;
  end if;
  if v_for_all is null or v_window is not null then
    v_name := coalesce(p_told, p_rate_limit ->> 'name', 'requests');
    if v_for_each is not null then
      v_limit := v_for_each ->> 'limit';
      v_length := make_interval(secs => (v_for_each ->> 'window_seconds')::float8);
    else
      -- nothing is assumed, but the provider may have told what is left
      select q.* into v_quota
      from (
        select c.* from marketplace.api_quotas as c
        where c.integration_id = (p_integration).id and c.connection_id = (p_connection).id and c.name = v_name
        union all
        select o.* from marketplace.api_quotas as o
        where o.integration_id = (p_integration).id and o.connection_id is null and (p_connection).id is null and o.name = v_name
      ) as q
      where q.resets_at > now();
      if not found then
        return jsonb_build_object('windows', v_windows);
      end if;
      v_limit := v_quota.limit_count;
      v_length := v_quota.resets_at - v_quota.window_started_at;
    end if;
    v_window := marketplace._reserve_window(
      (p_integration).id, (p_connection).id, coalesce((p_connection).organization_id, (p_integration).organization_id), v_name,
      v_limit, v_length, v_cost
    );
    if v_window is not null then
      return jsonb_build_object('windows', v_windows || (v_window || v_unit));
    end if;
  end if;

  -- one of two limits is spent: what the other one gave is given back
  update marketplace.api_quotas as q
  set reserved_count = q.reserved_count - v_cost
  from jsonb_to_recordset(v_windows) as r (id uuid)
  where q.id = r.id;
  select * into v_quota
  from marketplace.api_quotas as q
  where q.integration_id = (p_integration).id and q.name = v_name
    and q.connection_id is not distinct from case when v_windows <> '[]' or v_for_all is null then (p_connection).id end;
  v_limit := coalesce(v_quota.limit_count, v_limit);
  return jsonb_build_object('refusal', marketplace._quota_refusal(
    v_name, v_limit, v_quota.resets_at,
    format('The quota %s is spent: it allows %s a window, and this needs %s.', v_name, v_limit, v_cost)
  ));
end
$$;
comment on function marketplace._reserve_quota(marketplace.integrations, marketplace.connections, jsonb, text, bigint, bigint) is
  'Reserves a number of pages at so much each from every limit a call counts against, or from none: {windows: […]} or {refusal}. Limits are of the integration''s connections together (config.quota), and of the credential (config.connection_quota, else the provider''s rate_limit.quota, else what it told).';

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
  marketplace._quota_refusal(text, bigint, timestamptz, text),
  marketplace._told_limit(uuid, uuid, text),
  marketplace._reserve_window(uuid, uuid, uuid, text, bigint, interval, bigint),
  marketplace._reserve_quota(marketplace.integrations, marketplace.connections, jsonb, text, bigint, bigint),
  marketplace._settle_quota(jsonb),
  marketplace._note_limits(jsonb)
to service_role;
