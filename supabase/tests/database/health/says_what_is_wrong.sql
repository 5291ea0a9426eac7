\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given an empty queue
delete from marketplace.sync_jobs;
delete from marketplace.webhook_events;
select pg_temp.given_rule();

-- then
select is(
  marketplace.health(),
  '{"status": "ok", "reasons": [], "database": "ok",
    "queue": {"events_waiting": 0, "oldest_waiting_seconds": 0, "jobs_waiting": 0, "jobs_running": 0, "jobs_dead": 0}}',
  'an empty queue is healthy'
);

-- when an event has waited for a while
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload)
select i.organization_id, i.id, i.provider, 'file.added', 'files/a.txt', '1', '{"size": 3}'
from marketplace.integrations as i where i.slug = 'acme-files';
update marketplace.webhook_events set created_at = now() - interval '60 seconds';
select is(marketplace.health() ->> 'status', 'ok', 'a minute is no reason to worry');
select is(marketplace.health() -> 'queue' -> 'events_waiting', '1', 'but counted');
update marketplace.webhook_events set created_at = now() - interval '61 seconds';
select is(marketplace.health() ->> 'status', 'degraded', 'more than a minute is');
select is(
  marketplace.health() -> 'reasons',
  '["an event has waited 61 s for routing"]', 'and it says why'
);
select is(marketplace.health() #> '{queue,oldest_waiting_seconds}', '61', 'and since when');
update marketplace.webhook_events set processed = true, processed_at = now();

-- when a job has waited for five minutes
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, run_at)
select organization_id, id, workflow_id, now() - interval '301 seconds' from marketplace.sync_rules where name = 'Acme mirror';
select is(
  marketplace.health() -> 'reasons',
  '["a job has waited 301 s for dispatch"]', 'a job that nobody starts is a reason'
);
do $$ begin perform marketplace.pause_workflow('acme-run'); end $$;
select is(marketplace.health() ->> 'status', 'ok', 'but not while its workflow is paused');
do $$ begin perform marketplace.resume_workflow('acme-run'); end $$;

-- when jobs died
update marketplace.sync_jobs
set status = 'dead', finished_at = now() - interval '23 hours', error_code = 'x';
select is(
  marketplace.health() -> 'reasons',
  '["1 jobs died in the last 24 hours"]', 'so are dead jobs, for a day'
);
update marketplace.sync_jobs set replayed_at = now();
select is(marketplace.health() ->> 'status', 'ok', 'unless they were replayed');
update marketplace.sync_jobs set replayed_at = null, finished_at = now() - interval '25 hours';
select is(marketplace.health() ->> 'status', 'ok', 'and no longer');

-- when jobs run or wait for their time
update marketplace.sync_jobs
set status = 'pending', finished_at = null, run_at = now() + interval '1 hour';
select is(
  marketplace.health() #> '{queue,jobs_waiting}',
  '1', 'a job that waits for its time is counted'
);
update marketplace.sync_jobs set run_at = now();
do $$ begin perform marketplace.claim_jobs(); end $$;
select is(marketplace.health() #> '{queue,jobs_running}', '1', 'so is one that runs');

select * from finish();
rollback;
