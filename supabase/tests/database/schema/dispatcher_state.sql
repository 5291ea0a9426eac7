begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(3);

-- given the state
-- the only one there is

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('is_singleton = false', 'dispatcher_state_is_singleton_check', 'the dispatchers state is one row');
select throws_ok(
  format('update marketplace.dispatcher_state set %s where is_singleton', change),
  '23514', format('new row for relation "dispatcher_state" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.dispatcher_state'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  'insert into marketplace.dispatcher_state default values',
  '23505', null, 'there is no second row'
);

select * from finish();
rollback;
