\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given that no dispatcher is routing just now
select null from pg_advisory_xact_lock(hashtext('marketplace.route_events'));

-- given two rules of a source, one of them with a priority and attempts of its own
select pg_temp.given_rule();
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id, priority, max_attempts)
select 'Acme urgent', r.source_integration_id, 'files/*.txt', r.workflow_id, 7, 9
from marketplace.sync_rules as r where r.name = 'Acme mirror';

-- and three events: one that both want, one that only the first wants, one that nobody wants
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key)
select i.organization_id, i.id, i.provider, 'file.added', e.path, e.path
from marketplace.integrations as i, unnest(array['files/a.txt', 'files/b.zip', 'other']) as e (path)
where i.slug = 'acme-files';
create temp view event as
select e.* from marketplace.webhook_events as e join marketplace.integrations as i on i.id = e.integration_id
where i.slug = 'acme-files';
create temp view job as
select e.resource_path, r.name as rule, e.correlation_id as event_correlation_id, e.created_at as event_made_at, j.*
from marketplace.sync_jobs as j
join event as e on e.id = j.event_id
join marketplace.sync_rules as r on r.id = j.rule_id;

-- when they are routed
do $$ begin perform marketplace.route_events(); end $$;

-- then
select set_eq(
  'select resource_path, rule from job',
  $$ values ('files/a.txt', 'Acme mirror'), ('files/a.txt', 'Acme urgent'),
       ('files/b.zip', 'Acme mirror') $$,
  'each event has one job for each rule that it matches'
);
select results_eq(
  $$ select resource_path, job_count, processed from event order by resource_path $$,
  $$ values ('files/a.txt', 2, true), ('files/b.zip', 1, true), ('other', 0, true) $$,
  'each event is marked, with how many jobs it made, even if none'
);
select is_empty($$ select id from event where processed_at is null $$, 'and when');
select is_empty(
  $$ select id from job
       where status <> 'pending' or run_at <> now() or attempt_count <> 0 or lease_id is not null $$,
  'its jobs are due at once and held by nobody'
);
select is_empty(
  $$ select id from job
       where correlation_id <> event_correlation_id or event_created_at <> event_made_at $$,
  'they carry on the event''s correlation id and say in which partition it lies'
);
select results_eq(
  'select distinct rule, priority, max_attempts from job order by rule',
  $$ values ('Acme mirror', 0, 3), ('Acme urgent', 7, 9) $$,
  'priority and attempts are the rule''s, else the workflow''s'
);
select is_empty(
  $$ select j.id from job as j join marketplace.sync_rules as r on r.id = j.rule_id
       where j.organization_id <> r.organization_id $$,
  'they belong to the organization of the rule'
);

-- when routing happens again
select results_eq(
  'select * from marketplace.route_events()',
  'select 0, 0', 'nothing is left to route'
);
-- or an event comes up again, its mark lost
update marketplace.webhook_events set processed = false, processed_at = null
where id in (select id from event);
do $$ begin perform marketplace.route_events(); end $$;
select is((select count(*) from job)::int, 3, 'an event that is routed twice makes no second job');

-- when there is more than one batch
update marketplace.webhook_events set processed = false, processed_at = null
where id in (select id from event);
select results_eq('select events from marketplace.route_events(2)', array[2], 'a batch is bounded');
select results_eq(
  'select events from marketplace.route_events(2)',
  array[1], 'the rest comes with the next one'
);

select * from finish();
rollback;
