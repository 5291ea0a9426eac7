begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given an event
create temp table event as
select e as event
from jsonb_populate_record(null::marketplace.webhook_events, '{
  "provider": "acme", "event_type": "file.added", "resource_path": "files/a", "account": "octo",
  "payload": {"repository": {"id": 42, "full_name": "octo/cat"}, "list": ["x", "y"], "odd{name}": 1}
}') as e;
create function pg_temp.key(p_template text) returns text language sql as $$
  select marketplace._render_key(p_template, event, 'acme-files') from event
$$;

-- then
select is(pg_temp.key('fixed'), 'fixed', 'a template without placeholders is one key for all');
select is(
  pg_temp.key('{provider}|{integration}|{event_type}|{resource_path}|{account}'), 'acme|acme-files|file.added|files/a|octo',
  'the event''s own fields have names'
);
select is(
  pg_temp.key('{/repository/full_name}'),
  'octo/cat', 'a JSON pointer reaches into the payload'
);
select is(pg_temp.key('{/repository/id}'), '42', 'to numbers, too');
select is(pg_temp.key('{/list/1}'), 'y', 'and into lists');
select is(pg_temp.key('{account}/{account}'), 'octo/octo', 'a placeholder can stand twice');
select is(pg_temp.key('{/nothing/here}-{unknown}'), '-', 'what the event does not have is empty');
select is(pg_temp.key('{}'), '{}', 'empty braces are just that');
select is(length(pg_temp.key(repeat('x', 600))), 500, 'a key is at most 500 characters');

select * from finish();
rollback;
