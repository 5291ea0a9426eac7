-- How providers and actions get into the catalogue. The files that follow fill it with the same two
-- functions that anybody may use at run time; each file may be run again.

create or replace function marketplace._require_object(p_value jsonb, p_what text)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  if jsonb_typeof(p_value) <> 'object' then
    raise exception '% is not a JSON object: %', p_what, left(p_value::text, 80)
      using errcode = 'MK400', hint = 'Pass an object such as {"key": "value"}.';
  end if;
end
$$;
comment on function marketplace._require_object(jsonb, text) is 'MK400 unless the value is a JSON object or null.';

create or replace function marketplace.register_provider(
  p_slug text,
  p_name text default null,
  p_category text default null,
  p_base_url text default null,
  p_auth_type text default null,
  p_auth_config jsonb default null,
  p_request_headers jsonb default null,
  p_rate_limit jsonb default null,
  p_health_action text default null,
  p_response_errors jsonb default null,
  p_docs_url text default null
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_auth_types constant text[] :=
    '{none,api_key,basic,bearer,oauth2,service_account,github_app,aws_sigv4}';
begin
  if p_slug is null or p_slug !~ '^[a-z][a-z0-9_]*$' then
    raise exception 'provider slug % is not a name', coalesce(quote_literal(p_slug), 'null')
      using errcode = 'MK400', hint = 'Use lower-case letters, digits and underscores, beginning with a letter: google_drive.';
  end if;
  if p_base_url !~ '^https?://[^\s?#]+$' then
    raise exception 'base URL % of provider % is not an http(s) URL without query', quote_literal(p_base_url), p_slug
      using errcode = 'MK400', hint = 'Pass one such as https://api.example.com/v1, or null when every integration brings its own.';
  end if;
  if p_auth_type <> all (v_auth_types) then
    raise exception 'auth type % of provider % is unknown', quote_literal(p_auth_type), p_slug
      using errcode = 'MK400', hint = format('One of: %s.', array_to_string(v_auth_types, ', '));
  end if;
  perform marketplace._require_object(p_auth_config, format('auth_config of provider %s', p_slug));
  perform marketplace._require_object(p_request_headers, format('request_headers of provider %s', p_slug));
  perform marketplace._require_object(p_rate_limit, format('rate_limit of provider %s', p_slug));
  perform marketplace._require_object(p_response_errors, format('response_errors of provider %s', p_slug));

  -- What is not passed stays: webhook settings and catalogue settings of a provider come from different hands.
  update marketplace.providers as p set
    name = coalesce(p_name, p.name),
    category = coalesce(p_category, p.category),
    base_url = coalesce(p_base_url, p.base_url),
    docs_url = coalesce(p_docs_url, p.docs_url),
    auth_type = coalesce(p_auth_type, p.auth_type),
    auth_config = coalesce(p_auth_config, p.auth_config),
    request_headers = coalesce(p_request_headers, p.request_headers),
    rate_limit = coalesce(p_rate_limit, p.rate_limit),
    health_action = coalesce(p_health_action, p.health_action),
    response_errors = coalesce(p_response_errors, p.response_errors)
  where p.slug = p_slug;
  if found then
    return p_slug;
  end if;

  if p_name is null or p_category is null then
    raise exception 'provider % is new and needs a name and a category', quote_literal(p_slug)
      using errcode = 'MK400', hint = 'Pass p_name => ''Acme'', p_category => ''storage''.';
  end if;
  insert into marketplace.providers (
    slug, name, category, base_url, docs_url, auth_type, auth_config, request_headers, rate_limit, health_action, response_errors
  )
  values (
    p_slug, p_name, p_category, p_base_url, p_docs_url, coalesce(p_auth_type, 'none'), coalesce(p_auth_config, '{}'),
    coalesce(p_request_headers, '{}'), coalesce(p_rate_limit, '{}'), p_health_action, coalesce(p_response_errors, '{}')
  )
  on conflict (slug) do nothing; -- another session was faster with the same row
  return p_slug;
end
$$;
comment on function marketplace.register_provider(text, text, text, text, text, jsonb, jsonb, jsonb, text, jsonb, text) is
  'Adds a provider to the catalogue, or changes what is passed of an existing one; returns its slug. deno task catalogue:check finds what SQL cannot see.';

create or replace function marketplace._require_parameters(
  p_action text,
  p_path text,
  p_schema jsonb,
  p_query_parameters text[],
  p_header_parameters jsonb
)
returns void
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_missing text;
begin
  if p_schema ->> 'type' is distinct from 'object' or jsonb_typeof(p_schema -> 'properties') is distinct from 'object' then
    raise exception 'the schema of action % does not describe an object', p_action
      using errcode = 'MK400', hint = 'Begin with {"type": "object", "properties": {…}, "required": […], "additionalProperties": false}.';
  end if;
  select m[1] into v_missing
  from regexp_matches(p_path, '\{\+?([A-Za-z_$][A-Za-z0-9_$.-]*)\}', 'g') as m
  where m[1] not like 'connection.%'
    and not coalesce(p_schema -> 'properties' -> m[1] ? 'default', false)
    and not (p_schema -> 'properties' ? m[1] and coalesce(p_schema -> 'required', '[]') ? m[1]);
  if v_missing is not null then
    raise exception 'the path of action % needs the parameter %, which its schema does not require', p_action, quote_literal(v_missing)
      using errcode = 'MK400', hint = 'Describe it under properties, and list it under required or give it a default.';
  end if;
  select name into v_missing
  from (
    select unnest(p_query_parameters) as name union all select jsonb_object_keys(p_header_parameters)
  ) as placed
  where not p_schema -> 'properties' ? placed.name;
  if v_missing is not null then
    raise exception 'action % places the parameter %, which its schema does not describe', p_action, quote_literal(v_missing)
      using errcode = 'MK400', hint = 'Describe it under properties, or take it out of query_parameters and header_parameters.';
  end if;
end
$$;
comment on function marketplace._require_parameters(text, text, jsonb, text[], jsonb) is
  'MK400 when a path, query or header names a parameter that the schema does not describe.';

create or replace function marketplace.register_action(
  p_provider text,
  p_slug text,
  p_method text,
  p_path text,
  p_request_schema jsonb,
  p_name text default null,
  p_description text default '',
  p_query_parameters text[] default '{}',
  p_header_parameters jsonb default '{}',
  p_body_type text default null,
  p_request_transform text default null,
  p_response_type text default 'json',
  p_response_transform text default null,
  p_pagination jsonb default '{}',
  p_handler text default null,
  p_is_read_only boolean default null,
  p_is_idempotent boolean default null,
  p_idempotency_header text default null,
  p_quota_cost int default 1,
  p_timeout_ms int default 30000,
  p_sensitive_paths text[] default '{}',
  p_scopes text[] default '{}'
)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_label text := format('%s/%s', p_provider, p_slug);
  v_is_read_only boolean := coalesce(p_is_read_only, p_method in ('GET', 'HEAD'));
  v_id uuid;
begin
  if not exists (select from marketplace.providers as p where p.slug = p_provider) then
    raise exception 'provider % is not in the catalogue', coalesce(quote_literal(p_provider), 'null')
      using errcode = 'MK404', hint = 'Register it first with marketplace.register_provider(slug, name, category, base_url, …).';
  end if;
  if p_slug is null or p_slug !~ '^[A-Za-z][A-Za-z0-9_.-]*$' then
    raise exception 'action slug % of provider % is not a name', coalesce(quote_literal(p_slug), 'null'), p_provider
      using errcode = 'MK400', hint = 'Use the provider''s own name for the operation, such as chat.postMessage.';
  end if;
  if p_method is null or p_method not in ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE') then
    raise exception 'method % of action % is unknown', coalesce(quote_literal(p_method), 'null'), v_label
      using errcode = 'MK400', hint = 'One of: GET, HEAD, POST, PUT, PATCH, DELETE.';
  end if;
  if p_path is null or p_path !~ '^/' then
    raise exception 'path % of action % does not begin with a slash', coalesce(quote_literal(p_path), 'null'), v_label
      using errcode = 'MK400', hint = 'Pass the path below the provider''s base URL, such as /repos/{owner}/{repo}.';
  end if;
  perform marketplace._require_object(p_header_parameters, format('header_parameters of action %s', v_label));
  perform marketplace._require_object(p_pagination, format('pagination of action %s', v_label));
  perform marketplace._require_parameters(v_label, p_path, p_request_schema, p_query_parameters, p_header_parameters);

  insert into marketplace.actions as a (
    provider_slug, slug, name, description, method, path, request_schema, query_parameters, header_parameters, body_type,
    request_transform, response_type, response_transform, pagination, handler, is_read_only, is_idempotent, idempotency_header,
    quota_cost, timeout_ms, sensitive_paths, scopes
  )
  values (
    p_provider, p_slug, coalesce(p_name, p_slug), p_description, p_method, p_path, p_request_schema, p_query_parameters, p_header_parameters,
    coalesce(p_body_type, case when p_method in ('POST', 'PUT', 'PATCH') or p_request_transform is not null then 'json' else 'none' end),
    p_request_transform, p_response_type, p_response_transform, p_pagination, p_handler, v_is_read_only,
    coalesce(p_is_idempotent, v_is_read_only or p_method in ('PUT', 'DELETE')), p_idempotency_header,
    p_quota_cost, p_timeout_ms, p_sensitive_paths, p_scopes
  )
  on conflict (provider_slug, slug) do update set
    name = excluded.name, description = excluded.description, method = excluded.method, path = excluded.path,
    request_schema = excluded.request_schema, query_parameters = excluded.query_parameters,
    header_parameters = excluded.header_parameters, body_type = excluded.body_type,
    request_transform = excluded.request_transform, response_type = excluded.response_type,
    response_transform = excluded.response_transform, pagination = excluded.pagination, handler = excluded.handler,
    is_read_only = excluded.is_read_only, is_idempotent = excluded.is_idempotent,
    idempotency_header = excluded.idempotency_header, quota_cost = excluded.quota_cost, timeout_ms = excluded.timeout_ms,
    sensitive_paths = excluded.sensitive_paths, scopes = excluded.scopes
  returning a.id into v_id;
  return v_id;
end
$$;
comment on function marketplace.register_action(
  text, text, text, text, jsonb, text, text, text[], jsonb, text, text, text, text, jsonb, text, boolean, boolean, text, int, int, text[], text[]
) is
  'Adds an action to the catalogue or replaces it whole; returns its id. Reads and PUT, DELETE count as idempotent unless told otherwise.';

revoke all on function
  marketplace._require_object(jsonb, text),
  marketplace._require_parameters(text, text, jsonb, text[], jsonb),
  marketplace.register_provider(text, text, text, text, text, jsonb, jsonb, jsonb, text, jsonb, text),
  marketplace.register_action(
    text, text, text, text, jsonb, text, text, text[], jsonb, text, text, text, text, jsonb, text, boolean, boolean, text, int, int, text[], text[]
  )
from public;
grant execute on function
  marketplace._require_object(jsonb, text),
  marketplace._require_parameters(text, text, jsonb, text[], jsonb),
  marketplace.register_provider(text, text, text, text, text, jsonb, jsonb, jsonb, text, jsonb, text),
  marketplace.register_action(
    text, text, text, text, jsonb, text, text, text[], jsonb, text, text, text, text, jsonb, text, boolean, boolean, text, int, int, text[], text[]
  )
to service_role;
