begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given the views of the schema, and for each rule a view of what breaks it
create temp view our_view as
select c.oid, c.relname, c.reloptions
from pg_catalog.pg_class as c
where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('v', 'm');

create temp view with_rights_of_its_owner as
select v.relname from our_view as v
where not coalesce(v.reloptions, '{}') && array['security_invoker=true', 'security_invoker=on'];

create temp view without_comment as
select v.relname from our_view as v where coalesce(obj_description(v.oid, 'pg_class'), '') = '';

-- then
select is_empty('table with_rights_of_its_owner', 'every view runs with the rights of its reader');
select is_empty('table without_comment', 'every view says what it shows');
select is_empty(
  $$ select relname from our_view where relname !~ '^v_' $$,
  'a view is called v_*'
);
select isnt_empty('table our_view', 'there are views to look at');

-- when each fault is planted, then its rule finds it
create view marketplace.v_planted as select 1 as one;
select set_eq(
  'table with_rights_of_its_owner',
  array['v_planted'], 'a view with the rights of its owner is found'
);
select set_eq('table without_comment', array['v_planted'], 'a view without a comment is found');

select * from finish();
rollback;
