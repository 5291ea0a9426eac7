begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

-- given two organizations, red and blue, with a webhook each, and who belongs to them
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'owner'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000002', 'member'),
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000003', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000004', 'owner');
end
$$;
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform
    marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue files', 'acme', 'storage', '{}', 'blue');
end
$$;
insert into marketplace.provider_webhooks (organization_id, integration_id, kind, target)
select organization_id, id, 'github.organization', slug from marketplace.integrations where provider = 'acme';

create temp view seen with (security_invoker = true) as
select case organization_id when md5('red')::uuid then 'red' else 'blue' end as organization from marketplace.provider_webhooks where organization_id in (md5('red')::uuid, md5('blue')::uuid);
create temp table write (command text);
insert into write values
  ('insert into marketplace.provider_webhooks default values'),
  ('update marketplace.provider_webhooks set failure_count = failure_count'),
  ('delete from marketplace.provider_webhooks');
grant select on seen, write to public;

-- as an owner
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select results_eq(
  'select distinct organization from seen',
  array['red'], 'an owner sees what is red'
);
select throws_ok(command, '42501', null, 'an owner may not ' || command) from write;

-- as a member
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select results_eq(
  'select distinct organization from seen',
  array['red'], 'a member sees what is red'
);
select throws_ok(command, '42501', null, 'a member may not ' || command) from write;

-- as a viewer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select results_eq(
  'select distinct organization from seen',
  array['red'], 'a viewer sees what is red'
);
select throws_ok(command, '42501', null, 'a viewer may not ' || command) from write;

-- as a stranger
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select results_eq(
  'select distinct organization from seen',
  array['blue'], 'a stranger sees what is blue'
);
select throws_ok(command, '42501', null, 'a stranger may not ' || command) from write;

-- as a newcomer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select results_eq(
  'select distinct organization from seen',
  '{}'::text[], 'a newcomer sees nothing'
);
select throws_ok(command, '42501', null, 'a newcomer may not ' || command) from write;

-- as anon
set local role anon;
set local request.jwt.claims = '{"role": "anon"}';
select throws_ok('table seen', '42501', null, 'anon may not even look');
select throws_ok(command, '42501', null, 'anon may not ' || command) from write;

-- as the service role
set local role service_role;
set local request.jwt.claims = '{"role": "service_role"}';
select results_eq(
  'select organization from seen order by 1',
  array['blue', 'red'], 'the service role sees all'
);
select lives_ok(
  $$ insert into marketplace.provider_webhooks (organization_id, integration_id, kind, target)
     select organization_id, integration_id, kind, 'more' from marketplace.provider_webhooks
     where organization_id in (md5('red')::uuid, md5('blue')::uuid) $$,
  'it inserts'
);
select isnt_empty(
  $$ update marketplace.provider_webhooks set failure_count = failure_count
       where organization_id in (md5('red')::uuid, md5('blue')::uuid) returning 1 $$,
  'it updates'
);
select isnt_empty(
  $$ delete from marketplace.provider_webhooks
       where organization_id in (md5('red')::uuid, md5('blue')::uuid) returning 1 $$,
  'it deletes'
);

select * from finish();
rollback;
