-- Providers and their actions (the catalogue), integrations and their secrets (the registry).

create table marketplace.providers (
  slug text primary key check (slug ~ '^[a-z][a-z0-9_]*$'),
  name text not null check (name <> ''),
  category text not null check (category ~ '^[a-z][a-z0-9_]*$'),
  base_url text check (base_url ~ '^https?://[^\s?#]+$'), -- null: every integration brings its own
  docs_url text,
  auth_type text not null default 'none'
    check (auth_type in ('none', 'api_key', 'basic', 'bearer', 'oauth2', 'service_account', 'github_app', 'aws_sigv4')),
  auth_config jsonb not null default '{}' check (jsonb_typeof(auth_config) = 'object'),
  request_headers jsonb not null default '{}' check (jsonb_typeof(request_headers) = 'object'),
  rate_limit jsonb not null default '{}' check (jsonb_typeof(rate_limit) = 'object'),
  response_errors jsonb not null default '{}' check (jsonb_typeof(response_errors) = 'object'),
  health_action text, -- null: nothing to ask
  webhook_config jsonb not null default '{}' check (jsonb_typeof(webhook_config) = 'object'),
  secret_env text check (secret_env ~ '^[A-Z][A-Z0-9_]*$'),
  default_workflow_slug text,
  max_body_bytes int not null default 1048576 check (max_body_bytes between 1024 and 26214400),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table marketplace.providers is
  'Catalogue: one row per external service. Everybody signed in reads it; migrations, seed and the service role write it.';
comment on column marketplace.providers.auth_config is
  'How credentials are obtained and sent: oauth2 authorize_url, token_url, revoke_url, scopes, scope_separator, authorize_params, token_auth_method; api_key header or query, prefix; …';
comment on column marketplace.providers.request_headers is 'Headers of every request, such as an API version. Never a credential.';
comment on column marketplace.providers.rate_limit is
  'Where the provider says what is left: limit_header, remaining_header, reset_header, reset_format (epoch_s, epoch_ms, delta_s, iso), retry_after_header; and a default quota {limit, window_seconds}.';
comment on column marketplace.providers.response_errors is
  'How a failure looks in an answer of status 2xx: pointer, success, code, message, rate_limited, unauthorized, rejected. Empty: statuses tell.';
comment on column marketplace.providers.health_action is 'Action that proves a credential works; run when a connection is made.';
comment on column marketplace.providers.webhook_config is
  'How deliveries are verified and normalised, as data; see the marketplace-webhook function''s README.';
comment on column marketplace.providers.secret_env is
  'Environment variable that holds a webhook secret of the provider''s default integration.';
comment on column marketplace.providers.default_workflow_slug is
  'Workflow of a rule whose source is this provider and that names none.';
comment on column marketplace.providers.category is
  'Groups the catalogue for people, such as storage or communication.';
comment on column marketplace.providers.base_url is 'What an action''s path is appended to.';
comment on column marketplace.providers.docs_url is 'The provider''s own documentation of its API.';
comment on column marketplace.providers.auth_type is
  'How accounts are proven, unless a connection says otherwise; auth_config has the details.';
comment on column marketplace.providers.max_body_bytes is 'A delivery that is larger is refused unread.';

create table marketplace.actions (
  id uuid primary key default marketplace.uuid_v7(),
  provider_slug text not null references marketplace.providers (slug) on update cascade on delete cascade,
  slug text not null check (slug ~ '^[A-Za-z][A-Za-z0-9_.-]*$'),
  name text not null check (name <> ''),
  description text not null default '',
  method text not null check (method in ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE')),
  path text not null check (path ~ '^/'),
  request_schema jsonb not null default '{"type": "object"}' check (jsonb_typeof(request_schema) = 'object'),
  query_parameters text[] not null default '{}',
  header_parameters jsonb not null default '{}' check (jsonb_typeof(header_parameters) = 'object'),
  body_type text not null default 'json' check (body_type in ('none', 'json', 'form', 'multipart', 'binary')),
  request_transform text, -- null: the remaining parameters are the body as they are
  response_type text not null default 'json' check (response_type in ('json', 'text', 'binary', 'none')),
  response_transform text, -- null: the provider's answer as it is
  pagination jsonb not null default '{}' check (jsonb_typeof(pagination) = 'object'),
  handler text, -- null: data is enough
  is_read_only boolean not null default false,
  is_idempotent boolean not null default false,
  idempotency_header text, -- null: the provider knows none
  quota_cost int not null default 1 check (quota_cost >= 0),
  timeout_ms int not null default 30000 check (timeout_ms between 100 and 120000),
  sensitive_paths text[] not null default '{}',
  scopes text[] not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (provider_slug, slug)
);
comment on table marketplace.actions is
  'Catalogue: one row per operation of a provider. Everybody signed in reads it; migrations, seed and the service role write it.';
comment on column marketplace.actions.path is
  'Below the provider''s base URL; {placeholders} are filled, percent-encoded, from the parameters.';
comment on column marketplace.actions.query_parameters is 'Parameters that go into the query string; GET and DELETE send all the rest there too.';
comment on column marketplace.actions.header_parameters is 'Parameters that go into headers: {"parameter": "header-name"}.';
comment on column marketplace.actions.request_transform is 'JSONata expression over the parameters that yields the body.';
comment on column marketplace.actions.response_transform is 'JSONata expression over the answer that yields the result.';
comment on column marketplace.actions.pagination is
  'How further pages are asked for: style (cursor, page, offset, link), the parameter to set, where the next value and the items stand (JSON pointers).';
comment on column marketplace.actions.handler is 'Named handler in code, for what data cannot say (mail with attachments, multi-step).';
comment on column marketplace.actions.sensitive_paths is 'JSON pointers into parameters and result that are never logged.';
comment on column marketplace.actions.request_schema is 'JSON Schema (2020-12) of the parameters.';
comment on column marketplace.actions.is_idempotent is 'A write that may be repeated after an unclear answer.';
comment on column marketplace.actions.provider_slug is 'Whose operation it is.';
comment on column marketplace.actions.slug is
  'What callers send as action, such as chat.postMessage; unique within the provider.';
comment on column marketplace.actions.method is 'Of the request to the provider.';
comment on column marketplace.actions.body_type is 'How the parameters that remain are sent.';
comment on column marketplace.actions.response_type is 'What the answer is read as.';
comment on column marketplace.actions.is_read_only is 'Changes nothing at the provider: may always be repeated.';
comment on column marketplace.actions.idempotency_header is
  'Header for a key by which the provider itself recognises a repetition.';
comment on column marketplace.actions.quota_cost is 'What one request takes from the quota.';
comment on column marketplace.actions.timeout_ms is 'For one request, its answer''s body included.';
comment on column marketplace.actions.scopes is 'OAuth scopes that the provider wants for it; the provider checks.';

create table marketplace.integrations (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  slug text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null check (name <> ''),
  provider text not null references marketplace.providers (slug) on update cascade,
  category text not null check (category ~ '^[a-z][a-z0-9_]*$'),
  config jsonb not null default '{}' check (jsonb_typeof(config) = 'object'),
  status text not null default 'active' check (status in ('active', 'inactive', 'error')),
  health_status text not null default 'unknown' check (health_status in ('unknown', 'healthy', 'degraded', 'unhealthy')),
  error_message text, -- null: nothing is wrong
  health_checked_at timestamptz, -- null: never looked
  is_default boolean not null default false,
  is_watched boolean not null default false,
  sns_topic_arns text[] not null default '{}',
  removal_requested_at timestamptz, -- null: it stays
  config_version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table marketplace.integrations is
  'Registry of configured providers. Written by register_integration; members of its organization read it. Holds no secret.';
comment on column marketplace.integrations.config is
  'Non-secret settings: api_base overrides the provider''s base URL; webhook overrides its webhook_config; bucket, region, folder_id, channel, …';
comment on column marketplace.integrations.is_default is
  'Receives webhooks posted to /marketplace-webhook/<provider> without an integration slug.';
comment on column marketplace.integrations.is_watched is
  'Its push channels are opened by watch: a push makes a cursor due and is no event itself.';
comment on column marketplace.integrations.sns_topic_arns is
  'Topics to which ensure_webhook has subscribed; they count like those of config.webhook.topic_arns.';
comment on column marketplace.integrations.removal_requested_at is
  'When remove_integration was called: it goes when nothing is left of it at its provider.';
comment on column marketplace.integrations.config_version is
  'Moves on when this row, its provider''s webhook settings or its secrets change; a webhook verified against an older version is verified again.';
comment on column marketplace.integrations.provider is 'Which service it is a set-up of.';
comment on column marketplace.integrations.category is 'As of its provider, unless registered otherwise.';
comment on column marketplace.integrations.status is
  'Only an active one is asked and listened to.';
comment on column marketplace.integrations.health_status is 'What the probes and calls of late have found.';
comment on column marketplace.integrations.health_checked_at is 'When health_status was last found out.';
create unique index integrations_default_key on marketplace.integrations (provider) where is_default;
create index integrations_organization_id_idx on marketplace.integrations (organization_id);
create index integrations_provider_idx on marketplace.integrations (provider);

create table marketplace.integration_secrets (
  id uuid primary key default marketplace.uuid_v7(),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  purpose text not null check (purpose ~ '^[a-z][a-z0-9_]*$'),
  vault_secret_id uuid not null unique,
  valid_from timestamptz not null default now(),
  valid_until timestamptz, -- null: until replaced
  created_at timestamptz not null default now(),
  constraint integration_secrets_window_check check (valid_until is null or valid_until >= valid_from)
);
comment on table marketplace.integration_secrets is
  'References into Vault: which secret serves which purpose, and when. No policy: only functions and the service role touch it.';
comment on column marketplace.integration_secrets.purpose is 'What it is for: webhook, api_token, refresh_token, …';
comment on column marketplace.integration_secrets.vault_secret_id is 'vault.secrets.id.';
comment on column marketplace.integration_secrets.valid_from is
  'Of several that are valid, the newest signs; all of them verify.';
comment on column marketplace.integration_secrets.valid_until is
  'Ends a rotation: until then the secret before is accepted, too.';
create index integration_secrets_integration_id_idx on marketplace.integration_secrets (integration_id, purpose);

create table marketplace.oauth_tokens (
  id uuid primary key default marketplace.uuid_v7(),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  connection_id uuid unique, -- null: the integration's own grant
  credential_type text not null default 'oauth2' check (credential_type in (
    'oauth2', 'client_credentials', 'api_key', 'basic', 'bearer', 'service_account', 'github_app', 'aws_sigv4'
  )),
  token_type text not null default 'Bearer',
  access_token_vault_id uuid unique, -- null: not fetched yet, or nothing that is fetched
  refresh_token_vault_id uuid unique, -- null: the grant gives none
  credential_vault_id uuid unique, -- null: nothing beside the tokens
  seed_id uuid, -- null: not made from a secret of the integration
  scopes text[] not null default '{}',
  issued_at timestamptz, -- null: not fetched yet
  expires_at timestamptz, -- null: does not expire
  status text not null default 'active' check (status in ('active', 'reauthorization_required')),
  error_message text, -- null: the last refresh went well
  refresh_lease_id uuid, -- null: nobody refreshes
  refresh_lease_until timestamptz, -- null: nobody refreshes
  failure_count int not null default 0 check (failure_count >= 0),
  failed_days int not null default 0 check (failed_days >= 0),
  failed_on date, -- null: the last refresh went well
  retry_at timestamptz, -- null: the last refresh went well
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint oauth_tokens_holds_a_token_check check (
    connection_id is null or num_nonnulls(access_token_vault_id, refresh_token_vault_id, credential_vault_id) > 0
  ),
  constraint oauth_tokens_lease_check check ((refresh_lease_id is null) = (refresh_lease_until is null)),
  constraint oauth_tokens_lifetime_check check (expires_at is null or issued_at is not null),
  constraint oauth_tokens_failure_check check ((failure_count = 0) = (failed_on is null) and (failure_count = 0) = (failed_days = 0))
) with (fillfactor = 80);
comment on table marketplace.oauth_tokens is
  'One grant a row: of a connection, or an integration''s own. Tokens and credentials lie in Vault. A new authorization is a new row, so that an old refresh cannot overwrite it. No policy: only functions and the service role touch it.';
comment on column marketplace.oauth_tokens.seed_id is
  'Which secret of the integration its own grant was made from; another secret makes another grant.';
comment on column marketplace.oauth_tokens.refresh_lease_id is
  'Who refreshes just now. The lease outlasts the slowest token endpoint; no lock is held meanwhile.';
comment on column marketplace.oauth_tokens.failure_count is 'Refreshes that failed since the last one that went well.';
comment on column marketplace.oauth_tokens.failed_days is
  'On how many days refreshes failed since the last one that went well: an outage of hours counts once.';
comment on column marketplace.oauth_tokens.credential_type is
  'What the grant consists of, and how access tokens are made of it.';
comment on column marketplace.oauth_tokens.token_type is 'Goes before the access token in the Authorization header.';
comment on column marketplace.oauth_tokens.access_token_vault_id is 'vault.secrets.id of what is sent to the provider.';
comment on column marketplace.oauth_tokens.refresh_token_vault_id is
  'vault.secrets.id of what access tokens are renewed with.';
comment on column marketplace.oauth_tokens.credential_vault_id is
  'vault.secrets.id of a JSON object: an API key, a password, a service account''s key.';
comment on column marketplace.oauth_tokens.scopes is 'What was granted, which may be less than was asked for.';
comment on column marketplace.oauth_tokens.issued_at is
  'With expires_at the token''s lifetime, of which half may pass before it is renewed.';
comment on column marketplace.oauth_tokens.expires_at is 'When the provider stops accepting the access token.';
comment on column marketplace.oauth_tokens.status is
  'reauthorization_required: the provider refuses to renew it; only its owner can help.';
comment on column marketplace.oauth_tokens.refresh_lease_until is 'Then somebody else may try.';
comment on column marketplace.oauth_tokens.failed_on is 'The latest day that failed_days counts.';
comment on column marketplace.oauth_tokens.retry_at is 'No refresh is tried before.';
create index oauth_tokens_integration_id_idx on marketplace.oauth_tokens (integration_id);
create unique index oauth_tokens_own_key on marketplace.oauth_tokens (integration_id) where connection_id is null;
create index oauth_tokens_expiring_idx on marketplace.oauth_tokens (expires_at)
  where status = 'active' and credential_type = 'oauth2' and expires_at is not null;

-- The version moves on with everything a verifier depends on --------------------------------

create function marketplace._touch_integration()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  if (new.slug, new.provider, new.config, new.status, new.is_default, new.is_watched, new.sns_topic_arns)
     is distinct from (old.slug, old.provider, old.config, old.status, old.is_default, old.is_watched, old.sns_topic_arns) then
    new.config_version := old.config_version + 1;
  end if;
  return new;
end
$$;
comment on function marketplace._touch_integration() is
  'Keeps updated_at true and moves config_version on when the integration''s configuration changes.';
create trigger integrations_touch before update on marketplace.integrations
  for each row execute function marketplace._touch_integration();

create function marketplace._provider_changed()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  if (new.webhook_config, new.secret_env, new.max_body_bytes)
     is distinct from (old.webhook_config, old.secret_env, old.max_body_bytes) then
    update marketplace.integrations as i set config_version = i.config_version + 1 where i.provider = old.slug;
  end if;
  return new;
end
$$;
comment on function marketplace._provider_changed() is
  'Moves config_version of the provider''s integrations on when its webhook settings change.';
create trigger providers_touch before update on marketplace.providers
  for each row execute function marketplace._provider_changed();

create function marketplace._secrets_changed()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  update marketplace.integrations as i
  set config_version = i.config_version + 1
  where i.id = case when tg_op = 'DELETE' then old.integration_id else new.integration_id end;
  return null;
end
$$;
comment on function marketplace._secrets_changed() is 'Moves config_version of an integration on when its secrets change.';
create trigger integration_secrets_changed after insert or update or delete on marketplace.integration_secrets
  for each row execute function marketplace._secrets_changed();

create function marketplace._forget_vault_secret()
returns trigger
language plpgsql
security definer -- writes Vault on behalf of whoever may delete the reference
set search_path = ''
as $$
begin
  perform marketplace._vault_delete(old.vault_secret_id);
  return null;
end
$$;
comment on function marketplace._forget_vault_secret() is 'A reference that goes takes its Vault secret along.';
create trigger integration_secrets_forget after delete on marketplace.integration_secrets
  for each row execute function marketplace._forget_vault_secret();

create trigger actions_touch before update on marketplace.actions
  for each row execute function marketplace._touch_updated_at();
create trigger oauth_tokens_touch before update on marketplace.oauth_tokens
  for each row execute function marketplace._touch_updated_at();

-- Functions ----------------------------------------------------------------------------------

create function marketplace.register_integration(
  p_slug text,
  p_name text,
  p_provider text,
  p_category text,
  p_config jsonb default '{}',
  p_organization_slug text default null
)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_organization_id uuid;
  v_integration_id uuid;
begin
  if not exists (select from marketplace.providers as p where p.slug = p_provider) then
    raise exception 'provider % is not in the catalogue', coalesce(quote_literal(p_provider), 'null')
      using errcode = 'MK404', hint = 'select slug from marketplace.providers lists the known ones; insert a row there to add yours.';
  end if;
  if p_config is null or jsonb_typeof(p_config) <> 'object' then
    raise exception 'config of integration % is not a JSON object', quote_literal(p_slug)
      using errcode = 'MK400', hint = 'Pass an object such as {"api_base": "https://api.example.com"}.';
  end if;
  if exists (select from marketplace.integrations as i where i.slug = p_slug and i.removal_requested_at is not null) then
    raise exception 'integration % is being removed', quote_literal(p_slug)
      using errcode = 'MK409', hint = 'Register it once it is gone; v_alerts says what keeps it.';
  end if;
  select o.id into v_organization_id
  from marketplace.organizations as o
  where case when p_organization_slug is null then o.is_default else o.slug = p_organization_slug end;
  if v_organization_id is null then
    raise exception 'organization % does not exist', quote_literal(p_organization_slug)
      using errcode = 'MK404', hint = 'Insert it into marketplace.organizations first.';
  end if;

  insert into marketplace.integrations (organization_id, slug, name, provider, category, config, is_default)
  values (
    v_organization_id, p_slug, p_name, p_provider, p_category, p_config,
    v_organization_id = marketplace._default_organization_id()
      and not exists (select from marketplace.integrations as i where i.provider = p_provider and i.is_default)
  )
  on conflict (slug) do update
    set name = excluded.name, category = excluded.category, config = excluded.config
    where integrations.organization_id = excluded.organization_id and integrations.provider = excluded.provider
  returning id into v_integration_id;

  if v_integration_id is null then
    raise exception 'integration % exists already, for another provider or organization', quote_literal(p_slug)
      using errcode = 'MK409', hint = 'Choose another slug, or remove the existing integration first.';
  end if;
  return v_integration_id;
end
$$;
comment on function marketplace.register_integration(text, text, text, text, jsonb, text) is
  'Registers a configured provider, or updates its name, category and config; returns its id. Without an organization it is the platform''s own.';

create function marketplace._integration_id(p_slug text)
returns uuid
language plpgsql
stable
set search_path = ''
as $$
declare
  v_integration_id uuid;
begin
  select i.id into v_integration_id from marketplace.integrations as i where i.slug = p_slug;
  if v_integration_id is null then
    raise exception 'integration % is not registered', coalesce(quote_literal(p_slug), 'null')
      using errcode = 'MK404', hint = 'Register it with marketplace.register_integration(slug, name, provider, category, config).';
  end if;
  return v_integration_id;
end
$$;
comment on function marketplace._integration_id(text) is 'Id of an integration by slug; MK404 when there is none.';

create function marketplace.rotate_integration_secret(
  p_slug text,
  p_purpose text,
  p_secret text,
  p_overlap interval default '24 hours'
)
returns uuid
language plpgsql
volatile
security definer -- writes Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_integration_id uuid := marketplace._integration_id(p_slug);
  v_id uuid := marketplace.uuid_v7();
begin
  if coalesce(p_secret, '') = '' then
    raise exception 'the % secret of integration % is empty', p_purpose, quote_literal(p_slug)
      using errcode = 'MK400', hint = 'Pass the value that the provider shows.';
  end if;
  if p_overlap is null or p_overlap < interval '0' then
    raise exception 'overlap % is negative', p_overlap using errcode = 'MK400', hint = 'Pass an interval such as ''24 hours''.';
  end if;
  if p_overlap = interval '0' then
    delete from marketplace.integration_secrets as s where s.integration_id = v_integration_id and s.purpose = p_purpose;
  else
    update marketplace.integration_secrets as s
    set valid_until = greatest(now() + p_overlap, s.valid_from)
    where s.integration_id = v_integration_id and s.purpose = p_purpose
      and (s.valid_until is null or s.valid_until > now() + p_overlap);
  end if;
  insert into marketplace.integration_secrets (id, integration_id, purpose, vault_secret_id)
  values (
    v_id, v_integration_id, p_purpose,
    marketplace._vault_write(null, p_secret, format('marketplace/%s/%s/%s', p_slug, p_purpose, v_id))
  );
  return v_id;
end
$$;
comment on function marketplace.rotate_integration_secret(text, text, text, interval) is
  'Adds a secret while the former ones stay valid for the overlap. Returns the reference''s id.';

create function marketplace.set_integration_secret(p_slug text, p_purpose text, p_secret text)
returns uuid
language sql
volatile
set search_path = ''
as $$
  select marketplace.rotate_integration_secret(p_slug, p_purpose, p_secret, interval '0')
$$;
comment on function marketplace.set_integration_secret(text, text, text) is
  'Stores a secret of an integration in Vault and drops the former ones of that purpose (webhook, api_token, access_key_id, …).';

create function marketplace.integration_credentials(p_integration_id uuid)
returns jsonb
language sql
stable
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  -- the newest valid secret of each purpose
  select coalesce(jsonb_object_agg(newest.purpose, marketplace._vault_read(newest.vault_secret_id)), '{}')
  from (
    select distinct on (s.purpose) s.purpose, s.vault_secret_id
    from marketplace.integration_secrets as s
    where s.integration_id = p_integration_id
      and s.valid_from <= now() and (s.valid_until is null or s.valid_until > now())
    order by s.purpose, s.valid_from desc, s.id desc
  ) as newest
$$;
comment on function marketplace.integration_credentials(uuid) is
  'The currently valid secrets of an integration, decrypted, by purpose. For Edge Functions only.';

create function marketplace._integration_json(p_integration_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select jsonb_build_object(
      'id', i.id, 'organization_id', i.organization_id, 'slug', i.slug, 'provider', i.provider,
      'base_url', rtrim(coalesce(nullif(i.config ->> 'api_base', ''), p.base_url), '/'),
      'is_default', i.is_default, 'config', i.config
    )
    from marketplace.integrations as i
    join marketplace.providers as p on p.slug = i.provider
    where i.id = p_integration_id
  );
end
$$;
comment on function marketplace._integration_json(uuid) is 'An integration as Edge Functions see it, without secrets; null when unknown.';

create function marketplace.integration_context(p_slug text)
returns jsonb
language sql
stable
security definer -- reads Vault; executable by the service role only
set search_path = ''
as $$
  select marketplace._integration_json(i.id)
    || jsonb_build_object('credentials', marketplace.integration_credentials(i.id))
  from (select marketplace._integration_id(p_slug) as id) as i
$$;
comment on function marketplace.integration_context(text) is
  'An integration with its base URL, config and decrypted credentials. For Edge Functions only.';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.providers enable row level security;
alter table marketplace.actions enable row level security;
alter table marketplace.integrations enable row level security;
alter table marketplace.integration_secrets enable row level security;
alter table marketplace.oauth_tokens enable row level security;

create policy "everybody signed in reads the catalogue" on marketplace.providers
  for select to authenticated using (true);
create policy "everybody signed in reads the actions" on marketplace.actions
  for select to authenticated using (true);
create policy "members read their integrations" on marketplace.integrations
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select on marketplace.providers, marketplace.actions, marketplace.integrations to authenticated;
grant select, insert, update, delete on
  marketplace.providers, marketplace.actions, marketplace.integrations,
  marketplace.integration_secrets, marketplace.oauth_tokens
to service_role;
grant execute on function
  marketplace.register_integration(text, text, text, text, jsonb, text),
  marketplace.set_integration_secret(text, text, text),
  marketplace.rotate_integration_secret(text, text, text, interval),
  marketplace.integration_credentials(uuid),
  marketplace.integration_context(text),
  marketplace._integration_id(text),
  marketplace._integration_json(uuid)
to service_role;
