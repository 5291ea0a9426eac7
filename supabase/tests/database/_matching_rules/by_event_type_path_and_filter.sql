begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(34);

-- given an integration, a workflow, and one rule for each way of matching
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.register_integration('acme-other', 'Other', 'acme', 'storage');
end
$$;
insert into marketplace.sync_rules (name, source_integration_id, workflow_id, event_types, source_pattern, filter, is_active)
select r.name, i.id, w.id, r.event_types, r.source_pattern, r.filter::jsonpath, r.is_active
from marketplace.workflows as w,
  (values
    ('acme-files', 'everything', '{}'::text[], '**', null, true),
    ('acme-files', 'one type', '{file.added}', '**', null, true),
    ('acme-files', 'types that begin', '{file.*}', '**', null, true),
    ('acme-files', 'one of two types', '{a,file.removed}', '**', null, true),
    ('acme-files', 'a path', '{}', 'artifacts/build', null, true),
    ('acme-files', 'a folder', '{}', 'artifacts/*', null, true),
    ('acme-files', 'a deeper folder', '{}', 'artifacts/*/logs/*', null, true),
    ('acme-files', 'a folder anywhere', '{}', '**/logs/*', null, true),
    ('acme-files', 'a wild first folder', '{}', '*/x', null, true),
    ('acme-files', 'a wild first folder, deeper', '{}', '*/logs/x', null, true),
    ('acme-files', 'folders below docs…', '{}', 'docs*/**', null, true),
    ('acme-files', 'a predicate', '{}', '**', '$.size > 10', true),
    ('acme-files', 'a path that exists', '{}', '**', '$.tags[*] ? (@ == "x")', true),
    ('acme-files', 'a later time', '{}', '**', '$.at.datetime() > "2026-01-01".datetime()', true),
    ('acme-files', 'switched off', '{}', '**', null, false),
    ('acme-other', 'of another source', '{}', '**', null, true)
  ) as r (source, name, event_types, source_pattern, filter, is_active)
join marketplace.integrations as i on i.slug = r.source
where w.slug = 'acme-run';

-- and events, each with the rules that apply beside "everything"
create temp table expectation (event_type text, path text, payload jsonb, names text[], rule text);
insert into expectation values
  ('t', '', '{}', '{}', 'a rule without conditions applies to an event without a path'),
  -- types
  ('file.added', '', '{}', '{one type,types that begin}', 'an event type is named, or begins alike'),
  ('file.removed', '', '{}', '{one of two types,types that begin}', 'one of several types is enough'),
  ('file', '', '{}', '{}', 'a trailing * needs what stands before it'),
  ('file.', '', '{}', '{types that begin}', 'and matches nothing more, too'),
  ('File.added', '', '{}', '{}', 'case matters in types'),
  -- paths
  ('t', 'artifacts/build', '{}', '{a folder,a path}', 'a path is matched by itself and by its folder'),
  ('t', 'artifacts/x', '{}', '{a folder,a wild first folder}', 'a wild first folder is found, too'),
  ('t', 'artifacts/1/logs/a', '{}', '{a deeper folder,a folder anywhere}', 'a pattern reaches through folders'),
  ('t', 'a/b/logs/c', '{}', '{a folder anywhere}', 'to any depth, with **'),
  ('t', 'other/y', '{}', '{}', 'another folder is not matched'),
  ('t', 'docs-1/a/b', '{}', '{folders below docs…}', 'a wild folder, then anything'),
  ('t', 'doc/a', '{}', '{}', 'but not a folder that begins otherwise'),
  -- collections
  ('t', 'artifacts/', '{}', '{a deeper folder,a folder,a folder anywhere,a path,a wild first folder,"a wild first folder, deeper"}',
    'a collection is matched by every pattern that one of its members could match'),
  ('t', 'artifacts/1/', '{}', '{a deeper folder,a folder anywhere}', 'a deeper collection by patterns that reach into it'),
  ('t', 'artifacts/1/logs/', '{}', '{a deeper folder,a folder anywhere}', 'up to their depth'),
  ('t', 'artifacts/1/logs/2/', '{}', '{a folder anywhere}', 'and not beyond it, but for **'),
  ('t', 'docs-1/', '{}', '{a folder anywhere,a wild first folder,"a wild first folder, deeper",folders below docs…}',
    'a wild first folder reaches into a collection'),
  ('t', 'docs-1/a/', '{}', '{a folder anywhere,folders below docs…}', 'and ** into what lies below'),
  ('t', 'any/logs/', '{}', '{a folder anywhere,"a wild first folder, deeper"}', 'a wild folder and a named one'),
  -- filters
  ('t', 'x', '{"size": 11}', '{a predicate}', 'a predicate that holds'),
  ('t', 'x', '{"size": 10}', '{}', 'a predicate that does not'),
  ('t', 'x', '{"size": "many"}', '{}', 'a predicate that makes no sense here'),
  ('t', 'x', '{"tags": ["w", "x"]}', '{a path that exists}', 'a path that exists'),
  ('t', 'x', '{"tags": []}', '{}', 'a path that does not'),
  ('t', 'x', '{"at": "2026-01-02T00:00:00+02:00"}', '{a later time}', 'a time with a zone is compared with one without');

-- then
select is(
  array(
    select r.name from marketplace._matching_rules(i.id, e.event_type, e.path, e.payload) as r
    where r.name <> 'everything' order by r.name collate "C"
  ),
  array(select n from unnest(e.names) as n order by n collate "C"),
  format('%s %s %s: %s', e.event_type, e.path, e.payload, e.rule)
)
from expectation as e, marketplace.integrations as i
where i.slug = 'acme-files';

select is_empty(
  $$ select e.path from expectation as e, marketplace.integrations as i
     where i.slug = 'acme-files'
       and not exists (select from marketplace._matching_rules(i.id, e.event_type, e.path, e.payload) as r where r.name = 'everything') $$,
  '"everything" applies to each of them'
);
select is_empty(
  $$ select r.name from expectation as e, marketplace.integrations as i,
       marketplace._matching_rules(i.id, e.event_type, e.path, e.payload) as r
     where i.slug = 'acme-files' group by e.event_type, e.path, e.payload, r.name having count(*) > 1 $$,
  'no rule is found twice'
);
select results_eq(
  $$ select r.name
       from marketplace.integrations as i, marketplace._matching_rules(i.id, 't', 'x', '{}') as r
       where i.slug = 'acme-other' $$,
  array['of another source'], 'a rule applies to its source only'
);

-- when a collection's members are found later, no pattern that matches one was missed
create temp table member as
select folder || name as path, folder
from unnest(array['artifacts/', 'artifacts/1/', 'any/logs/', 'docs-1/', 'docs-1/a/']) as folder,
  unnest(array['x', 'build', '1/logs/a', 'logs/x', 'logs/a', 'a/b']) as name;
select is_empty(
  $$ select m.folder, m.path, r.name
     from member as m, marketplace.integrations as i, marketplace._matching_rules(i.id, 't', m.path, '{}') as r
     where i.slug = 'acme-files'
     except
     select m.folder, m.path, r.name
     from member as m, marketplace.integrations as i, marketplace._matching_rules(i.id, 't', m.folder, '{}') as r
     where i.slug = 'acme-files' $$,
  'whatever matches a member matches its collection'
);
select isnt_empty(
  $$ select from member as m, marketplace.integrations as i, marketplace._matching_rules(i.id, 't', m.path, '{}') as r
     where i.slug = 'acme-files' and r.name = 'a deeper folder' $$,
  'and members there are'
);

-- when a rule is switched on, it applies
update marketplace.sync_rules set is_active = true where name = 'switched off';
select isnt_empty(
  $$ select from marketplace.integrations as i, marketplace._matching_rules(i.id, 't', 'x', '{}') as r
     where i.slug = 'acme-files' and r.name = 'switched off' $$,
  'a rule that is switched on applies'
);
update marketplace.sync_rules set source_pattern = 'artifacts/*' where name = 'switched off';
select is_empty(
  $$ select from marketplace.integrations as i, marketplace._matching_rules(i.id, 't', 'x', '{}') as r
     where i.slug = 'acme-files' and r.name = 'switched off' $$,
  'a changed pattern is what counts'
);
select isnt_empty(
  $$ select from marketplace.integrations as i, marketplace._matching_rules(i.id, 't', 'artifacts/new', '{}') as r
     where i.slug = 'acme-files' and r.name = 'switched off' $$,
  'at once'
);

select * from finish();
rollback;
