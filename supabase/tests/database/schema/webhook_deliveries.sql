begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(4);

-- given a delivery
insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
values (md5('1')::uuid, 'given', gen_random_uuid(), gen_random_uuid());

select throws_ok(
  $$ insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
     values (md5('1')::uuid, 'given', gen_random_uuid(), gen_random_uuid()) $$,
  '23505', null, 'a delivery id is claimed once per integration'
);
select lives_ok(
  $$ insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
     values (md5('2')::uuid, 'given', gen_random_uuid(), gen_random_uuid()) $$,
  'another integration has delivery ids of its own'
);
select throws_ok(
  $$ insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id)
     values (md5('1')::uuid, null, gen_random_uuid(), gen_random_uuid()) $$,
  '23502', null, 'a delivery has an id'
);
select results_eq(
  $$ select duplicate_count, received_at, last_received_at from marketplace.webhook_deliveries
       where integration_id = md5('1')::uuid $$,
  $$ values (0, now(), now()) $$, 'it has come once, now'
);

select * from finish();
rollback;
