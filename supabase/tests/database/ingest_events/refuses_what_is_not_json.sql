begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given an integration
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create function pg_temp.ingest(p_headers text, p_payload text) returns text language sql as $$
  select string_agg(o.outcome, ' ') from marketplace.integrations as i, marketplace.ingest_events(
    array[i.id, i.id], array[i.config_version, i.config_version], array['good', 'bad'], array['t', 't'], array['', ''],
    array[null, null]::text[], array[null, null]::timestamptz[], array['{}', p_headers], array['{}', p_payload]
  ) as o
  where i.slug = 'acme-files'
$$;

-- when, then
select throws_ok(
  $$ select pg_temp.ingest('{}', '{"a": 1') $$,
  '22P02', null, 'a broken payload is refused'
);
select throws_ok(
  $$ select pg_temp.ingest('not json', '{}') $$,
  '22P02', null, 'so are broken headers'
);
select throws_ok(
  $$ select pg_temp.ingest('{}', '{"a": "\u0000"}') $$,
  '22P05',
  null,
  'so is a NUL, which jsonb cannot hold'
);
select is_empty(
  $$ select e.id from marketplace.webhook_events as e join marketplace.integrations as i on i.id = e.integration_id
     where i.slug = 'acme-files' $$,
  'then nothing of the batch is stored'
);
select is_empty(
  $$ select d.dedupe_key from marketplace.webhook_deliveries as d join marketplace.integrations as i on i.id = d.integration_id
     where i.slug = 'acme-files' $$,
  'and no delivery id is claimed'
);
select is(pg_temp.ingest('{}', '{"a": 1}'), 'stored stored', 'so that a repaired batch is stored');

select * from finish();
rollback;
