begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(24);

-- given a rule
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select 'Acme mirror', i.id, w.id from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-files' and w.slug = 'acme-run';

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('name = ''''', 'sync_rules_name_check', 'a rule has a name'),
  ('source_pattern = ''''', 'sync_rules_source_pattern_check', 'it has a pattern'),
  ('source_pattern = repeat(''x'', 501)', 'sync_rules_source_pattern_check', 'of a bounded length'),
  ('destination_template = ''''', 'sync_rules_destination_template_check', 'it says where things go'),
  ('priority = 1001', 'sync_rules_priority_check', 'its head start is one that the queue can count with'),
  ('priority = -1001', 'sync_rules_priority_check', 'and so is its handicap'),
  ('max_attempts = 0', 'sync_rules_max_attempts_check', 'a job is tried once at least'),
  ('retry_base = ''-1 second''', 'sync_rules_retry_base_check', 'a retry is not in the past'),
  ('retry_cap = ''-1 second''', 'sync_rules_retry_cap_check', 'nor is its cap'),
  ('concurrency_key = ''''', 'sync_rules_concurrency_key_check', 'a key is something or nothing at all'),
  ('config = ''[]''', 'sync_rules_config_check', 'settings are an object');
select throws_ok(
  $$ insert into marketplace.sync_rules (name, source_integration_id, workflow_id, schedule)
     select 'Acme nightly', source_integration_id, workflow_id, 'every night' from marketplace.sync_rules where name = 'Acme mirror' $$,
  'MK422', $$rule 'Acme nightly' has a schedule that cannot be read, or never comes: 'every night'$$, 'a schedule is a cron expression'
);
select throws_ok(
  format('update marketplace.sync_rules set %s where name = ''Acme mirror''', change),
  '23514', format('new row for relation "sync_rules" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.sync_rules'::regclass and contype = 'c' $$,
  $$ select check_name from refusal union all select 'sync_rules_schedule_check' $$, -- its trigger sees to it
  'and no check is left out'
);

-- what is filled in
select results_eq(
  $$ select o.slug, r.source_pattern, r.event_types, r.destination_template, r.is_active, r.absorbs, r.priority
     from marketplace.sync_rules as r join marketplace.organizations as o on o.id = r.organization_id where r.name = 'Acme mirror' $$,
  $$ values ('default', '**', '{}'::text[], '{name}', true, false, 0) $$,
  'a rule takes everything of its source, in its source''s organization'
);
update marketplace.sync_rules set source_pattern = 'a/*', artifact_types = '{.ZIP,pdf}'
where name = 'Acme mirror';
select results_eq(
  $$ select pattern_key, pattern_regex, artifact_types from marketplace.sync_rules
       where name = 'Acme mirror' $$, $$ values ('a/*', '^a/[^/]*$', array['zip', 'pdf']) $$,
  'its pattern is prepared for the search, its file types are written alike'
);
update marketplace.providers set default_workflow_slug = 'acme-run' where slug = 'acme';
insert into marketplace.sync_rules (name, source_integration_id) select 'Acme default', id
from marketplace.integrations where slug = 'acme-files';
select results_eq(
  $$ select w.slug from marketplace.sync_rules as r
       join marketplace.workflows as w on w.id = r.workflow_id where r.name = 'Acme default' $$,
  array['acme-run'],
  'without a workflow it takes the provider''s default one'
);

-- what is refused
update marketplace.providers set default_workflow_slug = 'nope' where slug = 'acme';
select throws_ok(
  $$ insert into marketplace.sync_rules (name, source_integration_id) select 'None', id
       from marketplace.integrations where slug = 'acme-files' $$,
  'MK422', 'rule ''None'' names no workflow, and provider acme has no default one',
  'a rule without any workflow says so'
);
select throws_ok(
  $$ insert into marketplace.sync_rules (name, source_integration_id)
       values ('None', (select id from marketplace.integrations where slug = 'nope')) $$,
  'MK422', 'rule ''None'' has no source: integration null does not exist',
  'so does one without a source'
);
insert into marketplace.organizations (slug, name) values ('red', 'Red');
do $$
begin
  perform marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red');
end
$$;
select throws_ok(
  $$ update marketplace.sync_rules
       set destination_integration_id = (select id from marketplace.integrations where slug = 'red-files')
       where name = 'Acme mirror' $$,
  'MK422', 'rule ''Acme mirror'' mixes organizations',
  'what belongs to one tenant does not go to another'
);
select throws_ok(
  $$ update marketplace.sync_rules
       set notify_integration_id = (select id from marketplace.integrations where slug = 'red-files')
       where name = 'Acme mirror' $$,
  'MK422', 'rule ''Acme mirror'' mixes organizations', 'nor is another told of it'
);
select throws_ok(
  $$ update marketplace.sync_rules set workflow_id = gen_random_uuid() where name = 'Acme mirror' $$,
  '23503', null, 'its workflow exists'
);
select throws_ok(
  $$ update marketplace.sync_rules set source_pattern = '[z-a]' where name = 'Acme mirror' $$,
  'MK422', 'rule ''Acme mirror'' has a source_pattern that cannot be read: ''[z-a]''',
  'a pattern that cannot be read would stop all routing'
);
select throws_ok(
  $$ update marketplace.sync_rules set filter = '$.a >' where name = 'Acme mirror' $$,
  '42601', null, 'so would a filter'
);

-- what goes along
delete from marketplace.integrations where slug = 'acme-files';
select is_empty(
  $$ select name from marketplace.sync_rules where name like 'Acme %' $$,
  'rules go with their source'
);

select * from finish();
rollback;
