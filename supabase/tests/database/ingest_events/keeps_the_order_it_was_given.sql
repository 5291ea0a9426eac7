begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a rule whose jobs run one after the other for each account
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.workflows (slug, name, kind, endpoint) values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create temp view integration as select * from marketplace.integrations where slug = 'acme-files';
insert into marketplace.sync_rules (name, source_integration_id, workflow_id, concurrency_key)
select 'Acme', i.id, w.id, '{account}' from integration as i, marketplace.workflows as w where w.slug = 'acme-run';

-- when many come in one statement, under keys that sort otherwise
create temp table given as
select n, md5(n::text) as dedupe_key, case n % 3 when 0 then 'red' else 'blue' end as account
from generate_series(1, 300) as n;
create temp table outcome as
select o.* from (
  select
    array_agg(i.id order by g.n) as ids, array_agg(i.config_version order by g.n) as versions, array_agg(g.dedupe_key order by g.n) as keys,
    array_agg('file.changed'::text order by g.n) as types, array_agg('files/a.txt'::text order by g.n) as paths, array_agg(g.account order by g.n) as accounts,
    array_agg('2026-01-02 03:04:05+00'::timestamptz order by g.n) as times, array_agg('{}'::text order by g.n) as headers,
    array_agg(format('{"n": %s}', g.n) order by g.n) as payloads
  from given as g, integration as i
) as a
cross join lateral marketplace.ingest_events(a.ids, a.versions, a.keys, a.types, a.paths, a.accounts, a.times, a.headers, a.payloads) as o;
create temp view event as
select e.*, row_number() over (order by e.created_at, e.id) as place
from marketplace.webhook_events as e where e.integration_id = (select id from integration);

-- then
select is((select count(*)::int from outcome where outcome = 'stored'), 300, 'all are stored');
select is_empty('select place from event where place <> (payload ->> ''n'')::int', 'in the order in which they were given');
select is((select min(created_at) from event), now(), 'the first one at the time of the statement');

-- when they are routed, in several turns
do $$
begin
  for turn in 1..7 loop
    perform marketplace.route_events(50);
  end loop;
end
$$;
create temp view job as
select j.*, (e.payload ->> 'n')::int as n
from marketplace.sync_jobs as j
join event as e on e.id = j.event_id;

-- then
select is((select count(*)::int from job), 300, 'each becomes a job');
select is_empty(
  $$ select from job as a join job as b on b.concurrency_key = a.concurrency_key and b.n > a.n and b.position < a.position $$,
  'which run in that order within their key'
);

select * from finish();
rollback;
