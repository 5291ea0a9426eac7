\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given a platform that knows where its functions are, and a bell that has been silent
do $$ begin perform marketplace.configure_platform('https://project.example/functions/v1/'); end $$;
update marketplace.dispatcher_state set rung_at = '-infinity', polling_until = '-infinity';
create temp table before as select coalesce(max(id), 0) as id from net.http_request_queue;
create temp view ring as select q.* from net.http_request_queue as q
where q.id > (select id from before);
delete from marketplace.sync_jobs;
delete from marketplace.webhook_events;
select pg_temp.given_rule();
create function pg_temp.has_work() returns boolean language sql as 'select marketplace.has_due_work()';

-- then
select ok(not pg_temp.has_work(), 'nothing is due when nothing is there');
select is(marketplace.sweep(), null, 'then a sweep rings nobody');

-- when an event waits
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', '{"size": 3}'
from marketplace.integrations as i where i.slug = 'acme-files';
select ok(pg_temp.has_work(), 'an event that waits is work');
select isnt(marketplace.sweep(), null, 'then a sweep rings');
update marketplace.webhook_events set processed = true, processed_at = now();
select ok(not pg_temp.has_work(), 'one that was routed is not');

-- when a job waits
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id) select organization_id,
  id, workflow_id
from marketplace.sync_rules where name = 'Acme mirror';
select ok(pg_temp.has_work(), 'a job that is due is work');
update marketplace.sync_jobs set run_at = now() + interval '1 second';
select ok(not pg_temp.has_work(), 'one whose time has not come is not');
update marketplace.sync_jobs set run_at = now();
update marketplace.workflows set paused_at = now() where slug = 'acme-run';
select ok(not pg_temp.has_work(), 'nor one of a paused workflow');
update marketplace.workflows
set paused_at = null, breaker_state = 'open', breaker_until = now() + interval '1 second'
where slug = 'acme-run';
select ok(not pg_temp.has_work(), 'nor one behind an open circuit');

-- when a job runs
update marketplace.workflows set breaker_state = 'closed', breaker_until = null
where slug = 'acme-run';
do $$ begin perform marketplace.claim_jobs(); end $$;
select ok(not pg_temp.has_work(), 'a job that runs is no work');
update marketplace.sync_jobs set lease_expires_at = now();
select ok(pg_temp.has_work(), 'but one whose lease has ended is');

select * from finish();
rollback;
