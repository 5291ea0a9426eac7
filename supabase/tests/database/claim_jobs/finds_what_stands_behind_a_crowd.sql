begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given 1,200 jobs of one key, and behind them one of another key and one without
insert into marketplace.providers (slug, name, category, base_url)
values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme run', i.id, w.id
from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, correlation_id, concurrency_key, run_at)
select r.organization_id, r.id, r.workflow_id, md5(j.name)::uuid, j.key, now() - interval '1 hour' + j.n * interval '1 ms'
from marketplace.sync_rules as r
cross join (
  select n, 'red ' || n, 'red' from generate_series(1, 1200) as n
  union all values (1201, 'blue', 'blue'), (1202, 'free', null)
) as j (n, name, key)
where r.name = 'Acme run'
order by j.n;
create function pg_temp.claim() returns text[] language sql as $$
  select coalesce(array_agg(n.name order by n.name), '{}') from marketplace.claim_jobs(3) as c
  join (select 'red ' || n from generate_series(1, 1200) as n union all values ('blue'), ('free')) as n (name)
    on md5(n.name)::uuid = c.correlation_id
$$;
create function pg_temp.end_job(p_name text) returns void language sql as $$
  update marketplace.sync_jobs
  set status = 'completed', finished_at = now(), lease_id = null, lease_expires_at = null, claimed_at = null
  where correlation_id = md5(p_name)::uuid
$$;
create function pg_temp.parked() returns bigint language sql as $$
  select count(*) from marketplace.sync_jobs where is_parked
$$;

-- then
select is(pg_temp.claim(), array['blue', 'free', 'red 1'], 'what stands behind a crowd of one key is found');
select is(pg_temp.parked(), 1000::bigint, 'the crowd is set aside as far as it stood before it');
select is(
  (select array[pending::int, due::int, running::int] from marketplace.v_job_queue where workflow = 'acme-run'), array[1199, 1199, 3],
  'and is still waiting'
);
select is(pg_temp.claim(), '{}', 'nobody overtakes');
do $$ begin perform pg_temp.end_job('red 1'); end $$;
select is(pg_temp.parked(), 999::bigint, 'the end of a job brings the next one back');
select is(pg_temp.claim(), array['red 2'], 'which is claimed');
update marketplace.sync_jobs set status = 'pending', run_at = now() + interval '1 minute',
  lease_id = null, lease_expires_at = null, claimed_at = null
where correlation_id = md5('red 2')::uuid;
select is(pg_temp.claim(), '{}', 'one that waits for its retry holds up the others');
select is(pg_temp.parked(), 999::bigint, 'none of which comes back');
delete from marketplace.sync_jobs where correlation_id = md5('red 2')::uuid;
select is(pg_temp.claim(), array['red 3'], 'a job that is deleted frees the next one');

-- when two of a key may run at once
update marketplace.workflows set max_per_key = 2 where slug = 'acme-run';
do $$ begin perform pg_temp.end_job('red 3'); end $$;
select is(pg_temp.claim(), array['red 4', 'red 5'], 'as many come back as may run');
do $$ begin perform pg_temp.end_job('red 5'); end $$;
select is(pg_temp.claim(), array['red 6'], 'in order');

-- when the one in front of them is cancelled
do $$
begin
  perform pg_temp.end_job('red 6');
  perform marketplace.cancel_job((select id from marketplace.sync_jobs where correlation_id = md5('red 7')::uuid));
end
$$;
select is(pg_temp.claim(), array['red 8'], 'a cancelled one is passed by');

select * from finish();
rollback;
