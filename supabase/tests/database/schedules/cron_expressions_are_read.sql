begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
create temp table expression (schedule text, after timestamptz, next timestamptz, rule text);
insert into expression values
  ('* * * * *', '2026-03-01 12:00:30Z', '2026-03-01 12:01Z', 'every minute'),
  ('* * * * *', '2026-03-01 12:00:00Z', '2026-03-01 12:01Z', 'never the same minute again'),
  ('*/15 * * * *', '2026-03-01 12:46Z', '2026-03-01 13:00Z', 'every quarter of an hour'),
  ('0 3 * * *', '2026-03-01 12:00Z', '2026-03-02 03:00Z', 'every night'),
  ('0 3 * * *', '2026-12-31 12:00Z', '2027-01-01 03:00Z', 'over the end of a year'),
  ('30 8-18/5 * * *', '2026-03-01 09:00Z', '2026-03-01 13:30Z', 'a range with a step'),
  ('0 9 * * mon-fri', '2026-02-28 10:00Z', '2026-03-02 09:00Z', 'working days by name'),
  ('0 9 * * 1-5', '2026-02-28 10:00Z', '2026-03-02 09:00Z', 'and by number'),
  ('0 9 * * 7', '2026-03-02 10:00Z', '2026-03-08 09:00Z', 'seven is Sunday'),
  ('0 9 * * 0', '2026-03-02 10:00Z', '2026-03-08 09:00Z', 'and so is zero'),
  ('0 0 1 JAN,JUL *', '2026-03-02 10:00Z', '2026-07-01 00:00Z', 'months by name, in any spelling'),
  ('0 0 13 * fri', '2026-03-01 00:00Z', '2026-03-06 00:00Z', 'two kinds of day are either'),
  ('0 0 29 2 *', '2026-03-01 00:00Z', '2028-02-29 00:00Z', 'the leap day comes'),
  ('0 0 29 2 *', '2096-03-01 00:00Z', '2104-02-29 00:00Z', 'though late around 2100'),
  (' 5  4   * * * ', '2026-03-01 00:00Z', '2026-03-01 04:05Z', 'spaces do not matter'),
  ('10/20 * * * *', '2026-03-01 00:31Z', '2026-03-01 00:50Z', 'from a value on'),
  ('0 0 31 2 *', '2026-03-01 00:00Z', null, 'a day that never comes'),
  ('* * * *', '2026-03-01 00:00Z', null, 'four fields'),
  ('60 * * * *', '2026-03-01 00:00Z', null, 'a minute that is none'),
  ('* 24 * * *', '2026-03-01 00:00Z', null, 'an hour that is none'),
  ('* * 0 * *', '2026-03-01 00:00Z', null, 'a day that is none'),
  ('* * * 13 *', '2026-03-01 00:00Z', null, 'a month that is none'),
  ('* * * * 8', '2026-03-01 00:00Z', null, 'a weekday that is none'),
  ('*/0 * * * *', '2026-03-01 00:00Z', null, 'a step that leads nowhere'),
  ('5-1 * * * *', '2026-03-01 00:00Z', null, 'a range that goes back'),
  ('@daily', '2026-03-01 00:00Z', null, 'words are not known'),
  ('* * * * xyz', '2026-03-01 00:00Z', null, 'nor other names'),
  ('', '2026-03-01 00:00Z', null, 'nothing is no schedule');
select plan((select count(*) from expression)::int);
select is(marketplace._next_run(schedule, after), next, rule) from expression;

select * from finish();
rollback;
