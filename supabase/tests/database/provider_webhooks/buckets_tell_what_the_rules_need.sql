begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(51);

-- given a bucket's integration
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-files', 'Files', 'aws_s3', 'storage', '{"bucket": "files", "sns_topic_name": "uploads"}');
end
$$;
delete from marketplace.provider_webhooks;
create temp view integration as select * from marketplace.integrations where slug = 'acme-files';
create temp view hook as select h.* from marketplace.provider_webhooks as h where h.integration_id = (select id from integration);
create function pg_temp.rule(p_types text[], p_pattern text, p_schedule text default null) returns void language sql as $$
  insert into marketplace.sync_rules (name, source_integration_id, workflow_id, event_types, source_pattern, schedule)
  select p_pattern || array_to_string(p_types, ' '), i.id, (select w.id from marketplace.workflows as w limit 1), p_types, p_pattern, p_schedule from integration as i
$$;
create function pg_temp.needed(p_types text[], p_pattern text default '**') returns text language plpgsql as $$
declare
  v_needed text;
begin
  perform pg_temp.rule(p_types, p_pattern);
  v_needed := array_to_string(marketplace._s3_events_needed((select id from integration)), ' ') || ' | '
    || array_to_string(marketplace._s3_filters_needed((select id from integration)), ' ');
  delete from marketplace.sync_rules as r where r.source_integration_id = (select id from integration);
  return v_needed;
end
$$;
create temp table task (n int generated always as identity, task jsonb);
create function pg_temp.claim() returns int language sql as $$
  with claimed as (insert into task (task) select t from marketplace.claim_webhooks() as t returning 1) select count(*)::int from claimed
$$;
create function pg_temp.latest() returns jsonb language sql as 'select task from task order by n desc limit 1';
create function pg_temp.record(p_hook_id text, p_is_pending boolean default false) returns boolean language sql as $$
  select marketplace.record_webhook(
    (t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, p_hook_id, array(select jsonb_array_elements_text(t -> 'event_types')), t ->> 'address', (t ->> 'proof_id')::uuid,
    array(select jsonb_array_elements_text(t -> 'filters')), p_is_pending
  ) from pg_temp.latest() as t
$$;
create function pg_temp.note(p_topic text) returns boolean language sql as $$
  select marketplace.note_webhook_topic((t ->> 'id')::uuid, (t ->> 'lease_id')::uuid, p_topic) from pg_temp.latest() as t
$$;

-- then rules are put into S3's words
select is(
  array_to_string(marketplace._s3_events_needed((select id from integration)), ' '), 's3:ObjectCreated:* s3:ObjectRemoved:*', 'without a rule: what comes and goes'
);
select is(pg_temp.needed('{}'), 's3:ObjectCreated:* s3:ObjectRemoved:* | *', 'a rule that takes any: the same');
select is(pg_temp.needed('{s3.*}'), 's3:ObjectCreated:* s3:ObjectRemoved:* | *', 'and one that takes any of S3');
select is(pg_temp.needed('{s3.ObjectCreated:*}'), 's3:ObjectCreated:* | *', 'a family');
select is(pg_temp.needed('{s3.ObjectCreated:P*}'), 's3:ObjectCreated:* | *', 'S3 knows no half a family');
select is(pg_temp.needed('{s3.ObjectT*}'), 's3:ObjectTagging:* | *', 'and no family by half its name');
select is(pg_temp.needed('{s3.ObjectRemoved:Delete,s3.ObjectCreated:Put}'), 's3:ObjectCreated:Put s3:ObjectRemoved:Delete | *', 'single events');
select is(pg_temp.needed('{s3.ObjectCreated:Put,s3.ObjectCreated:*}'), 's3:ObjectCreated:* | *', 'a family covers its members');
select is(pg_temp.needed('{s3.TestEvent,s3.ObjectAcl:Put,sns.Notification}'), 's3:ObjectAcl:Put | *', 'what S3 is not asked for is left out');
select is(pg_temp.needed('{}', 'objects/in/**/*.csv'), 's3:ObjectCreated:* s3:ObjectRemoved:* | in/*.csv', 'a pattern: what its keys begin and end with');
select is(pg_temp.needed('{}', 'objects/a.txt'), 's3:ObjectCreated:* s3:ObjectRemoved:* | a.txt*', 'one key');
select is(pg_temp.needed('{}', 'objects/{in,out}/*.csv'), 's3:ObjectCreated:* s3:ObjectRemoved:* | *', 'a choice: whatever it may be');
select is(pg_temp.needed('{}', '*/in/a.csv'), 's3:ObjectCreated:* s3:ObjectRemoved:* | *a.csv', 'of a pattern that begins elsewhere the name');
select is(pg_temp.needed('{}', 'messages/*'), 's3:ObjectCreated:* s3:ObjectRemoved:* | *', 'a pattern of no object asks for none');

-- S3 takes no two entries that one key could match
select is(marketplace._disjoint_filters('{in/*,out/*}'), '{in/*,out/*}', 'apart, they stay');
select is(marketplace._disjoint_filters('{in/*.csv,in/*.txt}'), '{in/*.csv,in/*.txt}', 'apart by their end, too');
select is(marketplace._disjoint_filters('{in/*,in/*.csv}'), '{in/*}', 'one that covers another is enough');
select is(marketplace._disjoint_filters('{in/*,*.csv}'), '{*}', 'two that meet become one that covers both');
select is(marketplace._disjoint_filters('{a/*,a/b/*.x,a/b/c*,z*}'), '{a/*,z*}', 'and so on');
select is(marketplace._disjoint_filters('{}'), '{}', 'of none there is none');

-- when settings name the keys
update marketplace.integrations set config = config || '{"notification_filters": ["logs/", "in/*.csv"]}' where slug = 'acme-files';
select is(pg_temp.needed('{}', 'objects/else/*'), 's3:ObjectCreated:* s3:ObjectRemoved:* | in/*.csv logs/*', 'then those, whatever the rules say');

-- when it is asked for
create temp table ensured as select marketplace.ensure_webhook('acme-files') as id;
select results_eq('select id, kind, target, status from hook', $$ select id, 's3.bucket', 'files', 'pending' from ensured $$, 'the bucket of the settings is to tell');
select is((select count(*) from marketplace.sync_cursors as c where c.integration_id = (select id from integration))::int, 0, 'no log is followed');
select is((select count(*) from marketplace.integration_secrets as s where s.integration_id = (select id from integration))::int, 0, 'and no secret is needed');
select is(pg_temp.claim(), 1, 'it is handed out');
select results_eq(
  $$ select t ->> 'address', t -> 'event_types', t -> 'filters', t ->> 'topic_arn', (t ->> 'is_topic_shared')::boolean, (t ->> 'is_wanted')::boolean from pg_temp.latest() as t $$,
  $$ values ('https://project.example/functions/v1/marketplace-webhook/aws_s3/acme-files', '["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]'::jsonb, '["in/*.csv", "logs/*"]'::jsonb, null::text, false, true) $$,
  'with what it should be like'
);
select is(marketplace.webhook_config('aws_s3', 'acme-files') #> '{webhook_config,topic_arns}', null, 'no topic counts yet');
create temp table version as select config_version from integration;
select ok(pg_temp.note('arn:aws:sns:us-east-1:123456789012:uploads'), 'once it is known');
select is(
  marketplace.webhook_config('aws_s3', 'acme-files') #> '{webhook_config,topic_arns}', '["arn:aws:sns:us-east-1:123456789012:uploads"]', 'its topic counts'
);
select isnt((select config_version from integration), (select config_version from version), 'for whoever has read the settings before, too');

-- when the subscription waits for its confirmation
select ok(pg_temp.record('arn:sub', p_is_pending => true), 'asked for');
select results_eq('select status, hook_id, due_at between now() and clock_timestamp() + interval ''6 seconds'' from hook', $$ values ('pending', 'arn:sub', true) $$, 'it waits, and is looked at before long');
select is((select error_message from marketplace.v_watch_channels where integration = 'acme-files'), 'Waits for SNS''s request to confirm the subscription to arn:aws:sns:us-east-1:123456789012:uploads.', 'and says so');
select is_empty($$ select from marketplace.v_alerts where alert = 'webhook_unconfirmed' $$, 'one look in vain is no alert');
select is(pg_temp.claim(), 0, 'not before');
select is(marketplace.note_confirmation((select id from integration), 'arn:aws:sns:us-east-1:123456789012:other'), 0, 'another topic''s confirmation is no news');
select is(marketplace.note_confirmation((select id from integration), 'arn:aws:sns:us-east-1:123456789012:uploads'), 1, 'its own');
select is(pg_temp.claim(), 1, 'is looked at now');
do $$ begin perform marketplace.note_confirmation((select id from integration), 'arn:aws:sns:us-east-1:123456789012:uploads'), pg_temp.record('arn:sub', true); end $$;
select is(pg_temp.claim(), 1, 'one that comes before its answer is noted, too');
update marketplace.provider_webhooks set failure_count = 3 where id = (select id from hook);
select is(
  (select message from marketplace.v_alerts where alert = 'webhook_unconfirmed' and subject = 'acme-files'),
  'The subscription of files to arn:aws:sns:us-east-1:123456789012:uploads is not confirmed: SNS must reach https://project.example/functions/v1/marketplace-webhook/aws_s3/acme-files.',
  'several are'
);
do $$ begin perform pg_temp.record('arn:sub'); end $$;
select is((select status from hook), 'active', 'confirmed, it is active');
select is(pg_temp.claim(), 0, 'and left alone');
do $$ begin perform pg_temp.rule('{s3.ObjectCreated:*}', 'objects/**'); end $$;
select is(pg_temp.claim(), 1, 'until the rules change');
do $$ begin perform pg_temp.record('arn:sub'); end $$;
update marketplace.integrations set config = config || '{"sns_topic_name": "others"}' where slug = 'acme-files';
select is(pg_temp.claim(), 1, 'or the topic');
do $$ begin perform pg_temp.note('arn:aws:sns:us-east-1:123456789012:others'), pg_temp.record('arn:sub2'); end $$;

-- when it is wanted no longer
select ok(marketplace.remove_webhook('acme-files'), 'it can be taken away');
select is(pg_temp.claim(), 1, 'at AWS, too');
do $$ begin perform pg_temp.record(null); end $$;
select is((select array_length(sns_topic_arns, 1) from integration), null, 'then no topic counts');

-- what cannot be made to tell is refused
select throws_ok($$ select marketplace.ensure_webhook('acme-files', 'no bucket') $$, 'MK400', null, 'a bucket has a name');
select throws_ok($$ select marketplace.ensure_webhook('acme-files', 'files', '{push}') $$, 'MK400', null, 'events are S3''s');
update marketplace.integrations set config = config - 'sns_topic_name' where slug = 'acme-files';
select throws_ok($$ select marketplace.ensure_webhook('acme-files') $$, 'MK422', 'integration ''acme-files'' names no SNS topic', 'there is a topic');
update marketplace.integrations set config = config || '{"api_base": "https://0123.r2.cloudflarestorage.com", "sns_topic_name": "uploads"}' where slug = 'acme-files';
select throws_ok($$ select marketplace.ensure_webhook('acme-files') $$, 'MK422', 'the store at https://0123.r2.cloudflarestorage.com has no SNS through which it could tell', 'and SNS');

select * from finish();
rollback;
