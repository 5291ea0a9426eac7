begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(13);

-- given an integration
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create temp view integration as select * from marketplace.integrations where slug = 'acme-files';

-- when a delivery arrives
create temp table first as
select o.* from integration as i, marketplace.ingest_events(
  array[i.id], array[i.config_version], array['delivery-1'], array['file.added'], array['files/a.txt'], array['octo'],
  array['2026-01-02 03:04:05+00'::timestamptz], array['{"x-id": "1"}'], array['{"size": 1}']
) as o;

-- then
select results_eq(
  'select ordinal, outcome from first',
  $$ values (1, 'stored') $$, 'a delivery is stored'
);
select results_eq(
  $$ select e.organization_id, e.integration_id, e.provider, e.event_type, e.resource_path, e.account, e.dedupe_key,
       e.occurred_at, e.headers, e.payload, e.correlation_id, e.processed
     from marketplace.webhook_events as e join first as f on f.event_id = e.id $$,
  $$ select i.organization_id, i.id, 'acme', 'file.added', 'files/a.txt', 'octo', 'delivery-1',
       '2026-01-02 03:04:05+00'::timestamptz, '{"x-id": "1"}'::jsonb, '{"size": 1}'::jsonb, f.correlation_id, false
     from integration as i, first as f $$,
  'with what it said, for the organization of its integration, waiting to be routed'
);
select isnt((select correlation_id from first), null, 'it has a correlation id');

-- when it is delivered again
create temp table second as
select o.* from integration as i, marketplace.ingest_events(
  array[i.id], array[i.config_version], array['delivery-1'], array['file.added'], array['files/a.txt'], array['octo'],
  array[null::timestamptz], array['{}'], array['{"size": 2}']
) as o;

-- then
select results_eq(
  'select outcome, event_id, correlation_id from second',
  $$ select 'duplicate', event_id, correlation_id from first $$,
  'a duplicate answers with the first one''s event'
);
select results_eq(
  $$ select e.payload from marketplace.webhook_events as e
       where e.integration_id = (select id from integration) $$,
  $$ values ('{"size": 1}'::jsonb) $$,
  'and changes nothing of it'
);
select is(
  (select duplicate_count from marketplace.webhook_deliveries where integration_id = (select id from integration)), 1,
  'it is counted'
);

-- when the same delivery id comes for another integration
do $$
begin
  perform marketplace.register_integration('acme-other', 'Other', 'acme', 'storage');
end
$$;
select is(
  (select o.outcome from marketplace.integrations as i, marketplace.ingest_events(
    array[i.id], array[i.config_version], array['delivery-1'], array['file.added'], array[''], array[null], array[null::timestamptz],
    array['{}'], array['{}']
  ) as o where i.slug = 'acme-other'),
  'stored', 'a delivery id is unique within its integration only'
);

-- when several come at once: a new one, the same one again, one that is known, and one of a stale configuration
create temp table batch as
select o.* from integration as i, marketplace.ingest_events(
  array[i.id, i.id, i.id, i.id],
  array[i.config_version, i.config_version, i.config_version, i.config_version - 1],
  array['delivery-2', 'delivery-2', 'delivery-1', 'delivery-3'],
  array['a', 'b', 'c', 'd'], array['', '', '', ''], array[null, null, null, null]::text[],
  array[null, null, null, null]::timestamptz[], array['{}', '{}', '{}', '{}'], array['{}', '{}', '{}', '{}']
) as o;

-- then
select results_eq(
  'select ordinal, outcome from batch',
  $$ values (1, 'stored'), (2, 'duplicate'), (3, 'duplicate'), (4, 'stale_config') $$,
  'each of a batch has an outcome of its own, in its order'
);
select is(
  (select count(distinct event_id) from batch where ordinal < 3)::int, 1,
  'copies within a batch are one event'
);
select results_eq(
  $$
    select d.dedupe_key, d.duplicate_count from marketplace.webhook_deliveries as d
    where d.integration_id = (select id from integration) and d.dedupe_key = 'delivery-2'
  $$,
  $$ values ('delivery-2', 1) $$, 'and copies within a batch are counted'
);
select results_eq(
  'select event_id from batch where ordinal = 3', 'select event_id from first',
  'a known one answers with its event'
);
select is(
  (select count(*) from marketplace.webhook_events where integration_id = (select id from integration))::int, 2,
  'two deliveries, two events'
);

-- when copies of one delivery were verified before and after a change of the configuration
select is(
  (select array_agg(o.outcome order by o.ordinal) from integration as i, marketplace.ingest_events(
    array[i.id, i.id, i.id], array[i.config_version - 1, i.config_version, i.config_version], array['delivery-4', 'delivery-4', 'delivery-4'],
    array['t', 't', 't'], array['', '', ''], array[null, null, null]::text[], array[null, null, null]::timestamptz[],
    array['{}', '{}', '{}'], array['{}', '{}', '{}']
  ) as o),
  '{stale_config,stored,duplicate}', 'the first that was verified after it is stored'
);

select * from finish();
rollback;
