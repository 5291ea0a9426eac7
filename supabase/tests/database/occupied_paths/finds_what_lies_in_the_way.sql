begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given two rules, and what they have made of a few files
insert into marketplace.providers (slug, name, category, base_url) values ('acme', 'Acme', 'storage', 'https://acme.example');
insert into marketplace.workflows (slug, name, kind, endpoint) values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$ begin perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'); end $$;
insert into marketplace.sync_rules (name, source_integration_id, source_pattern, workflow_id)
select n, i.id, 'files/**', w.id
from unnest(array['Acme one', 'Acme two']) as n, marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';
create function pg_temp.rule(p_name text default 'Acme one') returns uuid language sql as $$
  select id from marketplace.sync_rules where name = p_name
$$;
create function pg_temp.made(p_ref text, p_path text, p_ago interval, p_status text default 'completed', p_rule text default 'Acme one')
returns void language sql as $$
  with job as (
    insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id, scheduled_at)
    select r.organization_id, r.id, r.workflow_id, clock_timestamp() from marketplace.sync_rules as r where r.name = p_rule
    returning *
  )
  insert into marketplace.artifact_syncs (
    organization_id, job_id, rule_id, source_integration_id, correlation_id, source_ref, source_path, name, destination_path, status,
    completed_at, destination_size_bytes, destination_checksum
  )
  select j.organization_id, j.id, j.rule_id, r.source_integration_id, j.correlation_id, p_ref, 'files/' || p_ref, 'name of ' || p_ref, p_path,
    p_status, case when p_status = 'completed' then now() - p_ago end, 1, 'md5:00'
  from job as j
  join marketplace.sync_rules as r on r.id = j.rule_id
$$;
do $$
begin
  perform
    pg_temp.made('a', 'docs/a.md', '3 hours'), pg_temp.made('a', 'docs/a.md', '1 hour'),
    pg_temp.made('b', 'docs/b.md', '3 hours'), pg_temp.made('b', 'docs/elsewhere.md', '1 hour'),
    pg_temp.made('c', 'docs/c.md', '1 hour', 'planned'),
    pg_temp.made('d', '', '1 hour'),
    pg_temp.made('e', 'docs/e.md', '1 hour', p_rule => 'Acme two');
end
$$;
create function pg_temp.in_the_way(p_ref text, p_path text) returns text language sql as $$
  select o.occupant_ref || ': ' || o.occupant_name
  from marketplace.occupied_paths(pg_temp.rule(), jsonb_build_array(jsonb_build_object('source_ref', p_ref, 'path', p_path))) as o
$$;

-- then
select is(pg_temp.in_the_way('x', 'docs/a.md'), 'a: name of a', 'a path that holds another''s copy is taken');
select is(pg_temp.in_the_way('a', 'docs/a.md'), null, 'by others only');
select is(pg_temp.in_the_way('x', 'docs/b.md'), null, 'not where its copy has gone elsewhere since');
select is(pg_temp.in_the_way('x', 'docs/c.md'), null, 'nor before there is one');
select is(pg_temp.in_the_way('x', ''), null, 'nor where there is no path');
select is(pg_temp.in_the_way('x', 'docs/e.md'), null, 'what other rules make is their business');

select * from finish();
rollback;
