\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given a job that a workflow holds
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create function pg_temp.plan(p_artifacts jsonb) returns setof marketplace.artifact_syncs language sql as $$
  select p.* from held as h, marketplace.plan_artifacts(h.job_id, h.lease_id, p_artifacts) as p
$$;

-- when it plans two artifacts, and one to skip
create temp table planned as select * from pg_temp.plan('[
  {"source_ref": "1", "source_path": "files/a", "name": "a", "content_type": "text/plain", "size_bytes": 3, "sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "destination_path": "x/a"},
  {"source_ref": "2", "source_path": "files/b", "name": "b"},
  {"source_ref": "3", "source_path": "files/c", "name": "c", "skip_reason": "expired"}
]');

-- then
select results_eq(
  'select source_ref, source_path, name, content_type, size_bytes, destination_path, status, error_message from planned order by 1',
  $$ values
    ('1', 'files/a', 'a', 'text/plain', 3::bigint, 'x/a', 'planned', null),
    ('2', 'files/b', 'b', 'application/octet-stream', null, '', 'planned', null),
    ('3', 'files/c', 'c', 'application/octet-stream', null, '', 'skipped', 'expired') $$,
  'each artifact is a row that waits, or is skipped with its reason'
);
select is(
  (select sha256 from planned where source_ref = '1'),
  repeat('a', 64), 'a checksum is kept in lower case'
);
select is_empty(
  $$ select p.id from planned as p, job as j join marketplace.sync_rules as r on r.id = j.rule_id
     where (p.organization_id, p.job_id, p.rule_id, p.source_integration_id, p.destination_integration_id, p.correlation_id)
       is distinct from (j.organization_id, j.id, r.id, r.source_integration_id, r.destination_integration_id, j.correlation_id) $$,
  'it belongs to the job, its rule and its correlation id'
);

-- when one was completed, one failed, and the plan is made again by the next attempt
do $$
begin
  update marketplace.artifact_syncs set status = 'completed', destination_ref = 'd1', destination_size_bytes = 3, destination_checksum = 'md5:1', completed_at = now()
  where id = (select id from planned where source_ref = '1');
  update marketplace.artifact_syncs set status = 'failed', error_code = 'x', error_message = 'y', destination_ref = 'd2'
  where id = (select id from planned where source_ref = '2');
end
$$;
create temp table again as select * from pg_temp.plan('[
  {"source_ref": "1", "source_path": "files/a", "name": "a", "size_bytes": 99}, {"source_ref": "2", "source_path": "files/b", "name": "b", "size_bytes": 5},
  {"source_ref": "3", "source_path": "files/c", "name": "c"}
]');

-- then
select set_eq('select id from again', 'select id from planned', 'no artifact is there twice');
select results_eq(
  $$ select status, destination_ref, size_bytes from again where source_ref = '1' $$, $$
       values ('completed', 'd1', 3::bigint) $$,
  'what is completed stays as it is'
);
select results_eq(
  $$ select status, destination_ref, size_bytes, error_code, error_message from again
       where source_ref = '2' $$,
  $$ values ('planned', 'd2', 5::bigint, null, null) $$,
  'what failed begins anew, at the destination it already has'
);
select results_eq(
  $$ select status from again where source_ref = '3' $$,
  array['planned'], 'what was skipped can be planned'
);

-- when the job is replayed
update marketplace.sync_jobs
set status = 'completed', finished_at = now(), lease_id = null, lease_expires_at = null,
  claimed_at = null
where id in (select job_id from held);
do $$ begin perform marketplace.replay_job(job_id) from held; end $$;
delete from held;
insert into held select * from marketplace.claim_jobs(1000) where workflow_slug = 'acme-run';
select results_eq(
  $$ select destination_ref, status
       from pg_temp.plan('[{"source_ref": "1", "source_path": "files/a", "name": "a", "destination_path": "x/a"}]') $$,
  $$ values ('d1', 'planned') $$,
  'a replay writes to the object that is there already, not beside it'
);

-- what cannot be planned
select throws_ok(
  $$ select pg_temp.plan('{}') $$,
  'MK400', 'artifacts is not a JSON array', 'a plan is a list'
);
select throws_ok($$ select pg_temp.plan(null) $$, 'MK400', null, 'nor is nothing one');
select throws_ok(
  $$ select pg_temp.plan('[{"source_ref": "1", "source_path": "p"}]') $$,
  '23502',
  null,
  'an artifact has a name'
);
select throws_ok(
  $$ select marketplace.plan_artifacts(job_id, gen_random_uuid(), '[]') from held $$,
  'MK409',
  null,
  'who does not hold the job plans nothing'
);

select * from finish();
rollback;
