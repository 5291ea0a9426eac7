-- serial: locks the doorbell's table
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a bell that has been silent, and nothing to do
do $$ begin perform marketplace.configure_platform('https://project.example/functions/v1/'); end $$;
update marketplace.dispatcher_state set rung_at = '-infinity', polling_until = '-infinity';
delete from marketplace.sync_jobs;
delete from marketplace.webhook_events;
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.workflows (slug, name, kind, endpoint) values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme', i.id, w.id from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
create function pg_temp.ring_if_due() returns bigint language sql as 'select marketplace.ring_if_due()';

-- then
select is(pg_temp.ring_if_due(), null, 'when nothing is due, nobody is rung');

-- when a job waits
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
select organization_id, id, workflow_id from marketplace.sync_rules where name = 'Acme';
select isnt(pg_temp.ring_if_due(), null, 'a job that is due rings, and what was not due took no turn');
select is(pg_temp.ring_if_due(), null, 'but not again within 50 milliseconds');
update marketplace.dispatcher_state set rung_at = clock_timestamp() - interval '51 milliseconds';
select isnt(pg_temp.ring_if_due(), null, 'later it does');

-- when the dispatcher looks by itself
update marketplace.dispatcher_state set rung_at = '-infinity';
do $$ begin perform marketplace.mark_polling(5000); end $$;
select is(pg_temp.ring_if_due(), null, 'a dispatcher that is polling is not rung');

select * from finish();
rollback;
