begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a kept answer
insert into marketplace.organizations (id, slug, name) values (md5('red')::uuid, 'red', 'Red');
insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, idempotency_key, request_hash, is_repeatable, lease_until)
values (md5('given')::uuid, now(), md5('red')::uuid, 'service', 'key', '\x00', true, now());

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('idempotency_key = ''''', 'execution_results_idempotency_key_check', 'a key is not empty'),
  ('http_status = 200', 'execution_results_finished_check', 'what was answered has ended'),
  ('finished_at = now()', 'execution_results_finished_check', 'what has ended was answered');
select throws_ok(
  format('update marketplace.execution_results set %s where execution_id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "execution_results" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
     where conrelid = 'marketplace.execution_results'::regclass and contype = 'c' $$,
  'select distinct check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, idempotency_key, request_hash, is_repeatable, lease_until)
     values (gen_random_uuid(), now(), md5('red')::uuid, 'service', 'key', '\x01', true, now()) $$,
  '23505', null, 'a key is a caller''s once'
);
select lives_ok(
  $$ insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, idempotency_key, request_hash, is_repeatable, lease_until)
     values (gen_random_uuid(), now(), md5('red')::uuid, 'user 1', 'key', '\x01', true, now()) $$,
  'another caller may have the same'
);
select lives_ok(
  $$ insert into marketplace.execution_results (execution_id, created_at, organization_id, caller_key, request_hash, is_repeatable, lease_until)
     select gen_random_uuid(), now(), md5('red')::uuid, 'service', '\x01', true, now() from generate_series(1, 2) $$,
  'without a key there may be many'
);
select throws_ok(
  $$ update marketplace.execution_results set organization_id = gen_random_uuid() $$,
  '23503', null, 'they are of an organization that exists'
);
delete from marketplace.organizations where slug = 'red';
select is_empty($$ select 1 from marketplace.execution_results where organization_id = md5('red')::uuid $$, 'and go with it');

select * from finish();
rollback;
