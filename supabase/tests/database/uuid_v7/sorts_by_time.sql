begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given
create temp table made as select n, marketplace.uuid_v7() as id from generate_series(1, 200) as n;

-- then
select is_empty(
  $$ select id from made
       where id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' $$,
  'version 7, variant 2'
);
select is((select count(distinct id) from made)::int, 200, 'no two are alike');
select is_empty(
  $$ select 1 from made as a join made as b on b.n = a.n + 1
       where left(b.id::text, 13) < left(a.id::text, 13) $$,
  'later ones do not sort before earlier ones'
);
select ok(
  (select abs(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint - extract(epoch from clock_timestamp()) * 1000) < 5000 from made where n = 200),
  'they begin with Unix milliseconds'
);
select is(
  (select count(distinct substr(id::text, 15)) from made)::int, 200, 'the rest is random'
);

select * from finish();
rollback;
