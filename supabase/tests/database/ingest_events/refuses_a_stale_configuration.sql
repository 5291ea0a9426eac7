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
create temp table verified as select id, config_version from marketplace.integrations
where slug = 'acme-files';
create function pg_temp.ingest(p_key text) returns text language sql as $$
  select o.outcome from verified as v, marketplace.ingest_events(
    array[v.id], array[v.config_version], array[p_key], array['t'], array[''], array[null], array[null::timestamptz], array['{}'], array['{}']
  ) as o
$$;

-- when, then
select is(pg_temp.ingest('1'), 'stored', 'what was verified with the settings of now is stored');

do $$ begin perform marketplace.rotate_integration_secret('acme-files', 'webhook', 'new'); end $$;
select is(
  pg_temp.ingest('2'),
  'stale_config', 'what was verified before a rotation has to be verified again'
);
select is(pg_temp.ingest('1'), 'stale_config', 'even if it is known already');
select is(
  (select count(*) from marketplace.webhook_deliveries as d join verified as v on v.id = d.integration_id)::int, 1,
  'a refused delivery does not claim its id'
);

update marketplace.integrations set status = 'inactive' where slug = 'acme-files';
update verified
set config_version = (select config_version from marketplace.integrations where slug = 'acme-files');
select is(pg_temp.ingest('3'), 'stale_config', 'an inactive integration stores nothing');

update verified set id = gen_random_uuid();
select is(pg_temp.ingest('4'), 'stale_config', 'nor does one that does not exist');

select * from finish();
rollback;
