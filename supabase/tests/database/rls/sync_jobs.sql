\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(33);

select pg_temp.given_jobs();

select pg_temp.check_access(
  'sync_jobs', 'priority = priority',
  $$ insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
     select organization_id, id, workflow_id from marketplace.sync_rules where name = 'red-files' $$
);

-- and a job's token opens it to whoever runs it, so not even its hash is shown
select pg_temp.become('an owner');
select throws_ok(
  'select token_hash from marketplace.sync_jobs',
  '42501', null, 'an owner does not see the hash of a token'
);
select throws_ok('select lease_id from marketplace.sync_jobs', '42501', null, 'nor a lease');
select throws_ok(
  'select * from marketplace.sync_jobs',
  '42501', null, 'nor by asking for everything'
);
select throws_ok('select * from marketplace.claim_jobs(1)', '42501', null, 'nor claims a job');
select throws_ok(
  $$ select marketplace.authorize_job(gen_random_uuid(), 'x') $$,
  '42501', null, 'nor tries tokens'
);

select * from finish();
rollback;
