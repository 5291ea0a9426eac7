\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given a destination
select pg_temp.given_rule();
create temp view destination as select id from marketplace.integrations where slug = 'acme-backup';
create function pg_temp.folder(p_path text, p_id text) returns text language sql as $$
  select marketplace.destination_folder(id, p_path, p_id) from destination
$$;

-- then
select is(pg_temp.folder('a/b', 'f1'), 'f1', 'the first proposal wins');
select is(pg_temp.folder('a/b', 'f2'), 'f1', 'who comes later is told of it');
select is(
  (select marketplace.destination_folder(id, 'a/b', 'f3') from marketplace.integrations where slug = 'acme-files'), 'f3',
  'each destination has folders of its own'
);
select throws_ok($$ select pg_temp.folder('a/c', '') $$, '23514', null, 'a folder has an id');

-- when a folder is gone
do $$
begin
  perform pg_temp.folder('a/b/c', 'f4'), pg_temp.folder('a/bc', 'f5'),
    marketplace.forget_destination_folder(id, 'a/b')
  from destination;
end
$$;
select results_eq(
  'select path from marketplace.destination_folders where integration_id = (select id from destination) order by 1', array['a/bc'],
  'it is forgotten, and those below it, but not its neighbour'
);
select is(pg_temp.folder('a/b', 'f6'), 'f6', 'and can be made anew');

select * from finish();
rollback;
