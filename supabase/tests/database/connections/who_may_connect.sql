begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(20);

-- given two organizations with an integration each, and two of the platform, one of them open
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
    marketplace.register_integration('blue-files', 'Blue files', 'acme', 'storage', '{}', 'blue'),
    marketplace.register_integration('our-files', 'Our files', 'acme', 'storage', '{}'),
    marketplace.register_integration('open-files', 'Open files', 'acme', 'storage', '{"allow_other_organizations": true}');
end
$$;
create function pg_temp.person(p_number int) returns uuid language sql as $$
  select ('00000000-0000-4000-8000-00000000000' || p_number)::uuid
$$;
create function pg_temp.may(p_integration text, p_person int, p_organization text default null, p_for_all boolean default false)
returns text language sql as $$
  select format('select marketplace.connecting_organization(%L, %L, %L, %L)', p_integration, p_organization, pg_temp.person(p_person), p_for_all)
$$;

-- then
select lives_ok(pg_temp.may('red-files', 1), 'an owner connects');
select lives_ok(pg_temp.may('red-files', 2), 'a member connects');
select throws_ok(pg_temp.may('red-files', 3), 'MK403', null, 'a viewer does not');
select throws_ok(pg_temp.may('red-files', 2, null, true), 'MK403', null, 'a member does not connect for the organization');
select lives_ok(pg_temp.may('red-files', 1, null, true), 'an owner does');
select throws_ok(
  pg_temp.may('red-files', 4), 'MK404', 'integration ''red-files'' is not one of the organization',
  'a stranger learns nothing'
);
select throws_ok(
  pg_temp.may('no-files', 4), 'MK404', 'integration ''no-files'' is not one of the organization',
  'but what he learns of one that does not exist'
);
select throws_ok(pg_temp.may('red-files', 4, 'red'), 'MK404', null, 'also when he names the organization');
select throws_ok(pg_temp.may('blue-files', 1, 'red'), 'MK404', null, 'another''s integration is not connected for one''s own');
select throws_ok(pg_temp.may('our-files', 1, 'red'), 'MK404', null, 'nor is the platform''s');
select lives_ok(pg_temp.may('open-files', 1, 'red'), 'but one that is open to all');
select throws_ok(pg_temp.may('open-files', 1), 'MK404', null, 'for an organization that has to be named');
select lives_ok(
  $$ select marketplace.connecting_organization('red-files', null, null, false) $$,
  'the platform connects for whom it wants'
);
update marketplace.integrations set status = 'inactive' where slug = 'red-files';
select throws_ok(pg_temp.may('red-files', 1), 'MK422', null, 'an inactive integration takes no connections');
update marketplace.integrations set status = 'active' where slug = 'red-files';

-- when connections are made, then they are whose they should be
create temp table made as
select 'person' as kind, marketplace.create_connection('red-files', '  Mine ', null, pg_temp.person(2)) as id
union all select 'shared', marketplace.create_connection('red-files', null, null, pg_temp.person(2), true)
union all select 'common', marketplace.create_connection('red-files', null, null, pg_temp.person(1), false, true)
union all select 'program', marketplace.create_connection('red-files', null, 'red')
union all select 'guest', marketplace.create_connection('open-files', null, 'red', pg_temp.person(2));
select results_eq(
  $$ select m.kind, c.name, c.user_id, c.is_shared, c.status, c.organization_id
     from made as m join marketplace.connections as c on c.id = m.id order by m.kind $$,
  $$ values
    ('common', 'Red files', null::uuid, true, 'pending', md5('red')::uuid),
    ('guest', 'Open files', pg_temp.person(2), false, 'pending', md5('red')::uuid),
    ('person', 'Mine', pg_temp.person(2), false, 'pending', md5('red')::uuid),
    ('program', 'Red files', null, true, 'pending', md5('red')::uuid),
    ('shared', 'Red files', pg_temp.person(2), true, 'pending', md5('red')::uuid) $$,
  'a person''s, or the organization''s; shared if asked for or nobody''s'
);
select throws_ok(
  $$ select marketplace.create_connection('no-files', null, 'red', pg_temp.person(1)) $$,
  'MK404', null, 'nothing is made under what does not exist'
);

-- what row level security shows a person is what the functions let him use
create function pg_temp.usable(p_person int) returns text[] language plpgsql as $$
declare
  v_kind text;
  v_id uuid;
  v_found text[] := '{}';
begin
  for v_kind, v_id in select kind, id from made order by kind loop
    begin
      perform marketplace._require_connection(v_id, pg_temp.person(p_person));
      v_found := v_found || v_kind;
    exception when sqlstate 'MK404' then null;
    end;
  end loop;
  return v_found;
end
$$;
create function pg_temp.visible(p_person int) returns text[] language plpgsql as $$
declare
  v_found text[];
begin
  perform set_config('request.jwt.claims', jsonb_build_object('role', 'authenticated', 'sub', pg_temp.person(p_person))::text, true);
  perform set_config('role', 'authenticated', true);
  select coalesce(array_agg(m.kind order by m.kind), '{}') into v_found
  from made as m join marketplace.connections as c on c.id = m.id;
  perform set_config('role', 'none', true);
  return v_found;
end
$$;
grant select on made to public;
select is(pg_temp.usable(1), array['common', 'program', 'shared'], 'an owner uses what is shared');
select is(pg_temp.usable(2), array['common', 'guest', 'person', 'program', 'shared'], 'a member his own, too');
select is_empty(
  $$ select n from generate_series(1, 5) as n where pg_temp.usable(n) <> pg_temp.visible(n) $$,
  'and everybody sees exactly what he may use'
);
delete from marketplace.organization_members where user_id = pg_temp.person(2);
select is(pg_temp.usable(2) || pg_temp.visible(2), '{}', 'who has left uses and sees nothing, his own included');

select * from finish();
rollback;
