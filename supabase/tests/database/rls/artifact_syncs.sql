\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_jobs();
insert into marketplace.artifact_syncs (organization_id, job_id, rule_id, source_integration_id, correlation_id, source_ref, source_path, name)
select j.organization_id, j.id, j.rule_id, r.source_integration_id, j.correlation_id, '1', 'files/a', 'a'
from marketplace.sync_jobs as j join marketplace.sync_rules as r on r.id = j.rule_id
where r.name in ('red-files', 'blue-files');

select pg_temp.check_access(
  'artifact_syncs', 'name = name',
  $$ insert into marketplace.artifact_syncs (organization_id, job_id, rule_id, source_integration_id, correlation_id, source_ref, source_path, name)
     select organization_id, job_id, rule_id, source_integration_id, correlation_id, '2', 'files/b', 'b'
     from marketplace.artifact_syncs where organization_id = md5('red')::uuid $$
);

select * from finish();
rollback;
