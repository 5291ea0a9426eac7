\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.event_minutes (minute, organization_id, provider, event_type, event_count, job_count)
select now(), id, 'acme', 't', 1, 0 from marketplace.organizations where slug in ('red', 'blue');

select pg_temp.check_access(
  'event_minutes', 'job_count = job_count',
  $$ insert into marketplace.event_minutes (minute, organization_id, provider, event_type, event_count, job_count)
     values (now(), md5('red')::uuid, 'acme', 'more', 1, 0) $$
);

select * from finish();
rollback;
