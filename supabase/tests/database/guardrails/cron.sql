begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given the scheduled jobs of this project
create temp view our_job as
select j.jobname::text, j.schedule, j.command, j.username, j.active from cron.job as j
where j.jobname like 'marketplace%' or j.command like '%marketplace.%';

-- then
select set_eq(
  'select jobname, command from our_job',
  $$ values
    ('marketplace_sweep', 'select marketplace.sweep()'),
    ('marketplace_counts', 'select marketplace.count_minutes()'),
    ('marketplace_partitions', 'select marketplace.ensure_partitions()'),
    ('marketplace_retention', 'select marketplace.apply_retention()'),
    ('marketplace_maintain', 'select marketplace.maintain_connections()'),
    ('marketplace_executions', 'select marketplace.maintain_executions()'),
    ('marketplace_feeds', 'select marketplace.sweep_feeds()'),
    ('marketplace_channels', 'select marketplace.forget_channels()') $$,
  'exactly these jobs are scheduled'
);
select is_empty(
  -- pg_cron before 1.5 knows no seconds
  $$ select jobname, schedule from our_job
     where schedule not in ('7 * * * *', '*/10 * * * *') and (jobname, schedule) <> ('marketplace_maintain', '* * * * *')
       and (jobname not in ('marketplace_sweep', 'marketplace_feeds') or schedule not in ('5 seconds', '* * * * *'))
       and (jobname <> 'marketplace_counts' or schedule not in ('10 seconds', '* * * * *')) $$,
  'sweeps and counts every few seconds, or every minute where pg_cron knows no seconds; connections every minute; partitions every hour, the rest every ten minutes'
);
select cmp_ok(
  (select count(*) from our_job)::int,
  '<=', 8, 'pg_cron serves few jobs well: at most eight'
);
select is_empty(
  'select jobname from our_job where not active or username <> current_user',
  'every job is active and runs as its owner'
);

-- when a job is scheduled anew under its name, then it is replaced
do $$
begin
  perform marketplace._schedule('marketplace_sweep', '5 seconds', '* * * * *', 'select marketplace.sweep()');
end
$$;
select is((select count(*) from our_job)::int, 8, 'scheduling a job again replaces it');

select * from finish();
rollback;
