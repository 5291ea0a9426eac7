\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given an event whose only job is completed
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
do $$ begin perform marketplace.complete_job(job_id, lease_id) from held; end $$;

-- and a rule that came later
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme later', r.source_integration_id, r.workflow_id from marketplace.sync_rules as r where r.name = 'Acme mirror';
create temp view event_job as
select r.name as rule, j.status, j.replay_of is not null as is_replay, j.correlation_id
from marketplace.sync_jobs as j join marketplace.sync_rules as r on r.id = j.rule_id
where j.event_id = (select event_id from job);

-- when the event is replayed
select is((select marketplace.replay_event(event_id) from job), 2, 'each rule has something to do');

-- then
select set_eq(
  'select rule, status, is_replay from event_job',
  $$ values ('Acme mirror', 'completed', false), ('Acme mirror', 'pending', true),
       ('Acme later', 'pending', false) $$,
  'a rule that had a job has it replayed; a rule that had none has one now'
);
select is(
  (select count(distinct correlation_id) from event_job)::int,
  1, 'all under one correlation id'
);
select is(
  (select marketplace.replay_event(event_id) from job),
  0, 'while they wait there is nothing to replay'
);

-- when a rule does not match any more
update marketplace.sync_rules set is_active = false where name = 'Acme later';
delete from marketplace.sync_jobs
where rule_id = (select id from marketplace.sync_rules where name = 'Acme later');
select is((select marketplace.replay_event(event_id) from job), 0, 'it makes no job');
select throws_ok(
  $$ select marketplace.replay_event('00000000-0000-4000-8000-000000000000') $$,
  'MK404',
  'event 00000000-0000-4000-8000-000000000000 does not exist',
  'an unknown event is named'
);

select * from finish();
rollback;
