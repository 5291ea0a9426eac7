begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(3);

-- given a counter
insert into marketplace.webhook_rejections (provider, reason, minute)
values ('acme', 'given', '2026-01-01 00:00+00');

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('rejection_count = -1', 'webhook_rejections_rejection_count_check', 'a counter does not go below nothing');
select throws_ok(
  format('update marketplace.webhook_rejections set %s where reason = ''given''', change),
  '23514', format('new row for relation "webhook_rejections" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.webhook_rejections'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.webhook_rejections (provider, reason, minute)
       values ('acme', 'given', '2026-01-01 00:00+00') $$,
  '23505',
  null,
  'there is one counter for a provider, reason and minute'
);

select * from finish();
rollback;
