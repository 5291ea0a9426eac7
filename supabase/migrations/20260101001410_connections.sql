-- Connections: accounts that users authorised under an integration. How one is made, seen and managed;
-- what it is authorised with is the next file's.

create table marketplace.connections (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  user_id uuid, -- null: the organization's
  name text not null check (name <> ''),
  account text, -- null: the provider does not say whose it is
  is_shared boolean not null default false,
  status text not null default 'pending'
    check (status in ('pending', 'active', 'reauthorization_required', 'revoked', 'error')),
  error_message text, -- null: nothing is wrong
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  expires_at timestamptz, -- null: its access does not end
  is_renewable boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint connections_organization_shares_check check (user_id is not null or is_shared),
  constraint connections_refused_has_reason_check check (
    status not in ('reauthorization_required', 'error') or error_message is not null
  )
);
comment on table marketplace.connections is
  'One account authorised under an integration: pending -> active -> reauthorization_required, error or revoked, and back by connecting again. Written by functions; members read their own and those shared with their organization.';
comment on column marketplace.connections.user_id is 'auth.users.id of its owner. Null: the organization''s, managed by its owners and admins.';
comment on column marketplace.connections.metadata is
  'Settings that fill {connection.<name>} in the catalogue''s templates: subdomain, database, account id. Never a secret.';
comment on column marketplace.connections.expires_at is 'When its access token ends.';
comment on column marketplace.connections.is_renewable is 'Whether access is renewed without its owner.';
comment on column marketplace.connections.name is 'Tells it from the user''s other accounts.';
comment on column marketplace.connections.account is 'As the provider calls it: an address, a login.';
comment on column marketplace.connections.is_shared is 'Every member may use it, not its owner alone.';
comment on column marketplace.connections.status is
  'pending: never connected; reauthorization_required: its owner has to connect it again.';
create index connections_organization_id_idx on marketplace.connections (organization_id, created_at desc);
create index connections_integration_id_idx on marketplace.connections (integration_id);
create index connections_user_id_idx on marketplace.connections (user_id) where user_id is not null;
create index connections_pending_idx on marketplace.connections (created_at) where status = 'pending';
create trigger connections_touch before update on marketplace.connections
  for each row execute function marketplace._touch_updated_at();

-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
alter table marketplace.oauth_tokens add constraint oauth_tokens_connection_id_fkey
  foreign key (connection_id) references marketplace.connections (id) on delete cascade;

create table marketplace.connect_links (
  id uuid primary key default marketplace.uuid_v7(),
  connection_id uuid not null references marketplace.connections (id) on delete cascade,
  token_hash bytea not null unique check (octet_length(token_hash) = 32),
  created_by uuid, -- null: by an API key or the service role
  auth_type text, -- null: the provider's own way
  scopes text[] not null default '{}',
  redirect_to text, -- null: the page says that it is done
  expires_at timestamptz not null,
  used_at timestamptz, -- null: not used
  created_at timestamptz not null default now()
);
comment on table marketplace.connect_links is
  'Links by which somebody authorises a connection in a browser, once. The link''s token is stored hashed. No policy: only functions and the service role touch it.';
comment on column marketplace.connect_links.connection_id is 'What becomes connected.';
comment on column marketplace.connect_links.token_hash is 'SHA-256 of the link''s last part.';
comment on column marketplace.connect_links.created_by is 'auth.users.id of who asked for the link.';
comment on column marketplace.connect_links.auth_type is
  'Which of the provider''s ways to prove an account is offered.';
comment on column marketplace.connect_links.scopes is 'Asked of the provider; empty: those of its auth_config.';
comment on column marketplace.connect_links.redirect_to is 'Where the browser goes afterwards.';
comment on column marketplace.connect_links.expires_at is 'The link opens nothing from then on.';
comment on column marketplace.connect_links.used_at is 'A link is good once.';
create index connect_links_connection_id_idx on marketplace.connect_links (connection_id);
create index connect_links_expires_at_idx on marketplace.connect_links (expires_at);

create table marketplace.oauth_states (
  state_hash bytea primary key check (octet_length(state_hash) = 32),
  connection_id uuid not null references marketplace.connections (id) on delete cascade,
  user_id uuid, -- null: whoever holds the connect link
  browser_hash bytea not null check (octet_length(browser_hash) = 32),
  scopes text[] not null default '{}',
  redirect_to text, -- null: the page says that it is done
  expires_at timestamptz not null default now() + interval '10 minutes',
  created_at timestamptz not null default now()
);
comment on table marketplace.oauth_states is
  'Authorizations under way: the state that a provider''s redirect must bring back, once, in the browser or by the user that began it. Hashes only; the PKCE verifier is derived from the state and a key in Vault. No policy: only functions and the service role touch it.';
comment on column marketplace.oauth_states.state_hash is 'SHA-256 of the state parameter.';
comment on column marketplace.oauth_states.connection_id is 'What becomes connected.';
comment on column marketplace.oauth_states.user_id is 'auth.users.id of who began.';
comment on column marketplace.oauth_states.browser_hash is
  'SHA-256 of a cookie: the browser that began has to be the one that returns.';
comment on column marketplace.oauth_states.scopes is 'Asked of the provider.';
comment on column marketplace.oauth_states.redirect_to is 'Where the browser goes afterwards.';
comment on column marketplace.oauth_states.expires_at is 'Whoever returns later begins anew.';
create index oauth_states_connection_id_idx on marketplace.oauth_states (connection_id);
create index oauth_states_expires_at_idx on marketplace.oauth_states (expires_at);

-- The key that PKCE verifiers are derived with is made here, at random, once.
do $$
begin
  if marketplace._vault_read_named('marketplace_oauth_key') is null then
    perform marketplace._set_platform_secret(
      'marketplace_oauth_key', encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex')
    );
  end if;
end
$$;

create function marketplace.oauth_key()
returns text
language sql
stable
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  select marketplace._vault_read_named('marketplace_oauth_key')
$$;
comment on function marketplace.oauth_key() is
  'The key that PKCE verifiers are derived with. For Edge Functions only.';

-- Seeing and managing -------------------------------------------------------------------------

create function marketplace._require_connection(
  p_connection_id uuid,
  p_user_id uuid default null,
  p_organization_id uuid default null,
  p_to_manage boolean default false
)
returns marketplace.connections
language plpgsql
stable
set search_path = ''
as $$
declare
  v_connection marketplace.connections;
  v_role text;
begin
  select * into v_connection from marketplace.connections as c where c.id = p_connection_id;
  select m.role into v_role
  from marketplace.organization_members as m
  where m.organization_id = v_connection.organization_id and m.user_id = p_user_id;
  -- the policy on connections says the same for users; a key sees what is shared with its organization
  if v_connection.id is null
    or p_user_id is not null and (v_role is null or not v_connection.is_shared and v_connection.user_id is distinct from p_user_id)
    or p_organization_id is not null and (v_connection.organization_id <> p_organization_id or p_user_id is null and not v_connection.is_shared)
  then
    raise exception 'connection % does not exist', coalesce(p_connection_id::text, 'null')
      using errcode = 'MK404', hint = 'select id, name from marketplace.connections lists those you may use.';
  end if;
  if p_to_manage and p_user_id is not null and v_role not in ('owner', 'admin')
    and (v_role = 'viewer' or v_connection.user_id is distinct from p_user_id)
  then
    raise exception 'connection % is not yours to change', quote_literal(v_connection.name)
      using errcode = 'MK403', hint = 'Its owner may, and the owners and admins of the organization if it is shared.';
  end if;
  return v_connection;
end
$$;
comment on function marketplace._require_connection(uuid, uuid, uuid, boolean) is
  'The connection if the user (or, with no user, a key of the organization; with neither, anybody) may use or manage it; MK404 or MK403 otherwise.';

create function marketplace.connecting_organization(
  p_integration text,
  p_organization text default null,
  p_user_id uuid default null,
  p_is_organizations boolean default false
)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_integration marketplace.integrations;
  v_organization_id uuid;
begin
  select * into v_integration from marketplace.integrations as i where i.slug = p_integration;
  if v_integration.id is not null and (p_organization is not null or p_user_id is null or exists (
    select from marketplace.organization_members as m
    where m.organization_id = v_integration.organization_id and m.user_id = p_user_id
  )) then
    v_organization_id := marketplace._organization_for(
      coalesce(p_organization, v_integration.organization_id::text),
      case when p_is_organizations then array['owner', 'admin'] else array['owner', 'admin', 'member'] end,
      p_user_id
    );
  end if;
  -- an integration of the platform may be open to everybody
  if v_organization_id is null or v_integration.organization_id <> v_organization_id and not (
    v_integration.organization_id = marketplace._default_organization_id()
    and v_integration.config @> '{"allow_other_organizations": true}'
  ) then
    raise exception 'integration % is not one of the organization', coalesce(quote_literal(p_integration), 'null')
      using errcode = 'MK404', hint = 'select slug from marketplace.integrations lists those of your organizations; name the organization for another.';
  end if;
  if v_integration.status <> 'active' then
    raise exception 'integration % is %', quote_literal(p_integration), v_integration.status
      using errcode = 'MK422', hint = 'Connections are made under active integrations.';
  end if;
  return v_organization_id;
end
$$;
comment on function marketplace.connecting_organization(text, text, uuid, boolean) is
  'The organization (null: the integration''s own) for which a user, or with no user the platform, may connect under an integration; MK404, MK403, MK422 otherwise. For Edge Functions only.';

create function marketplace.create_connection(
  p_integration text,
  p_name text default null,
  p_organization text default null,
  p_user_id uuid default null,
  p_is_shared boolean default false,
  p_is_organizations boolean default false,
  p_metadata jsonb default '{}'
)
returns uuid
language sql
volatile
set search_path = ''
as $$
  insert into marketplace.connections as c (organization_id, integration_id, user_id, name, is_shared, metadata)
  select
    o.id, i.id,
    case when not p_is_organizations then p_user_id end,
    coalesce(nullif(btrim(p_name), ''), i.name),
    p_is_shared or p_is_organizations or p_user_id is null,
    p_metadata
  from marketplace.connecting_organization(p_integration, p_organization, p_user_id, p_is_organizations) as o (id)
  join marketplace.integrations as i on i.slug = p_integration
  returning c.id
$$;
comment on function marketplace.create_connection(text, text, text, uuid, boolean, boolean, jsonb) is
  'Makes a pending connection under an integration for a user who may, or (with p_is_organizations, or without a user) for the organization; returns its id. For Edge Functions only.';

create function marketplace.update_connection(p_id uuid, p_name text default null, p_is_shared boolean default null)
returns void
language plpgsql
volatile
security definer -- users have no right to write the table; who they are is checked below
set search_path = ''
as $$
begin
  if not marketplace._is_service() and auth.uid() is null then
    raise exception 'connection % does not exist', coalesce(p_id::text, 'null') using errcode = 'MK404';
  end if;
  perform marketplace._require_connection(p_id, case when not marketplace._is_service() then auth.uid() end, null, true);
  update marketplace.connections as c
  set name = coalesce(nullif(btrim(p_name), ''), c.name),
    is_shared = c.user_id is null or coalesce(p_is_shared, c.is_shared)
  where c.id = p_id;
end
$$;
comment on function marketplace.update_connection(uuid, text, boolean) is
  'Renames a connection, shares it with its organization, or takes it back. For its owner, the organization''s owners and admins if it is shared, and the service role.';

-- What a flow needs to know -------------------------------------------------------------------

create function marketplace._connection_settings(p_config jsonb, p_metadata jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_object_agg(s.key, s.value), '{}')
    from jsonb_each(p_config || p_metadata) as s
    where jsonb_typeof(s.value) in ('string', 'number')
  );
end
$$;
comment on function marketplace._connection_settings(jsonb, jsonb) is
  'What fills {connection.<name>} in templates: the integration''s plain settings, and over them the connection''s own.';

create function marketplace._provider_json(p_provider text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'slug', p.slug, 'name', p.name, 'base_url', p.base_url, 'auth_type', p.auth_type, 'auth_config', p.auth_config,
      'request_headers', p.request_headers, 'health_action', p.health_action, 'rate_limit', p.rate_limit,
      'response_errors', p.response_errors
    )
    from marketplace.providers as p
    where p.slug = p_provider
  );
end
$$;
comment on function marketplace._provider_json(text) is 'A provider as those who authorise see it.';

create function marketplace.connecting_context(p_integration text)
returns jsonb
language sql
stable
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  select jsonb_build_object(
    'integration', marketplace._integration_json(i.id) || jsonb_build_object('name', i.name),
    'provider', marketplace._provider_json(i.provider),
    'client', marketplace.integration_credentials(i.id),
    'settings', marketplace._connection_settings(i.config, '{}')
  )
  from marketplace.integrations as i
  where i.id = marketplace._integration_id(p_integration)
$$;
comment on function marketplace.connecting_context(text) is
  'An integration as those who authorise under it need it: provider, OAuth client, settings. For Edge Functions only.';

create function marketplace.connection_context(p_connection_id uuid)
returns jsonb
language sql
stable
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  select marketplace.connecting_context(i.slug) || jsonb_build_object(
    'connection', to_jsonb(c),
    'organization', jsonb_build_object('id', o.id, 'slug', o.slug, 'name', o.name),
    'settings', marketplace._connection_settings(i.config, c.metadata)
  )
  from marketplace.connections as c
  join marketplace.integrations as i on i.id = c.integration_id
  join marketplace.organizations as o on o.id = c.organization_id
  where c.id = p_connection_id
$$;
comment on function marketplace.connection_context(uuid) is
  'connecting_context of a connection, with itself and its organization; null when it is gone. For Edge Functions only.';

-- Connect links -------------------------------------------------------------------------------

create function marketplace.create_connect_link(
  p_connection_id uuid,
  p_created_by uuid default null,
  p_scopes text[] default '{}',
  p_redirect_to text default null,
  p_expires_in interval default '15 minutes',
  p_auth_type text default null
)
returns table (token text, expires_at timestamptz)
language plpgsql
volatile
set search_path = ''
as $$
begin
  if p_expires_in is null or p_expires_in not between interval '1 minute' and interval '1 day' then
    raise exception 'a connect link cannot live for %', coalesce(p_expires_in::text, 'null')
      using errcode = 'MK400', hint = 'Between one minute and one day.';
  end if;
  token := 'mpl_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex');
  insert into marketplace.connect_links as l (connection_id, token_hash, created_by, auth_type, scopes, redirect_to, expires_at)
  values (
    p_connection_id, sha256(convert_to(token, 'UTF8')), p_created_by, p_auth_type, coalesce(p_scopes, '{}'), p_redirect_to,
    clock_timestamp() + p_expires_in
  )
  returning l.expires_at into expires_at;
  return next;
end
$$;
comment on function marketplace.create_connect_link(uuid, uuid, text[], text, interval, text) is
  'Makes a link by which somebody authorises the connection in a browser, once. The token is shown this once. For Edge Functions only.';

create function marketplace.connect_link(p_token text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_link jsonb;
begin
  select marketplace.connection_context(l.connection_id) || jsonb_build_object(
    'auth_type', l.auth_type, 'scopes', l.scopes, 'redirect_to', l.redirect_to, 'created_by', l.created_by, 'expires_at', l.expires_at
  ) into v_link
  from marketplace.connect_links as l
  where l.token_hash = sha256(convert_to(p_token, 'UTF8')) and l.used_at is null and l.expires_at > clock_timestamp();
  if v_link is null then
    raise exception 'the link is not known, was used already, or has ended'
      using errcode = 'MK404', hint = 'Ask for a new one.';
  end if;
  return v_link;
end
$$;
comment on function marketplace.connect_link(text) is
  'What an unused connect link is for: connection_context, auth_type, scopes, redirect_to; MK404 otherwise. Looking does not use it. For Edge Functions only.';

create function marketplace.use_connect_link(p_token text)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_connection_id uuid;
begin
  update marketplace.connect_links as l
  set used_at = clock_timestamp()
  where l.token_hash = sha256(convert_to(p_token, 'UTF8')) and l.used_at is null and l.expires_at > clock_timestamp()
  returning l.connection_id into v_connection_id;
  if v_connection_id is null then
    raise exception 'the link is not known, was used already, or has ended'
      using errcode = 'MK404', hint = 'Ask for a new one.';
  end if;
  return v_connection_id;
end
$$;
comment on function marketplace.use_connect_link(text) is
  'Uses a connect link up; returns its connection. Of two at once, one gets MK404. For Edge Functions only.';

-- Authorizations under way --------------------------------------------------------------------

create function marketplace.begin_authorization(
  p_connection_id uuid,
  p_state text,
  p_browser text,
  p_user_id uuid default null,
  p_scopes text[] default '{}',
  p_redirect_to text default null
)
returns void
language sql
volatile
set search_path = ''
as $$
  insert into marketplace.oauth_states (connection_id, state_hash, browser_hash, user_id, scopes, redirect_to)
  values (
    p_connection_id, sha256(convert_to(p_state, 'UTF8')), sha256(convert_to(p_browser, 'UTF8')), p_user_id,
    coalesce(p_scopes, '{}'), p_redirect_to
  )
$$;
comment on function marketplace.begin_authorization(uuid, text, text, uuid, text[], text) is
  'Notes that somebody is being sent to a provider with this state; the state is stored hashed, for ten minutes. For Edge Functions only.';

create function marketplace.take_authorization(p_state text, p_browser text default null, p_user_id uuid default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_state marketplace.oauth_states;
begin
  select * into v_state
  from marketplace.oauth_states as s
  where s.state_hash = sha256(convert_to(p_state, 'UTF8')) and s.expires_at > clock_timestamp()
  for update;
  if v_state.connection_id is null then
    raise exception 'the authorization is not known, was finished already, or was begun more than ten minutes ago'
      using errcode = 'MK401', hint = 'Begin again.';
  end if;
  -- whoever comes back must be who was sent: the same user if one is named, else the same browser
  if p_user_id is distinct from v_state.user_id and p_user_id is not null
    or p_user_id is null and (p_browser is null or v_state.browser_hash <> sha256(convert_to(p_browser, 'UTF8')))
  then
    raise exception 'the authorization was begun by somebody else, or in another browser'
      using errcode = 'MK403', hint = 'Begin again, and finish in the same browser.';
  end if;
  delete from marketplace.oauth_states as s where s.state_hash = v_state.state_hash;
  return marketplace.connection_context(v_state.connection_id)
    || jsonb_build_object('scopes', v_state.scopes, 'redirect_to', v_state.redirect_to);
end
$$;
comment on function marketplace.take_authorization(text, text, uuid) is
  'Takes an authorization that comes back from a provider, once, from the user or browser it was begun by: connection_context, scopes, redirect_to. For Edge Functions only.';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.connections enable row level security;
alter table marketplace.connect_links enable row level security;
alter table marketplace.oauth_states enable row level security;
create policy "members read their own connections and shared ones" on marketplace.connections
  for select to authenticated
  using (
    organization_id in (select marketplace.my_organization_ids())
    and (is_shared or user_id = (select auth.uid()))
  );

revoke all on all functions in schema marketplace from public;
grant select on marketplace.connections to authenticated;
grant select, insert, update, delete on marketplace.connections, marketplace.connect_links, marketplace.oauth_states to service_role;
grant execute on function marketplace.update_connection(uuid, text, boolean) to authenticated, service_role;
grant execute on function
  marketplace.oauth_key(),
  marketplace._require_connection(uuid, uuid, uuid, boolean),
  marketplace.connecting_organization(text, text, uuid, boolean),
  marketplace.create_connection(text, text, text, uuid, boolean, boolean, jsonb),
  marketplace._connection_settings(jsonb, jsonb),
  marketplace._provider_json(text),
  marketplace.connecting_context(text),
  marketplace.connection_context(uuid),
  marketplace.create_connect_link(uuid, uuid, text[], text, interval, text),
  marketplace.connect_link(text),
  marketplace.use_connect_link(text),
  marketplace.begin_authorization(uuid, text, text, uuid, text[], text),
  marketplace.take_authorization(text, text, uuid)
to service_role;
