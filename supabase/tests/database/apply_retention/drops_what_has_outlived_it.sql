-- serial: drops partitions, which every insert would wait for
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(15);

-- given
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.register_integration('acme-backup', 'Backup', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, destination_integration_id, workflow_id)
select 'Acme mirror', s.id, 'files/**', d.id, w.id
from marketplace.integrations as s, marketplace.integrations as d, marketplace.workflows as w
where s.slug = 'acme-files' and d.slug = 'acme-backup' and w.slug = 'acme-run';
create temp table today as select (now() at time zone 'UTC')::date as day;
create function pg_temp.partitions(p_table text) returns bigint language sql as $$
  select count(*) from pg_catalog.pg_inherits as i join pg_catalog.pg_class as c on c.oid = i.inhrelid
  where i.inhparent = ('marketplace.' || p_table)::regclass and c.relname < p_table || '_' || to_char(now() at time zone 'UTC', 'YYYYMMDD')
$$;
do $$
begin
  perform marketplace.apply_retention();
  perform marketplace._make_partition(t, day - n)
  from today, unnest(array['webhook_events', 'sync_job_attempts', 'execution_logs']) as t, unnest(array[29, 30, 31, 32]) as n;
end
$$;
create function pg_temp.apply() returns jsonb language sql as 'select marketplace.apply_retention()';

-- when thirty days have passed
create temp table done as select pg_temp.apply() as d;

-- then, by partition
select is(
  (select d - '{deliveries,jobs,rejection_counters,expired_secrets,cron_runs}'::text[] from done),
  '{"event_partitions": 2, "attempt_partitions": 2, "execution_partitions": 2}',
  'partitions that lie wholly behind the retention are dropped'
);
select is(pg_temp.partitions('webhook_events'), 2::bigint, 'the one in which it begins is kept');
select is(
  (select count(*) from pg_catalog.pg_class where relnamespace = 'marketplace'::regnamespace and relname in ('webhook_events_default', 'execution_logs_default'))::int,
  2, 'and the default ones'
);

-- given rows of each kind on either side of its retention
insert into marketplace.webhook_deliveries (integration_id, dedupe_key, event_id, correlation_id, received_at)
select gen_random_uuid(), 'retention', gen_random_uuid(), gen_random_uuid(), now() - age from unnest(array['29 days', '31 days', '32 days']::interval[]) as age;
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, status, finished_at, error_code, created_at)
select r.organization_id, r.id, r.workflow_id, j.status, now() - j.age, 'x', now() - interval '1 year'
from marketplace.sync_rules as r, (values ('completed', interval '89 days'), ('completed', '91 days'), ('dead', '91 days'), ('pending', null)) as j (status, age)
where r.name = 'Acme mirror';
insert into marketplace.webhook_rejections (provider, reason, minute)
values ('acme', 'x', now() - interval '6 days'), ('acme', 'x', now() - interval '8 days');
do $$
begin
  perform marketplace.set_integration_secret('acme-files', 'a', 'x'),
    marketplace.set_integration_secret('acme-files', 'b', 'y');
end
$$;
update marketplace.integration_secrets set valid_from = now() - interval '1 day', valid_until = now() - case purpose when 'a' then interval '2 hours' else interval '10 minutes' end
where integration_id = (select id from marketplace.integrations where slug = 'acme-files');
create temp table vaulted as select vault_secret_id as id, purpose
from marketplace.integration_secrets where purpose in ('a', 'b');
insert into marketplace.webhook_events_default (id, organization_id, integration_id, provider, event_type, dedupe_key, created_at)
select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'acme', 'retention', age::text, now() - age from unnest(array['28 days', '40 days']::interval[]) as age;

-- when
create temp table again as select pg_temp.apply() as d;

-- then, row by row
select is(
  (select (d -> 'deliveries')::int from again),
  2, 'delivery ids are forgotten after their retention'
);
select is(
  (select count(*) from marketplace.webhook_deliveries where dedupe_key = 'retention')::int,
  1, 'younger ones are kept'
);
select is(
  (select (d -> 'jobs')::int from again),
  2, 'jobs go when they have been finished for long'
);
select set_eq(
  $$ select j.status from marketplace.sync_jobs as j
       join marketplace.sync_rules as r on r.id = j.rule_id where r.name = 'Acme mirror' $$,
  array['completed', 'pending'],
  'younger ones are kept, and those that have not finished, however old'
);
select is((select (d -> 'rejection_counters')::int from again), 1, 'counters of refusals go');
select is(
  (select count(*) from marketplace.webhook_rejections where provider = 'acme')::int,
  1, 'younger ones are kept'
);
select is(
  (select (d -> 'expired_secrets')::int from again),
  1, 'secrets go an hour after their end'
);
select results_eq(
  'select v.purpose from vaulted as v join vault.secrets as s using (id)',
  array['b'], 'and leave Vault'
);
select results_eq(
  $$ select dedupe_key from marketplace.webhook_events where event_type = 'retention' $$,
  array['28 days'],
  'rows that were stranded in a default partition go, too'
);

-- when there is more than is deleted at once
update marketplace.sync_jobs set status = 'completed', finished_at = now() - interval '91 days'
where rule_id = (select id from marketplace.sync_rules where name = 'Acme mirror');
select is((select (marketplace.apply_retention(1) -> 'jobs')::int), 1, 'a run is bounded');
select is(
  (select (marketplace.apply_retention(1) -> 'jobs')::int),
  1, 'the rest goes with the next one'
);
select throws_ok(
  $$ update marketplace.settings set event_retention = '23 hours' $$,
  '23514', null, 'no retention is shorter than a day'
);

select * from finish();
rollback;
