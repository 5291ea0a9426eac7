\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given that no dispatcher is routing just now
select null from pg_advisory_xact_lock(hashtext('marketplace.route_events'));

-- given a rule that absorbs, per account
select pg_temp.given_rule();
update marketplace.sync_rules set absorbs = true, concurrency_key = '{account}'
where name = 'Acme mirror';
create temp view event as
select e.* from marketplace.webhook_events as e join marketplace.integrations as i on i.id = e.integration_id
where i.slug = 'acme-files';
create temp view job as
select j.concurrency_key as account, j.absorbed_count, j.status, e.dedupe_key as event, j.id
from marketplace.sync_jobs as j join event as e on e.id = j.event_id;
create function pg_temp.arrive(p_keys text[], p_account text) returns void language sql as $$
  insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key, account, created_at)
  select i.organization_id, i.id, i.provider, 'file.changed', 'files/a', k.key, p_account, now() + k.n * interval '1 ms'
  from marketplace.integrations as i, unnest(p_keys) with ordinality as k (key, n)
  where i.slug = 'acme-files'
$$;

-- when several events of two accounts are routed at once
do $$
begin
  perform pg_temp.arrive('{a1,a2,a3}', 'ann'), pg_temp.arrive('{b1}', 'bob');
  perform marketplace.route_events();
end
$$;

-- then
select results_eq(
  'select account, event, absorbed_count from job order by account',
  $$ values ('ann', 'a3', 2), ('bob', 'b1', 0) $$,
  'each account has one job: for its latest event, which stands for the others'
);
select results_eq(
  'select dedupe_key, job_count, absorbed_by is not null from event order by dedupe_key',
  $$ values ('a1', 0, true), ('a2', 0, true), ('a3', 1, false), ('b1', 1, false) $$,
  'the others say which job took them in'
);
select is_empty(
  $$ select e.id from event as e
       where e.absorbed_by is not null
       and e.absorbed_by not in (select id from job where account = 'ann') $$,
  'a job of their own account'
);

-- when more come while the job waits
do $$
begin
  perform pg_temp.arrive('{a4,a5}', 'ann');
  perform marketplace.route_events();
end
$$;

-- then
select results_eq(
  'select account, event, absorbed_count from job order by account',
  $$ values ('ann', 'a5', 4), ('bob', 'b1', 0) $$,
  'the waiting job takes them in, and works on the latest'
);
select is_empty(
  $$ select id from event where dedupe_key in ('a4', 'a5') and absorbed_by is null $$, 'both say so'
);

-- when the job has begun
do $$
begin
  perform marketplace.claim_jobs(1000);
  perform pg_temp.arrive('{a6}', 'ann');
  perform marketplace.route_events();
end
$$;

-- then
select results_eq(
  $$ select event, status, absorbed_count from job where account = 'ann' order by event $$,
  $$ values ('a5', 'running', 4), ('a6', 'pending', 0) $$,
  'a job that has begun absorbs nothing: the next one waits behind it'
);
select is_empty(
  'select 1 from marketplace.claim_jobs(1000) where workflow_slug = ''acme-run''',
  'and is not started beside it'
);

-- when an event comes for a rule that does not absorb
update marketplace.sync_rules set absorbs = false where name = 'Acme mirror';
do $$
begin
  perform pg_temp.arrive('{a7,a8}', 'ann');
  perform marketplace.route_events();
end
$$;
select is(
  (select count(*) from job where account = 'ann')::int,
  4, 'each event has a job of its own'
);
select is_empty(
  $$ select id from event where dedupe_key in ('a7', 'a8') and absorbed_by is not null $$,
  'and none is absorbed'
);
select is(
  (select array_agg(event order by position) from job join marketplace.sync_jobs using (id) where account = 'ann'),
  '{a5,a6,a7,a8}', 'in the order of the events'
);

select * from finish();
rollback;
