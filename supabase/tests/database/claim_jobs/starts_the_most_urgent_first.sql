\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given a workflow that runs one job at once
select pg_temp.given_rule();
update marketplace.workflows set max_concurrency = 1 where slug = 'acme-run';
create function pg_temp.make_jobs(p_names text[], p_priority int default 0) returns void language sql as $$
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, priority, correlation_id)
  select r.organization_id, r.id, r.workflow_id, p_priority, md5(n.name)::uuid
  from marketplace.sync_rules as r, unnest(p_names) as n (name) where r.name = 'Acme mirror'
$$;
create function pg_temp.claim() returns text[] language sql as $$
  select coalesce(array_agg(n.name order by n.name), '{}') from marketplace.claim_jobs(1000) as c
  join unnest(string_to_array('a b c d e f g h', ' ')) as n (name) on md5(n.name)::uuid = c.correlation_id
$$;
create function pg_temp.claim_next() returns text language sql as $$
  update marketplace.sync_jobs
  set status = 'completed', finished_at = now(), lease_id = null, lease_expires_at = null, claimed_at = null
  where workflow_id = (select id from marketplace.workflows where slug = 'acme-run') and status = 'running';
  select (pg_temp.claim())[1]
$$;

-- when jobs of several priorities are due, one of them for a minute
do $$
begin
  perform pg_temp.make_jobs('{a,b}'), pg_temp.make_jobs('{c,d}', 3), pg_temp.make_jobs('{e}', -1), pg_temp.make_jobs('{f}');
end
$$;
update marketplace.sync_jobs set run_at = now() - interval '1 minute'
where correlation_id = md5('f')::uuid;

-- then
select is(
  pg_temp.claim_next(),
  'f', 'a job that has waited longer than the others'' head start is first'
);
select is(pg_temp.claim_next(), 'c', 'then the highest priority');
select is(pg_temp.claim_next(), 'd', 'among equals in the order in which they were made');
select is(pg_temp.claim_next(), 'a', 'then the ordinary ones');
select is(pg_temp.claim_next(), 'b', 'in their order');
select is(pg_temp.claim_next(), 'e', 'then the less urgent');
select is(pg_temp.claim_next(), null, 'then nothing');

select * from finish();
rollback;
