-- What wants a human's eye, and the figures behind it.

create function marketplace._alerts()
returns table (severity text, alert text, subject text, message text, since timestamptz)
language plpgsql -- keeps its plan: making it, for all these tables, takes longer than looking
stable
rows 10
security definer -- looks at pg_cron's and pg_net's own tables; executable by the service role only
set search_path = ''
as $$
#variable_conflict use_column
begin
  return query
  select 'critical', 'event_waiting', 'routing',
    format('The oldest event has waited %s s for routing.', extract(epoch from now() - e.created_at)::int), e.created_at
  from (
    select w.created_at from marketplace.webhook_events as w where not w.processed order by w.created_at, w.id limit 1
  ) as e
  where e.created_at < now() - interval '1 minute'
  union all
  select 'critical', 'job_waiting', w.slug,
    format('The oldest job that is due has waited %s s.', extract(epoch from now() - oldest.run_at)::int), oldest.run_at
  from marketplace.workflows as w
  cross join lateral (select marketplace._oldest_due_at(w.id) as run_at) as oldest
  where oldest.run_at < now() - interval '5 minutes'
  union all
  select 'warning', 'dead_letters', w.slug, format('%s jobs are dead and not replayed.', count(*)), min(j.finished_at)
  from marketplace.sync_jobs as j
  join marketplace.workflows as w on w.id = j.workflow_id
  where j.status = 'dead' and j.replayed_at is null
  group by w.slug
  union all
  select 'critical', 'circuit_open', w.slug,
    format('Dispatches fail (%s in a row); the next probe goes at %s.', w.breaker_failures, to_char(w.breaker_until at time zone 'UTC', 'HH24:MI:SS "UTC"')),
    w.updated_at
  from marketplace.workflows as w
  where w.breaker_state <> 'closed'
  union all
  select 'critical', 'workflow_disabled', w.slug, w.disabled_reason, w.updated_at
  from marketplace.workflows as w
  where not w.is_active and w.disabled_reason is not null
  union all
  select 'warning', 'paused', w.slug, 'The workflow is paused; its jobs wait.', w.paused_at
  from marketplace.workflows as w
  where w.paused_at < now() - interval '1 hour'
  union all
  select 'critical', 'cron_silent', c.jobname, 'pg_cron has not run this job lately.', last_run.start_time
  from cron.job as c
  left join lateral (
    select d.start_time from cron.job_run_details as d where d.jobid = c.jobid order by d.runid desc limit 1
  ) as last_run on true
  where c.jobname like 'marketplace\_%' and c.active
    and coalesce(last_run.start_time, '-infinity') < now() - case when c.schedule like '%second%' or c.schedule = '* * * * *' then interval '3 minutes' else interval '3 hours' end
    and (select min(m.created_at) from marketplace.organizations as m) < now() - interval '3 hours'
  union all
  select 'warning', 'cron_failed', c.jobname, left(coalesce(last_run.return_message, 'failed'), 300), last_run.start_time
  from cron.job as c
  cross join lateral (
    select d.start_time, d.status, d.return_message from cron.job_run_details as d where d.jobid = c.jobid order by d.runid desc limit 1
  ) as last_run
  where c.jobname like 'marketplace\_%' and last_run.status = 'failed'
  union all
  select 'critical', 'ring_unanswered', 'marketplace-dispatch',
    coalesce(r.error_msg, format('The last ring was answered with status %s.', r.status_code)), r.created
  from marketplace.dispatcher_state as d
  join net._http_response as r on r.id = d.ring_request_id
  where (r.status_code is null or r.status_code >= 400) and r.created > now() - interval '10 minutes'
  union all
  select 'critical', 'functions_url_missing', 'marketplace',
    'The database does not know where its Edge Functions are; run marketplace.configure_platform(url).', null
  where marketplace._vault_read_named('marketplace_functions_url') is null
  union all
  select 'warning', 'partition_missing', p.table_name, format('No partition stands ready for %s.', p.day), null
  from (
    select t.table_name, (now() at time zone 'UTC')::date + 1 as day
    from unnest(array['webhook_events', 'sync_job_attempts', 'execution_logs']) as t (table_name)
  ) as p
  where to_regclass(format('marketplace.%I', p.table_name || '_' || to_char(p.day, 'YYYYMMDD'))) is null
  union all
  select 'warning', 'quota', i.slug, format('%s of %s calls of %s are spent.', q.used_count, q.limit_count, quote_literal(q.name)), q.updated_at
  from marketplace.api_quotas as q
  join marketplace.integrations as i on i.id = q.integration_id
  where q.resets_at > now() and q.used_count >= 0.9 * q.limit_count
  union all
  select case i.health_status when 'unhealthy' then 'critical' else 'warning' end, 'integration_' || i.health_status, i.slug,
    coalesce(i.error_message, 'no reason given'), i.health_checked_at
  from marketplace.integrations as i
  where i.health_status in ('degraded', 'unhealthy')
  union all
  select 'warning', 'secret_expiring', i.slug, format('The %s secret ends and no other is valid after it.', s.purpose), s.valid_until
  from marketplace.integration_secrets as s
  join marketplace.integrations as i on i.id = s.integration_id
  where s.valid_until between now() and now() + interval '7 days'
    and s.purpose not like 'offered\_webhook\_%'
    and not exists (
      select from marketplace.integration_secrets as o
      where o.integration_id = s.integration_id and o.purpose = s.purpose
        and (o.valid_until is null or o.valid_until > s.valid_until)
    )
  union all
  select 'warning', 'reauthorization_required', i.slug, coalesce(t.error_message, 'The grant was refused.'), t.updated_at
  from marketplace.oauth_tokens as t
  join marketplace.integrations as i on i.id = t.integration_id
  where t.status = 'reauthorization_required'
  union all
  -- renewal has failed for long: it is begun a day before, or a quarter of the lifetime
  select 'warning', 'channel_ending', i.slug,
    format('The push channel of %s ends at %s and is not renewed: %s', c.feed, to_char(w.expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
      coalesce(c.channel_error, 'marketplace-maintain has not come to it.')),
    w.renew_after
  from marketplace.watch_channels as w
  join marketplace.sync_cursors as c on c.id = w.cursor_id and c.is_active
  join marketplace.integrations as i on i.id = w.integration_id
  where w.status = 'active' and w.renew_after < now() - interval '1 hour'
  union all
  select 'warning', 'channel_refused', i.slug, format('%s has no push channel and is only looked at now and then: %s', c.feed, c.channel_error), c.updated_at
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  where c.is_active and c.channel_failure_count >= 3
    and not exists (select from marketplace.watch_channels as w where w.cursor_id = c.id and w.status = 'active')
  union all
  select case when c.failure_count >= 10 then 'critical' else 'warning' end, 'feed_failing', i.slug,
    format('%s cannot be pulled (%s in a row): %s', c.feed, c.failure_count, c.error_message), coalesce(c.caught_up_at, c.created_at)
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  where c.is_active and c.failure_count >= 3
  union all
  select 'critical', 'feed_behind', i.slug, format('%s has been due for %s s and nobody pulls.', c.feed, extract(epoch from now() - c.due_at)::int), c.due_at
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  where c.is_active and i.status <> 'inactive' and c.lease_id is null and c.due_at < now() - interval '5 minutes'
  union all
  select 'warning', 'webhook_failing', i.slug, format('The webhook of %s cannot be kept: %s', h.target, h.error_message), h.checked_at
  from marketplace.provider_webhooks as h
  join marketplace.integrations as i on i.id = h.integration_id
  where h.status = 'failing' and h.failure_count >= 3
  union all
  select 'warning', 'webhook_unconfirmed', i.slug,
    format('The subscription of %s to %s is not confirmed: SNS must reach %s.', h.target, h.topic_arn, h.sent_address), h.checked_at
  from marketplace.provider_webhooks as h
  join marketplace.integrations as i on i.id = h.integration_id
  where h.status = 'pending' and h.failure_count >= 3
  union all
  select 'warning', 'removal_waiting', i.slug, coalesce(left_over.reason, 'marketplace-maintain has not come to it.')
      || ' To delete it all the same: select marketplace.remove_integration(slug, p_force => true).', i.removal_requested_at
  from marketplace.integrations as i
  left join lateral (
    select format('%s cannot be taken away: %s', coalesce(v.scope, v.feed), v.error_message) as reason
    from marketplace.v_watch_channels as v
    where v.integration = i.slug and v.status <> 'none' and v.error_message is not null
    limit 1
  ) as left_over on true
  where i.removal_requested_at < now() - interval '5 minutes'
  union all
  select 'critical', 'schedule_late', r.name, format('The schedule %s has made no job.', quote_literal(r.schedule)), r.next_run_at
  from marketplace.sync_rules as r
  where r.is_active and r.next_run_at < now() - interval '5 minutes';
end
$$;
comment on function marketplace._alerts() is 'What v_alerts shows; also behind the health check.';

create view marketplace.v_alerts
with (security_invoker = true) as
select a.severity, a.alert, a.subject, a.message, a.since
from marketplace._alerts() as a
order by a.severity, a.since nulls last;
comment on view marketplace.v_alerts is 'What wants a human''s eye just now, worst first. For the service role.';

create function marketplace.metrics()
returns table (name text, kind text, help text, labels jsonb, value numeric)
language sql
stable
rows 100
set search_path = ''
as $$
  with queue as materialized (select * from marketplace.v_job_queue)
  select 'marketplace_jobs', 'gauge', 'Jobs that are not finished, by workflow and state.',
    jsonb_build_object('workflow', q.workflow, 'state', s.state), s.value::numeric
  from queue as q
  cross join lateral (
    values ('waiting', q.pending - q.held), ('held', q.held), ('running', q.running)
  ) as s (state, value)
  union all
  select 'marketplace_oldest_due_seconds', 'gauge', 'Age of the oldest due job, by workflow.',
    jsonb_build_object('workflow', q.workflow), coalesce(q.oldest_due_seconds, 0)
  from queue as q
  union all
  select 'marketplace_circuit_open', 'gauge', '1 while dispatches to the workflow are held back.',
    jsonb_build_object('workflow', q.workflow), (q.breaker_state <> 'closed')::int
  from queue as q
  union all
  select 'marketplace_dead_letters', 'gauge', 'Dead jobs that were not replayed.', '{}', count(*)
  from marketplace.sync_jobs as j
  where j.status = 'dead' and j.replayed_at is null
  union all
  select 'marketplace_events_unprocessed', 'gauge', 'Events that wait for routing (counting stops at 10000).', '{}', count(*)
  from (select from marketplace.webhook_events as e where not e.processed limit 10000) as e
  union all
  select 'marketplace_alerts', 'gauge', 'Alerts by kind.', jsonb_build_object('alert', a.alert, 'severity', a.severity), count(*)
  from marketplace._alerts() as a
  group by a.alert, a.severity
$$;
comment on function marketplace.metrics() is 'Figures for OpenMetrics: name, kind, help, labels, value. For marketplace-dispatch/metrics.';

revoke all on all functions in schema marketplace from public;
grant select on marketplace.v_alerts to service_role;
grant execute on function marketplace._alerts(), marketplace.metrics() to service_role;
