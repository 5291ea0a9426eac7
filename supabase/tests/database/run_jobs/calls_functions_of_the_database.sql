\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(23);

-- given a rule whose workflow is a function that notes what it was called with
select pg_temp.given_rule();
create table public.acme_note (n int generated always as identity, path text, rule text, search_path text, seqscan text);
create function public.acme_keep(event marketplace.webhook_events, rule marketplace.sync_rules) returns jsonb
language plpgsql as $$
begin
  if event.payload ? 'poison' then
    raise exception 'not this one' using errcode = '22000';
  end if;
  insert into public.acme_note (path, rule, search_path, seqscan)
  values (event.resource_path, rule.name, current_setting('search_path'), current_setting('enable_seqscan'));
  return case when event.payload ? 'answer' then event.payload -> 'answer' end;
end $$;
update marketplace.workflows set kind = 'postgres', endpoint = 'public.acme_keep' where slug = 'acme-run';
create function pg_temp.add_jobs(p_paths text[], p_payload jsonb default '{}', p_key text default null) returns void language sql as $$
  with e as (
    insert into marketplace.webhook_events (
      organization_id, integration_id, provider, event_type, resource_path, dedupe_key, payload, processed, processed_at
    )
    select i.organization_id, i.id, i.provider, 'file.added', p.path, marketplace.uuid_v7()::text, p_payload, true, now()
    from marketplace.integrations as i, unnest(p_paths) as p (path) where i.slug = 'acme-files'
    returning *
  )
  insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, concurrency_key)
  select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, e.correlation_id, p_key
  from e, marketplace.sync_rules as r where r.name = 'Acme mirror' order by e.resource_path
$$;
create function pg_temp.state_of(p_path text) returns text language sql as $$
  select j.status from marketplace.sync_jobs as j join marketplace.webhook_events as e on e.id = j.event_id
  where e.resource_path = p_path
$$;

-- when its jobs are run
select pg_temp.add_jobs('{files/1,files/2}');
select pg_temp.add_jobs('{files/3}', '{"answer": {"kept": 3}}');
select results_eq('select * from marketplace.run_jobs()', $$ values ('acme-run', 3) $$, 'all that are due are run, and counted by workflow');
select results_eq(
  'select path, rule, search_path, seqscan from public.acme_note order by n',
  $$ values ('files/1', 'Acme mirror', '""', 'on'), ('files/2', 'Acme mirror', '""', 'on'), ('files/3', 'Acme mirror', '""', 'on') $$,
  'the function is called once for each, in their order, with event and rule, and none of our planner''s settings'
);
select results_eq(
  $$ select j.status, j.attempt_count, j.result, j.finished_at is not null, j.claimed_at is not null, j.lease_id
     from marketplace.sync_jobs as j order by j.position $$,
  $$ values
    ('completed', 1, '{}'::jsonb, true, true, null::uuid), ('completed', 1, '{}', true, true, null),
    ('completed', 1, '{"kept": 3}', true, true, null) $$,
  'the jobs are completed, with what it returned'
);
select results_eq(
  $$ select a.attempt, a.dispatch_outcome, a.result, a.ended_at >= a.started_at, j.claimed_at = a.started_at
     from marketplace.sync_job_attempts as a join marketplace.sync_jobs as j on j.id = a.job_id $$,
  $$ select 1, 'delivered', 'completed', true, true from generate_series(1, 3) $$,
  'each has an attempt'
);
select is_empty('select * from marketplace.run_jobs()', 'and nothing is run twice');

-- when one of them raises
select pg_temp.add_jobs('{files/4,files/5}');
select pg_temp.add_jobs('{files/6}', '{"poison": true}');
select is_empty('select * from marketplace.run_jobs()', 'one that raises undoes the others of its workflow');
select is((select count(*)::int from public.acme_note), 3, 'nothing of them is left');
select is(pg_temp.state_of('files/4') || pg_temp.state_of('files/6'), 'pendingpending', 'they wait for claim_jobs');
select is((select count(*)::int from marketplace.claim_jobs(10)), 3, 'which finds all of them');
update marketplace.sync_jobs set status = 'cancelled', finished_at = now(), lease_id = null, lease_expires_at = null where status = 'running';

-- when jobs share a key
select pg_temp.add_jobs('{files/7,files/8}', p_key => 'red');
-- by one statement, or by two where the machine is so slow that the first gives way
select is((select sum(jobs)::int from (select jobs from marketplace.run_jobs() union all select jobs from marketplace.run_jobs()) as ran), 2, 'jobs of a key are run one after the other');
select is((select array_agg(path order by n) from public.acme_note where n > 4 and path > 'files/6'), '{files/7,files/8}', 'in their order');

-- when the workflow must not run, or only so many
select pg_temp.add_jobs('{files/9a,files/9b,files/9c}');
create temp table hindrance (change text, undo text, why text);
insert into hindrance values
  ('is_active = false', 'is_active = true', 'a workflow that is switched off'),
  ('paused_at = now()', 'paused_at = null', 'a paused one'),
  ('breaker_state = ''open'', breaker_until = now()', 'breaker_state = ''closed'', breaker_until = null', 'one whose circuit is open'),
  ('kind = ''http''', 'kind = ''postgres''', 'one that is no function'),
  ('rate_per_second = 1, rate_tokens = 0, rate_refilled_at = clock_timestamp() + interval ''1 minute''', 'rate_per_second = null', 'one without a token of its rate');
create function pg_temp.run_with(p_change text, p_undo text) returns int language plpgsql as $$
declare
  v_ran int;
begin
  execute format('update marketplace.workflows set %s where slug = ''acme-run''', p_change);
  select coalesce(sum(r.jobs), 0) into v_ran from marketplace.run_jobs() as r;
  execute format('update marketplace.workflows set %s where slug = ''acme-run''', p_undo);
  return v_ran;
end $$;
select is(pg_temp.run_with(change, undo), 0, why || ' runs nothing') from hindrance;
update marketplace.workflows set max_concurrency = 1 where slug = 'acme-run';
update marketplace.sync_jobs set status = 'running', attempt_count = 1, claimed_at = now(), token_hash = 'x', lease_id = gen_random_uuid(), lease_expires_at = now() + interval '1 minute'
where id in (select id from marketplace.sync_jobs where status = 'pending' order by position limit 1);
select is_empty('select * from marketplace.run_jobs()', 'nor one that runs as many as it may already');
update marketplace.sync_jobs set status = 'pending', lease_id = null, lease_expires_at = null, claimed_at = null where status = 'running';
update marketplace.workflows set rate_per_second = 1, rate_tokens = 2, rate_refilled_at = clock_timestamp() + interval '1 minute' where slug = 'acme-run';
select results_eq('select * from marketplace.run_jobs()', $$ values ('acme-run', 1) $$, 'a bucket holds one second''s worth, and so many are run');
select results_eq($$ select rate_tokens from marketplace.workflows where slug = 'acme-run' $$, $$ values (0::numeric) $$, 'its tokens are spent');
update marketplace.workflows set rate_per_second = null, breaker_failures = 3 where slug = 'acme-run';
select results_eq('select * from marketplace.run_jobs(1)', $$ values ('acme-run', 1) $$, 'no more are run than asked for');
select results_eq($$ select breaker_failures from marketplace.workflows where slug = 'acme-run' $$, $$ values (0) $$, 'failures in a row have ended');

-- when a schedule has made the job, and the function has gone
update marketplace.sync_jobs set event_id = null, event_created_at = null where status = 'pending';
select lives_ok('select marketplace.run_jobs()', 'a job without an event is run');
select results_eq('select path, rule from public.acme_note order by n desc limit 1', $$ values (null::text, 'Acme mirror') $$, 'with none');

select * from finish();
rollback;
