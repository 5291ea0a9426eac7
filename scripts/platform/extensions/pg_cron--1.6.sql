-- The API of pg_cron 1.6 in plain SQL, with the grants that hosted Supabase gives `postgres`. The
-- scheduler is scripts/platform/cron_worker.ts: it listens on the channel `pg_cron`.
-- See https://github.com/citusdata/pg_cron
\echo Use "create extension pg_cron" to load this file. \quit

create schema cron;
create sequence cron.jobid_seq;
create sequence cron.runid_seq;

create table cron.job (
  jobid bigint primary key default nextval('cron.jobid_seq'),
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport int not null default coalesce(inet_server_port(), 5432),
  database text not null default current_database(),
  username text not null default current_user,
  active boolean not null default true,
  jobname text,
  constraint jobname_username_uniq unique (jobname, username)
);

create table cron.job_run_details (
  jobid bigint,
  runid bigint primary key default nextval('cron.runid_seq'),
  job_pid integer,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);

grant select on cron.job, cron.job_run_details to public;
grant delete on cron.job_run_details to public;
alter table cron.job enable row level security;
alter table cron.job_run_details enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);
create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

create function cron.job_cache_invalidate() returns trigger
language plpgsql as $$
begin
  notify pg_cron;
  return null;
end
$$;
comment on function cron.job_cache_invalidate() is 'invalidate job cache';
create trigger cron_job_cache_invalidate
  after insert or update or delete or truncate on cron.job
  for each statement execute function cron.job_cache_invalidate();

-- One field of a five-field schedule: *, n, a-b, names, lists, each with an optional /step.
create function cron._is_valid_field(field text, low int, high int, names text default '')
returns boolean
language plpgsql immutable as $$
declare
  v_field text := lower(field);
  v_names text[] := string_to_array(names, ' ');
  v_part text;
  v_match text[];
begin
  for i in 1..coalesce(cardinality(v_names), 0) loop
    v_field := replace(v_field, v_names[i], (low + i - 1)::text);
  end loop;
  foreach v_part in array string_to_array(v_field, ',') loop
    v_match := regexp_match(v_part, '^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?$');
    if v_match is null then
      return false;
    end if;
    if v_match[1]::int not between low and high or v_match[2]::int not between low and high
      or v_match[2]::int < v_match[1]::int then
      return false;
    end if;
  end loop;
  return true;
end
$$;

create function cron._check_schedule(schedule text) returns void
language plpgsql immutable as $$
declare
  v_fields text[] := regexp_split_to_array(trim(schedule), '\s+');
begin
  if schedule ~* '^\s*([1-9]|[1-5][0-9])\s+seconds?\s*$' or lower(trim(schedule)) in (
    '@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'
  ) then
    return;
  end if;
  if cardinality(v_fields) = 5
    and cron._is_valid_field(v_fields[1], 0, 59)
    and cron._is_valid_field(v_fields[2], 0, 23)
    and (v_fields[3] = '$' or cron._is_valid_field(v_fields[3], 1, 31))
    and cron._is_valid_field(v_fields[4], 1, 12, 'jan feb mar apr may jun jul aug sep oct nov dec')
    and cron._is_valid_field(v_fields[5], 0, 7, 'sun mon tue wed thu fri sat') then
    return;
  end if;
  raise exception using
    errcode = '22023',
    message = format('invalid schedule: %s', schedule),
    hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
end
$$;

-- The C functions of the real extension see the calling role. A definer function does not, so the
-- callers below hand it over, and this one refuses a role the session could not have been.
create function cron._schedule(
  caller name, job_name text, schedule text, command text,
  database text, username text, active boolean
)
returns bigint
language plpgsql
security definer -- writes cron.job, which callers may only read
set search_path = '' as $$
declare
  v_user text := coalesce(username, caller);
  v_jobid bigint;
begin
  if not pg_catalog.pg_has_role(session_user, caller, 'member')
    or (v_user <> caller and not exists (
      select from pg_catalog.pg_roles where rolname = caller and rolsuper
    )) then
    raise exception 'must be superuser to create a job for another role' using errcode = '42501';
  end if;
  perform cron._check_schedule(schedule);

  insert into cron.job as j (jobname, schedule, command, database, username, active)
  values (
    job_name, schedule, command, coalesce(database, pg_catalog.current_database()), v_user, active
  )
  on conflict on constraint jobname_username_uniq do update
    set schedule = excluded.schedule, command = excluded.command,
      database = excluded.database, active = excluded.active
  returning j.jobid into v_jobid;
  return v_jobid;
end
$$;

create function cron._own_job(caller name, job_id bigint, job_name text default null)
returns cron.job
language plpgsql
security definer -- reads jobs past their policies to tell "not there" from "not yours"
set search_path = '' as $$
declare
  v_job cron.job;
begin
  if not pg_catalog.pg_has_role(session_user, caller, 'member') then
    raise exception 'role % is not one of this session', caller using errcode = '42501';
  end if;
  select j.* into v_job
  from cron.job j
  where j.jobid = job_id or (job_name is not null and j.jobname = job_name and j.username = caller);
  if v_job.jobid is null then
    raise exception 'could not find valid entry for job ''%''', coalesce(job_name, job_id::text);
  end if;
  if v_job.username <> caller
    and not (select rolsuper from pg_catalog.pg_roles where rolname = caller) then
    raise exception 'permission denied for job %', v_job.jobid using errcode = '42501';
  end if;
  return v_job;
end
$$;

create function cron._unschedule(caller name, job_id bigint, job_name text default null)
returns boolean
language plpgsql
security definer -- writes cron.job, which callers may only read
set search_path = '' as $$
declare
  v_job cron.job := cron._own_job(caller, job_id, job_name);
begin
  delete from cron.job j where j.jobid = v_job.jobid;
  return true;
end
$$;

create function cron._alter_job(
  caller name, job_id bigint, schedule text, command text,
  database text, username text, active boolean
)
returns void
language plpgsql
security definer -- writes cron.job, which callers may only read
set search_path = '' as $$
begin
  perform cron._own_job(caller, job_id);
  if username is not null and username <> caller
    and not (select rolsuper from pg_catalog.pg_roles where rolname = caller) then
    raise exception 'must be superuser to alter the role of a job' using errcode = '42501';
  end if;
  if schedule is not null then
    perform cron._check_schedule(schedule);
  end if;
  update cron.job j
  set schedule = coalesce(_alter_job.schedule, j.schedule),
    command = coalesce(_alter_job.command, j.command),
    database = coalesce(_alter_job.database, j.database),
    username = coalesce(_alter_job.username, j.username),
    active = coalesce(_alter_job.active, j.active)
  where j.jobid = job_id;
end
$$;

create function cron.schedule(schedule text, command text) returns bigint
language sql strict as $$
  select cron._schedule(current_user, null, schedule, command, null, null, true)
$$;
comment on function cron.schedule(text, text) is 'schedule a pg_cron job';

create function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql strict as $$
  select cron._schedule(current_user, job_name, schedule, command, null, null, true)
$$;
comment on function cron.schedule(text, text, text) is 'schedule a pg_cron job';

create function cron.schedule_in_database(
  job_name text, schedule text, command text, database text,
  username text default null, active boolean default true
)
returns bigint
language sql as $$
  select cron._schedule(current_user, job_name, schedule, command, database, username, active)
$$;
comment on function cron.schedule_in_database(text, text, text, text, text, boolean) is
  'schedule a pg_cron job';

create function cron.unschedule(job_id bigint) returns boolean
language sql strict as $$ select cron._unschedule(current_user, job_id) $$;
comment on function cron.unschedule(bigint) is 'unschedule a pg_cron job';

create function cron.unschedule(job_name text) returns boolean
language sql strict as $$ select cron._unschedule(current_user, null, job_name) $$;
comment on function cron.unschedule(text) is 'unschedule a pg_cron job';

create function cron.alter_job(
  job_id bigint,
  schedule text default null,
  command text default null,
  database text default null,
  username text default null,
  active boolean default null
)
returns void
language sql as $$
  select cron._alter_job(current_user, job_id, schedule, command, database, username, active)
$$;
comment on function cron.alter_job(bigint, text, text, text, text, boolean) is
  'Alter the job identified by job_id. Any option left as NULL will not be modified.';

-- What hosted gives `postgres`: everything but writing to cron.job by hand.
revoke all on function cron.schedule_in_database(text, text, text, text, text, boolean) from public;
grant usage on schema cron to postgres with grant option;
grant all on all functions in schema cron to postgres with grant option;
grant all on all sequences in schema cron to postgres with grant option;
grant all privileges on all tables in schema cron to postgres with grant option;
revoke all on table cron.job from postgres;
grant select on table cron.job to postgres with grant option;
revoke trigger on cron.job_run_details from postgres;

select pg_catalog.pg_extension_config_dump('cron.job', '');
select pg_catalog.pg_extension_config_dump('cron.jobid_seq', '');
select pg_catalog.pg_extension_config_dump('cron.job_run_details', '');
select pg_catalog.pg_extension_config_dump('cron.runid_seq', '');
