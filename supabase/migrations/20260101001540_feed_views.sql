-- The sweep that finds what was not rung for, and what an operator sees of feeds and channels.

create function marketplace.sweep_feeds()
returns bigint
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform marketplace.make_scheduled_jobs();
  perform marketplace.finish_removals();
  if exists (
      select
      from marketplace.sync_cursors as c
      join marketplace.integrations as i on i.id = c.integration_id
      where c.is_active and i.status <> 'inactive'
        and case when c.lease_id is null then c.due_at <= clock_timestamp() else c.lease_until <= clock_timestamp() end
    )
    or exists (select marketplace._due_webhooks())
    or marketplace.has_channel_tasks()
  then
    return marketplace.ring_maintain();
  end if;
  return null;
end
$$;
comment on function marketplace.sweep_feeds() is
  'Rung by pg_cron: makes the jobs of schedules, deletes integrations that are wound down, and rings marketplace-maintain when a cursor, a channel or a webhook is due, whatever rings were lost. Null: nothing is due.';

create view marketplace.v_sync_cursors
with (security_invoker = true) as
select
  i.slug as integration, c.feed, c.scope, c.account, c.status, c.is_active, c.caught_up_at,
  case when c.due_at <= now() then extract(epoch from now() - c.due_at)::int else 0 end as overdue_seconds,
  c.due_at, c.pushed_at, c.last_pulled_at, c.last_event_at, c.push_count, c.event_count, c.restart_count,
  c.failure_count, c.error_code, c.error_message, i.provider, c.connection_id, c.organization_id, c.id as cursor_id
from marketplace.sync_cursors as c
join marketplace.integrations as i on i.id = c.integration_id
order by i.slug, c.feed, c.scope, c.id;
comment on view marketplace.v_sync_cursors is
  'Each feed of changes that is followed: up to when all is stored, when it is looked at next, and what was last wrong with it.';

create view marketplace.v_watch_channels
with (security_invoker = true) as
select
  i.slug as integration, c.feed, c.scope, w.status, w.channel_id, w.expires_at, w.renew_after, w.address,
  w.push_count, w.last_push_at, coalesce(w.error_message, c.channel_error) as error_message,
  w.created_at, i.provider, c.connection_id, w.organization_id, c.id as cursor_id
from marketplace.watch_channels as w
join marketplace.sync_cursors as c on c.id = w.cursor_id
join marketplace.integrations as i on i.id = w.integration_id
where w.stopped_at is null
union all
select
  i.slug, h.kind, h.target, h.status, h.hook_id, null, h.due_at, h.sent_address,
  null, null, case
    when h.status = 'pending' and h.kind = 's3.bucket' and h.hook_id is not null
      then format('Waits for SNS''s request to confirm the subscription to %s.', h.topic_arn)
    else h.error_message
  end, h.created_at, i.provider, h.connection_id, h.organization_id, null
from marketplace.provider_webhooks as h
join marketplace.integrations as i on i.id = h.integration_id
where h.status <> 'removed'
union all
-- followed, and no channel is open: it lives from reconciliation
select
  i.slug, c.feed, c.scope, 'none', null, null, c.channel_retry_at, null,
  null, null, c.channel_error, c.created_at, i.provider, c.connection_id, c.organization_id, c.id
from marketplace.sync_cursors as c
join marketplace.integrations as i on i.id = c.integration_id
where c.is_active and c.feed <> 'github.deliveries'
  and not exists (select from marketplace.watch_channels as w where w.cursor_id = c.id and w.stopped_at is null)
order by 1, 2, 3, 12;
comment on view marketplace.v_watch_channels is
  'What providers push through: Google''s channels that are not stopped, webhooks made by ensure_webhook (of S3 the subscription of SNS), and as "none" what is followed without a channel; when each ends and is renewed.';

revoke all on all functions in schema marketplace from public;
grant select on marketplace.v_sync_cursors, marketplace.v_watch_channels to authenticated, service_role;
grant execute on function marketplace.sweep_feeds() to service_role;

select marketplace._schedule('marketplace_feeds', '5 seconds', '* * * * *', 'select marketplace.sweep_feeds()');
select marketplace._schedule('marketplace_channels', '*/10 * * * *', null, 'select marketplace.forget_channels()');
