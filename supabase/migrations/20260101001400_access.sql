-- Keys for callers that are programs, and who may manage what belongs to an organization.

create table marketplace.api_keys (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id) on delete cascade,
  name text not null check (name <> ''),
  prefix text not null unique check (prefix ~ '^mpk_[0-9a-f]{8}$'),
  key_hash bytea not null unique check (octet_length(key_hash) = 32),
  scopes text[] not null default '{execute}'
    check (cardinality(scopes) > 0 and scopes <@ array['execute', 'read', 'admin']),
  allowed_actions text[] not null default '{}',
  created_by uuid, -- null: by the service role
  created_at timestamptz not null default now(),
  expires_at timestamptz, -- null: does not expire
  last_used_at timestamptz, -- null: never used
  revoked_at timestamptz -- null: not revoked
);
comment on table marketplace.api_keys is
  'Keys of an organization''s programs. Written by create_api_key and revoke_api_key; owners and admins of the organization read all but the hash.';
comment on column marketplace.api_keys.prefix is 'The first characters of the key, by which people and secret scanners recognise it.';
comment on column marketplace.api_keys.key_hash is 'SHA-256 of the key. The key is 244 random bits, so no slow hash is needed.';
comment on column marketplace.api_keys.scopes is
  'execute: run actions. read: look at connections and results. admin: both, and manage the organization''s connections.';
comment on column marketplace.api_keys.allowed_actions is
  'Globs over "<integration>.<action>", such as gmail.messages.*; empty: every action of the organization.';
comment on column marketplace.api_keys.last_used_at is 'Written once a minute at most.';
comment on column marketplace.api_keys.name is 'What it is for, in its maker''s words.';
comment on column marketplace.api_keys.created_by is 'auth.users.id of who made it.';
comment on column marketplace.api_keys.expires_at is 'Refused from then on.';
comment on column marketplace.api_keys.revoked_at is 'Refused since then.';
create index api_keys_organization_id_idx on marketplace.api_keys (organization_id);

-- Who asks ------------------------------------------------------------------------------------

create function marketplace._is_service()
returns boolean
language sql
stable
set search_path = ''
as $$
  -- Inside a definer function current_user is its owner; what the caller switched to stays in this setting.
  select pg_has_role(coalesce(nullif(current_setting('role', true), 'none'), session_user)::name, 'service_role', 'usage')
$$;
comment on function marketplace._is_service() is
  'Whether the caller, before any definer function, is the service role or the owner of the database; claims play no part.';

create function marketplace._organization_for(p_organization text, p_roles text[], p_user_id uuid default null)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_organization_id uuid;
  v_role text;
begin
  select o.id into v_organization_id
  from marketplace.organizations as o
  where case when p_organization is null then o.is_default else p_organization in (o.slug, o.id::text) end;
  if p_user_id is null and marketplace._is_service() and v_organization_id is not null then
    return v_organization_id;
  end if;
  select m.role into v_role
  from marketplace.organization_members as m
  where m.organization_id = v_organization_id
    and m.user_id = case when marketplace._is_service() then p_user_id else auth.uid() end;
  -- to a stranger, an organization that exists is no other than one that does not
  if v_role is null then
    raise exception 'organization % does not exist', coalesce(quote_literal(p_organization), '(none named)')
      using errcode = 'MK404', hint = 'Name one that you belong to, by slug or id.';
  end if;
  if v_role <> all (p_roles) then
    raise exception 'a % of the organization may not do this', v_role
      using errcode = 'MK403', hint = format('Ask one of its members with the role %s.', array_to_string(p_roles, ' or '));
  end if;
  return v_organization_id;
end
$$;
comment on function marketplace._organization_for(text, text[], uuid) is
  'The organization of that slug or id (null: the default one) if the caller has one of the roles in it; MK404 for strangers, MK403 otherwise. The service role may do anything, or name a user to ask for.';

-- Keys ----------------------------------------------------------------------------------------

create function marketplace.create_api_key(
  p_name text,
  p_organization_slug text default null,
  p_scopes text[] default '{execute}',
  p_allowed_actions text[] default '{}',
  p_expires_at timestamptz default null
)
returns table (key_id uuid, api_key text)
language plpgsql
volatile
security definer -- owners and admins have no right to write the table; their role is checked below
set search_path = ''
as $$
declare
  v_organization_id uuid := marketplace._organization_for(p_organization_slug, '{owner,admin}');
  v_prefix text := 'mpk_' || left(replace(gen_random_uuid()::text, '-', ''), 8);
  v_key text := v_prefix || '_' || encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex');
begin
  if coalesce(btrim(p_name), '') = '' then
    raise exception 'an API key needs a name' using errcode = 'MK400', hint = 'Say what uses it, such as "nightly report".';
  end if;
  if coalesce(cardinality(p_scopes), 0) = 0 or not p_scopes <@ array['execute', 'read', 'admin'] then
    raise exception 'scopes % are not among execute, read, admin', coalesce(p_scopes::text, 'null') using errcode = 'MK400';
  end if;
  if exists (select from unnest(p_allowed_actions) as a (pattern) where coalesce(a.pattern, '') !~ '^[A-Za-z0-9_.*?-]+$') then
    raise exception 'allowed actions % are not globs over "<integration>.<action>"', p_allowed_actions
      using errcode = 'MK400', hint = 'For example array[''gmail.messages.*'']; an empty array allows every action.';
  end if;
  if p_expires_at <= now() then
    raise exception 'the API key would have expired at %', p_expires_at using errcode = 'MK400', hint = 'Pass a time to come, or null.';
  end if;
  insert into marketplace.api_keys as k
    (organization_id, name, prefix, key_hash, scopes, allowed_actions, created_by, expires_at)
  values (
    v_organization_id, btrim(p_name), v_prefix, sha256(convert_to(v_key, 'UTF8')), p_scopes,
    coalesce(p_allowed_actions, '{}'), auth.uid(), p_expires_at
  )
  returning k.id into key_id;
  api_key := v_key;
  return next;
end
$$;
comment on function marketplace.create_api_key(text, text, text[], text[], timestamptz) is
  'Makes an API key for a program of the organization. The key is shown this once. For its owners and admins, and the service role.';

create function marketplace.revoke_api_key(p_id uuid)
returns void
language plpgsql
volatile
security definer -- owners and admins have no right to write the table; their role is checked below
set search_path = ''
as $$
declare
  v_organization_id uuid;
begin
  select k.organization_id into v_organization_id from marketplace.api_keys as k where k.id = p_id;
  if v_organization_id is null or not marketplace._is_service() and not exists (
    select from marketplace.organization_members as m
    where m.organization_id = v_organization_id and m.user_id = auth.uid()
  ) then
    raise exception 'API key % does not exist', coalesce(p_id::text, 'null') using errcode = 'MK404';
  end if;
  perform marketplace._organization_for(v_organization_id::text, '{owner,admin}');
  update marketplace.api_keys as k set revoked_at = coalesce(k.revoked_at, now()) where k.id = p_id;
end
$$;
comment on function marketplace.revoke_api_key(uuid) is
  'Ends an API key at once and for good. For owners and admins of its organization, and the service role.';

create function marketplace.authenticate_api_key(p_key text, p_scope text default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_key marketplace.api_keys;
begin
  select * into v_key from marketplace.api_keys as k where k.key_hash = sha256(convert_to(p_key, 'UTF8'));
  if v_key.id is null then
    raise exception 'the API key is not known' using errcode = 'MK401', hint = 'Make one with marketplace.create_api_key(name, organization).';
  elsif v_key.revoked_at is not null then
    raise exception 'API key % was revoked', v_key.prefix using errcode = 'MK401', hint = 'Use another key.';
  elsif v_key.expires_at <= now() then
    raise exception 'API key % has expired', v_key.prefix using errcode = 'MK401', hint = 'Use another key.';
  elsif p_scope <> all (v_key.scopes) and 'admin' <> all (v_key.scopes) then
    raise exception 'API key % may not %', v_key.prefix, p_scope
      using errcode = 'MK403', hint = format('Its scopes are %s.', array_to_string(v_key.scopes, ', '));
  end if;
  if v_key.last_used_at is null or v_key.last_used_at < now() - interval '1 minute' then
    update marketplace.api_keys as k
    set last_used_at = now()
    -- whoever else notes the same just now has noted it
    where k.id in (select l.id from marketplace.api_keys as l where l.id = v_key.id for no key update skip locked);
  end if;
  return jsonb_build_object(
    'id', v_key.id, 'organization_id', v_key.organization_id, 'name', v_key.name, 'prefix', v_key.prefix,
    'scopes', v_key.scopes, 'allowed_actions', v_key.allowed_actions
  );
end
$$;
comment on function marketplace.authenticate_api_key(text, text) is
  'The API key''s row without its hash, if it is alive and has the scope (null: any); MK401 or MK403 otherwise. For Edge Functions only.';

create function marketplace._action_allowed(p_allowed_actions text[], p_integration text, p_action text)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select cardinality(p_allowed_actions) = 0 or exists (
    select from unnest(p_allowed_actions) as a (pattern)
    where p_integration || '.' || p_action ~ marketplace._glob_to_regex(a.pattern)
  )
$$;
comment on function marketplace._action_allowed(text[], text, text) is
  'Whether api_keys.allowed_actions lets an integration''s action be run: no pattern, or one that matches "<integration>.<action>".';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.api_keys enable row level security;
create policy "owners and admins read the keys of their organization" on marketplace.api_keys
  for select to authenticated
  using (
    organization_id in (select marketplace.my_organization_ids())
    and exists (
      select from marketplace.organization_members as m
      where m.organization_id = api_keys.organization_id
        and m.user_id = (select auth.uid()) and m.role in ('owner', 'admin')
    )
  );

revoke all on all functions in schema marketplace from public;
grant select (
  id, organization_id, name, prefix, scopes, allowed_actions, created_by, created_at, expires_at, last_used_at, revoked_at
) on marketplace.api_keys to authenticated;
grant select, insert, update, delete on marketplace.api_keys to service_role;
grant execute on function
  marketplace.create_api_key(text, text, text[], text[], timestamptz),
  marketplace.revoke_api_key(uuid)
to authenticated, service_role;
grant execute on function
  marketplace._is_service(),
  marketplace._organization_for(text, text[], uuid),
  marketplace.authenticate_api_key(text, text),
  marketplace._action_allowed(text[], text, text)
to service_role;
