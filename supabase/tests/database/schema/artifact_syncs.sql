begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(26);

-- given an artifact
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme mirror', i.id, w.id from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, correlation_id)
select r.organization_id, r.id, r.workflow_id, md5('given')::uuid from marketplace.sync_rules as r where r.name = 'Acme mirror';
insert into marketplace.artifact_syncs (
  organization_id, job_id, rule_id, source_integration_id, correlation_id, source_ref, source_path, name, size_bytes
)
select j.organization_id, j.id, j.rule_id, r.source_integration_id, j.correlation_id, '1', 'files/a', 'a', 3
from marketplace.sync_jobs as j join marketplace.sync_rules as r on r.id = j.rule_id where j.correlation_id = md5('given')::uuid;

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('status = ''lost''', 'artifact_syncs_status_check', 'an artifact is planned, on its way, uploaded, completed, failed or skipped'),
  ('size_bytes = -1', 'artifact_syncs_size_bytes_check', 'a size is not negative'),
  ('transferred_bytes = -1', 'artifact_syncs_transferred_bytes_check', 'nor is what was transferred'),
  ('destination_size_bytes = -1', 'artifact_syncs_destination_size_bytes_check', 'nor is what arrived'),
  ('sha256 = repeat(''A'', 64)', 'artifact_syncs_sha256_check', 'a checksum is written in lower case'),
  ('transferred_sha256 = ''abc''', 'artifact_syncs_transferred_sha256_check', 'and whole'),
  ('transferred_md5 = repeat(''a'', 64)', 'artifact_syncs_transferred_md5_check', 'an MD5 is one'),
  ('status = ''completed'', completed_at = now(), destination_checksum = ''md5:1''', 'artifact_syncs_completed_is_proven_check', 'a copy is completed with its size'),
  ('status = ''completed'', completed_at = now(), destination_size_bytes = 3', 'artifact_syncs_completed_is_proven_check', 'and its checksum'),
  ('status = ''completed'', destination_size_bytes = 3, destination_checksum = ''md5:1''', 'artifact_syncs_completed_is_proven_check', 'and says when'),
  ('status = ''completed'', completed_at = now(), destination_size_bytes = 2, destination_checksum = ''md5:1''', 'artifact_syncs_size_matches_check', 'a copy is as long as its source'),
  ('status = ''failed''', 'artifact_syncs_failed_has_reason_check', 'what failed says why'),
  ('status = ''skipped''', 'artifact_syncs_failed_has_reason_check', 'so does what was skipped'),
  ('error_code = ''x''', 'artifact_syncs_failed_has_reason_check', 'what goes well has no error'),
  ('error_message = ''x''', 'artifact_syncs_failed_has_reason_check', 'nor words for one'),
  ('kind = ''x''', 'artifact_syncs_kind_check', 'it is of a known kind'),
  ('result = ''[]''', 'artifact_syncs_result_check', 'what it became is an object'),
  ('is_final = true', 'artifact_syncs_final_has_failed_check', 'only a failure is final'),
  ('kind = ''task'', status = ''completed'', completed_at = now()', 'artifact_syncs_completed_is_proven_check', 'a task is done when it has an id'),
  ('kind = ''table'', status = ''completed'', completed_at = now()', 'artifact_syncs_completed_is_proven_check', 'a table is done when its rows are counted');
select throws_ok(
  format('update marketplace.artifact_syncs set %s where correlation_id = md5(''given'')::uuid', change),
  '23514', format('new row for relation "artifact_syncs" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.artifact_syncs'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select results_eq(
  $$ select status, content_type, destination_path, destination_integration_id
       from marketplace.artifact_syncs where correlation_id = md5('given')::uuid $$,
  $$ values ('planned', 'application/octet-stream', '', null::uuid) $$,
  'an artifact is planned, of bytes'
);
select throws_ok(
  $$ insert into marketplace.artifact_syncs (organization_id, job_id, rule_id, source_integration_id, correlation_id, source_ref, source_path, name)
     select organization_id, job_id, rule_id, source_integration_id, gen_random_uuid(), source_ref, 'x', 'x'
     from marketplace.artifact_syncs where correlation_id = md5('given')::uuid $$,
  '23505', null, 'a job moves an artifact once'
);
select throws_ok(
  $$ update marketplace.artifact_syncs set job_id = gen_random_uuid()
       where correlation_id = md5('given')::uuid $$,
  '23503', null, 'its job exists'
);
select lives_ok(
  $$ update marketplace.artifact_syncs
     set status = 'completed', completed_at = now(), size_bytes = null, destination_size_bytes = 7, destination_checksum = 'md5:1'
     where correlation_id = md5('given')::uuid $$,
  'where the source does not say how long it is, what arrived counts'
);
delete from marketplace.sync_jobs where correlation_id = md5('given')::uuid;
select is_empty(
  $$ select id from marketplace.artifact_syncs where correlation_id = md5('given')::uuid $$,
  'artifacts go with their job'
);

select * from finish();
rollback;
