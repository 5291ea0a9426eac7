begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(4);

-- given the scheduled jobs of this project
create temp view our_job as
select j.jobname::text, j.schedule, j.command, j.username, j.active from cron.job as j
where j.jobname like 'marketplace%' or j.command like '%marketplace.%';

-- then
select set_eq(
  'select jobname, schedule, command from our_job',
  $$ values
    ('marketplace_sweep', '5 seconds', 'select marketplace.sweep()'),
    ('marketplace_partitions', '7 * * * *', 'select marketplace.ensure_partitions()'),
    ('marketplace_retention', '23 * * * *', 'select marketplace.apply_retention()') $$,
  'exactly these jobs are scheduled'
);
select cmp_ok((select count(*) from our_job)::int, '<=', 8, 'pg_cron serves few jobs well: at most eight');
select is_empty('select jobname from our_job where not active or username <> current_user', 'every job is active and runs as its owner');

-- when a job is scheduled anew under its name, then it is replaced
select marketplace._schedule('marketplace_sweep', '5 seconds', null, 'select marketplace.sweep()');
select is((select count(*) from our_job)::int, 3, 'scheduling a job again replaces it');

select * from finish();
rollback;
