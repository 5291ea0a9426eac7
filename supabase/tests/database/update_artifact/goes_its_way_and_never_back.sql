\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(40);

-- given a job that a workflow holds, with one artifact
select pg_temp.given_job();
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'acme-run';
create temp view job as select j.* from marketplace.sync_jobs as j join held as h on h.job_id = j.id;
create temp table artifact as
select p.id from held as h, marketplace.plan_artifacts(
  h.job_id, h.lease_id, '[{"source_ref": "1", "source_path": "files/a", "name": "a", "size_bytes": 3}]'
) as p;

-- and every step from one state to another, allowed or not
create temp table step (former text, next text, is_allowed boolean);
insert into step
select f.status, n.status, (f.status, n.status) in (
  ('planned', 'planned'), ('planned', 'transferring'), ('planned', 'failed'), ('planned', 'skipped'),
  ('transferring', 'transferring'), ('transferring', 'uploaded'), ('transferring', 'failed'),
  ('uploaded', 'uploaded'), ('uploaded', 'completed'), ('uploaded', 'failed'), ('uploaded', 'transferring'),
  ('completed', 'completed'),
  ('failed', 'failed'), ('failed', 'planned'), ('failed', 'transferring'),
  ('skipped', 'skipped')
)
from unnest(array['planned', 'transferring', 'uploaded', 'completed', 'failed', 'skipped']) as f (status),
  unnest(array['planned', 'transferring', 'uploaded', 'completed', 'failed', 'skipped']) as n (status);
create function pg_temp.try(p_former text, p_next text) returns text language plpgsql as $$
begin
  update marketplace.artifact_syncs
  set status = p_former, error_code = case when p_former in ('failed', 'skipped') then 'x' end,
    completed_at = case when p_former = 'completed' then now() end,
    destination_size_bytes = case when p_former = 'completed' then 3 end, destination_checksum = 'md5:1'
  where id = (select id from artifact);
  return (marketplace.update_artifact(
    h.job_id, h.lease_id, a.id, jsonb_build_object('status', p_next, 'destination_size_bytes', 3, 'destination_checksum', 'md5:1')
  )).status from held as h, artifact as a;
exception when sqlstate 'MK409' then
  return 'MK409';
end
$$;

-- then
select is(
  pg_temp.try(former, next), case when is_allowed then next else 'MK409' end,
  format('%s %s %s', former, case when is_allowed then 'becomes' else 'never becomes' end, next)
)
from step;

-- a step says what it is about
update marketplace.artifact_syncs set status = 'planned', completed_at = null, error_code = null
where id = (select id from artifact);
select throws_ok(
  $$ select marketplace.update_artifact(h.job_id, h.lease_id, a.id, '{"status": "completed"}')
       from held as h, artifact as a $$,
  'MK409', format('artifact %s is planned and cannot become ''completed''', (select id from artifact)), 'a refusal names both states'
);
select throws_ok(
  $$ select marketplace.update_artifact(h.job_id, h.lease_id, a.id, '{"status": "nonsense"}')
       from held as h, artifact as a $$,
  'MK409', null, 'an unknown state is refused'
);
select throws_ok(
  $$ select marketplace.update_artifact(h.job_id, gen_random_uuid(), a.id, '{"status": "transferring"}')
       from held as h, artifact as a $$,
  'MK409', null, 'who does not hold the job changes nothing'
);
select throws_ok(
  $$ select marketplace.update_artifact(h.job_id, h.lease_id, gen_random_uuid(), '{"status": "transferring"}')
       from held as h $$,
  'MK404', null, 'an artifact of another job is unknown'
);

select * from finish();
rollback;
