\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given two organizations with jobs of every state: due, due with a head start, later, held, set aside, running, finished
select pg_temp.given_rules();
insert into marketplace.sync_jobs (
  organization_id, rule_id, workflow_id, status, run_at, priority, is_parked, concurrency_key,
  attempt_count, lease_id, lease_expires_at, claimed_at, token_hash, finished_at
)
select r.organization_id, r.id, r.workflow_id, j.status, j.run_at, j.priority, j.is_parked, case when j.is_parked then 'one' end,
  (j.status <> 'pending')::int,
  case when j.status = 'running' then gen_random_uuid() end, case when j.status = 'running' then now() + interval '1 minute' end,
  case when j.status = 'running' then now() end, case when j.status = 'running' then '\x00'::bytea end,
  case when j.status = 'completed' then now() end
from marketplace.sync_rules as r
cross join (values
  ('pending', now() - interval '1 minute', 0, false, 5), ('pending', now() - interval '3 minutes', 0, false, 4),
  ('pending', now() - interval '2 minutes', 1000, false, 3), ('pending', now() - interval '4 minutes', 0, true, 2),
  ('pending', now() + interval '1 hour', 0, false, 7), ('pending', 'infinity', 0, false, 6),
  ('running', now(), 0, false, 3), ('completed', now() - interval '1 hour', 0, false, 500)
) as j (status, run_at, priority, is_parked, count)
cross join lateral generate_series(1, case r.name when 'red-files' then j.count else 2 * j.count end)
where r.name in ('red-files', 'blue-files');
-- and one that waits for all of its jobs
insert into marketplace.workflows (organization_id, slug, name, kind, endpoint)
values (md5('red')::uuid, 'red-later', 'Later', 'http', 'https://acme.example');
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, run_at)
select r.organization_id, r.id, w.id, now() + interval '1 hour'
from marketplace.sync_rules as r, marketplace.workflows as w
where r.name = 'red-files' and w.slug = 'red-later';

create temp view plain with (security_invoker = true) as
select
  w.slug as workflow, count(*) filter (where j.status = 'pending') as pending,
  count(*) filter (where j.status = 'pending' and j.run_at = 'infinity') as held,
  count(*) filter (where j.status = 'pending' and j.run_at <= now()) as due,
  count(*) filter (where j.status = 'running') as running,
  min(j.run_at) filter (where j.status = 'pending' and j.run_at <= now()) as oldest_due_at
from marketplace.workflows as w
left join marketplace.sync_jobs as j on j.workflow_id = w.id
group by w.slug;
create temp view shown with (security_invoker = true) as
select q.workflow, q.pending, q.held, q.due, q.running, q.oldest_due_at from marketplace.v_job_queue as q;
-- what the view takes instead of the index while most of it is new
create temp view by_page with (security_invoker = true) as
select w.slug as workflow, p.pending, p.held, p.due, case when p.due > 0 then p.oldest_run_at end as oldest_due_at
from marketplace._count_waiting_by_page() as p
join marketplace.workflows as w on w.id = p.workflow_id;
create temp view waiting with (security_invoker = true) as
select workflow, pending, held, due, oldest_due_at from plain where pending > 0;
grant select on plain, shown, by_page, waiting to public;
create function pg_temp.jobs_read() returns bigint language sql volatile as $$
  select coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)), 0)::bigint
  from pg_catalog.pg_stat_xact_user_tables as s where s.schemaname = 'marketplace' and s.relname = 'sync_jobs'
$$;
create temp table reading (jobs bigint);
do $$
declare
  v_before bigint;
begin
  -- a first look may find what others have left, and that it is dead
  perform from by_page;
  v_before := pg_temp.jobs_read();
  perform from by_page;
  insert into reading select pg_temp.jobs_read() - v_before;
end
$$;

-- then
select results_eq(
  $$ select workflow, pending, held, due, running, now() - oldest_due_at from shown where workflow ~ '^(red|blue)-' order by 1 $$,
  $$ values
    ('blue-run', 54::bigint, 12::bigint, 28::bigint, 6::bigint, interval '4 minutes'), ('red-later', 1, 0, 0, 0, null),
    ('red-run', 27, 6, 14, 3, '4 minutes') $$,
  'each workflow''s jobs are counted by what they wait for'
);
select is(
  (select jobs from reading), (select sum(pending)::bigint from plain), 'counted by page, each waiting job is read once, and no finished one'
);
select pg_temp.become('the service role');
select set_eq('table shown', 'table plain', 'the service is shown what a plain count says');
select set_eq('table by_page', 'table waiting', 'counted by page it is the same');
select pg_temp.become('a viewer');
select set_eq('table shown', 'table plain', 'so is a member');
select set_eq('table by_page', 'table waiting', 'counted by page it is the same');
select set_eq('select workflow from by_page', array['red-run', 'red-later'], 'of the member''s organization only');
select pg_temp.become('a stranger');
select set_eq('table by_page', 'table waiting', 'a stranger is shown what is his');
select set_eq('select workflow from by_page', array['blue-run'], 'and nothing else');
select pg_temp.become('a newcomer');
select is_empty('table by_page', 'a newcomer is shown nothing');

select * from finish();
rollback;
