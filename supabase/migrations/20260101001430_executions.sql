-- Running an action takes two round trips: begin_execution before the provider is called, and
-- finish_execution after. What is refused is a value, not an error: it must stay in the log.

-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
alter table marketplace.api_quotas add constraint api_quotas_connection_id_fkey
  foreign key (connection_id) references marketplace.connections (id) on delete cascade;

create table marketplace.execution_results (
  execution_id uuid primary key,
  created_at timestamptz not null,
  organization_id uuid not null references marketplace.organizations (id) on delete cascade,
  idempotency_key text check (idempotency_key <> ''), -- null: kept for whoever asks for it at the status URL
  request_hash bytea not null,
  is_repeatable boolean not null,
  lease_until timestamptz not null,
  http_status int, -- null: still running
  answer jsonb, -- null: still running, or too large to keep
  finished_at timestamptz, -- null: still running
  expires_at timestamptz not null default now() + interval '24 hours',
  unique (organization_id, idempotency_key),
  constraint execution_results_finished_check check ((http_status is null) = (finished_at is null))
);
comment on table marketplace.execution_results is
  'Answers that are given again, for a day: to a repeated idempotency key, and at the status URL of what runs in the background. Written by begin_execution and finish_execution. No policy: only functions touch it, which ask who wants to know.';
comment on column marketplace.execution_results.request_hash is 'SHA-256 of what was asked for: a key is for one request.';
comment on column marketplace.execution_results.is_repeatable is
  'Whether the action may run again when its first run never reported.';
comment on column marketplace.execution_results.lease_until is 'Until then it is taken to be running.';
create index execution_results_expires_at_idx on marketplace.execution_results (expires_at);

-- Who calls -----------------------------------------------------------------------------------

create function marketplace._refusal(p_status int, p_code text, p_message text, p_more jsonb default '{}')
returns jsonb
language sql
immutable
set search_path = ''
as $$
  select jsonb_build_object('status', p_status, 'code', p_code, 'message', p_message) || p_more
$$;
comment on function marketplace._refusal(int, text, text, jsonb) is
  'Why an execution is refused, as Edge Functions tell it; p_more may hold details and retry_after_ms.';

create function marketplace._execution_caller(p_caller jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller jsonb;
begin
  case p_caller ->> 'kind'
    when 'service' then
      v_caller := '{"kind": "service"}';
    when 'user' then
      -- the token was verified by whoever connects to the database
      v_caller := jsonb_build_object('kind', 'user', 'user_id', (p_caller #>> '{claims,sub}')::uuid, 'claims', p_caller -> 'claims');
    when 'api_key' then
      v_caller := marketplace.authenticate_api_key(p_caller ->> 'token');
      v_caller := v_caller || jsonb_build_object('kind', 'api_key', 'api_key_id', v_caller -> 'id');
    when 'job' then
      -- as in authorize_job, a living token renews its lease
      update marketplace.sync_jobs as j
      set lease_expires_at = greatest(j.lease_expires_at, now() + w.lease)
      from marketplace.workflows as w, marketplace.sync_rules as r
      where j.status = 'running' and j.lease_expires_at > now()
        and j.token_hash = sha256(convert_to(p_caller ->> 'token', 'UTF8'))
        and w.id = j.workflow_id and r.id = j.rule_id
      returning jsonb_build_object(
        'kind', 'job', 'job_id', j.id, 'lease_id', j.lease_id, 'organization_id', j.organization_id, 'correlation_id', j.correlation_id,
        'integration_ids', jsonb_build_array(r.source_integration_id, r.destination_integration_id, r.notify_integration_id)
      ) into v_caller;
      if v_caller is null then
        raise exception 'the token belongs to no running job'
          using errcode = 'MK401', hint = 'An attempt that ended, or lost its lease, has none.';
      end if;
    else
      raise exception 'caller % is not known', coalesce(quote_nullable(p_caller ->> 'kind'), 'null') using errcode = 'MK400';
  end case;
  return v_caller;
end
$$;
comment on function marketplace._execution_caller(jsonb) is
  'Proves who calls: a user by claims that were verified, an API key or a job token here (MK401), the service.';

create function marketplace._seen_by_user(p_claims jsonb, p_connection_id uuid, p_integration_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_role text := current_setting('role');
  v_claims text := coalesce(current_setting('request.jwt.claims', true), '');
  v_seen jsonb;
begin
  -- As that user, so that row level security decides and not a copy of its policies. Whatever goes
  -- wrong in between ends the transaction, and the role with it.
  perform set_config('request.jwt.claims', p_claims::text, true), set_config('role', 'authenticated', true);
  select jsonb_build_object(
    'organizations', (
      select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'slug', o.slug, 'role', m.role)), '[]')
      from marketplace.organizations as o
      join marketplace.organization_members as m on m.organization_id = o.id
      where m.user_id = (p_claims ->> 'sub')::uuid
    ),
    'connections', (
      select coalesce(jsonb_agg(to_jsonb(c)), '[]')
      from marketplace.connections as c
      where case when p_connection_id is not null then c.id = p_connection_id else c.integration_id = p_integration_id end
    )
  ) into v_seen;
  perform set_config('role', v_role, true), set_config('request.jwt.claims', v_claims, true);
  return v_seen;
end
$$;
comment on function marketplace._seen_by_user(jsonb, uuid, uuid) is
  'What row level security shows a user: organizations with the role in them, and the named connection, or those under an integration.';

-- On what -------------------------------------------------------------------------------------

create function marketplace._choose_connection(p_connections jsonb, p_user_id uuid)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_ids jsonb;
begin
  -- what works before what does not, then one's own before what others share
  select jsonb_agg(best.id) into v_ids
  from (
    select c.id, rank() over (order by c.status = 'active' desc, c.user_id is not distinct from p_user_id desc) as rank
    from jsonb_to_recordset(p_connections) as c (id uuid, user_id uuid, status text)
    where c.status not in ('pending', 'revoked')
  ) as best
  where best.rank = 1;
  if v_ids is null then
    return jsonb_build_object('refusal', marketplace._refusal(
      404, 'connection_not_found', 'There is no connection under this integration that you may use: connect an account, or name one in connection_id.'
    ));
  elsif jsonb_array_length(v_ids) > 1 then
    return jsonb_build_object('refusal', marketplace._refusal(
      409, 'connection_ambiguous', 'There are several connections under this integration: name one in connection_id.',
      jsonb_build_object('details', jsonb_build_object('connection_ids', v_ids))
    ));
  end if;
  return jsonb_build_object('connection_id', v_ids -> 0);
end
$$;
comment on function marketplace._choose_connection(jsonb, uuid) is
  'The connection that is meant when only an integration is named: the one of the user, else the one shared; refused when there is none or are several.';

create function marketplace._target_of_user(p_caller jsonb, p_request jsonb, p_integration_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_seen jsonb := marketplace._seen_by_user(p_caller -> 'claims', (p_request ->> 'connection_id')::uuid, p_integration_id);
  v_organization text := p_request ->> 'organization';
  v_organizations jsonb;
  v_connections jsonb;
  v_target jsonb;
begin
  select coalesce(jsonb_agg(o), '[]') into v_organizations
  from jsonb_array_elements(v_seen -> 'organizations') as o
  where v_organization is null or v_organization in (o ->> 'slug', o ->> 'id');
  -- for the log of what is refused before it is known whose it would be
  v_target := jsonb_build_object('organization_id', v_organizations #> '{0,id}');
  if v_organization is not null and v_organizations = '[]' then
    return jsonb_build_object('organization_id', v_seen #> '{organizations,0,id}', 'refusal', marketplace._refusal(
      404, 'organization_not_found', format('You belong to no organization %s: name one by slug or id.', quote_literal(v_organization))
    ));
  end if;
  select coalesce(jsonb_agg(c || jsonb_build_object('role', o -> 'role')), '[]') into v_connections
  from jsonb_array_elements(v_seen -> 'connections') as c
  join jsonb_array_elements(v_organizations) as o on o -> 'id' = c -> 'organization_id';
  if p_request ->> 'connection_id' is not null then
    v_target := v_target || jsonb_build_object('connection_id', v_connections #> '{0,id}');
  else
    v_target := v_target || marketplace._choose_connection(v_connections, (p_caller ->> 'user_id')::uuid);
  end if;
  return v_target || coalesce((
    select jsonb_build_object('organization_id', c -> 'organization_id', 'role', c -> 'role')
    from jsonb_array_elements(v_connections) as c
    where c -> 'id' = v_target -> 'connection_id'
  ), '{}');
end
$$;
comment on function marketplace._target_of_user(jsonb, jsonb, uuid) is
  'The connection a user means, among those that row level security shows.';

create function marketplace._execution_target(p_caller jsonb, p_request jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_connection_id uuid := (p_request ->> 'connection_id')::uuid;
  v_organization text := p_request ->> 'organization';
  v_integration marketplace.integrations;
  v_connection marketplace.connections;
  v_organization_id uuid := (p_caller ->> 'organization_id')::uuid;
  v_target jsonb;
begin
  select * into v_integration from marketplace.integrations as i where i.slug = p_request ->> 'integration';
  case p_caller ->> 'kind'
    when 'user' then
      v_target := marketplace._target_of_user(p_caller, p_request, v_integration.id);
    when 'api_key' then
      v_target := jsonb_build_object('organization_id', v_organization_id);
      if v_connection_id is null then
        v_target := v_target || marketplace._choose_connection(
          (
            select coalesce(jsonb_agg(to_jsonb(c)), '[]')
            from marketplace.connections as c
            where c.organization_id = v_organization_id and c.integration_id = v_integration.id and c.is_shared
          ), null
        );
      end if;
    when 'job' then
      v_target := jsonb_build_object('organization_id', v_organization_id);
    else
      v_target := jsonb_build_object('organization_id', coalesce(v_integration.organization_id, marketplace._default_organization_id()));
  end case;
  if v_target ? 'refusal' then
    return v_target;
  end if;

  v_connection_id := case when p_caller ->> 'kind' = 'user' or v_connection_id is null
    then (v_target ->> 'connection_id')::uuid else v_connection_id end;
  select * into v_connection
  from marketplace.connections as c
  where c.id = v_connection_id
    -- a key and a job see what is shared with their organization; users have been shown theirs
    and (p_caller ->> 'kind' in ('user', 'service') or c.organization_id = v_organization_id and c.is_shared)
    and (p_request ->> 'integration' is null or c.integration_id = v_integration.id);
  if v_connection.id is null and (p_request ->> 'connection_id' is not null or p_caller ->> 'kind' in ('user', 'api_key')) then
    return v_target || jsonb_build_object('refusal', marketplace._refusal(
      404, 'connection_not_found', format('There is no connection %s that you may use here.', p_request ->> 'connection_id')
    ));
  end if;
  v_organization_id := coalesce(v_connection.organization_id, (v_target ->> 'organization_id')::uuid);
  v_target := v_target || jsonb_build_object(
    'organization_id', v_organization_id, 'connection_id', v_connection.id,
    'integration_id', coalesce(v_connection.integration_id, v_integration.id)
  );
  if p_caller ->> 'kind' = 'job' and not coalesce(p_caller -> 'integration_ids' @> jsonb_build_array(v_target -> 'integration_id'), false) then
    return v_target - 'integration_id' || jsonb_build_object('refusal', marketplace._refusal(
      403, 'integration_not_allowed', format(
        'The job''s rule does not name integration %s; its own are %s.', p_request ->> 'integration',
        (select string_agg(i.slug, ', ') from marketplace.integrations as i where p_caller -> 'integration_ids' @> to_jsonb(i.id))
      )
    ));
  elsif v_target ->> 'integration_id' is null then
    return v_target || jsonb_build_object('refusal', marketplace._refusal(
      404, 'integration_not_found', format('Integration %s is not registered.', p_request ->> 'integration')
    ));
  elsif v_organization is not null and not exists (
    select from marketplace.organizations as o where o.id = v_organization_id and v_organization in (o.slug, o.id::text)
  ) then
    return v_target || jsonb_build_object('refusal', marketplace._refusal(
      404, 'organization_not_found', format('What you named does not belong to organization %s.', quote_literal(v_organization))
    ));
  end if;
  return v_target;
end
$$;
comment on function marketplace._execution_target(jsonb, jsonb) is
  'Which integration with which connection, for which organization: {organization_id, integration_id, connection_id, role}, or {refusal}. Users and keys need a connection; jobs and the service may use an integration''s own credential.';

create function marketplace._execution_refusal(p_caller jsonb, p_target jsonb, p_action marketplace.actions, p_request jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_integration marketplace.integrations;
  v_connection marketplace.connections;
  v_named text := p_request ->> 'action';
begin
  if p_target ? 'refusal' then
    return p_target -> 'refusal';
  end if;
  select * into v_integration from marketplace.integrations as i where i.id = (p_target ->> 'integration_id')::uuid;
  select * into v_connection from marketplace.connections as c where c.id = (p_target ->> 'connection_id')::uuid;
  return case
    when p_caller -> 'scopes' is not null and not p_caller -> 'scopes' ?| array['execute', 'admin'] then
      marketplace._refusal(403, 'forbidden', format('API key %s may not execute.', p_caller ->> 'prefix'))
    when p_caller -> 'allowed_actions' is not null and not marketplace._action_allowed(
      array(select jsonb_array_elements_text(p_caller -> 'allowed_actions')), v_integration.slug, v_named
    ) then
      marketplace._refusal(403, 'action_not_allowed', format('API key %s may not run %s.%s.', p_caller ->> 'prefix', v_integration.slug, v_named))
    when p_action.id is null then
      marketplace._refusal(404, 'action_not_found', format(
        'Provider %s has no action %s: select slug from marketplace.actions lists them.', v_integration.provider, v_named
      ))
    when p_target ->> 'role' = 'viewer' and not p_action.is_read_only then
      marketplace._refusal(403, 'forbidden', 'A viewer of the organization may run actions that only read.')
    when v_integration.status = 'inactive' then
      marketplace._refusal(422, 'integration_inactive', format('Integration %s is switched off.', v_integration.slug))
    when v_connection.status = 'reauthorization_required' then
      marketplace._refusal(409, 'connection_reauthorization_required', format(
        'Connection %s must be authorized again by its owner: %s', quote_literal(v_connection.name), v_connection.error_message
      ))
    when v_connection.status in ('pending', 'revoked') then
      marketplace._refusal(409, 'connection_' || v_connection.status, format(
        'Connection %s is %s: connect it first.', quote_literal(v_connection.name), v_connection.status
      ))
  end;
end
$$;
comment on function marketplace._execution_refusal(jsonb, jsonb, marketplace.actions, jsonb) is
  'Why a caller may not run an action, or why it cannot run; null when nothing speaks against it.';

-- Quota ---------------------------------------------------------------------------------------

create function marketplace._quota_windows(p_integration_id uuid, p_connection_id uuid, p_action text)
returns table (connection_id uuid, organization_id uuid, name text, limit_count bigint, length interval)
language sql
stable
set search_path = ''
as $$
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
  where s.for_each is null and q.resets_at > now()
$$;
comment on function marketplace._quota_windows(uuid, uuid, text) is
  'The limits a call counts against: of the integration''s connections together (config.quota), and of the credential (config.connection_quota, else the provider''s rate_limit.quota, else what it told).';

create function marketplace._reserve_quota(p_integration_id uuid, p_connection_id uuid, p_action text, p_cost bigint)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_reserved jsonb;
  v_spent jsonb;
begin
  if p_cost <= 0 then
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
    select w.organization_id, p_integration_id, w.connection_id, w.name, w.limit_count, p_cost, now() + w.length
    from wanted as w
    where p_cost <= w.limit_count
    order by w.name = 'all connections' desc, w.name
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
    returning q.id, q.connection_id, q.name, q.limit_count, q.used_count, q.reserved_count, q.window_started_at, q.resets_at
  )
  select
    (select coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object('cost', p_cost)), '[]') from reserved as r),
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
  set reserved_count = q.reserved_count - p_cost
  from jsonb_to_recordset(v_reserved) as r (id uuid)
  where q.id = r.id;
  return jsonb_build_object('spent', v_spent || coalesce((
    select jsonb_build_object('limit', q.limit_count, 'resets_at', q.resets_at)
    from marketplace.api_quotas as q
    where q.integration_id = p_integration_id and q.name = v_spent ->> 'name'
      and q.connection_id is not distinct from (v_spent ->> 'connection_id')::uuid
  ), '{}'));
end
$$;
comment on function marketplace._reserve_quota(uuid, uuid, text, bigint) is
  'Reserves from every limit a call counts against, in one statement, or from none: {windows: […]} or {spent: {name, limit, resets_at}}.';

create function marketplace._quota_refusal(p_integration_id uuid, p_connection_id uuid, p_action text, p_cost bigint, p_spent jsonb)
returns jsonb
language sql
stable
set search_path = ''
as $$
  with
  refusal as (
    select
      p_spent ->> 'name' as name, (p_spent ->> 'limit')::bigint as limit_count, (p_spent ->> 'resets_at')::timestamptz as resets_at,
      format('The quota %s is spent: it allows %s a window, and this needs %s.', p_spent ->> 'name', p_spent ->> 'limit', p_cost) as message
    where p_spent is not null
    union all
    -- what the provider asked for with Retry-After
    select q.name, q.limit_count, q.resets_at, format('The provider asked to be left alone with %s until %s.', p_action, q.resets_at)
    from marketplace.api_quotas as q
    where p_spent is null and q.integration_id = p_integration_id and q.connection_id is not distinct from p_connection_id
      and q.name = 'retry-after ' || p_action and q.resets_at > now()
  )
  select marketplace._refusal(429, 'rate_limited', r.message, jsonb_build_object(
    'retry_after_ms', ceil(extract(epoch from greatest(r.resets_at, now()) - now()) * 1000)::bigint,
    'details', jsonb_build_object('quota', r.name, 'limit', r.limit_count, 'resets_at', r.resets_at)
  ))
  from refusal as r
$$;
comment on function marketplace._quota_refusal(uuid, uuid, text, bigint, jsonb) is
  'The refusal of a call whose quota is spent, or which the provider asked to leave alone for a while; null otherwise.';

-- Idempotency ---------------------------------------------------------------------------------

create function marketplace._claim_execution(p_execution jsonb, p_request jsonb, p_is_repeatable boolean, p_lease interval)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_result marketplace.execution_results;
begin
  insert into marketplace.execution_results as r
    (execution_id, created_at, organization_id, idempotency_key, request_hash, is_repeatable, lease_until)
  values (
    (p_execution ->> 'execution_id')::uuid, (p_execution ->> 'created_at')::timestamptz, (p_execution ->> 'organization_id')::uuid,
    p_execution ->> 'idempotency_key', decode(p_request ->> 'request_hash', 'hex'), p_is_repeatable, clock_timestamp() + p_lease
  )
  on conflict (organization_id, idempotency_key) do update
    set execution_id = excluded.execution_id, created_at = excluded.created_at, request_hash = excluded.request_hash,
      is_repeatable = excluded.is_repeatable, lease_until = excluded.lease_until, expires_at = excluded.expires_at,
      http_status = null, answer = null, finished_at = null
    where r.expires_at <= clock_timestamp()
      -- its first run never reported, and may be repeated
      or r.finished_at is null and r.lease_until <= clock_timestamp() and r.is_repeatable and r.request_hash = excluded.request_hash
  returning r.* into v_result;
  if found then
    return null;
  end if;
  select * into v_result
  from marketplace.execution_results as r
  where r.organization_id = (p_execution ->> 'organization_id')::uuid and r.idempotency_key = p_execution ->> 'idempotency_key';
  return case
    when v_result.request_hash <> decode(p_request ->> 'request_hash', 'hex') then
      jsonb_build_object('refusal', marketplace._refusal(
        422, 'idempotency_key_reused', 'The idempotency key was used for another request: a key is for one request, and its repetitions.'
      ))
    when v_result.finished_at is not null and v_result.answer is not null then
      jsonb_build_object('replay', jsonb_build_object(
        'execution_id', v_result.execution_id, 'http_status', v_result.http_status, 'answer', v_result.answer
      ))
    when v_result.finished_at is not null then
      jsonb_build_object('refusal', marketplace._refusal(
        409, 'answer_not_kept', format('Execution %s ended with status %s; its answer was too large to be kept.', v_result.execution_id, v_result.http_status),
        jsonb_build_object('details', jsonb_build_object('execution_id', v_result.execution_id, 'http_status', v_result.http_status))
      ))
    when v_result.lease_until > clock_timestamp() then
      jsonb_build_object('refusal', marketplace._refusal(
        409, 'execution_in_progress', 'An execution with this idempotency key is under way: ask again for its answer.',
        jsonb_build_object('retry_after_ms', 1000, 'details', jsonb_build_object('execution_id', v_result.execution_id))
      ))
    else
      jsonb_build_object('refusal', marketplace._refusal(
        409, 'outcome_unknown', format('Execution %s with this idempotency key never reported: look at the provider whether it took place, then use another key.', v_result.execution_id),
        jsonb_build_object('details', jsonb_build_object('execution_id', v_result.execution_id))
      ))
  end;
end
$$;
comment on function marketplace._claim_execution(jsonb, jsonb, boolean, interval) is
  'Takes an idempotency key, or the place where a later answer is kept: null; {replay} when the key was answered before, {refusal} when it was used otherwise or is in use.';

-- Before --------------------------------------------------------------------------------------

create function marketplace._log_execution(p_execution jsonb, p_refusal jsonb default null)
returns void
language sql
volatile
set search_path = ''
as $$
  insert into marketplace.execution_logs (
    id, created_at, organization_id, integration_id, connection_id, caller, user_id, api_key_id, job_id, correlation_id,
    action, idempotency_key, outcome, duration_ms, error_code, error_message
  )
  select
    e.execution_id, e.created_at, e.organization_id, e.integration_id, e.connection_id, e.caller, e.user_id, e.api_key_id, e.job_id,
    e.correlation_id, e.action, e.idempotency_key,
    case when p_refusal is null then 'running' else 'failed' end,
    case when p_refusal is not null then round((extract(epoch from clock_timestamp() - now()) * 1000)::numeric, 1) end,
    p_refusal ->> 'code', left(p_refusal ->> 'message', 2000)
  from jsonb_to_record(p_execution) as e (
    execution_id uuid, created_at timestamptz, organization_id uuid, integration_id uuid, connection_id uuid, caller text,
    user_id uuid, api_key_id uuid, job_id uuid, correlation_id uuid, action text, idempotency_key text
  )
$$;
comment on function marketplace._log_execution(jsonb, jsonb) is
  'Writes down that somebody runs an action, or asked for it and was refused.';

create function marketplace._execution_grant(p_integration_id uuid, p_connection_id uuid, p_request jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- The environment may hold the token of the platform's own integration.
  if p_connection_id is null and exists (
    select from marketplace.integrations as i
    where i.id = p_integration_id and i.is_default and p_request -> 'environment_tokens' ? i.provider
      and not exists (
        select from marketplace.integration_secrets as s
        where s.integration_id = i.id and (s.valid_until is null or s.valid_until > now())
          and s.purpose in ('api_token', 'refresh_token', 'service_account_key', 'private_key', 'client_secret')
      )
  ) then
    return jsonb_build_object('state', 'environment', 'settings', (
      select marketplace._connection_settings(i.config, '{}') from marketplace.integrations as i where i.id = p_integration_id
    ));
  end if;
  return marketplace.lease_refresh(
    p_connection_id, case when p_connection_id is null then p_integration_id end, interval '0', null,
    (
      select p_request ->> 'google_seed' from marketplace.integrations as i
      where i.id = p_integration_id and p_connection_id is null and i.is_default and i.provider ~ '^(google|gmail)'
    )
  );
end
$$;
comment on function marketplace._execution_grant(uuid, uuid, jsonb) is
  'The credential an action runs with, as lease_refresh gives it; {state: environment} where the function''s environment holds it.';

create function marketplace.begin_execution(p_request jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller jsonb := marketplace._execution_caller(p_request -> 'caller');
  v_target jsonb := marketplace._execution_target(v_caller, p_request);
  v_integration_id uuid := v_target ->> 'integration_id';
  v_connection_id uuid := v_target ->> 'connection_id';
  v_action marketplace.actions;
  v_execution jsonb;
  v_refusal jsonb;
  v_claim jsonb;
  v_quota jsonb := '{"windows": []}';
begin
  select a.* into v_action
  from marketplace.actions as a
  join marketplace.integrations as i on i.provider = a.provider_slug
  where i.id = v_integration_id and a.slug = p_request ->> 'action';
  v_execution := v_target || jsonb_build_object(
    'execution_id', marketplace.uuid_v7(), 'created_at', now(), 'caller', v_caller -> 'kind',
    'user_id', v_caller -> 'user_id', 'api_key_id', v_caller -> 'api_key_id', 'job_id', v_caller -> 'job_id',
    'correlation_id', coalesce(v_caller -> 'correlation_id', p_request -> 'correlation_id'), 'action', p_request -> 'action',
    -- a job's next attempt does its work anew
    'idempotency_key', coalesce(v_caller ->> 'lease_id' || ':' || (p_request ->> 'idempotency_key'), p_request ->> 'idempotency_key')
  );

  v_refusal := marketplace._execution_refusal(v_caller, v_target, v_action, p_request);
  if v_refusal is null and (v_execution ->> 'idempotency_key' is not null or p_request @> '{"is_async": true}') then
    v_claim := marketplace._claim_execution(
      v_execution, p_request, v_action.is_read_only or v_action.is_idempotent or v_action.idempotency_header is not null, interval '160 seconds'
    );
    if v_claim ? 'replay' then
      return jsonb_build_object('correlation_id', v_execution -> 'correlation_id', 'replay', v_claim -> 'replay');
    end if;
    v_refusal := v_claim -> 'refusal';
  end if;
  if v_refusal is null then
    v_refusal := marketplace._quota_refusal(v_integration_id, v_connection_id, v_action.slug, 0, null);
    if v_refusal is null then
      v_quota := marketplace._reserve_quota(v_integration_id, v_connection_id, v_action.slug, v_action.quota_cost * coalesce((p_request ->> 'pages')::bigint, 1));
      v_refusal := marketplace._quota_refusal(
        v_integration_id, v_connection_id, v_action.slug, v_action.quota_cost * coalesce((p_request ->> 'pages')::bigint, 1), v_quota -> 'spent'
      );
    end if;
    if v_refusal is not null then
      delete from marketplace.execution_results as r where r.execution_id = (v_execution ->> 'execution_id')::uuid;
    end if;
  end if;
  if v_refusal is not null and v_execution ->> 'organization_id' is null then
    return jsonb_build_object('correlation_id', v_execution -> 'correlation_id', 'refusal', v_refusal);
  end if;
  perform marketplace._log_execution(v_execution, v_refusal);
  v_execution := v_execution - array['claims', 'refusal'];
  if v_refusal is not null then
    return v_execution || jsonb_build_object('refusal', v_refusal);
  end if;
  return v_execution || jsonb_build_object(
    'integration', marketplace._integration_json(v_integration_id),
    'provider', marketplace._provider_json(v_action.provider_slug) || (
      select jsonb_build_object('rate_limit', p.rate_limit, 'response_errors', p.response_errors)
      from marketplace.providers as p where p.slug = v_action.provider_slug
    ),
    'action', to_jsonb(v_action) - array['id', 'name', 'description', 'created_at', 'updated_at'],
    'grant', marketplace._execution_grant(v_integration_id, v_connection_id, p_request),
    'windows', v_quota -> 'windows'
  );
end
$$;
comment on function marketplace.begin_execution(jsonb) is
  'All that must be known and done before an action runs, in one round trip: proves the caller (MK401), finds connection, integration and action as that caller, checks what it may, claims the idempotency key, reserves quota, reads the credential, and writes the log row. Answers with all of it, or with {replay}, or with {refusal}, which is in the log. For Edge Functions only.';

-- After ---------------------------------------------------------------------------------------

create function marketplace._settle_quota(p_result jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- in the order in which they are reserved
  perform q.id
  from marketplace.api_quotas as q
  join jsonb_to_recordset(p_result -> 'windows') as w (id uuid) on w.id = q.id
  order by q.name = 'all connections' desc, q.name
  for no key update of q;
  update marketplace.api_quotas as q
  set reserved_count = greatest(q.reserved_count - w.cost, 0),
    used_count = q.used_count + case
      -- the provider has counted it, here or elsewhere, and its count comes below
      when q.name <> 'all connections' and p_result @> '{"observed": [{}]}' then 0
      else coalesce((p_result ->> 'spent')::bigint, 0)
    end,
    updated_at = now()
  from jsonb_to_recordset(p_result -> 'windows') as w (id uuid, window_started_at timestamptz, cost bigint)
  -- a window that began since then knows nothing of this reservation
  where q.id = w.id and q.window_started_at = w.window_started_at;

  perform marketplace._note_quota(
    e.organization_id, e.integration_id, e.connection_id, o.name, o.limit_count, o.remaining, o.resets_at, e.action
  )
  from jsonb_to_record(p_result) as e (organization_id uuid, integration_id uuid, connection_id uuid, action text),
    jsonb_to_recordset(p_result -> 'observed') as o (name text, limit_count bigint, remaining bigint, resets_at timestamptz);

  insert into marketplace.api_quotas as q
    (organization_id, integration_id, connection_id, name, limit_count, used_count, is_observed, resets_at)
  select e.organization_id, e.integration_id, e.connection_id, 'retry-after ' || e.action, 1, 1, true,
    now() + make_interval(secs => e.retry_after_ms / 1000.0)
  from jsonb_to_record(p_result) as e (organization_id uuid, integration_id uuid, connection_id uuid, action text, retry_after_ms float8)
  where e.retry_after_ms > 0
  on conflict (integration_id, connection_id, name) do update
    set resets_at = greatest(q.resets_at, excluded.resets_at), updated_at = now();
end
$$;
comment on function marketplace._settle_quota(jsonb) is
  'Turns what was reserved into what was used, then takes over what the provider said of its limits and when to come back.';

create function marketplace.finish_execution(p_result jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  update marketplace.execution_logs as x
  set outcome = r.outcome, status_code = r.status_code, attempt_count = r.attempt_count, duration_ms = greatest(r.duration_ms, 0),
    request = r.request, response = r.response,
    error_code = case when r.outcome = 'failed' then coalesce(r.error_code, 'failed') end, error_message = left(r.error_message, 2000)
  from jsonb_to_record(p_result) as r (
    outcome text, status_code int, attempt_count int, duration_ms numeric, request jsonb, response jsonb, error_code text, error_message text
  )
  where x.id = (p_result ->> 'execution_id')::uuid and x.created_at = (p_result ->> 'created_at')::timestamptz
    and (x.outcome = 'running' or x.error_code = 'execution_lost');
  if not found then
    return; -- reported before
  end if;
  perform marketplace._settle_quota(p_result);

  if p_result @> '{"is_kept": true}' then
    update marketplace.execution_results as r
    set http_status = (p_result ->> 'http_status')::int, finished_at = clock_timestamp(),
      answer = nullif(p_result -> 'answer', 'null')
    where r.execution_id = (p_result ->> 'execution_id')::uuid;
  else
    -- nothing happened that a repetition would do twice
    delete from marketplace.execution_results as r where r.execution_id = (p_result ->> 'execution_id')::uuid;
  end if;
end
$$;
comment on function marketplace.finish_execution(jsonb) is
  'Reports how an execution ended, in one round trip: completes its log row, settles the quota, keeps the answer for repetitions or frees the idempotency key. A second report changes nothing. For Edge Functions only.';

create function marketplace.read_execution(p_execution_id uuid, p_caller jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller jsonb := marketplace._execution_caller(p_caller);
  v_execution jsonb;
begin
  select jsonb_build_object(
    'execution_id', r.execution_id, 'created_at', r.created_at, 'correlation_id', x.correlation_id, 'action', x.action,
    'status', case
      when r.finished_at is not null then case when r.http_status < 400 then 'succeeded' else 'failed' end
      when r.lease_until > clock_timestamp() then 'running'
      else 'lost'
    end,
    'http_status', r.http_status, 'answer', r.answer, 'finished_at', r.finished_at
  ) into v_execution
  from marketplace.execution_results as r
  join marketplace.execution_logs as x on x.id = r.execution_id and x.created_at = r.created_at
  where r.execution_id = p_execution_id and r.expires_at > clock_timestamp()
    -- who asked for it may know what came of it
    and case v_caller ->> 'kind'
      when 'service' then true
      when 'user' then x.user_id = (v_caller ->> 'user_id')::uuid
      when 'job' then x.job_id = (v_caller ->> 'job_id')::uuid
      else x.api_key_id = (v_caller ->> 'api_key_id')::uuid
        or x.organization_id = (v_caller ->> 'organization_id')::uuid and v_caller -> 'scopes' ? 'admin'
    end;
  if v_execution is null then
    raise exception 'execution % is not known, or its answer is no longer kept', coalesce(p_execution_id::text, 'null')
      using errcode = 'MK404', hint = 'Answers of executions in the background, or with an idempotency key, are kept for a day.';
  end if;
  return v_execution;
end
$$;
comment on function marketplace.read_execution(uuid, jsonb) is
  'State and answer of an execution that runs in the background or had an idempotency key, for whoever asked for it; MK401, MK404. For Edge Functions only.';

create function marketplace.maintain_executions(p_limit int default 10000)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_lost int;
  v_forgotten int;
begin
  update marketplace.execution_logs as x
  set outcome = 'failed', error_code = 'execution_lost',
    error_message = 'It never reported: what ran it was stopped. Whether the provider was reached is not known.',
    duration_ms = round((extract(epoch from now() - x.created_at) * 1000)::numeric)
  where x.outcome = 'running' and x.created_at < now() - interval '10 minutes';
  get diagnostics v_lost = row_count;
  delete from marketplace.execution_results as r
  where r.execution_id in (
    select o.execution_id from marketplace.execution_results as o where o.expires_at < now() limit p_limit
  );
  get diagnostics v_forgotten = row_count;
  return jsonb_build_object('lost', v_lost, 'forgotten', v_forgotten);
end
$$;
comment on function marketplace.maintain_executions(int) is
  'Rung by pg_cron: marks executions that never reported, forgets answers after their day; returns how many of each.';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.execution_results enable row level security;
-- What somebody does with an account of their own is for them, and for whoever answers for the organization.
alter policy "members read their quotas" on marketplace.api_quotas
  using (
    organization_id in (select marketplace.my_organization_ids())
    and (connection_id is null or connection_id in (select c.id from marketplace.connections as c))
  );
alter policy "members read their executions" on marketplace.execution_logs
  using (
    organization_id in (select marketplace.my_organization_ids())
    and (
      user_id = (select auth.uid())
      or user_id is null and connection_id is null
      or connection_id in (select c.id from marketplace.connections as c where c.is_shared)
      or organization_id in (
        select m.organization_id from marketplace.organization_members as m
        where m.user_id = (select auth.uid()) and m.role in ('owner', 'admin')
      )
    )
  );

revoke all on all functions in schema marketplace from public;
grant select, insert, update, delete on marketplace.execution_results to service_role;
grant execute on function
  marketplace._refusal(int, text, text, jsonb),
  marketplace._execution_caller(jsonb),
  marketplace._seen_by_user(jsonb, uuid, uuid),
  marketplace._choose_connection(jsonb, uuid),
  marketplace._target_of_user(jsonb, jsonb, uuid),
  marketplace._execution_target(jsonb, jsonb),
  marketplace._execution_refusal(jsonb, jsonb, marketplace.actions, jsonb),
  marketplace._quota_windows(uuid, uuid, text),
  marketplace._reserve_quota(uuid, uuid, text, bigint),
  marketplace._quota_refusal(uuid, uuid, text, bigint, jsonb),
  marketplace._claim_execution(jsonb, jsonb, boolean, interval),
  marketplace._log_execution(jsonb, jsonb),
  marketplace._execution_grant(uuid, uuid, jsonb),
  marketplace.begin_execution(jsonb),
  marketplace._settle_quota(jsonb),
  marketplace.finish_execution(jsonb),
  marketplace.read_execution(uuid, jsonb),
  marketplace.maintain_executions(int)
to service_role;

select marketplace._schedule('marketplace_executions', '*/10 * * * *', null, 'select marketplace.maintain_executions()');
