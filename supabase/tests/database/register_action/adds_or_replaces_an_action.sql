begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(17);

-- given a provider
do $$ begin perform marketplace.register_provider('acme', 'Acme', 'storage', 'https://api.acme.example'); end $$;

-- when an action is registered with what it needs
create temp table first as
select marketplace.register_action(
  'acme', 'things.get', 'GET', '/things/{id}',
  '{"type": "object", "required": ["id"], "additionalProperties": false, "properties": {"id": {"type": "string"}}}'
) as id;
-- then
select results_eq(
  $$ select a.id, name, method, body_type, is_read_only, is_idempotent, quota_cost, timeout_ms, pagination, handler
     from marketplace.actions as a where provider_slug = 'acme' and slug = 'things.get' $$,
  $$ select id, 'things.get', 'GET', 'none', true, true, 1, 30000, '{}'::jsonb, null::text from first $$,
  'a read has no body, is read-only and may be repeated'
);

-- when it is registered again
select is(
  marketplace.register_action(
    'acme', 'things.get', 'GET', '/v2/things/{id}',
    '{"type": "object", "additionalProperties": false, "properties": {"id": {"type": "string", "default": "me"}}}', 'Get a thing'
  ),
  (select id from first), 'registering again answers with the same id'
);
select results_eq(
  $$ select name, path from marketplace.actions where provider_slug = 'acme' $$,
  $$ values ('Get a thing', '/v2/things/{id}') $$,
  'and replaces the row; a default serves the path as well as required'
);

-- when writes are registered
do $$
declare
  v_method text;
begin
  foreach v_method in array '{POST,PUT,PATCH,DELETE}'::text[] loop
    perform marketplace.register_action(
      'acme', lower(v_method), v_method, '/things', '{"type": "object", "properties": {"a": {"type": "string"}}}'
    );
  end loop;
  perform marketplace.register_action(
    'acme', 'delete_with_body', 'DELETE', '/things', '{"type": "object", "properties": {}}', p_request_transform => '$body'
  );
  perform marketplace.register_action(
    'acme', 'search', 'POST', '/search', '{"type": "object", "properties": {}}', p_is_read_only => true
  );
end
$$;
select results_eq(
  $$ select slug, body_type, is_read_only, is_idempotent from marketplace.actions
     where provider_slug = 'acme' and slug <> 'things.get' order by slug collate "C" $$,
  $$ values ('delete', 'none', false, true), ('delete_with_body', 'json', false, true), ('patch', 'json', false, false),
     ('post', 'json', false, false), ('put', 'json', false, true), ('search', 'json', true, true) $$,
  'PUT and DELETE may be repeated, POST and PATCH only when said; a DELETE has a body when a transform makes one'
);

-- then what cannot be an action is refused, named, with a remedy
select throws_ok(
  $$ select marketplace.register_action('nobody', 'x', 'GET', '/x', '{"type": "object", "properties": {}}') $$,
  'MK404', 'provider ''nobody'' is not in the catalogue', 'its provider is known'
);
select throws_ok(
  $$ select marketplace.register_action(null, 'x', 'GET', '/x', '{"type": "object", "properties": {}}') $$,
  'MK404', 'provider null is not in the catalogue', 'and named'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'a b', 'GET', '/x', '{"type": "object", "properties": {}}') $$,
  'MK400', 'action slug ''a b'' of provider acme is not a name', 'a slug is a name'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'FETCH', '/x', '{"type": "object", "properties": {}}') $$,
  'MK400', 'method ''FETCH'' of action acme/x is unknown', 'a method is a known one'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', 'https://evil.example/x', '{"type": "object", "properties": {}}') $$,
  'MK400', 'path ''https://evil.example/x'' of action acme/x does not begin with a slash', 'a path stays below the base URL'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/x', '["object"]') $$,
  'MK400', 'the schema of action acme/x does not describe an object', 'a schema describes an object'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/x', null) $$, 'MK400', null, 'and there is one'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/x/{+path}', '{"type": "object", "properties": {"path": {"type": "string"}}}') $$,
  'MK400', 'the path of action acme/x needs the parameter ''path'', which its schema does not require', 'what the path needs is required'
);
select lives_ok(
  $$ select marketplace.register_action('acme', 'x', 'GET', '/{connection.site}/x', '{"type": "object", "properties": {}}') $$,
  'a setting of the connection is no parameter'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'POST', '/x', '{"type": "object", "properties": {}}', p_query_parameters => '{page}') $$,
  'MK400', 'action acme/x places the parameter ''page'', which its schema does not describe', 'query parameters are described'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'POST', '/x', '{"type": "object", "properties": {}}', p_header_parameters => '{"etag": "if-match"}') $$,
  'MK400', 'action acme/x places the parameter ''etag'', which its schema does not describe', 'so are header parameters'
);
select throws_ok(
  $$ select marketplace.register_action('acme', 'x', 'POST', '/x', '{"type": "object", "properties": {}}', p_pagination => '"link"') $$,
  'MK400', 'pagination of action acme/x is not a JSON object: "link"', 'pagination is an object'
);
select ok(
  not has_function_privilege(
    'authenticated',
    'marketplace.register_action(text, text, text, text, jsonb, text, text, text[], jsonb, text, text, text, text, jsonb, text, boolean, boolean, text, int, int, text[], text[])',
    'execute'
  ),
  'a signed-in user registers none'
);

select * from finish();
rollback;
