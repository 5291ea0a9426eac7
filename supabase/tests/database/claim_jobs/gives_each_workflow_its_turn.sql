begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(3);

-- given two workflows with long queues
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.workflows (slug, name, kind, endpoint, max_concurrency)
values ('acme-first', 'First', 'http', 'https://acme.example/1', 1000), ('acme-second', 'Second', 'http', 'https://acme.example/2', 1000);
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select w.slug, i.id, w.id from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug like 'acme-%';
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
select r.organization_id, r.id, r.workflow_id from marketplace.sync_rules as r, generate_series(1, 100)
where r.name like 'acme-%' order by r.name;

-- then
select set_eq(
  $$
    select c.workflow_slug from generate_series(1, 60) as n, lateral marketplace.claim_jobs(n - n + 1) as c
    where c.workflow_slug like 'acme-%'
  $$,
  array['acme-first', 'acme-second'], 'none has to wait until the other''s queue is empty'
);
select set_eq(
  $$ select workflow_slug from marketplace.claim_jobs(1000, array['acme-first']) where workflow_slug like 'acme-%' $$,
  array['acme-second'], 'one that is named is passed by'
);
select set_eq(
  $$ select workflow_slug from marketplace.claim_jobs(1000) where workflow_slug like 'acme-%' $$,
  array['acme-first'], 'its jobs are left for the next time'
);

select * from finish();
rollback;
