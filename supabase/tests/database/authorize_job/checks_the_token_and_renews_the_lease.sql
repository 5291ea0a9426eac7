\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(17);

-- given a job that a workflow holds, and whose lease ends in a second
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
update marketplace.sync_jobs set lease_expires_at = now() + interval '1 second'
where id in (select job_id from held);
update marketplace.sync_rules set artifact_types = '{zip}', notify_integration_id = (
  select id from marketplace.integrations where slug = 'acme-backup'
), notify_channel = '#here' where name = 'Acme mirror';
create function pg_temp.authorize(p_token text default null) returns jsonb language sql as $$
  select marketplace.authorize_job(job_id, coalesce(p_token, token)) from held
$$;

-- when the workflow calls with its token
create temp table answer as select pg_temp.authorize() as body;

-- then
select is((select lease_expires_at from job), now() + interval '5 minutes', 'the lease is renewed');
select results_eq(
  $$ select body #>> '{job,id}', body #>> '{job,status}', (body #> '{job,attempt}')::int, body #>> '{job,lease_id}',
       (body #>> '{job,lease_expires_at}')::timestamptz from answer $$,
  $$ select job_id::text, 'running', 1, lease_id::text, now() + interval '5 minutes' from held $$,
  'it is told so, and which lease it holds'
);
select is((select (body -> 'event') - '{id,created_at}'::text[] from answer),
  '{"event_type": "file.added", "provider": "acme", "account": null, "resource_path": "files/a.txt", "occurred_at": null, "payload": {"size": 3}}',
  'the event, with its payload'
);
select is((select (body -> 'rule') - 'id' from answer),
  '{"name": "Acme mirror", "source_pattern": "files/**", "source_pattern_regex": "^files/.*$", "artifact_types": ["zip"],
    "destination_template": "{name}", "config": {}}',
  'the rule, its pattern as an expression, too'
);
select results_eq(
  $$ select body #>> '{source,slug}', body #>> '{source,base_url}',
       body #>> '{destination,slug}', body #>> '{notify,slug}', body #>> '{notify,channel}'
       from answer $$,
  $$ values ('acme-files', 'https://acme.example', 'acme-backup', 'acme-backup', '#here') $$,
  'where from, where to, whom to tell and where'
);
select is((select body -> 'artifacts' from answer), '[]', 'nothing is planned yet');
select is_empty(
  $$ select 1 from answer as a, held as h
       where a.body::text like '%' || h.token || '%' or a.body::text ~ 'credentials|token_hash' $$,
  'it is told neither its token nor a credential'
);

-- when a longer lease is running
update marketplace.sync_jobs set lease_expires_at = now() + interval '1 hour'
where id in (select job_id from held);
do $$ begin perform pg_temp.authorize(); end $$;
select is(
  (select lease_expires_at from job),
  now() + interval '1 hour', 'a lease is never cut short'
);

-- when the call is not its own
select throws_ok(
  $$ select marketplace.authorize_job('00000000-0000-4000-8000-000000000000', 'x') $$,
  'MK404', 'job 00000000-0000-4000-8000-000000000000 does not exist', 'an unknown job is named'
);
select throws_ok(
  $$ select pg_temp.authorize('mpj_wrong') $$,
  'MK401', null, 'a wrong token is refused'
);
select throws_ok(
  $$ select marketplace.authorize_job(job_id, null) from held $$,
  'MK401', null, 'so is none'
);
select throws_ok(
  $$ select marketplace.authorize_job(job_id, '') from held $$,
  'MK401', null, 'and an empty one'
);

-- when the lease has ended
update marketplace.sync_jobs set lease_expires_at = now() where id in (select job_id from held);
select throws_ok('select pg_temp.authorize()', 'MK409', null, 'a lease that ended is not renewed');
do $$ begin perform marketplace.reap_leases(1000); end $$;
select throws_ok('select pg_temp.authorize()', 'MK409', null, 'nor when the job was taken back');

-- when a second attempt runs
create temp table first as select token from held;
update marketplace.sync_jobs set run_at = now() where id in (select job_id from held);
delete from held;
insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
select throws_ok(
  'select pg_temp.authorize(token) from first',
  'MK401', null, 'the first one''s token is dead'
);

-- when the job is completed
do $$ begin perform marketplace.complete_job(job_id, lease_id) from held; end $$;
select results_eq(
  $$ select a #>> '{job,status}', a #> '{job,lease_id}' from pg_temp.authorize() as a $$, $$
       values ('completed', 'null'::jsonb) $$,
  'a completed job can still be read by its last attempt'
);

-- or dead
update marketplace.sync_jobs set status = 'dead', error_code = 'x'
where id in (select job_id from held);
select throws_ok('select pg_temp.authorize()', 'MK409', null, 'a dead one cannot');

select * from finish();
rollback;
