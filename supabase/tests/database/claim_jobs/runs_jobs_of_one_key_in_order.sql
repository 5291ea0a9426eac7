\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given jobs of two keys and one without
select pg_temp.given_rule();
create function pg_temp.make_jobs(p_names text[], p_priority int default 0) returns void language sql as $$
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, priority, correlation_id)
  select r.organization_id, r.id, r.workflow_id, p_priority, md5(n.name)::uuid
  from marketplace.sync_rules as r, unnest(p_names) as n (name) where r.name = 'Acme mirror'
$$;
create function pg_temp.claim() returns text[] language sql as $$
  select coalesce(array_agg(n.name order by n.name), '{}') from marketplace.claim_jobs(1000) as c
  join unnest(string_to_array('a b c d e f g h', ' ')) as n (name) on md5(n.name)::uuid = c.correlation_id
$$;
create function pg_temp.end_job(p_name text, p_status text) returns void language sql as $$
  update marketplace.sync_jobs
  set status = p_status, finished_at = case when p_status <> 'pending' then now() end, error_code = 'x', run_at = now() + interval '1 minute',
    lease_id = null, lease_expires_at = null, claimed_at = null
  where correlation_id = md5(p_name)::uuid
$$;
do $$
begin
  perform pg_temp.make_jobs('{a,b,c}'), pg_temp.make_jobs('{d}', 9), pg_temp.make_jobs('{e,f}');
end
$$;
update marketplace.sync_jobs set concurrency_key = 'red'
where correlation_id in (md5('a')::uuid, md5('b')::uuid, md5('d')::uuid);
update marketplace.sync_jobs set concurrency_key = 'blue'
where correlation_id in (md5('c')::uuid, md5('e')::uuid);

-- then
select is(pg_temp.claim(), '{a,c,f}', 'one job of each key starts, and those without one');
select is(pg_temp.claim(), '{}', 'the next of a key waits while one runs');
do $$ begin perform pg_temp.end_job('c', 'completed'); end $$;
select is(pg_temp.claim(), '{e}', 'it starts when that one is completed');
do $$ begin perform pg_temp.end_job('a', 'pending'); end $$;
select is(pg_temp.claim(), '{}', 'a job that waits for its retry is not overtaken');
do $$ begin perform pg_temp.end_job('a', 'dead'); end $$;
select is(pg_temp.claim(), '{b}', 'a dead one holds nobody up');
select is(pg_temp.claim(), '{}', 'priority does not overtake within a key');
do $$ begin perform pg_temp.end_job('b', 'cancelled'); end $$;
select is(pg_temp.claim(), '{d}', 'nor does a cancelled one');

-- when the workflow runs two of a key at once
update marketplace.workflows set max_per_key = 2 where slug = 'acme-run';
do $$ begin perform pg_temp.make_jobs('{g,h}'); end $$;
update marketplace.sync_jobs set concurrency_key = 'red'
where correlation_id in (md5('g')::uuid, md5('h')::uuid);
select is(pg_temp.claim(), '{g}', 'a second one starts beside the first');
select is(pg_temp.claim(), '{}', 'but no third');
do $$ begin perform pg_temp.end_job('d', 'completed'); end $$;
select is(pg_temp.claim(), '{h}', 'until one of them has ended');

select * from finish();
rollback;
