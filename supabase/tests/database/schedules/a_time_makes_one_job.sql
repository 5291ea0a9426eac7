begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(20);

-- given a rule with a schedule
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$ begin perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'); end $$;
insert into marketplace.workflows (slug, name, kind, endpoint, max_attempts) values ('acme-run', 'Run', 'http', 'https://acme.example/run', 7);
update marketplace.sync_rules set is_active = false where schedule is not null;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id, schedule, concurrency_key)
select 'Nightly', i.id, w.id, '0 3 * * *', '{integration}' from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
create temp view nightly as select * from marketplace.sync_rules where name = 'Nightly';
create temp view job as select j.* from marketplace.sync_jobs as j where j.rule_id = (select id from nightly);

-- then
select is((select next_run_at from nightly), marketplace._next_run('0 3 * * *', now()), 'its next time is known');
select is(marketplace.make_scheduled_jobs(), 0, 'before it, there is nothing to do');

-- when the time has come
update marketplace.sync_rules set next_run_at = now() - interval '1 second' where name = 'Nightly';
create temp table due as select next_run_at from nightly;
select is(marketplace.make_scheduled_jobs(), 1, 'a job is made');
select results_eq(
  'select event_id, scheduled_at, status, max_attempts, concurrency_key, run_at <= now() from job',
  $$ select null::uuid, next_run_at, 'pending', 7, 'acme-files', true from due $$, 'without an event, due at once'
);
select cmp_ok((select next_run_at from nightly), '>', now(), 'and the next time is planned');
select is(marketplace.make_scheduled_jobs(), 0, 'once');

-- when two sweepers have read the same time
update marketplace.sync_rules set next_run_at = (select next_run_at from due) where name = 'Nightly';
update marketplace.sync_jobs set status = 'completed', finished_at = now() where id in (select id from job);
select is(marketplace.make_scheduled_jobs(), 0, 'a time makes no second job');
select is((select count(*) from job)::int, 1, 'there is one');

-- when nobody has swept for days
update marketplace.sync_rules set next_run_at = now() - interval '5 days' where name = 'Nightly';
select is(marketplace.make_scheduled_jobs(), 1, 'the times that were missed are one');
select cmp_ok((select next_run_at from nightly), '>', now(), 'and the next is to come');

-- when the last job has not begun
update marketplace.sync_rules set next_run_at = now() - interval '1 minute' where name = 'Nightly';
select is(marketplace.make_scheduled_jobs(), 0, 'one that waits would do what the next one would');
update marketplace.sync_jobs set status = 'completed', finished_at = now() where id in (select id from job) and status = 'pending';

-- when the rule is paused, or inactive
update marketplace.sync_rules set next_run_at = now() - interval '2 minutes', paused_at = now() where name = 'Nightly';
do $$ begin perform marketplace.make_scheduled_jobs(); end $$;
select is((select run_at from job where status = 'pending'), 'infinity', 'of a paused rule it waits');
delete from marketplace.sync_jobs where id in (select id from job);
update marketplace.sync_rules set next_run_at = now() - interval '3 minutes', paused_at = null, is_active = false where name = 'Nightly';
select is(marketplace.make_scheduled_jobs(), 0, 'of an inactive one none is made');
update marketplace.sync_rules set is_active = true where name = 'Nightly';
select cmp_ok((select next_run_at from nightly), '>', now(), 'switched on again, it begins with the next time');

-- when the schedule changes
update marketplace.sync_rules set schedule = '*/5 * * * *' where name = 'Nightly';
select is((select next_run_at from nightly), marketplace._next_run('*/5 * * * *', now()), 'so does its next time');
select throws_ok($$ update marketplace.sync_rules set schedule = '61 * * * *' where name = 'Nightly' $$, 'MK422', null, 'one that cannot be read is refused');
update marketplace.sync_rules set schedule = null where name = 'Nightly';
select is((select next_run_at from nightly), null, 'without one there is none');

-- when events come
update marketplace.sync_rules set schedule = '0 3 * * *' where name = 'Nightly';
create function pg_temp.matches() returns int language sql as $$
  select count(*)::int from marketplace.integrations as i, marketplace._matching_rules(i.id, 'file.changed', 'files/a', '{}')
  where i.slug = 'acme-files'
$$;
select is(pg_temp.matches(), 0, 'a rule that names no event is for its schedule alone');
update marketplace.sync_rules set event_types = '{file.*}' where name = 'Nightly';
select is(pg_temp.matches(), 1, 'one that names some has both');

-- when the job is claimed, then it has no event
update marketplace.sync_rules set next_run_at = now() - interval '1 second' where name = 'Nightly';
do $$ begin perform marketplace.make_scheduled_jobs(); end $$;
select is(
  (select (c.body -> 'event')::jsonb from marketplace.claim_jobs() as c where c.workflow_slug = 'acme-run'), 'null', 'a workflow is told that there is none'
);

select * from finish();
rollback;
