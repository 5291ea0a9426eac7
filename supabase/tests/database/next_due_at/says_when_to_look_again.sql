begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given a workflow, and nothing to do
delete from marketplace.sync_jobs;
delete from marketplace.webhook_events;
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.workflows (slug, name, kind, endpoint) values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme', i.id, w.id from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
create function pg_temp.next_due_in() returns interval language sql as 'select marketplace.next_due_at() - now()';

-- then
select is(pg_temp.next_due_in(), null, 'nothing is planned');

-- when jobs wait
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
select organization_id, id, workflow_id from marketplace.sync_rules where name = 'Acme';
select is(pg_temp.next_due_in(), null, 'what is due already is not planned');
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, run_at)
select r.organization_id, r.id, r.workflow_id, t.run_at
from marketplace.sync_rules as r, unnest(array[now() + interval '9 seconds', now() + interval '3 seconds', 'infinity']) as t (run_at)
where r.name = 'Acme';
select is(pg_temp.next_due_in(), '3 seconds', 'the next retry is');

-- when the workflow has a rate
update marketplace.workflows set rate_per_second = 0.5, rate_tokens = 0.2, rate_refilled_at = now() where slug = 'acme-run';
select is(pg_temp.next_due_in(), '1.6 seconds', 'so is the next token of a rate that jobs wait for');
update marketplace.workflows set rate_tokens = 1 where slug = 'acme-run';
select is(pg_temp.next_due_in(), '3 seconds', 'a token that is there is not waited for');

-- when its circuit is open
update marketplace.workflows
set rate_per_second = null, breaker_state = 'open', breaker_until = now() + interval '5 seconds' where slug = 'acme-run';
select is(pg_temp.next_due_in(), '5 seconds', 'nothing happens before a circuit''s next probe');
update marketplace.workflows set paused_at = now() where slug = 'acme-run';
select is(pg_temp.next_due_in(), null, 'nor while the workflow is paused');
update marketplace.workflows set paused_at = null, breaker_state = 'closed', breaker_until = null where slug = 'acme-run';

-- when a job runs
do $$ begin perform marketplace.claim_jobs(); end $$;
update marketplace.sync_jobs set lease_expires_at = now() + interval '2 seconds' where status = 'running';
select is(pg_temp.next_due_in(), '2 seconds', 'the end of a lease is planned');
update marketplace.sync_jobs set lease_expires_at = now() where status = 'running';
select is(pg_temp.next_due_in(), '3 seconds', 'one that has ended is due');

-- when only what a paused rule holds back is left
delete from marketplace.sync_jobs where run_at < 'infinity';
select is(pg_temp.next_due_in(), null, 'what is held back is not planned');

select * from finish();
rollback;
