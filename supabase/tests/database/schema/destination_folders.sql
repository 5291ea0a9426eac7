begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given a folder
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.destination_folders (integration_id, path, folder_id) select id, 'a/b', 'f1'
from marketplace.integrations where slug = 'acme-files';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('folder_id = ''''', 'destination_folders_folder_id_check', 'a folder has an id');
select throws_ok(
  format('update marketplace.destination_folders set %s where folder_id = ''f1''', change),
  '23514', format('new row for relation "destination_folders" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.destination_folders'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);

select throws_ok(
  $$ insert into marketplace.destination_folders (integration_id, path, folder_id) select id,
       'a/b', 'f2'
       from marketplace.integrations where slug = 'acme-files' $$,
  '23505', null, 'a path is one folder'
);
select throws_ok(
  $$ insert into marketplace.destination_folders (integration_id, path, folder_id)
       values (gen_random_uuid(), 'a', 'f') $$,
  '23503',
  null,
  'of an integration that exists'
);
delete from marketplace.integrations where slug = 'acme-files';
select is_empty(
  $$ select path from marketplace.destination_folders where folder_id = 'f1' $$,
  'folders go with it'
);

select * from finish();
rollback;
