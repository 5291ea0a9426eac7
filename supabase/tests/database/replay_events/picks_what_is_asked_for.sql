\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(19);

-- given finished jobs of a day: a completed one and a dead one of each of two types
select pg_temp.given_rule();
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, resource_path, dedupe_key)
select i.organization_id, i.id, i.provider, t, 'files/x', t
from marketplace.integrations as i, unnest(array['file.added', 'file.removed']) as t where i.slug = 'acme-files';
insert into marketplace.sync_jobs (
  organization_id, rule_id, workflow_id, event_id, event_created_at, status, finished_at, error_code, created_at, replay_of
)
select r.organization_id, r.id, r.workflow_id, e.id, e.created_at, o.status, now() - interval '1 hour', o.error_code, now() - interval '1 hour', null
from marketplace.sync_rules as r
join marketplace.webhook_events as e on e.integration_id = r.source_integration_id
cross join (values ('completed', null), ('dead', 'full')) as o (status, error_code)
where r.name = 'Acme mirror'
  and (e.event_type, o.status) in (('file.added', 'completed'), ('file.removed', 'dead'));
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id) select organization_id,
  id, workflow_id
from marketplace.sync_rules where name = 'Acme mirror';
create temp view rule as select id from marketplace.sync_rules where name = 'Acme mirror';
create temp view replay as select * from marketplace.sync_jobs
where replay_of is not null and rule_id = (select id from rule);

-- then, a dry run only counts
select is(
  marketplace.replay_events(p_provider => 'acme', p_dry_run => true),
  2, 'finished jobs of a provider, not those that wait'
);
select is(
  marketplace.replay_events(p_integration => 'acme-files', p_dry_run => true),
  2, 'of an integration'
);
select is(
  marketplace.replay_events(p_integration => 'acme-backup', p_dry_run => true),
  0, 'and of no other'
);
select is(
  marketplace.replay_events(p_provider => 'acme', p_event_type => 'file.added', p_dry_run => true),
  1, 'of an event type'
);
select is(
  marketplace.replay_events(p_provider => 'acme', p_event_type => 'file.*', p_dry_run => true),
  2, 'or of types that begin alike'
);
select is(
  marketplace.replay_events(p_provider => 'acme', p_from => now() - interval '30 minutes', p_dry_run => true),
  0, 'made since a time'
);
select is(
  marketplace.replay_events(p_provider => 'acme', p_until => now() - interval '30 minutes', p_dry_run => true),
  2, 'or before one'
);
select is(
  marketplace.replay_events(p_provider => 'acme', p_status => 'dead', p_dry_run => true),
  1, 'with an outcome'
);
select is(
  marketplace.replay_events(p_rule_id => (select id from rule), p_dry_run => true),
  2, 'of a rule'
);
select is(
  marketplace.replay_events(p_provider => 'acme', p_limit => 1, p_dry_run => true),
  1, 'at most so many'
);
select is_empty('table replay', 'a dry run replays nothing');
select throws_ok(
  $$ select marketplace.replay_events(p_status => 'pending') $$,
  'MK400', 'status ''pending'' cannot be replayed', 'what has not finished cannot be replayed'
);

-- then, dead letters
select is(
  marketplace.replay_dead_letters(p_provider => 'acme', p_dry_run => true),
  1, 'dead letters of a provider'
);
select is(
  marketplace.replay_dead_letters(p_provider => 'acme', p_error_code => 'other', p_dry_run => true),
  0, 'with an error code'
);
select is(
  marketplace.replay_dead_letters(p_rule_id => (select id from rule), p_from => now() - interval '30 minutes', p_dry_run => true),
  0, 'that died since a time'
);

-- when it is done, one every ten seconds
select is(
  marketplace.replay_events(p_provider => 'acme', p_per_second => 0.1),
  2, 'what was counted is replayed'
);
select results_eq(
  'select run_at - now() from replay order by 1', $$ values (interval '0'), (interval '10 seconds') $$, 'at the pace that was asked for'
);
select is(
  marketplace.replay_events(p_provider => 'acme'),
  0, 'while it is under way there is nothing to replay'
);
select is(marketplace.replay_dead_letters(p_provider => 'acme'), 0, 'no dead letter is left');

select * from finish();
rollback;
