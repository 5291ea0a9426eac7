\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given a rule with a job that runs and a job that waits
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id) select organization_id,
  rule_id, workflow_id
from job;
create temp view rule as select * from marketplace.sync_rules where name = 'Acme mirror';
create temp view waiting as select j.* from marketplace.sync_jobs as j
join rule as r on r.id = j.rule_id where j.status = 'pending';

-- when it is paused
select is(
  (select marketplace.pause_rule(id) from rule),
  1, 'a pause says how many jobs it holds back'
);
select is_empty(
  'select 1 from marketplace.claim_jobs(1000) where workflow_slug = ''acme-run''',
  'they are not started'
);
select is((select status from job), 'running', 'what runs goes on');
select is((select marketplace.pause_rule(id) from rule), 0, 'pausing twice is harmless');

-- when an event comes, or the running job fails
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key)
select i.organization_id, i.id, i.provider, 't', 'files/b', '2' from marketplace.integrations as i where i.slug = 'acme-files';
select null from pg_advisory_xact_lock(hashtext('marketplace.route_events'));
do $$
begin
  perform marketplace.route_events();
  perform marketplace.fail_job(job_id, lease_id, 'x') from held;
end
$$;
select is(
  (select array_agg(run_at) from waiting),
  array['infinity', 'infinity', 'infinity']::timestamptz[],
  'new jobs are made and retries kept, and wait, too'
);
select is(
  (select held from marketplace.v_job_queue where workflow = 'acme-run'),
  3::bigint, 'the queue shows them as held'
);

-- when it is resumed
select is((select marketplace.resume_rule(id) from rule), 3, 'resuming says how many it frees');
select is((select count(*) from waiting where run_at = now())::int, 3, 'they are due at once');
select is((select paused_at from rule), null, 'the rule is not paused any more');
select throws_ok(
  $$ select marketplace.pause_rule('00000000-0000-4000-8000-000000000000') $$,
  'MK404', null, 'an unknown rule is refused'
);
select throws_ok(
  $$ select marketplace.resume_rule(null) $$,
  'MK404', 'rule null does not exist', 'and named'
);

select * from finish();
rollback;
