begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(11);

-- given a drive that is followed, with a channel, and a webhook
do $$
begin
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
  perform marketplace.register_integration('acme-code', 'Code', 'github', 'development');
  perform marketplace.watch('acme-drive'), marketplace.ensure_webhook('acme-code', 'acme/code');
end
$$;
create temp table followed as select c.id from marketplace.sync_cursors as c
join marketplace.integrations as i on i.id = c.integration_id where i.slug = 'acme-drive';
update marketplace.sync_cursors set cursor = '1', status = 'active', due_at = 'infinity' where id = (select id from followed);
insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind, status, resource_id, expires_at, renew_after)
select c.organization_id, c.integration_id, c.id, 'drive', 'active', 'r', now() + interval '7 days', now() + interval '6 days'
from marketplace.sync_cursors as c where c.id = (select id from followed);
create function pg_temp.alerts(p_subject text) returns text language sql as $$
  select string_agg(severity || ' ' || alert, ', ' order by alert) from marketplace.v_alerts where subject = p_subject
$$;

-- then
select is(pg_temp.alerts('acme-drive'), null, 'as long as all is well nobody is told');
select results_eq(
  $$ select feed, status, expires_at from marketplace.v_watch_channels where integration = 'acme-drive' $$,
  $$ values ('drive.changes', 'active', now() + interval '7 days') $$, 'a channel is to be seen with its end'
);
select results_eq(
  $$ select feed, scope, status from marketplace.v_watch_channels where integration = 'acme-code' $$,
  $$ values ('github.repository', 'acme/code', 'pending') $$, 'and so is a webhook'
);
select results_eq(
  $$ select feed, status, overdue_seconds from marketplace.v_sync_cursors where integration = 'acme-drive' $$,
  $$ values ('drive.changes', 'active', 0) $$, 'and a feed'
);

-- when a channel is near its end
update marketplace.watch_channels set renew_after = now() - interval '2 hours', expires_at = now() + interval '1 day' where cursor_id = (select id from followed);
select is(pg_temp.alerts('acme-drive'), 'warning channel_ending', 'a channel that ends and is not renewed is told');

-- when there is none
delete from marketplace.watch_channels where cursor_id = (select id from followed);
update marketplace.sync_cursors set channel_failure_count = 3, channel_error = 'no https' where id = (select id from followed);
select is(pg_temp.alerts('acme-drive'), 'warning channel_refused', 'so is a refusal that lasts');
select is((select status from marketplace.v_watch_channels where integration = 'acme-drive'), 'none', 'and that there is none');

-- when pulls fail, or do not come
update marketplace.sync_cursors
set channel_failure_count = 0, status = 'failing', error_code = 'x', error_message = 'y', failure_count = 3
where id = (select id from followed);
select is(pg_temp.alerts('acme-drive'), 'warning feed_failing', 'a feed that cannot be pulled is told');
update marketplace.sync_cursors set failure_count = 10, due_at = now() - interval '6 minutes' where id = (select id from followed);
select is(pg_temp.alerts('acme-drive'), 'critical feed_behind, critical feed_failing', 'the louder the longer');

-- when a webhook cannot be kept
update marketplace.provider_webhooks set status = 'failing', failure_count = 3, error_message = 'not yours' where target = 'acme/code';
select is(pg_temp.alerts('acme-code'), 'warning webhook_failing', 'so is a webhook that cannot be kept');

-- when a schedule is not kept
insert into marketplace.workflows (slug, name, kind, endpoint) values ('acme-run', 'Run', 'http', 'https://acme.example/run');
insert into marketplace.sync_rules (name, source_integration_id, workflow_id, schedule)
select 'Acme nightly', i.id, w.id, '0 3 * * *' from marketplace.integrations as i, marketplace.workflows as w
where i.slug = 'acme-drive' and w.slug = 'acme-run';
update marketplace.sync_rules set next_run_at = now() - interval '6 minutes' where name = 'Acme nightly';
select is(pg_temp.alerts('Acme nightly'), 'critical schedule_late', 'and a schedule that makes no job');

select * from finish();
rollback;
