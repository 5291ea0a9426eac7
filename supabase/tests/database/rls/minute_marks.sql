\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

select pg_temp.given_organizations();
insert into marketplace.minute_marks (minute, mark, made_by) values ('2000-01-01 00:00+00', 'over', '3');

select pg_temp.check_access(
  'minute_marks', 'mark = mark',
  $$ insert into marketplace.minute_marks (minute, mark) values ('2000-01-01 00:00+00', 'over') $$,
  p_sees => null, p_all => array['over'], p_whose => 'mark', p_where => $$ minute = '2000-01-01 00:00+00' $$
);

select * from finish();
rollback;
