begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- given the policies of the schema, and for each rule a view of what breaks it
create temp view our_policy as
select p.tablename, p.policyname, p.permissive, p.roles, p.cmd, coalesce(p.qual, '') || coalesce(p.with_check, '') as condition
from pg_catalog.pg_policies as p
where p.schemaname = 'marketplace';

create temp view for_everybody as
select p.tablename, p.policyname from our_policy as p where p.roles <> array['authenticated']::name[];

create temp view for_all_commands as
select p.tablename, p.policyname from our_policy as p where p.cmd = 'ALL';

create temp view not_a_sentence as
select p.tablename, p.policyname from our_policy as p where p.policyname !~ '^[a-z]+( [a-z]+){2,}$';

-- auth.uid() called once per row, not once per statement
create temp view slow_identity as
select p.tablename, p.policyname from our_policy as p
where p.condition ~ 'auth\.(uid|jwt|role)\(\)' and p.condition !~* 'select auth\.(uid|jwt|role)\(\)';

create temp view silent_about_its_missing_policy as
select c.relname
from pg_catalog.pg_class as c
where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p') and c.relname !~ '_[0-9]{8}$'
  and not exists (select from our_policy as p where p.tablename = c.relname)
  and obj_description(c.oid, 'pg_class') !~ 'No policy|Only the service role';

-- then
select is_empty('table for_everybody', 'every policy names the role it is for: authenticated');
select is_empty('table for_all_commands', 'every policy is for one command');
select is_empty('table not_a_sentence', 'the name of a policy is a sentence');
select is_empty('table slow_identity', 'a policy asks once per statement who the user is');
select is_empty(
  'table silent_about_its_missing_policy',
  'a table without a policy says so in its comment'
);
select set_eq(
  $$ select distinct cmd from our_policy $$,
  array['SELECT'],
  'signed-in users only read: there is no policy for writing'
);
select set_eq(
  $$ select tablename::text from our_policy where condition not like '%my_organization_ids()%' $$,
  array['providers', 'actions'],
  'all but the catalogue is narrowed to the organizations of the user'
);

-- when each fault is planted, then its rule finds it
create policy "Planted" on marketplace.settings using (user = 'a' or auth.uid() is null);
create table marketplace.planted (id int primary key);
comment on table marketplace.planted is 'Planted.';
select set_eq(
  'select policyname from for_everybody',
  array['Planted'], 'a policy for public is found'
);
select set_eq(
  'select policyname from for_all_commands',
  array['Planted'], 'a policy for all commands is found'
);
select set_eq(
  'select policyname from not_a_sentence',
  array['Planted'], 'a policy without a sentence for a name is found'
);
select set_eq(
  'select policyname from slow_identity',
  array['Planted'], 'a policy that calls auth.uid() per row is found'
);
select set_eq(
  'table silent_about_its_missing_policy',
  array['planted'], 'a table without a policy that does not say so is found'
);

select * from finish();
rollback;
