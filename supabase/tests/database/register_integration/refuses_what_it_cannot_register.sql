begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given
insert into marketplace.providers (slug, name, category)
values ('acme', 'Acme', 'storage'), ('zeta', 'Zeta', 'storage');
insert into marketplace.organizations (slug, name) values ('red', 'Red');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;

-- then
select throws_ok(
  $$ select marketplace.register_integration('nope', 'Nope', 'nope', 'storage') $$,
  'MK404', 'provider ''nope'' is not in the catalogue', 'an unknown provider is named'
);
select throws_ok(
  $$ select marketplace.register_integration('nope', 'Nope', null, 'storage') $$,
  'MK404', 'provider null is not in the catalogue', 'so is a missing one'
);
select throws_ok(
  $$ select marketplace.register_integration('acme-files', 'Files', 'zeta', 'storage') $$,
  'MK409', 'integration ''acme-files'' exists already, for another provider or organization',
  'a slug stays with its provider'
);
select throws_ok(
  $$ select marketplace.register_integration('acme-files', 'Files', 'acme', 'storage', '{}', 'red') $$,
  'MK409', null, 'a slug stays with its organization'
);
select throws_ok(
  $$ select marketplace.register_integration('acme-new', 'New', 'acme', 'storage', '{}', 'nobody') $$,
  'MK404', 'organization ''nobody'' does not exist', 'an unknown organization is named'
);
select throws_ok(
  $$ select marketplace.register_integration('acme-new', 'New', 'acme', 'storage', '[]') $$,
  'MK400', 'config of integration ''acme-new'' is not a JSON object', 'a config is an object'
);
select throws_ok(
  $$ select marketplace.register_integration('acme-new', 'New', 'acme', 'storage', null) $$,
  'MK400', null, 'and is never null'
);
select throws_ok(
  $$ select marketplace.register_integration('Acme New', 'New', 'acme', 'storage') $$,
  '23514', null, 'a slug is lower case words and dashes'
);
select throws_ok(
  $$ select marketplace.register_integration(null, 'New', 'acme', 'storage') $$,
  '23502', null, 'a slug is needed'
);
select is(
  (select count(*) from marketplace.integrations where slug like 'acme-%')::int, 1,
  'a refused registration leaves nothing behind'
);

select * from finish();
rollback;
