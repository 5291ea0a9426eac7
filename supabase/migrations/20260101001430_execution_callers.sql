-- Who runs an action, and with which account: found as that caller, so that what somebody may not
-- use does not exist for him. What is refused is a value, not an error: it must stay in the log.

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
        'integration_ids', jsonb_build_array(
          r.source_integration_id, r.destination_integration_id, r.notify_integration_id, marketplace._attachments_integration_id(r)
        )
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

create function marketplace._has_own_credential(p_integration_id uuid, p_environment jsonb)
returns boolean
language sql
stable
set search_path = ''
as $$
  select
    i.is_default and (
      p_environment -> 'environment_tokens' ? i.provider or p_environment -> 'environment_keys' ? i.provider
      or p_environment ->> 'google_seed' is not null and i.provider ~ '^(google|gmail)'
    )
    or i.config ->> 'credential_type' = 'client_credentials'
    or exists (
      select from marketplace.integration_secrets as s
      where s.integration_id = i.id and s.valid_from <= now() and (s.valid_until is null or s.valid_until > now())
        -- what proves webhooks, and what an application needs for the accounts that are connected under it
        and s.purpose not in ('webhook', 'client_id', 'client_secret') and s.purpose not like 'offered\_webhook\_%'
        and (case when p.auth_type = 'oauth2' then p.auth_config -> 'secrets' else p.auth_config #> '{alternatives,oauth2,secrets}' end ? s.purpose)
          is not true
    )
  from marketplace.integrations as i
  join marketplace.providers as p on p.slug = i.provider
  where i.id = p_integration_id
$$;
comment on function marketplace._has_own_credential(uuid, jsonb) is
  'Whether an integration has an account of its own, stored or in the functions'' environment ({environment_tokens, environment_keys, google_seed}); a client id alone is none.';

create function marketplace._connection_of_job(p_job_id uuid, p_integration_id uuid, p_environment jsonb)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_organization_id uuid;
  v_told_by uuid;
  v_shared jsonb;
begin
  select j.organization_id, e.connection_id into v_organization_id, v_told_by
  from marketplace.sync_jobs as j
  left join marketplace.webhook_events as e
    on e.id = j.event_id and e.created_at = j.event_created_at and e.integration_id = p_integration_id
  where j.id = p_job_id;
  -- what an account tells of may be nothing to any other: it is read with the same, or not at all
  if v_told_by is not null then
    if exists (
      select from marketplace.connections as c
      where c.id = v_told_by and c.integration_id = p_integration_id and c.organization_id = v_organization_id
    ) then
      return jsonb_build_object('connection_id', v_told_by);
    end if;
    return jsonb_build_object('refusal', marketplace._refusal(
      404, 'connection_not_found', format('The event came through connection %s, which the organization does not have any more.', v_told_by)
    ));
  elsif marketplace._has_own_credential(p_integration_id, p_environment) then
    return '{}';
  end if;
  select jsonb_agg(to_jsonb(c)) into v_shared
  from marketplace.connections as c
  where c.organization_id = v_organization_id and c.integration_id = p_integration_id and c.is_shared
    and c.status not in ('pending', 'revoked');
  v_shared := case when v_shared is null then '{}' else marketplace._choose_connection(v_shared, null) end;
  return case when v_shared #>> '{refusal,code}' = 'connection_ambiguous' then jsonb_set(
    v_shared, '{refusal,message}', '"Several connections under this integration are shared with the organization, and a job cannot choose: share one, or give the integration a credential of its own."'
  ) else v_shared end;
end
$$;
comment on function marketplace._connection_of_job(uuid, uuid, jsonb) is
  'With which account a job uses an integration: {connection_id} of the feed that told its event, else {} for the integration''s own credential, else {connection_id} of the one that is shared with the organization; {refusal} when that is gone, or there are several.';

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
      if v_connection_id is null and p_caller -> 'integration_ids' @> to_jsonb(v_integration.id) then
        v_target := v_target || marketplace._connection_of_job((p_caller ->> 'job_id')::uuid, v_integration.id, p_request);
      end if;
    else
      v_target := jsonb_build_object('organization_id', coalesce(v_integration.organization_id, marketplace._default_organization_id()));
  end case;
  if v_target ? 'refusal' then
    return v_target;
  end if;

  v_connection_id := case when p_caller ->> 'kind' = 'user' or v_connection_id is null
    then (v_target ->> 'connection_id')::uuid else v_connection_id end;
  if v_connection_id is not null then
    select * into v_connection
    from marketplace.connections as c
    where c.id = v_connection_id
      -- a key and a job see what is shared with their organization, and a job what told its event; users have been shown theirs
      and (
        p_caller ->> 'kind' in ('user', 'service')
        or c.organization_id = v_organization_id and (c.is_shared or c.id = (v_target ->> 'connection_id')::uuid)
      )
      and (p_request ->> 'integration' is null or c.integration_id = v_integration.id);
  end if;
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
  elsif v_organization is not null then
    if not exists (
      select from marketplace.organizations as o where o.id = v_organization_id and v_organization in (o.slug, o.id::text)
    ) then
      return v_target || jsonb_build_object('refusal', marketplace._refusal(
        404, 'organization_not_found', format('What you named does not belong to organization %s.', quote_literal(v_organization))
      ));
    end if;
  end if;
  return v_target;
end
$$;
comment on function marketplace._execution_target(jsonb, jsonb) is
  'Which integration with which connection, for which organization: {organization_id, integration_id, connection_id, role}, or {refusal}. Users and keys need a connection; jobs take the one that _connection_of_job says, or an integration''s own credential, as the service does.';

create function marketplace.job_credentials(p_job_id uuid, p_integration_id uuid, p_environment jsonb default '{}')
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_answer jsonb := marketplace._connection_of_job(p_job_id, p_integration_id, p_environment);
begin
  if v_answer = '{}' then
    return jsonb_build_object('credentials', marketplace.integration_credentials(p_integration_id));
  end if;
  return v_answer;
end
$$;
comment on function marketplace.job_credentials(uuid, uuid, jsonb) is
  'What a job''s transfers use an integration with: {credentials} by purpose, or {connection_id}, or {refusal}. For Edge Functions only.';

create function marketplace._execution_refusal(
  p_caller jsonb,
  p_target jsonb,
  p_integration marketplace.integrations,
  p_connection marketplace.connections,
  p_action marketplace.actions,
  p_request jsonb
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_named text := p_request ->> 'action';
begin
  if p_target ? 'refusal' then
    return p_target -> 'refusal';
  elsif jsonb_array_length(p_caller -> 'allowed_actions') > 0 and p_caller -> 'scopes' ?| array['execute', 'admin'] then
    if not marketplace._action_allowed(
      array(select jsonb_array_elements_text(p_caller -> 'allowed_actions')), p_integration.slug, v_named
    ) then
      return marketplace._refusal(
        403, 'action_not_allowed', format('API key %s may not run %s.%s.', p_caller ->> 'prefix', p_integration.slug, v_named)
      );
    end if;
  end if;
  return case
    when p_caller -> 'scopes' is not null and not p_caller -> 'scopes' ?| array['execute', 'admin'] then
      marketplace._refusal(403, 'forbidden', format('API key %s may not execute.', p_caller ->> 'prefix'))
    when p_action.id is null then
      marketplace._refusal(404, 'action_not_found', format(
        'Provider %s has no action %s: select slug from marketplace.actions lists them.', p_integration.provider, v_named
      ))
    when p_target ->> 'role' = 'viewer' and not p_action.is_read_only then
      marketplace._refusal(403, 'forbidden', 'A viewer of the organization may run actions that only read.')
    -- what is open at the provider is closed all the same
    when p_integration.status = 'inactive'
      and not (p_caller ->> 'kind' = 'service' and coalesce((p_request ->> 'allows_inactive')::boolean, false)) then
      marketplace._refusal(422, 'integration_inactive', format('Integration %s is switched off.', p_integration.slug))
    when p_connection.status = 'reauthorization_required' then
      marketplace._refusal(409, 'connection_reauthorization_required', format(
        'Connection %s must be authorized again by its owner: %s', quote_literal(p_connection.name), p_connection.error_message
      ))
    when p_connection.status in ('pending', 'revoked') then
      marketplace._refusal(409, 'connection_' || p_connection.status, format(
        'Connection %s is %s: connect it first.', quote_literal(p_connection.name), p_connection.status
      ))
  end;
end
$$;
comment on function marketplace._execution_refusal(
  jsonb, jsonb, marketplace.integrations, marketplace.connections, marketplace.actions, jsonb
) is
  'Why a caller may not run an action, or why it cannot run; null when nothing speaks against it.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._refusal(int, text, text, jsonb),
  marketplace._execution_caller(jsonb),
  marketplace._seen_by_user(jsonb, uuid, uuid),
  marketplace._choose_connection(jsonb, uuid),
  marketplace._target_of_user(jsonb, jsonb, uuid),
  marketplace._has_own_credential(uuid, jsonb),
  marketplace._connection_of_job(uuid, uuid, jsonb),
  marketplace._execution_target(jsonb, jsonb),
  marketplace.job_credentials(uuid, uuid, jsonb),
  marketplace._execution_refusal(jsonb, jsonb, marketplace.integrations, marketplace.connections, marketplace.actions, jsonb)
to service_role;
