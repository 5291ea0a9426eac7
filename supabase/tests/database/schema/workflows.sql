begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

-- given a workflow
insert into marketplace.workflows (slug, name, kind, endpoint)
values ('acme-run', 'Run', 'http', 'https://acme.example/run');

-- then each check refuses what it is there for
create temp table refusal (change text, check_name text, rule text);
insert into refusal values
  ('slug = ''Acme Run''', 'workflows_slug_check', 'a slug is lower case words and dashes'),
  ('name = ''''', 'workflows_name_check', 'a workflow has a name'),
  ('kind = ''zapier''', 'workflows_kind_check', 'it is n8ns, Windmills, an HTTP endpoint or a function'),
  ('endpoint = ''''', 'workflows_endpoint_check', 'it is somewhere'),
  ('completion = ''hope''', 'workflows_completion_check', 'it is done by its report or its answer'),
  ('max_concurrency = 0', 'workflows_max_concurrency_check', 'it runs one job at least'),
  ('max_per_key = 0', 'workflows_max_per_key_check', 'and one of each key'),
  ('rate_per_second = 0', 'workflows_rate_per_second_check', 'a rate is more than nothing'),
  ('rate_tokens = -1', 'workflows_rate_tokens_check', 'a bucket holds no debts'),
  ('timeout_ms = 99', 'workflows_timeout_ms_check', 'it has a tenth of a second to answer, at least'),
  ('lease = ''25 hours''', 'workflows_lease_check', 'it may be silent for a day at most'),
  ('max_attempts = 101', 'workflows_max_attempts_check', 'a job is tried a hundred times at most'),
  ('retry_base = ''-1 second''', 'workflows_retry_base_check', 'a retry is not in the past'),
  ('retry_cap = ''-1 second''', 'workflows_retry_cap_check', 'nor is its cap'),
  ('breaker_state = ''broken'', breaker_until = now()', 'workflows_breaker_state_check', 'a circuit is closed, open or half open'),
  ('breaker_state = ''open''', 'workflows_breaker_check', 'an open circuit says until when'),
  ('breaker_threshold = 0', 'workflows_breaker_threshold_check', 'it opens after one failure at least'),
  ('breaker_cooldown = ''0''', 'workflows_breaker_cooldown_check', 'and for a while'),
  ('breaker_failures = -1', 'workflows_breaker_failures_check', 'failures are counted up'),
  ('breaker_openings = -1', 'workflows_breaker_openings_check', 'so are openings');
select throws_ok(
  format('update marketplace.workflows set %s where slug = ''acme-run''', change),
  '23514', format('new row for relation "workflows" violates check constraint "%s"', check_name), rule
)
from refusal;
select set_eq(
  $$ select conname::text from pg_catalog.pg_constraint
       where conrelid = 'marketplace.workflows'::regclass and contype = 'c' $$,
  'select check_name from refusal', 'and no check is left out'
);


-- a function has to be there, and to answer
create function public.acme_keep(event marketplace.webhook_events, rule marketplace.sync_rules) returns jsonb language sql return null::jsonb;
create function public.acme_count(event marketplace.webhook_events, rule marketplace.sync_rules) returns int language sql return 1;
select throws_ok(
  $$ update marketplace.workflows set kind = 'postgres', endpoint = 'public.acme_lost' where slug = 'acme-run' $$,
  'MK422', 'workflow ''acme-run'' calls function ''public.acme_lost'', which does not exist', 'a function has to be there'
);
select throws_ok(
  $$ update marketplace.workflows set kind = 'postgres', endpoint = 'public.acme_count' where slug = 'acme-run' $$,
  'MK422', 'workflow ''acme-run'' calls ''public.acme_count'', which does not return jsonb', 'it returns jsonb'
);
select lives_ok(
  $$ update marketplace.workflows set kind = 'postgres', endpoint = 'public.acme_keep' where slug = 'acme-run' $$, 'and is taken then'
);

select throws_ok(
  $$ insert into marketplace.workflows (slug, name, endpoint) values ('acme-run', 'Run', 'x') $$,
  '23505', null, 'a slug is unique'
);
select throws_ok(
  $$ update marketplace.workflows set organization_id = gen_random_uuid() where slug = 'acme-run' $$,
  '23503', null, 'it belongs to an organization that exists'
);
select results_eq(
  $$ select o.is_default, w.completion, w.is_active, w.sends_payload, w.allows_private_network, w.max_concurrency, w.lease, w.max_attempts, w.breaker_state
     from marketplace.workflows as w join marketplace.organizations as o on o.id = w.organization_id where w.slug = 'acme-run' $$,
  $$ values (true, 'callback', true, false, false, 5, interval '5 minutes', 3, 'closed') $$,
  'it is the platform''s own, reports by itself, gets no payload and lies in the public network, unless it says otherwise'
);
select results_eq(
  $$ select kind, endpoint, is_active from marketplace.workflows
       where slug = 'github-artifacts-mirror' $$, $$ values ('n8n', 'github-artifacts-mirror', true) $$,
  'the workflow that mirrors artifacts is there from the start'
);

select * from finish();
rollback;
