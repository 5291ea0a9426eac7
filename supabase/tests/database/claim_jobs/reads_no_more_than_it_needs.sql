begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given plans that were made when there was nothing
do $$ begin perform marketplace.route_events(10), marketplace.claim_jobs(10), marketplace.reap_leases(), marketplace.next_due_at(); end $$;

-- and then a queue of 5,000 due jobs behind as many that are finished, held back, or not due yet
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint, completion, max_concurrency)
values ('acme-run', 'Run', 'http', 'https://acme.example/run', 'response', 1000);
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme run', i.id, w.id
from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
insert into marketplace.webhook_events (
  organization_id, integration_id, provider, event_type, dedupe_key, processed, processed_at
)
select i.organization_id, i.id, i.provider, 'file.added', n::text, n <= 5000, case when n <= 5000 then now() end
from marketplace.integrations as i, generate_series(1, 5100) as n
where i.slug = 'acme-files';
insert into marketplace.sync_jobs (
  organization_id, rule_id, workflow_id, event_id, event_created_at, status, run_at, finished_at
)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at,
  case when n <= 1000 then 'completed' else 'pending' end,
  case when n <= 2000 then now() when n <= 3000 then 'infinity' when n <= 4000 then now() + interval '1 hour' else now() end,
  case when n <= 1000 then now() end
from marketplace.sync_rules as r,
  (select e.id, e.created_at, row_number() over () as n from marketplace.webhook_events as e where e.processed and e.event_type = 'file.added') as e
where r.name = 'Acme run';

create function pg_temp.rows_read(p_table text) returns bigint language sql volatile as $$
  select coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)), 0)
  from pg_catalog.pg_stat_xact_user_tables as s
  where s.schemaname = 'marketplace' and s.relname ~ ('^' || p_table || '(_[0-9]+|_default)?$')
$$;
create temp table reading (name text, jobs bigint, events bigint, attempts bigint, did int);
create function pg_temp.measure(p_name text, p_do text) returns void language plpgsql as $$
declare
  v_jobs bigint := pg_temp.rows_read('sync_jobs');
  v_events bigint := pg_temp.rows_read('webhook_events');
  v_attempts bigint := pg_temp.rows_read('sync_job_attempts');
  v_did int;
begin
  execute p_do into v_did;
  insert into reading values (
    p_name, pg_temp.rows_read('sync_jobs') - v_jobs, pg_temp.rows_read('webhook_events') - v_events,
    pg_temp.rows_read('sync_job_attempts') - v_attempts, v_did
  );
end
$$;

-- when 10 are claimed, recorded and asked about, and 100 events routed
create temp table claimed (job_id uuid, lease_id uuid);
do $$
begin
  perform pg_temp.measure('claim', 'with c as (insert into claimed select job_id, lease_id from marketplace.claim_jobs(10) returning 1) select count(*) from c');
  perform pg_temp.measure('reap', 'select marketplace.reap_leases()');
  perform pg_temp.measure('look', 'select (marketplace.has_due_work() and marketplace.next_due_at() is not null)::int');
  perform pg_temp.measure('route', 'select events from marketplace.route_events(100)');
end
$$;
analyze marketplace.sync_jobs;
do $$
begin
  perform pg_temp.measure('record', $sql$
    select marketplace.record_dispatches(jsonb_agg(jsonb_build_object('job_id', job_id, 'lease_id', lease_id, 'outcome', 'delivered', 'status_code', 200)))
    from claimed
  $sql$);
end
$$;

-- then
select is((select did from reading where name = 'claim'), 10, 'the jobs are claimed');
select cmp_ok((select jobs from reading where name = 'claim'), '<=', 600::bigint, 'a claim looks at the head of the queue');
select cmp_ok((select events from reading where name = 'claim'), '<=', 20::bigint, 'and at the events of its jobs');
select is((select did from reading where name = 'record'), 10, 'the jobs are recorded');
select cmp_ok((select jobs + events + attempts from reading where name = 'record'), '<=', 200::bigint, 'a record looks at its jobs');
select cmp_ok((select jobs from reading where name = 'reap'), '<=', 10::bigint, 'the end of leases is looked up');
select is((select did from reading where name = 'look'), 1, 'something is due, and something later');
select cmp_ok((select jobs from reading where name = 'look'), '<=', 20::bigint, 'which takes a look at each end of the queue');
select is((select did from reading where name = 'route'), 100, 'the events are routed');
select cmp_ok((select events from reading where name = 'route'), '<=', 500::bigint, 'routing looks at the events that wait');

select * from finish();
rollback;
