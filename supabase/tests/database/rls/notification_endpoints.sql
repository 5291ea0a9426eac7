\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_rules();
do $$
begin
  perform
    marketplace.add_notification_endpoint('https://red.example', array['*'], '', 'red'),
    marketplace.add_notification_endpoint('https://blue.example', array['*'], '', 'blue');
end
$$;

select pg_temp.check_access(
  'notification_endpoints', 'description = description',
  $$ insert into marketplace.notification_endpoints (organization_id, url, event_types, workflow_id, rule_id)
     select organization_id, 'https://more.example', array['*'], workflow_id, id
     from marketplace.sync_rules where name = 'red-files' $$
);

select * from finish();
rollback;
