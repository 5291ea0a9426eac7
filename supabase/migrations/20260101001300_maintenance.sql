-- Housekeeping by pg_cron: the sweep that finds what was not rung for, partitions, retention.

create function marketplace.ensure_partitions()
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_made int := 0;
  v_ahead int;
  v_table text;
  v_day date;
begin
  select s.partitions_ahead into v_ahead from marketplace.settings as s;
  foreach v_table in array array['webhook_events', 'sync_job_attempts', 'execution_logs'] loop
    for v_day in
      select (now() at time zone 'UTC')::date + n from generate_series(0, v_ahead) as n
    loop
      begin
        if marketplace._make_partition(v_table, v_day) then
          v_made := v_made + 1;
        end if;
      exception when lock_not_available then
        -- days ahead are ready, so that there is time: v_alerts tells when they run out
        raise warning 'marketplace: % is in use, its partition of % is made by a later run', v_table, v_day;
        exit;
      end;
    end loop;
  end loop;
  return v_made;
end
$$;
comment on function marketplace.ensure_partitions() is
  'Makes the daily partitions of today and the days ahead (settings.partitions_ahead); returns how many were missing.';

create function marketplace.apply_retention(p_limit int default 50000)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_settings marketplace.settings;
  v_done jsonb := '{}';
  v_count int;
begin
  select * into v_settings from marketplace.settings as s;
  delete from marketplace.webhook_deliveries as d
  where (d.integration_id, d.dedupe_key) in (
    select o.integration_id, o.dedupe_key
    from marketplace.webhook_deliveries as o
    where o.received_at < now() - v_settings.dedupe_retention
    limit p_limit
  );
  get diagnostics v_count = row_count;
  v_done := v_done || jsonb_build_object('deliveries', v_count);

  delete from marketplace.sync_jobs as j
  where j.id in (
    select old.id
    from marketplace.organizations as o
    cross join lateral (
      select f.id
      from marketplace.sync_jobs as f
      -- what was made later has not finished before; so no index of finished_at is needed
      where f.organization_id = o.id and f.created_at < now() - v_settings.job_retention
        and f.finished_at < now() - v_settings.job_retention
      order by f.created_at
      limit p_limit
    ) as old
    limit p_limit
  );
  get diagnostics v_count = row_count;
  v_done := v_done || jsonb_build_object('jobs', v_count);

  delete from marketplace.webhook_rejections as r where r.minute < now() - v_settings.rejection_retention;
  get diagnostics v_count = row_count;
  v_done := v_done || jsonb_build_object('rejection_counters', v_count);

  delete from marketplace.integration_secrets as s where s.valid_until < now() - interval '1 hour';
  get diagnostics v_count = row_count;
  v_done := v_done || jsonb_build_object('expired_secrets', v_count);

  delete from cron.job_run_details as d where d.end_time < now() - interval '2 days';
  get diagnostics v_count = row_count;
  v_done := v_done || jsonb_build_object('cron_runs', v_count);

  -- last, because the tables stay locked until the end of the transaction
  return v_done || jsonb_build_object(
    'attempt_partitions', marketplace._drop_partitions('sync_job_attempts', now() - v_settings.attempt_retention),
    'execution_partitions', marketplace._drop_partitions('execution_logs', now() - v_settings.execution_retention),
    'event_partitions', marketplace._drop_partitions('webhook_events', now() - v_settings.event_retention)
  );
end
$$;
comment on function marketplace.apply_retention(int) is
  'Drops and deletes what has outlived its retention in settings, at most p_limit rows of each kind; returns what went.';

create function marketplace._schedule(p_name text, p_schedule text, p_fallback text, p_command text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform cron.schedule(p_name, p_schedule, p_command);
exception when invalid_parameter_value then
  -- pg_cron before 1.5 knows no seconds
  if p_fallback is null then
    raise;
  end if;
  perform cron.schedule(p_name, p_fallback, p_command);
end
$$;
comment on function marketplace._schedule(text, text, text, text) is
  'Schedules a command with pg_cron, with a coarser schedule where pg_cron knows no seconds.';

revoke all on all functions in schema marketplace from public;

select marketplace.ensure_partitions();
select marketplace._schedule('marketplace_sweep', '5 seconds', '* * * * *', 'select marketplace.sweep()');
select marketplace._schedule('marketplace_counts', '10 seconds', '* * * * *', 'select marketplace.count_minutes()');
select marketplace._schedule('marketplace_partitions', '7 * * * *', null, 'select marketplace.ensure_partitions()');
select marketplace._schedule('marketplace_retention', '*/10 * * * *', null, 'select marketplace.apply_retention()');
