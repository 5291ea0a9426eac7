\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given a job that a workflow holds, with one artifact of three bytes
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create temp table artifact as
select p.id from held as h, marketplace.plan_artifacts(
  h.job_id, h.lease_id, '[{"source_ref": "1", "source_path": "files/a", "name": "a", "size_bytes": 3}]'
) as p;
create function pg_temp.change(p_changes jsonb) returns marketplace.artifact_syncs language sql as $$
  select marketplace.update_artifact(h.job_id, h.lease_id, a.id, p_changes) from held as h, artifact as a
$$;
create temp view health as
select slug, health_status, error_message from marketplace.integrations where slug in ('acme-files', 'acme-backup');

-- when it is transferred
select is(
  (pg_temp.change('{"status": "transferring", "destination_ref": "d1"}')).started_at,
  now(), 'a transfer says when it began'
);
select results_eq(
  $$ select transferred_bytes, transferred_sha256, transferred_md5, destination_ref
     from pg_temp.change(jsonb_build_object('status', 'uploaded', 'transferred_bytes', 3, 'transferred_sha256', repeat('A', 64), 'transferred_md5', repeat('B', 32))) $$,
  $$ values (3::bigint, repeat('a', 64), repeat('b', 32), 'd1') $$,
  'what the workflow saw is kept, and what was known already'
);

-- when it is verified
select throws_ok(
  $$ select pg_temp.change('{"status": "completed"}') $$,
  '23514',
  null,
  'a copy is not completed without size and checksum'
);
select throws_ok(
  $$ select pg_temp.change('{"status": "completed", "destination_size_bytes": 2, "destination_checksum": "md5:1"}') $$,
  '23514', null, 'nor with another size than the source''s'
);
select is(
  (pg_temp.change('{"status": "completed", "destination_size_bytes": 3, "destination_checksum": "md5:1"}')).status, 'completed',
  'it is with both'
);
select isnt(
  (select completed_at from marketplace.artifact_syncs where id = (select id from artifact)),
  null, 'and says when'
);
select results_eq(
  $$ select health_status, error_message from health where slug = 'acme-backup' $$,
  $$ values ('healthy', null) $$,
  'its destination is healthy then'
);

-- when a transfer fails at the destination
update marketplace.artifact_syncs set status = 'transferring', completed_at = null
where id = (select id from artifact);
select results_eq(
  $$ select status, error_code, error_message
       from pg_temp.change('{"status": "failed", "error_code": "upload_failed", "error_message": "full"}') $$,
  $$ values ('failed', 'upload_failed', 'full') $$,
  'a failure has a reason'
);
select results_eq(
  $$ select health_status, error_message from health where slug = 'acme-backup' $$,
  $$ values ('degraded', 'full') $$,
  'which the destination shows'
);
do $$ begin perform pg_temp.change('{"status": "transferring"}'); end $$;
select is(
  (select error_code from marketplace.artifact_syncs where id = (select id from artifact)), null, 'a new try forgets the former failure'
);

-- when it fails at the source
do $$ begin perform pg_temp.change('{"status": "failed", "error_code": "download_failed"}'); end $$;
select results_eq(
  $$ select health_status, error_message from health where slug = 'acme-files' $$, $$
       values ('degraded', 'download_failed') $$,
  'a failed download is the source''s'
);

-- what cannot be changed
select throws_ok(
  $$ select pg_temp.change('{"organization_id": "x"}') $$,
  'MK400',
  'artifact field ''organization_id'' cannot be changed',
  'other fields are refused'
);
select is(
  (pg_temp.change('{"destination_ref": "d2"}')).error_code, 'download_failed', 'a change without a state leaves state and reason alone'
);

select * from finish();
rollback;
