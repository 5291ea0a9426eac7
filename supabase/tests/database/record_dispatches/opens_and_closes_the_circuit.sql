\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(15);

-- given a workflow whose circuit opens at the third failure, and a job
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
update marketplace.workflows
set breaker_threshold = 3, breaker_cooldown = '1 minute', max_concurrency = 9
where slug = 'acme-run';
create temp view circuit as select * from marketplace.workflows where slug = 'acme-run';
create function pg_temp.record(p_outcome text, p_status int) returns void language plpgsql as $$
begin
  update marketplace.sync_jobs set status = 'pending', run_at = now(), attempt_count = 0, finished_at = null,
    lease_id = null, lease_expires_at = null, claimed_at = null where id in (select job_id from held);
  delete from held;
  insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
  perform marketplace.record_dispatches(jsonb_build_array(jsonb_build_object(
    'job_id', h.job_id, 'lease_id', h.lease_id, 'outcome', p_outcome, 'status_code', p_status, 'duration_ms', 1
  ))) from held as h;
end
$$;

-- when dispatches fail
do $$ begin perform pg_temp.record('failed', 500), pg_temp.record('unknown', null); end $$;
select results_eq(
  'select breaker_state, breaker_failures from circuit',
  $$ values ('closed', 2) $$, 'failures and silences are counted'
);
do $$ begin perform pg_temp.record('delivered', 202); end $$;
select results_eq(
  'select breaker_state, breaker_failures from circuit',
  $$ values ('closed', 0) $$, 'a delivery starts the count anew'
);
do $$ begin perform pg_temp.record('failed', 404), pg_temp.record('failed', 400); end $$;
select results_eq(
  'select breaker_failures from circuit',
  array[0], 'a refusal is the workflow''s answer, no failure of its host'
);
do $$
begin
  perform pg_temp.record('failed', 500), pg_temp.record('failed', 429),
    pg_temp.record('failed', null);
end
$$;
select results_eq(
  'select breaker_state, breaker_failures from circuit',
  $$ values ('open', 3) $$, 'the third in a row opens the circuit'
);
select ok(
  (select breaker_until between clock_timestamp() + interval '50 seconds' and clock_timestamp() + interval '70 seconds' from circuit),
  'for the cooldown'
);

-- when the probe fails
update marketplace.workflows set breaker_until = now() where slug = 'acme-run';
do $$ begin perform pg_temp.record('failed', 500); end $$;
select results_eq(
  'select breaker_state from circuit',
  array['open'], 'a failed probe opens the circuit again'
);
select ok(
  (select breaker_until between clock_timestamp() + interval '110 seconds' and clock_timestamp() + interval '130 seconds' from circuit),
  'for twice as long'
);
update marketplace.workflows set breaker_until = now() where slug = 'acme-run';
do $$ begin perform pg_temp.record('failed', 500); end $$;
select ok(
  (select breaker_until between clock_timestamp() + interval '230 seconds' and clock_timestamp() + interval '250 seconds' from circuit),
  'and twice as long again'
);
update marketplace.workflows set breaker_openings = 20, breaker_until = now()
where slug = 'acme-run';
do $$ begin perform pg_temp.record('failed', 500); end $$;
select ok(
  (select breaker_until between clock_timestamp() + interval '29 minutes' and clock_timestamp() + interval '31 minutes' from circuit),
  'but never longer than half an hour'
);

-- when the probe is refused
update marketplace.workflows set breaker_until = now() where slug = 'acme-run';
do $$ begin perform pg_temp.record('failed', 400); end $$;
select results_eq(
  'select breaker_state from circuit',
  array['half_open'], 'a refused probe proves nothing: the next one is let through'
);

-- when the probe gets through
update marketplace.workflows set breaker_state = 'open', breaker_failures = 3, breaker_until = now()
where slug = 'acme-run';
do $$ begin perform pg_temp.record('delivered', 202); end $$;
select results_eq(
  'select breaker_state, breaker_failures, breaker_openings, breaker_until from circuit', $$ values ('closed', 0, 0, null::timestamptz) $$,
  'a delivered probe closes it'
);
do $$
begin
  perform pg_temp.record('failed', 500), pg_temp.record('failed', 500),
    pg_temp.record('failed', 500);
end
$$;
select ok(
  (select breaker_until between clock_timestamp() + interval '50 seconds' and clock_timestamp() + interval '70 seconds' from circuit),
  'and the next opening is a short one again'
);

-- when the endpoint is gone
update marketplace.workflows
set breaker_state = 'closed', breaker_failures = 0, breaker_until = null where slug = 'acme-run';
do $$ begin perform pg_temp.record('failed', 410); end $$;
select results_eq(
  'select is_active, disabled_reason from circuit', $$ values (false, 'The endpoint answered 410 Gone.') $$,
  'a workflow whose endpoint answers 410 is switched off, and says so'
);
select is((select status from job), 'dead', 'its job is dead');
select is_empty(
  'select 1 from marketplace.claim_jobs(1000) where workflow_slug = ''acme-run''',
  'and no other is started'
);

select * from finish();
rollback;
