begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given two organizations, red and blue, each with an event, and who belongs to them
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
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, correlation_id)
select organization_id, id, provider, 't', slug, md5(slug)::uuid from marketplace.integrations where provider = 'acme';
create function pg_temp.told(p_slug text) returns text language sql as $$
  select string_agg(stage, ' ') from marketplace.trace(md5(p_slug)::uuid)
$$;

-- as an owner
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select is(pg_temp.told('red-files'), 'stored', 'an owner is told the story of red');
select is(pg_temp.told('blue-files'), null, 'an owner is not told the story of blue');

-- as a stranger
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000004"}';
select is(pg_temp.told('red-files'), null, 'a stranger is not told the story of red');
select is(pg_temp.told('blue-files'), 'stored', 'a stranger is told the story of blue');

-- as a newcomer
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000005"}';
select is(pg_temp.told('red-files'), null, 'a newcomer is not told the story of red');
select is(pg_temp.told('blue-files'), null, 'a newcomer is not told the story of blue');

-- as anon
set local role anon;
set local request.jwt.claims = '{"role": "anon"}';
select throws_ok($$ select pg_temp.told('red-files') $$, '42501', null, 'anon is told nothing');

-- as the service role
set local role service_role;
select is(pg_temp.told('red-files'), 'stored', 'the service role is told the story of red');
select is(pg_temp.told('blue-files'), 'stored', 'and of blue');

select * from finish();
rollback;
