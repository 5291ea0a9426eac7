begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(22);

-- given a repository's integration, and rules on it
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-code', 'Code', 'github', 'development');
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
end
$$;
delete from marketplace.provider_webhooks;
create temp view hook as select h.* from marketplace.provider_webhooks as h where h.target = 'acme/code';
create temp view integration as select * from marketplace.integrations where slug = 'acme-code';
create function pg_temp.rule(p_name text, p_types text[], p_schedule text default null) returns void language sql as $$
  insert into marketplace.sync_rules (name, source_integration_id, event_types, schedule) select p_name, id, p_types, p_schedule from integration
$$;
create temp table task (n serial, task jsonb);
create function pg_temp.claim() returns int language sql as $$
  with claimed as (insert into task (task) select t from marketplace.claim_webhooks() as t returning 1) select count(*)::int from claimed
$$;
create function pg_temp.latest() returns jsonb language sql as 'select task from task order by n desc limit 1';
create function pg_temp.record(p_hook_id text) returns boolean language sql as $$
  select marketplace.record_webhook(
    (t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, p_hook_id, array(select jsonb_array_elements_text(t -> 'event_types')), t ->> 'address', (t ->> 'proof_id')::uuid
  ) from pg_temp.latest() as t
$$;

-- when one is asked for
create temp table ensured as select marketplace.ensure_webhook('acme-code', 'acme/code') as id;
select is(marketplace.ensure_webhook('acme-code', 'acme/code'), (select id from ensured), 'asked for twice, it is one');
select results_eq('select kind, status from hook', $$ values ('github.repository', 'pending') $$, 'it is to be made');
select is((select count(*) from marketplace.sync_cursors as c where c.scope = 'acme/code' and c.feed = 'github.deliveries')::int, 1, 'and its delivery log is followed');
select is(pg_temp.claim(), 1, 'it is handed out');
select is(pg_temp.claim(), 0, 'to one');
select results_eq(
  $$ select t ->> 'address', length(t ->> 'secret'), t -> 'event_types' from pg_temp.latest() as t $$,
  $$ values ('https://project.example/functions/v1/marketplace-webhook/github/acme-code', 64, '["push"]'::jsonb) $$, 'with what it should be like'
);
select ok(pg_temp.record('12'), 'once made');
select results_eq('select status, hook_id, due_at > now() + interval ''23 hours'' from hook', $$ values ('active', '12', true) $$, 'it is looked at every day');
select is(pg_temp.claim(), 0, 'and not before');

-- when the rules change
do $$ begin perform pg_temp.rule('a', '{workflow_run.completed,push}'), pg_temp.rule('b', '{workflow_run.*}'); end $$;
select is(marketplace._event_types_needed((select id from integration)), '{push,workflow_run}', 'events are what the rules need');
select is(pg_temp.claim(), 1, 'it is changed at once');
do $$ begin perform pg_temp.record('12'); end $$;
do $$ begin perform pg_temp.rule('nightly', '{}', '0 3 * * *'); end $$;
select is(pg_temp.claim(), 0, 'a schedule needs no event');
do $$ begin perform pg_temp.rule('any', '{}'); end $$;
select is(marketplace._event_types_needed((select id from integration)), '{*}', 'a rule may take any');
select is(pg_temp.claim(), 1, 'then the provider sends all');
do $$ begin perform pg_temp.record('12'); end $$;
do $$ begin perform marketplace.set_integration_secret('acme-code', 'webhook', 'another secret of ours'); end $$;
select is(pg_temp.claim(), 1, 'and a new secret is told at once');
select is(pg_temp.latest() ->> 'secret', 'another secret of ours', 'the newest');

-- when the provider refuses
select ok(
  (select marketplace.fail_webhook((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, 'not yours') from pg_temp.latest() as t) > clock_timestamp() + interval '14 seconds',
  'it is asked again later'
);
select results_eq('select status, error_message from hook', $$ values ('failing', 'not yours') $$, 'and says why');

-- when it is wanted no longer
select ok(marketplace.remove_webhook('acme-code', 'acme/code'), 'it can be taken away');
select is(pg_temp.claim(), 1, 'at the provider, too');
do $$ begin perform pg_temp.record(null); end $$;
select is((select status from hook), 'removed', 'then it is gone');
select throws_ok($$ select marketplace.ensure_webhook('acme-drive', 'acme/code') $$, 'MK422', null, 'elsewhere webhooks are not made this way');

select * from finish();
rollback;
