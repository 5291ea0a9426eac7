-- serial: makes partitions, which every insert would wait for
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(14);

-- given
create temp view partition as
select p.relname::text as parent, c.relname::text as name, c.oid, c.relrowsecurity
from pg_catalog.pg_inherits as i
join pg_catalog.pg_class as c on c.oid = i.inhrelid
join pg_catalog.pg_class as p on p.oid = i.inhparent
where p.relnamespace = 'marketplace'::regnamespace and p.relkind = 'p';
create temp table far as select (now() at time zone 'UTC')::date + 100 as day,
  to_char((now() at time zone 'UTC')::date + 100, 'YYYYMMDD') as suffix;
create function pg_temp.store(p_at timestamptz) returns uuid language sql as $$
  insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at)
  values (gen_random_uuid(), gen_random_uuid(), 'acme', 't', p_at::text, p_at) returning id
$$;

-- then, what the migrations have made
select is_empty(
  $$ select t || '_' || to_char((now() at time zone 'UTC')::date + n, 'YYYYMMDD')
     from unnest(array['webhook_events', 'sync_job_attempts', 'execution_logs']) as t, generate_series(0, 6) as n
     except select name from partition $$,
  'each partitioned table has its partitions of a week'
);
select set_eq(
  $$ select name from partition where name like '%\_default' $$,
  array['webhook_events_default', 'sync_job_attempts_default', 'execution_logs_default'],
  'and a default one, so that nothing is refused'
);
select is_empty(
  'select name from partition where not relrowsecurity',
  'row level security is on for each of them'
);

-- when rows come for a day that has no partition
create temp table stray as select pg_temp.store(day + n * interval '1 hour') as id
from far, generate_series(0, 2) as n;
create temp table neighbour as select pg_temp.store(day - interval '1 second') as id from far
union all select pg_temp.store(day + interval '1 day') from far;
create temp view lies_in as
select e.id, e.tableoid::regclass::text as name from marketplace.webhook_events as e where e.id in (select id from stray union select id from neighbour);
select set_eq(
  'select distinct name from lies_in',
  array['marketplace.webhook_events_default'], 'the default one takes them'
);

-- when its partition is made
select ok(
  (select marketplace._make_partition('webhook_events', day) from far),
  'a missing partition is made'
);
select set_eq(
  'select distinct l.name from lies_in as l join stray as s using (id)', (select array['marketplace.webhook_events_' || suffix] from far),
  'the rows of its day move in'
);
select set_eq(
  'select distinct l.name from lies_in as l join neighbour as n using (id)', array['marketplace.webhook_events_default'],
  'those of other days stay where they are'
);
select is((select count(*) from lies_in)::int, 5, 'none is lost');
select ok(
  not (select marketplace._make_partition('webhook_events', day) from far),
  'a partition is made once'
);
select is(
  (select count(*) from pg_catalog.pg_index as i join partition as p on p.oid = i.indrelid join far as f on p.name = 'webhook_events_' || f.suffix),
  (select count(*) from pg_catalog.pg_index as i where i.indrelid = 'marketplace.webhook_events'::regclass),
  'it has every index of its parent'
);
insert into stray select pg_temp.store(day + interval '5 hours') from far;
select is(
  (select count(*) from lies_in join far on name = 'marketplace.webhook_events_' || suffix)::int, 4, 'what comes later goes there'
);

-- when more are to stand ready
update marketplace.settings set partitions_ahead = 9;
select cmp_ok(marketplace.ensure_partitions(), '>=', 6, 'for two days more, of three tables');
select is(marketplace.ensure_partitions(), 0, 'once they stand ready there is nothing to make');
select throws_ok(
  'update marketplace.settings set partitions_ahead = 0',
  '23514', null, 'at least one day stands ready'
);

select * from finish();
rollback;
