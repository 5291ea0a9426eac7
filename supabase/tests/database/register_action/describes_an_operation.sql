begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(19);

-- given a provider
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
create function pg_temp.schema(p_names text[]) returns jsonb language sql as $$
  select jsonb_build_object('type', 'object', 'required', p_names, 'properties', jsonb_object_agg(name, '{"type": "string"}'::jsonb))
  from unnest(p_names) as name
$$;
create function pg_temp.register(p_method text, p_path text, p_names text[] default '{id}') returns uuid language sql as $$
  select marketplace.register_action('acme', lower(p_method) || '.file', p_method, p_path, pg_temp.schema(p_names))
$$;

-- when actions are registered by method and path
do $$
begin
  perform pg_temp.register(m, '/files/{id}')
  from unnest(array['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) as m;
end
$$;

-- then the rest follows from the method
select results_eq(
  $$ select slug, is_read_only, is_idempotent, body_type from marketplace.actions
       where provider_slug = 'acme' order by slug $$,
  $$ values
    ('delete.file', false, true, 'none'), ('get.file', true, true, 'none'), ('head.file', true, true, 'none'),
    ('patch.file', false, false, 'json'), ('post.file', false, false, 'json'), ('put.file', false, true, 'json') $$,
  'reads are idempotent, so are PUT and DELETE; POST and PATCH must not be repeated'
);
select results_eq(
  $$ select name, quota_cost, timeout_ms, response_type from marketplace.actions
       where slug = 'get.file' and provider_slug = 'acme' $$,
  $$ values ('get.file', 1, 30000, 'json') $$, 'it is called by its slug and costs one call'
);

-- when one is registered again
create temp table former as select id from marketplace.actions
where provider_slug = 'acme' and slug = 'get.file';
select is(
  pg_temp.register('GET', '/v2/files/{id}'),
  (select id from former), 'registering again keeps the id'
);
select is(
  (select path from marketplace.actions where id = (select id from former)),
  '/v2/files/{id}', 'and replaces the rest'
);
do $$
begin
  perform marketplace.register_action('acme', 'search', 'POST', '/search', pg_temp.schema('{q}'), p_is_read_only => true);
end
$$;
select is(
  (select is_idempotent from marketplace.actions where provider_slug = 'acme' and slug = 'search'),
  true, 'a POST that only reads may be repeated'
);

-- what a path, a query or a header names is described
select throws_ok(
  $$ select pg_temp.register('GET', '/files/{id}/{part}') $$,
  'MK400',
  'the path of action acme/get.file needs the parameter ''part'', which its schema does not require',
  'a path without its parameter'
);
select lives_ok($$ select pg_temp.register('GET', '/{+id}') $$, 'a parameter may hold slashes');
select throws_ok(
  $$ select pg_temp.register('GET', '/{+path}') $$,
  'MK400', null, 'and is described, too'
);
select lives_ok(
  $$ select pg_temp.register('GET', '/{connection.account}/{id}') $$,
  'what comes from the connection is no parameter'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/', pg_temp.schema('{id}'), p_query_parameters => '{page}') $$,
  'MK400', 'action acme/x places the parameter ''page'', which its schema does not describe',
  'a query parameter that is not described'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/', pg_temp.schema('{id}'), p_header_parameters => '{"etag": "if-match"}') $$,
  'MK400', 'action acme/x places the parameter ''etag'', which its schema does not describe',
  'nor a header'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/', '{"type": "array"}') $$,
  'MK400', 'the schema of action acme/x does not describe an object',
  'a schema that is none of an object'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/', null) $$,
  'MK400', null, 'or no schema at all'
);

-- what else cannot be registered
select throws_ok(
  $$ select marketplace.register_action('nope', 'x', 'GET', '/', pg_temp.schema('{id}')) $$,
  'MK404', 'provider ''nope'' is not in the catalogue', 'an unknown provider'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'get a file', 'GET', '/', pg_temp.schema('{id}')) $$,
  'MK400', null, 'a slug that is no name'
);
select throws_ok(
  $$ select pg_temp.register('get', '/') $$,
  'MK400', 'method ''get'' of action acme/get.file is unknown', 'a method that is none'
);
select throws_ok(
  $$ select pg_temp.register('GET', 'files') $$,
  'MK400', 'path ''files'' of action acme/get.file does not begin with a slash',
  'a path that begins nowhere'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/', pg_temp.schema('{id}'), p_pagination => '[]') $$,
  'MK400', null, 'pagination that is no object'
);
select is_empty(
  $$ select slug from marketplace.actions where provider_slug = 'acme' and slug = 'x' $$,
  'a refused one leaves nothing behind'
);

select * from finish();
rollback;
