\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given a workflow that runs two jobs at once
select pg_temp.given_rule();
update marketplace.workflows set max_concurrency = 2 where slug = 'acme-run';
create function pg_temp.make_jobs(p_names text[], p_priority int default 0) returns void language sql as $$
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, priority, correlation_id)
  select r.organization_id, r.id, r.workflow_id, p_priority, md5(n.name)::uuid
  from marketplace.sync_rules as r, unnest(p_names) as n (name) where r.name = 'Acme mirror'
$$;
create function pg_temp.claim() returns text[] language sql as $$
  select coalesce(array_agg(n.name order by n.name), '{}') from marketplace.claim_jobs(1000) as c
  join unnest(string_to_array('a b c d e f g h', ' ')) as n (name) on md5(n.name)::uuid = c.correlation_id
$$;
create function pg_temp.finish_all() returns void language sql as $$
  update marketplace.sync_jobs
  set status = 'completed', finished_at = now(), lease_id = null, lease_expires_at = null, claimed_at = null
  where workflow_id = (select id from marketplace.workflows where slug = 'acme-run') and status = 'running'
$$;

-- concurrency
do $$ begin perform pg_temp.make_jobs('{a,b,c}'); end $$;
select is(pg_temp.claim(), '{a,b}', 'a workflow starts as many jobs as it runs at once');
select is(pg_temp.claim(), '{}', 'and no more while they run');
do $$ begin perform pg_temp.finish_all(); end $$;
select is(pg_temp.claim(), '{c}', 'the next one starts when one has finished');

-- time
do $$ begin perform pg_temp.finish_all(), pg_temp.make_jobs('{d}'); end $$;
update marketplace.sync_jobs set run_at = now() + interval '1 second' where status = 'pending';
select is(pg_temp.claim(), '{}', 'a job is not started before its time');
update marketplace.sync_jobs set run_at = now() where status = 'pending';

-- switches
update marketplace.workflows set is_active = false where slug = 'acme-run';
select is(pg_temp.claim(), '{}', 'a workflow that is switched off starts nothing');
update marketplace.workflows set is_active = true, paused_at = now() where slug = 'acme-run';
select is(pg_temp.claim(), '{}', 'nor does one that is paused');
update marketplace.workflows
set paused_at = null, breaker_state = 'open', breaker_until = now() + interval '1 second'
where slug = 'acme-run';
select is(pg_temp.claim(), '{}', 'nor one whose circuit is open');
update marketplace.workflows set breaker_until = now() where slug = 'acme-run';
do $$ begin perform pg_temp.make_jobs('{e}'); end $$;
select is(pg_temp.claim(), '{d}', 'when its time is over, one probe is let through');
select is(
  (select breaker_state from marketplace.workflows where slug = 'acme-run'),
  'half_open', 'the circuit is half open then'
);
select is(pg_temp.claim(), '{}', 'and nothing follows before the probe is answered');

-- rate
do $$ begin perform pg_temp.finish_all(), pg_temp.make_jobs('{f,g}'); end $$;
update marketplace.workflows
set breaker_state = 'closed', breaker_until = null, max_concurrency = 10, rate_per_second = 2, rate_tokens = 2, rate_refilled_at = now()
where slug = 'acme-run';
select is(
  cardinality(pg_temp.claim()),
  2, 'a workflow with a rate starts as many jobs as its bucket holds'
);
select is(pg_temp.claim(), '{}', 'and none when it is empty');
update marketplace.workflows set rate_refilled_at = now() - interval '0.5 seconds'
where slug = 'acme-run';
select is(cardinality(pg_temp.claim()), 1, 'the bucket fills with time');

select * from finish();
rollback;
