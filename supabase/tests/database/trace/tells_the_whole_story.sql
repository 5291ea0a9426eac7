\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(8);

-- given a job whose first attempt was lost and whose second one copied a file
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
do $$
begin
  update marketplace.sync_jobs set lease_expires_at = now() where id = (select job_id from held);
  perform marketplace.reap_leases(1000);
  update marketplace.sync_jobs set run_at = now() where id = (select job_id from held);
end
$$;
create temp table second as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp table artifact as
select p.id, p.name from second as s, marketplace.plan_artifacts(s.job_id, s.lease_id, '[
  {"source_ref": "1", "source_path": "files/a", "name": "a", "size_bytes": 3, "destination_path": "x/a"},
  {"source_ref": "2", "source_path": "files/b", "name": "b", "skip_reason": "expired"}
]') as p;
do $$
begin
  perform marketplace.record_dispatches(jsonb_build_array(jsonb_build_object('job_id', job_id, 'lease_id', lease_id, 'outcome', 'delivered', 'status_code', 202, 'duration_ms', 5)))
  from second;
  perform marketplace.update_artifact(s.job_id, s.lease_id, a.id, '{"status": "transferring"}') from second as s, artifact as a where a.name = 'a';
  perform marketplace.update_artifact(s.job_id, s.lease_id, a.id, '{"status": "uploaded"}') from second as s, artifact as a where a.name = 'a';
  perform marketplace.update_artifact(s.job_id, s.lease_id, a.id, '{"status": "completed", "destination_size_bytes": 3, "destination_checksum": "md5:1"}') from second as s, artifact as a where a.name = 'a';
  insert into marketplace.execution_logs
    (organization_id, integration_id, caller, job_id, correlation_id, action, outcome, status_code, duration_ms)
  select i.organization_id, i.id, 'job', s.job_id, j.correlation_id, x.action, 'succeeded', 200, x.duration_ms
  from second as s
  join marketplace.sync_jobs as j on j.id = s.job_id
  cross join (values ('acme-backup', 'chat.postMessage', 7), ('acme-files', 'files.get', 8)) as x (integration, action, duration_ms)
  join marketplace.integrations as i on i.slug = x.integration;
  perform marketplace.complete_job(job_id, lease_id) from second;
end
$$;

update marketplace.sync_rules set notify_integration_id = destination_integration_id
where name = 'Acme mirror';

-- and that each step took its time
create temp table started as select now() - interval '12 seconds' as at;
update marketplace.webhook_events as e set created_at = s.at, receive_ms = 20, verify_ms = 5, processed = true, processed_at = s.at + interval '1 s', job_count = 1
from started as s, job as j where e.id = j.event_id;
update marketplace.sync_jobs as j
set event_created_at = s.at, created_at = s.at + interval '1 s',
  finished_at = s.at + interval '30 s'
from started as s, held as h where j.id = h.job_id;
update marketplace.sync_job_attempts as a
set started_at = s.at + case a.attempt when 1 then interval '2 s' else interval '10 s' end,
  ended_at = s.at + case a.attempt when 1 then interval '9 s' else interval '30 s' end
from started as s, held as h where a.job_id = h.job_id;
update marketplace.artifact_syncs as a
set created_at = s.at + interval '12 s', started_at = s.at + interval '13 s',
  completed_at = case when a.status = 'completed' then s.at + interval '20 s' end
from started as s, held as h where a.job_id = h.job_id;
update marketplace.execution_logs as x set created_at = s.at + interval '25 s'
from started as s, held as h where x.job_id = h.job_id;

-- then
create temp table story as select row_number() over () as n, t.*
from job as j, marketplace.trace(j.correlation_id) as t;
select results_eq(
  'select extract(epoch from t.at - s.at)::numeric(5, 3), t.stage, t.subject from story as t, started as s order by t.n',
  $$ values
    (-0.025, 'received', 'file.added'),
    (-0.005, 'verified', 'file.added'),
    (0.000, 'stored', 'file.added'),
    (1.000, 'routed', 'file.added'),
    (2.000, 'claimed', 'acme-run'),
    (9.000, 'lease_lost', 'acme-run'),
    (10.000, 'claimed', 'acme-run'),
    (10.005, 'dispatched', 'acme-run'),
    (12.000, 'planned', 'a'),
    (12.000, 'skipped', 'b'),
    (20.000, 'copied', 'a'),
    (25.000, 'notified', 'chat.postMessage'),
    (25.000, 'executed', 'files.get'),
    (30.000, 'reported', 'acme-run'),
    (30.000, 'completed', 'Acme mirror') $$,
  'from the delivery to the verified copy, in order, failures included'
);
select results_eq(
  $$ select stage, duration_ms from story
       where stage in ('received', 'verified', 'routed', 'lease_lost', 'dispatched', 'copied', 'notified', 'completed')
       order by n $$,
  $$ values ('received', 20.0), ('verified', 5.0), ('routed', 1000.0), ('lease_lost', 7000.0),
       ('dispatched', 5.0), ('copied', 7000.0), ('notified', 7.0), ('completed', 29000.0) $$,
  'with how long each step took'
);
select is((select detail - 'event_id' from story where stage = 'stored'),
  '{"provider": "acme", "delivery": "1", "account": null, "resource_path": "files/a.txt"}',
  'what was delivered'
);
select is((select detail - 'job_id' from story where stage = 'copied'),
  '{"destination": "acme-backup", "path": "x/a", "size_bytes": 3, "checksum": "md5:1"}',
  'what was copied where, and its proof'
);
select is(
  (select detail ->> 'error' from story where stage = 'skipped'),
  'expired', 'why something was not'
);
select is_empty(
  $$ select 1 from story, held as h, second as s
       where detail::text like '%' || h.token || '%' or detail::text like '%' || s.token || '%'
       or detail::text like '%token%' $$,
  'no token is told'
);
select is_empty(
  $$ select 1 from marketplace.trace('00000000-0000-4000-8000-000000000000') $$,
  'an unknown id has no story'
);

-- when it runs once more
do $$ begin perform marketplace.replay_job(j.id) from job as j; perform marketplace.claim_jobs(1000); end $$;
select results_eq(
  $$ select t.stage, t.detail ->> 'attempt' from job as j, marketplace.trace(j.correlation_id) as t where t.detail ? 'replay_of' $$,
  $$ values ('claimed', '1') $$,
  'an attempt that is on its way to its workflow is told of as well'
);

select * from finish();
rollback;
