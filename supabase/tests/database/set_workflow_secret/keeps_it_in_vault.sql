\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a workflow with a job
select pg_temp.given_job();

-- when it is given secrets of its own
select lives_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'signing', 'whsec_c2lnbmVk') $$,
  'a signing secret is stored'
);
select lives_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'token', 'bearer-1') $$,
  'so is a bearer token'
);
do $$ begin perform marketplace.set_workflow_secret('acme-run', 'token', 'bearer-2'); end $$;

-- then
select is_empty(
  $$ select 1 from marketplace.workflows as w where w::text ~ 'c2lnbmVk|bearer-' $$,
  'the workflow holds references only'
);
select results_eq(
  $$ select signing_secret, auth_token from marketplace.claim_jobs(1000)
       where workflow_slug = 'acme-run' $$,
  $$ values ('whsec_c2lnbmVk', 'bearer-2') $$,
  'who claims a job is given them, the latest'
);

-- what cannot be set
select throws_ok(
  $$ select marketplace.set_workflow_secret('nope', 'token', 'x') $$,
  'MK404',
  'workflow ''nope'' does not exist',
  'an unknown workflow is named'
);
select throws_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'other', 'x') $$,
  'MK400',
  'a workflow has no ''other'' secret',
  'so is an unknown purpose'
);
select throws_ok(
  $$ select marketplace.set_workflow_secret('acme-run', 'token', '') $$,
  'MK400',
  null,
  'an empty secret is refused'
);

-- when the workflow goes
create temp table stored as select signing_vault_id as id from marketplace.workflows
where slug = 'acme-run';
delete from marketplace.sync_rules where name = 'Acme mirror';
delete from marketplace.workflows where slug = 'acme-run';
select isnt((select id from stored), null, 'there was a secret to forget');
select is_empty(
  'select v.id from vault.secrets as v join stored as s on s.id = v.id',
  'a workflow takes its secrets along'
);

select * from finish();
rollback;
