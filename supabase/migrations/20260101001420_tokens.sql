-- Grants: what a connection, or an integration by itself, is authorised with. Tokens lie in Vault; a
-- token that is about to end is renewed by one process at a time, which holds a lease and no lock.

create function marketplace._forget_grant_secrets()
returns trigger
language plpgsql
security definer -- writes Vault on behalf of whoever may delete the grant
set search_path = ''
as $$
begin
  perform marketplace._vault_delete(v.id)
  from unnest(array[old.access_token_vault_id, old.refresh_token_vault_id, old.credential_vault_id]) as v (id)
  where v.id is not null;
  return null;
end
$$;
comment on function marketplace._forget_grant_secrets() is 'A grant that goes takes its Vault secrets along.';
create trigger oauth_tokens_forget after delete on marketplace.oauth_tokens
  for each row execute function marketplace._forget_grant_secrets();

-- When a token is due -------------------------------------------------------------------------

create function marketplace._refresh_due_at(p_issued_at timestamptz, p_expires_at timestamptz, p_before interval)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
begin
  return p_expires_at - least(p_before, (p_expires_at - p_issued_at) / 2);
end
$$;
comment on function marketplace._refresh_due_at(timestamptz, timestamptz, interval) is
  'When a token is to be renewed: so long before it ends, but never in the first half of its life.';

create function marketplace._refresh_before(p_provider jsonb, p_config jsonb)
returns interval
language plpgsql
immutable
set search_path = ''
as $$
begin
  return make_interval(secs => coalesce(
    (p_config #>> '{auth,refresh_before_s}')::float8, (p_provider ->> 'refresh_before_s')::float8, 300
  ));
end
$$;
comment on function marketplace._refresh_before(jsonb, jsonb) is
  'How long before its end a token is renewed: refresh_before_s of the integration''s config.auth, or of the provider''s auth_config, else five minutes.';

-- The grant of a connection, or an integration's own ------------------------------------------

create function marketplace._own_credential_type(p_integration_id uuid, p_has_seed boolean)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    -- What is stored decides; where it does not, the provider's own way.
    select case
      when i.config ->> 'credential_type' is not null then i.config ->> 'credential_type'
      when 'api_token' = any (stored.purposes) then case
        when p.auth_type in ('api_key', 'basic', 'bearer') then p.auth_type
        when p.auth_config -> 'alternatives' ? 'bearer' then 'bearer'
        when p.auth_config -> 'alternatives' ? 'api_key' then 'api_key'
        when p.auth_config -> 'alternatives' ? 'basic' then 'basic'
        else 'bearer'
      end
      when p_has_seed or 'refresh_token' = any (stored.purposes) then 'oauth2'
      when 'service_account_key' = any (stored.purposes) then 'service_account'
      when 'private_key' = any (stored.purposes) then 'github_app'
      when 'access_key_id' = any (stored.purposes) then 'aws_sigv4'
      when p.auth_type = 'oauth2' and p.auth_config -> 'grant_types' ? 'client_credentials' and 'client_id' = any (stored.purposes)
        then 'client_credentials'
      else p.auth_type
    end
    from marketplace.integrations as i
    join marketplace.providers as p on p.slug = i.provider
    cross join lateral (
      select coalesce(array_agg(s.purpose), '{}') as purposes
      from marketplace.integration_secrets as s
      where s.integration_id = i.id and s.valid_from <= now() and (s.valid_until is null or s.valid_until > now())
    ) as stored
    where i.id = p_integration_id
  );
end
$$;
comment on function marketplace._own_credential_type(uuid, boolean) is
  'How an integration authenticates by itself, told by the secrets it has.';

create function marketplace._own_grant(p_integration_id uuid, p_credential_type text, p_seed text)
returns marketplace.oauth_tokens
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_grant marketplace.oauth_tokens;
  v_seed_id uuid;
begin
  -- the newest secret that such a grant is made from; a seed from the environment goes by its hash
  select s.id into v_seed_id
  from marketplace.integration_secrets as s
  where s.integration_id = p_integration_id
    and s.purpose = any (case p_credential_type
      when 'oauth2' then array['refresh_token']
      when 'client_credentials' then array['client_id', 'client_secret']
      when 'service_account' then array['service_account_key']
      else array['private_key']
    end)
    and s.valid_from <= now() and (s.valid_until is null or s.valid_until > now())
  order by s.valid_from desc, s.id desc
  limit 1;
  v_seed_id := coalesce(v_seed_id, encode(substring(sha256(convert_to(p_seed, 'UTF8')) for 16), 'hex')::uuid);
  if v_seed_id is null then
    delete from marketplace.oauth_tokens as t where t.integration_id = p_integration_id and t.connection_id is null;
    return null;
  end if;

  select * into v_grant
  from marketplace.oauth_tokens as t
  where t.integration_id = p_integration_id and t.connection_id is null;
  if v_grant.id is not null and (v_grant.seed_id, v_grant.credential_type) is distinct from (v_seed_id, p_credential_type) then
    delete from marketplace.oauth_tokens as t where t.id = v_grant.id;
    v_grant := null;
  end if;
  if v_grant.id is null then
    insert into marketplace.oauth_tokens as t (integration_id, credential_type, seed_id)
    values (p_integration_id, p_credential_type, v_seed_id)
    on conflict (integration_id) where connection_id is null do nothing;
    select * into v_grant
    from marketplace.oauth_tokens as t
    where t.integration_id = p_integration_id and t.connection_id is null;
  end if;
  return v_grant;
end
$$;
comment on function marketplace._own_grant(uuid, text, text) is
  'An integration''s own grant, made when it is first asked for, and made anew when another secret was stored; null when there is nothing to make it from.';

create function marketplace._application_secrets(p_integration_id uuid, p_grant marketplace.oauth_tokens)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_names jsonb;
begin
  -- Of an OAuth provider only: elsewhere what a provider declares is the account's own credential.
  if (p_grant).credential_type <> 'oauth2' then
    return '{}';
  end if;
  select case when p.auth_type = 'oauth2' then p.auth_config -> 'secrets' else p.auth_config #> '{alternatives,oauth2,secrets}' end
  into v_names
  from marketplace.integrations as i
  join marketplace.providers as p on p.slug = i.provider
  where i.id = p_integration_id;
  if v_names is null or v_names = '{}' then
    return '{}'; -- most have none: nothing is decrypted for them
  end if;
  return (
    select coalesce(jsonb_object_agg(s.key, s.value), '{}')
    from jsonb_each(marketplace.integration_credentials(p_integration_id)) as s
    where v_names ? s.key
  );
end
$$;
comment on function marketplace._application_secrets(uuid, marketplace.oauth_tokens) is
  'Secrets of the integration that requests of its OAuth connections need beside the token, such as a developer token.';

create function marketplace._grant_json(p_grant marketplace.oauth_tokens, p_with_token boolean)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_secrets jsonb;
begin
  if (p_grant).connection_id is not null then
    v_secrets := marketplace._application_secrets((p_grant).integration_id, p_grant)
      || coalesce(marketplace._vault_read((p_grant).credential_vault_id)::jsonb, '{}');
  else
    -- what only the token endpoint may see stays out
    select coalesce(jsonb_object_agg(newest.purpose, marketplace._vault_read(newest.vault_secret_id)), '{}') into v_secrets
    from (
      select distinct on (s.purpose) s.purpose, s.vault_secret_id
      from marketplace.integration_secrets as s
      where s.integration_id = (p_grant).integration_id
        and s.purpose not in ('refresh_token', 'client_secret', 'private_key', 'service_account_key', 'webhook')
        and s.valid_from <= now() and (s.valid_until is null or s.valid_until > now())
      order by s.purpose, s.valid_from desc, s.id desc
    ) as newest;
  end if;
  if p_with_token then
    v_secrets := v_secrets || jsonb_build_object('access_token', marketplace._vault_read((p_grant).access_token_vault_id));
  end if;
  return (
    select jsonb_build_object(
      'grant_id', (p_grant).id,
      'credential_type', (p_grant).credential_type,
      'token_type', (p_grant).token_type,
      'issued_at', (p_grant).issued_at,
      'expires_at', (p_grant).expires_at,
      'scopes', (p_grant).scopes,
      'integration', marketplace._integration_json(i.id),
      'settings', marketplace._connection_settings(i.config, coalesce(c.metadata, '{}')),
      'secrets', jsonb_strip_nulls(v_secrets)
    )
    from marketplace.integrations as i
    left join marketplace.connections as c on c.id = (p_grant).connection_id
    where i.id = (p_grant).integration_id
  );
end
$$;
comment on function marketplace._grant_json(marketplace.oauth_tokens, boolean) is
  'A grant as Edge Functions use it: type, secrets by purpose, settings.';

create function marketplace._lease_json(p_grant marketplace.oauth_tokens, p_seed text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select marketplace._grant_json(p_grant, false) || jsonb_build_object(
    'state', 'leased',
    'lease_id', (p_grant).refresh_lease_id,
    'provider', marketplace._provider_json(i.provider),
    'client', marketplace.integration_credentials(i.id),
    'refresh_token', coalesce(
      marketplace._vault_read((p_grant).refresh_token_vault_id),
      case when (p_grant).connection_id is null then coalesce(marketplace.integration_credentials(i.id) ->> 'refresh_token', p_seed) end
    )
  )
  from marketplace.integrations as i
  where i.id = (p_grant).integration_id
$$;
comment on function marketplace._lease_json(marketplace.oauth_tokens, text) is
  'What the holder of a refresh lease needs to ask the token endpoint.';

-- Asking for a token --------------------------------------------------------------------------

create function marketplace._find_grant(p_connection_id uuid, p_integration_id uuid, p_seed text)
returns marketplace.oauth_tokens
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_grant marketplace.oauth_tokens;
begin
  if p_connection_id is not null then
    select * into v_grant from marketplace.oauth_tokens as t where t.connection_id = p_connection_id;
    return v_grant;
  end if;
  v_grant.integration_id := p_integration_id;
  v_grant.credential_type := marketplace._own_credential_type(p_integration_id, p_seed is not null);
  if v_grant.credential_type is null then
    raise exception 'integration % does not exist', coalesce(p_integration_id::text, 'null') using errcode = 'MK404';
  elsif v_grant.credential_type in ('oauth2', 'client_credentials', 'service_account', 'github_app') then
    return marketplace._own_grant(p_integration_id, v_grant.credential_type, p_seed);
  end if;
  return v_grant; -- nothing that is fetched: the secrets as they are stored, without a row
end
$$;
comment on function marketplace._find_grant(uuid, uuid, text) is
  'The grant of a connection, or of an integration by itself; without an id where an integration''s stored secrets are all there is; null when there is none.';

create function marketplace.lease_refresh(
  p_connection_id uuid,
  p_integration_id uuid default null,
  p_min_valid interval default '0',
  p_refused text default null,
  p_seed text default null
)
returns jsonb
language plpgsql
volatile
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_grant marketplace.oauth_tokens := marketplace._find_grant(p_connection_id, p_integration_id, p_seed);
  v_leased marketplace.oauth_tokens;
  v_before interval;
  v_is_usable boolean;
  v_is_due boolean;
begin
  if v_grant.integration_id is null then
    return jsonb_build_object('state', coalesce(
      (select 'revoked' from marketplace.connections as c where c.id = p_connection_id and c.status = 'revoked'), 'missing'
    ));
  elsif v_grant.credential_type not in ('oauth2', 'client_credentials', 'service_account', 'github_app') then
    return marketplace._grant_json(v_grant, true) || '{"state": "fresh"}';
  elsif v_grant.status <> 'active' then
    return jsonb_build_object('state', v_grant.status, 'message', v_grant.error_message);
  end if;

  select greatest(marketplace._refresh_before(p.auth_config, i.config), p_min_valid) into v_before
  from marketplace.integrations as i
  join marketplace.providers as p on p.slug = i.provider
  where i.id = v_grant.integration_id;
  v_is_usable := v_grant.access_token_vault_id is not null
    and (v_grant.expires_at is null or marketplace._refresh_due_at(v_grant.issued_at, v_grant.expires_at, '10 seconds') > v_now);
  v_is_due := not v_is_usable or marketplace._refresh_due_at(v_grant.issued_at, v_grant.expires_at, v_before) <= v_now;
  -- A token that the provider refused is not handed out again, unless it is so new that another would fare no better.
  if p_refused is not null and v_grant.issued_at < v_now - interval '10 seconds'
    and marketplace._vault_read(v_grant.access_token_vault_id) = p_refused
  then
    v_is_due := true;
    v_is_usable := false;
  end if;

  if v_is_due and v_grant.credential_type = 'oauth2' and v_grant.refresh_token_vault_id is null and v_grant.connection_id is not null then
    -- nothing to renew it with
    if v_grant.expires_at <= v_now then
      perform marketplace._refuse_grant(v_grant.id, 'The access has ended, and the provider gave nothing to renew it with.');
      return '{"state": "reauthorization_required", "message": "The access has ended, and the provider gave nothing to renew it with."}';
    end if;
    v_is_due := false;
  end if;
  if v_is_due and (v_grant.refresh_lease_until is null or v_grant.refresh_lease_until <= v_now) then
    -- Somebody may have been quicker: the row must be as it was when it was looked at.
    update marketplace.oauth_tokens as t
    set refresh_lease_id = gen_random_uuid(), refresh_lease_until = v_now + interval '45 seconds'
    where t.id = v_grant.id
      and t.status = 'active' and t.issued_at is not distinct from v_grant.issued_at
      and (t.refresh_lease_until is null or t.refresh_lease_until <= v_now)
      and (t.retry_at is null or t.retry_at <= v_now)
    returning t.* into v_leased;
    if found then
      return marketplace._lease_json(v_leased, p_seed);
    end if;
  end if;
  if not v_is_due or v_is_usable then
    -- also while somebody renews it, or after that has failed: as long as it works, it serves
    return marketplace._grant_json(v_grant, true) || '{"state": "fresh"}';
  elsif v_grant.retry_at > v_now then
    return jsonb_build_object(
      'state', 'cooldown', 'message', v_grant.error_message,
      'retry_after_ms', ceil(extract(epoch from v_grant.retry_at - v_now) * 1000)::bigint
    );
  end if;
  return '{"state": "busy"}';
end
$$;
comment on function marketplace.lease_refresh(uuid, uuid, interval, text, text) is
  'The credential of a connection (or of an integration by itself), {state: fresh}; or the one lease to renew it, {state: leased}; or why there is neither: busy (somebody renews: ask again), cooldown, reauthorization_required, revoked, missing. For Edge Functions only.';

create function marketplace.store_tokens(
  p_grant_id uuid,
  p_lease_id uuid,
  p_access_token text,
  p_refresh_token text default null,
  p_token_type text default null,
  p_scopes text[] default null,
  p_expires_in_s numeric default null
)
returns boolean
language plpgsql
volatile
security definer -- writes Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_grant marketplace.oauth_tokens;
begin
  if coalesce(p_access_token, '') = '' then
    raise exception 'the access token is empty' using errcode = 'MK400';
  end if;
  select * into v_grant from marketplace.oauth_tokens as t where t.id = p_grant_id for no key update;
  if v_grant.id is null then
    return false; -- revoked, or authorised anew meanwhile: these tokens are of no more use
  end if;
  -- Stored whoever holds the lease by now: a provider that rotates has made the former token worthless.
  -- Whoever else refreshes loses the lease, so that its failure cannot undo this.
  update marketplace.oauth_tokens as t
  set access_token_vault_id = marketplace._vault_write(t.access_token_vault_id, p_access_token, 'marketplace/grants/' || t.id || '/access_token'),
    refresh_token_vault_id = case when p_refresh_token is null then t.refresh_token_vault_id
      else marketplace._vault_write(t.refresh_token_vault_id, p_refresh_token, 'marketplace/grants/' || t.id || '/refresh_token') end,
    token_type = coalesce(p_token_type, t.token_type),
    scopes = coalesce(p_scopes, t.scopes),
    issued_at = v_now,
    expires_at = v_now + make_interval(secs => p_expires_in_s::float8),
    status = 'active', error_message = null, failure_count = 0, failed_days = 0, failed_on = null, retry_at = null,
    refresh_lease_id = null, refresh_lease_until = null
  where t.id = p_grant_id
  returning t.* into v_grant;
  update marketplace.connections as c
  set status = 'active', error_message = null, expires_at = v_grant.expires_at
  where c.id = v_grant.connection_id;
  return true;
end
$$;
comment on function marketplace.store_tokens(uuid, uuid, text, text, text, text[], numeric) is
  'Stores what a token endpoint answered, tokens and expiry together, also when the lease has run out. False when the grant is gone. For Edge Functions only.';

create function marketplace._refuse_grant(p_grant_id uuid, p_message text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_grant marketplace.oauth_tokens;
begin
  update marketplace.oauth_tokens as t
  set status = 'reauthorization_required', error_message = left(p_message, 500),
    refresh_lease_id = null, refresh_lease_until = null
  where t.id = p_grant_id and t.status = 'active'
  returning t.* into v_grant;
  if v_grant.id is null then
    return;
  end if;
  update marketplace.connections as c
  set status = 'reauthorization_required', error_message = left(p_message, 500)
  where c.id = v_grant.connection_id;
  perform marketplace._emit_event(
    coalesce(c.organization_id, i.organization_id), 'connection.reauthorization_required',
    coalesce('connections/' || c.id, 'integrations/' || i.slug), null,
    jsonb_build_object(
      'connection_id', c.id, 'name', c.name, 'account', c.account, 'user_id', c.user_id,
      'integration', i.slug, 'provider', i.provider, 'error', left(p_message, 500)
    )
  )
  from marketplace.integrations as i
  left join marketplace.connections as c on c.id = v_grant.connection_id
  where i.id = v_grant.integration_id;
end
$$;
comment on function marketplace._refuse_grant(uuid, text) is
  'A grant that the provider does not renew any more: its owner sees why and must authorise again; emits connection.reauthorization_required once.';

create function marketplace.fail_refresh(
  p_grant_id uuid,
  p_lease_id uuid,
  p_message text,
  p_is_final boolean default false,
  p_retry_after_s numeric default null
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_today date := (clock_timestamp() at time zone 'UTC')::date;
  v_grant marketplace.oauth_tokens;
begin
  select * into v_grant from marketplace.oauth_tokens as t where t.id = p_grant_id for no key update;
  -- somebody else has renewed it since, or renews it: this failure says nothing any more
  if v_grant.refresh_lease_id is distinct from p_lease_id or p_lease_id is null then
    return false;
  end if;
  if p_is_final then
    perform marketplace._refuse_grant(p_grant_id, p_message);
    return true;
  end if;
  update marketplace.oauth_tokens as t
  set error_message = left(p_message, 500),
    failure_count = t.failure_count + 1,
    failed_days = t.failed_days + (t.failed_on is distinct from v_today)::int,
    failed_on = v_today,
    retry_at = v_now + greatest(
      make_interval(secs => least(5 * 2 ^ least(t.failure_count, 20), 900)),
      case when p_retry_after_s is not null then make_interval(secs => least(p_retry_after_s, 86400)::float8) end
    ),
    refresh_lease_id = null, refresh_lease_until = null
  where t.id = p_grant_id
  returning t.* into v_grant;
  update marketplace.connections as c
  set error_message = left(p_message, 500),
    status = case when v_grant.expires_at <= v_now then 'error' else c.status end
  where c.id = v_grant.connection_id;
  return true;
end
$$;
comment on function marketplace.fail_refresh(uuid, uuid, text, boolean, numeric) is
  'A refresh failed: finally (the owner must authorise again), or for now (5 s, doubling to 15 min, or as long as the provider asks). False when the lease is lost. For Edge Functions only.';

create function marketplace._release_lease(p_grant jsonb)
returns void
language sql
volatile
set search_path = ''
as $$
  update marketplace.oauth_tokens as t
  set refresh_lease_id = null, refresh_lease_until = null
  where t.id = (p_grant ->> 'grant_id')::uuid and t.refresh_lease_id = (p_grant ->> 'lease_id')::uuid
$$;
comment on function marketplace._release_lease(jsonb) is
  'Gives back a refresh lease that lease_refresh has just handed out and nobody will use; of anything else nothing changes.';

create function marketplace.claim_expiring_tokens(p_limit int default 8)
returns setof jsonb
language sql
volatile
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  with
  -- ahead of those who ask: they would renew at a third of this
  due as (
    select t.id
    from marketplace.oauth_tokens as t
    where t.status = 'active' and t.credential_type = 'oauth2'
      and (t.refresh_token_vault_id is not null or t.connection_id is null)
      and t.expires_at < clock_timestamp() + interval '15 minutes'
      and t.expires_at - 0.6 * (t.expires_at - t.issued_at) < clock_timestamp()
      and (t.refresh_lease_until is null or t.refresh_lease_until <= clock_timestamp())
      and (t.retry_at is null or t.retry_at <= clock_timestamp())
      and t.failed_days < 4
    order by t.expires_at
    limit p_limit
    for no key update skip locked
  ),
  leased as (
    update marketplace.oauth_tokens as t
    set refresh_lease_id = gen_random_uuid(), refresh_lease_until = clock_timestamp() + interval '45 seconds'
    from due
    where t.id = due.id
    returning t.*
  )
  select marketplace._lease_json(l, null) from leased as l
$$;
comment on function marketplace.claim_expiring_tokens(int) is
  'Leases grants whose access tokens end within a quarter of an hour, as lease_refresh does; after failures on four days they wait for somebody to ask. For Edge Functions only.';

-- Granting and revoking -----------------------------------------------------------------------

create function marketplace.open_grant(
  p_connection_id uuid,
  p_credential_type text,
  p_credential text default null,
  p_access_token text default null,
  p_refresh_token text default null,
  p_token_type text default null,
  p_scopes text[] default '{}',
  p_expires_in_s numeric default null,
  p_account text default null,
  p_metadata jsonb default '{}'
)
returns uuid
language plpgsql
volatile
security definer -- writes Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_id uuid := marketplace.uuid_v7();
  v_name text := 'marketplace/grants/' || v_id || '/';
  v_connection marketplace.connections;
  v_is_object boolean;
begin
  select * into v_connection from marketplace.connections as c where c.id = p_connection_id for no key update;
  if v_connection.id is null then
    raise exception 'connection % does not exist', coalesce(p_connection_id::text, 'null') using errcode = 'MK404';
  end if;
  begin
    v_is_object := jsonb_typeof(p_credential::jsonb) = 'object';
  exception when invalid_text_representation or untranslatable_character then
    v_is_object := false; -- caught, so that the parser's words, which quote it, reach no log
  end;
  if p_credential is not null and not v_is_object then
    raise exception 'the credential is not a JSON object' using errcode = 'MK400';
  end if;
  delete from marketplace.oauth_tokens as t where t.connection_id = p_connection_id;
  insert into marketplace.oauth_tokens (
    id, integration_id, connection_id, credential_type, token_type, scopes, issued_at, expires_at,
    access_token_vault_id, refresh_token_vault_id, credential_vault_id
  )
  values (
    v_id, v_connection.integration_id, p_connection_id, p_credential_type, coalesce(p_token_type, 'Bearer'), coalesce(p_scopes, '{}'),
    case when p_access_token is not null then v_now end,
    case when p_access_token is not null then v_now + make_interval(secs => p_expires_in_s::float8) end,
    case when p_access_token is not null then marketplace._vault_write(null, p_access_token, v_name || 'access_token') end,
    case when p_refresh_token is not null then marketplace._vault_write(null, p_refresh_token, v_name || 'refresh_token') end,
    case when p_credential is not null then marketplace._vault_write(null, p_credential, v_name || 'credential') end
  );
  update marketplace.connections as c
  set status = 'active', error_message = null,
    account = coalesce(left(p_account, 200), c.account),
    metadata = c.metadata || coalesce(p_metadata, '{}'),
    expires_at = case when p_access_token is not null then v_now + make_interval(secs => p_expires_in_s::float8) end,
    is_renewable = p_refresh_token is not null or p_credential_type in ('client_credentials', 'service_account', 'github_app')
  where c.id = p_connection_id;
  return v_id;
end
$$;
comment on function marketplace.open_grant(uuid, text, text, text, text, text, text[], numeric, text, jsonb) is
  'Stores what a connection is authorised with from now on, in place of what it had, and makes it active; returns the grant''s id. For Edge Functions only.';

create function marketplace.revoke_connection(p_connection_id uuid)
returns jsonb
language plpgsql
volatile
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_tokens jsonb;
begin
  update marketplace.connections as c
  set status = 'revoked', error_message = null, expires_at = null, is_renewable = false
  where c.id = p_connection_id;
  if not found then
    raise exception 'connection % does not exist', coalesce(p_connection_id::text, 'null') using errcode = 'MK404';
  end if;
  select jsonb_strip_nulls(jsonb_build_object(
    'credential_type', t.credential_type,
    'access_token', marketplace._vault_read(t.access_token_vault_id),
    'refresh_token', marketplace._vault_read(t.refresh_token_vault_id)
  )) into v_tokens
  from marketplace.oauth_tokens as t
  where t.connection_id = p_connection_id
  for update;
  delete from marketplace.oauth_tokens as t where t.connection_id = p_connection_id;
  delete from marketplace.oauth_states as s where s.connection_id = p_connection_id;
  delete from marketplace.connect_links as l where l.connection_id = p_connection_id;
  return coalesce(v_tokens, '{}');
end
$$;
comment on function marketplace.revoke_connection(uuid) is
  'Forgets what a connection was authorised with; returns the tokens this once, for the provider to be told. For Edge Functions only.';

create function marketplace.note_connection_test(
  p_connection_id uuid,
  p_error text,
  p_account text default null,
  p_metadata jsonb default '{}'
)
returns void
language sql
volatile
set search_path = ''
as $$
  update marketplace.connections as c
  set status = case when p_error is null then 'active' else 'error' end,
    error_message = left(p_error, 500),
    account = coalesce(left(p_account, 200), c.account),
    metadata = c.metadata || coalesce(p_metadata, '{}')
  where c.id = p_connection_id and c.status in ('active', 'error')
$$;
comment on function marketplace.note_connection_test(uuid, text, text, jsonb) is
  'Notes how a test of a connection''s credential ended (null: it works), whose account it is, and what settings were found.';

-- Ahead of time -------------------------------------------------------------------------------

create function marketplace.ring_maintain()
returns bigint
language sql
volatile
security definer -- reads the ring key from Vault and calls pg_net; executable by the service role only
set search_path = ''
as $$
  select net.http_post(
    url := marketplace._vault_read_named('marketplace_functions_url') || '/marketplace-maintain',
    body := '{}',
    headers := jsonb_build_object(
      'content-type', 'application/json',
      'authorization', 'Bearer ' || marketplace._vault_read_named('marketplace_ring_key')
    ),
    timeout_milliseconds := 2000
  )
  where marketplace._vault_read_named('marketplace_functions_url') is not null
$$;
comment on function marketplace.ring_maintain() is
  'Rings marketplace-maintain through pg_net; returns the request id, or null when configure_platform has not been called.';

create function marketplace.maintain_connections()
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
begin
  delete from marketplace.oauth_states as s where s.expires_at < now();
  delete from marketplace.connect_links as l where l.expires_at < now() - interval '1 day';
  -- begun and never finished; reconnecting leaves a connection that is not pending
  delete from marketplace.connections as c
  where c.status = 'pending' and c.created_at < now() - interval '2 days';
  if exists (
    select from marketplace.oauth_tokens as t
    where t.status = 'active' and t.credential_type = 'oauth2'
      and (t.refresh_token_vault_id is not null or t.connection_id is null)
      and t.expires_at < now() + interval '15 minutes'
      and t.expires_at - 0.6 * (t.expires_at - t.issued_at) < now()
      and (t.retry_at is null or t.retry_at <= now())
      and t.failed_days < 4
  ) then
    return marketplace.ring_maintain();
  end if;
  return null;
end
$$;
comment on function marketplace.maintain_connections() is
  'Rung by pg_cron: forgets authorizations nobody finished, and rings marketplace-maintain when a token is about to end; null when none is.';

create view marketplace.v_expiring_connections
with (security_invoker = true) as
select
  c.id, c.name, i.slug as integration, i.provider, c.account, c.status, c.expires_at, c.is_renewable, c.error_message,
  c.user_id, c.is_shared, c.organization_id
from marketplace.connections as c
left join marketplace.integrations as i on i.id = c.integration_id
where c.status in ('reauthorization_required', 'error')
  or c.status = 'active' and not c.is_renewable and c.expires_at < now() + interval '7 days'
order by c.expires_at nulls last, c.id;
comment on view marketplace.v_expiring_connections is
  'Connections that want their owner: refused, failing, or ending within a week with nothing to renew them.';

-- Who may -------------------------------------------------------------------------------------

revoke all on all functions in schema marketplace from public;
grant select on marketplace.v_expiring_connections to authenticated, service_role;
grant execute on function
  marketplace.lease_refresh(uuid, uuid, interval, text, text),
  marketplace.store_tokens(uuid, uuid, text, text, text, text[], numeric),
  marketplace._refuse_grant(uuid, text),
  marketplace.fail_refresh(uuid, uuid, text, boolean, numeric),
  marketplace._release_lease(jsonb),
  marketplace.claim_expiring_tokens(int),
  marketplace.open_grant(uuid, text, text, text, text, text, text[], numeric, text, jsonb),
  marketplace.revoke_connection(uuid),
  marketplace.note_connection_test(uuid, text, text, jsonb),
  marketplace.ring_maintain(),
  marketplace.maintain_connections()
to service_role;

select marketplace._schedule('marketplace_maintain', '* * * * *', null, 'select marketplace.maintain_connections()');
