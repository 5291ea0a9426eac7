-- Marketplace lives in one schema of its own and asks the platform for four extensions.
-- Everything here runs as the non-superuser `postgres`, on hosted Supabase as on a laptop.

create extension if not exists pg_cron;
create extension if not exists pg_net with schema extensions;
create extension if not exists supabase_vault with schema vault;

create schema if not exists marketplace;
comment on schema marketplace is
  'Integration control plane: webhooks in, rules, jobs, workflows, artifacts out. Secrets live in Vault, never here.';

revoke all on schema marketplace from public;
grant usage on schema marketplace to authenticated, service_role;

-- Errors -------------------------------------------------------------------------------------
-- SQLSTATE 'MK' + HTTP status: MK400 bad argument, MK401 bad token, MK404 unknown, MK409 conflict
-- or lost lease, MK422 not allowed in this state. Message and hint are safe to show to a caller.

-- Ids ----------------------------------------------------------------------------------------

create function marketplace.uuid_v7()
returns uuid
language plpgsql -- keeps its plan for the session; a function in SQL is parsed anew by each statement
volatile
set search_path = ''
as $$
begin
  return encode(
    set_bit(
      set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
          from 1 for 6
        ),
        52, 1
      ),
      53, 1
    ),
    'hex'
  )::uuid;
end
$$;
comment on function marketplace.uuid_v7() is
  'UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits. Sorts by time of creation.';

create function marketplace._touch_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end
$$;
comment on function marketplace._touch_updated_at() is 'Keeps updated_at true on every update.';

-- Settings -----------------------------------------------------------------------------------

create table marketplace.settings (
  is_singleton boolean primary key default true check (is_singleton),
  event_retention interval not null default '30 days' check (event_retention >= '1 day'),
  dedupe_retention interval not null default '30 days' check (dedupe_retention >= '1 day'),
  attempt_retention interval not null default '30 days' check (attempt_retention >= '1 day'),
  execution_retention interval not null default '30 days' check (execution_retention >= '1 day'),
  job_retention interval not null default '90 days' check (job_retention >= '1 day'),
  rejection_retention interval not null default '7 days' check (rejection_retention >= '1 hour'),
  partitions_ahead int not null default 7 check (partitions_ahead between 1 and 60),
  reconcile_every interval not null default '15 minutes' check (reconcile_every >= '10 seconds'),
  updated_at timestamptz not null default now()
);
comment on table marketplace.settings is
  'One row: how long things are kept and how many daily partitions stand ready. Only the service role reads or writes it.';
comment on column marketplace.settings.dedupe_retention is
  'How long a delivery id is remembered; a provider that redelivers later than this is stored again.';
comment on column marketplace.settings.reconcile_every is
  'How often a feed of changes is looked at without a push, so that a lost one is found; a cursor may say otherwise.';
comment on column marketplace.settings.event_retention is 'How long verified deliveries are kept.';
comment on column marketplace.settings.attempt_retention is 'How long attempts of jobs are kept.';
comment on column marketplace.settings.execution_retention is 'How long logs of actions are kept.';
comment on column marketplace.settings.job_retention is 'How long ended jobs are kept, with what they moved.';
comment on column marketplace.settings.rejection_retention is 'How long refused deliveries stay counted.';
comment on column marketplace.settings.partitions_ahead is 'Days whose partitions are made in advance.';
alter table marketplace.settings enable row level security;
insert into marketplace.settings default values;
create trigger settings_touch before update on marketplace.settings
  for each row execute function marketplace._touch_updated_at();

-- Vault --------------------------------------------------------------------------------------

create function marketplace._vault_write(p_secret_id uuid, p_secret text, p_name text)
returns uuid
language plpgsql
volatile
security definer -- Vault belongs to the platform; callers must not need rights on it
set search_path = ''
as $$
declare
  v_secret_id uuid := p_secret_id;
begin
  -- vault.create_secret stores its argument before encrypting it, vault.update_secret encrypts first:
  -- create with noise, then update, so that the plaintext never lies in a table or in the WAL.
  if v_secret_id is null then
    v_secret_id := vault.create_secret(gen_random_uuid()::text, p_name, 'marketplace');
  end if;
  perform vault.update_secret(v_secret_id, p_secret);
  return v_secret_id;
end
$$;
comment on function marketplace._vault_write(uuid, text, text) is
  'Stores a secret in Vault without ever writing its plaintext; returns the Vault id. Null id creates, else replaces.';

create function marketplace._vault_read(p_secret_id uuid)
returns text
language plpgsql
stable
security definer -- Vault belongs to the platform; only our own functions may call this one
set search_path = ''
as $$
begin
  return case when p_secret_id is not null
    then (select s.decrypted_secret from vault.decrypted_secrets as s where s.id = p_secret_id) end;
end
$$;
comment on function marketplace._vault_read(uuid) is 'One decrypted secret by its Vault id, null when it is gone.';

create function marketplace._vault_read_named(p_name text)
returns text
language sql
stable
security definer -- Vault belongs to the platform; only our own functions may call this one
set search_path = ''
as $$
  select s.decrypted_secret from vault.decrypted_secrets as s where s.name = p_name
$$;
comment on function marketplace._vault_read_named(text) is 'One decrypted secret by its Vault name, null when it is absent.';

create function marketplace._vault_delete(p_secret_id uuid)
returns void
language sql
volatile
security definer -- Vault belongs to the platform; only our own functions may call this one
set search_path = ''
as $$
  delete from vault.secrets as s where s.id = p_secret_id
$$;
comment on function marketplace._vault_delete(uuid) is 'Removes one secret from Vault.';

create function marketplace._set_platform_secret(p_name text, p_secret text)
returns void
language plpgsql
volatile
security definer -- Vault belongs to the platform; only our own functions may call this one
set search_path = ''
as $$
declare
  v_secret_id uuid;
begin
  select s.id into v_secret_id from vault.secrets as s where s.name = p_name;
  perform marketplace._vault_write(v_secret_id, p_secret, p_name);
end
$$;
comment on function marketplace._set_platform_secret(text, text) is
  'Writes one of the platform''s own secrets (ring key, dispatch signing secret, functions URL) by name.';

create function marketplace.configure_platform(p_functions_url text)
returns void
language plpgsql
volatile
security definer -- writes Vault; executable by the service role only
set search_path = ''
as $$
begin
  if p_functions_url is null or p_functions_url !~ '^https?://[^\s?#]+$' then
    raise exception 'functions URL % is not an http(s) URL', coalesce(quote_literal(p_functions_url), 'null')
      using errcode = 'MK400', hint = 'Pass the base of your Edge Functions, such as https://<project>.supabase.co/functions/v1.';
  end if;
  perform marketplace._set_platform_secret('marketplace_functions_url', rtrim(p_functions_url, '/'));
end
$$;
comment on function marketplace.configure_platform(text) is
  'Tells the database where its Edge Functions answer, so that it can ring them. Run once per project (deploy does it).';

-- The two platform secrets are made here, at random, once. The signing secret decodes to printable
-- characters, so that receivers which take only a text key (n8n's Crypto node) can use it too.
do $$
declare
  v_random text;
begin
  if marketplace._vault_read_named('marketplace_ring_key') is null then
    v_random := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    perform marketplace._set_platform_secret('marketplace_ring_key', 'mpr_' || v_random);
  end if;
  if marketplace._vault_read_named('marketplace_signing_secret') is null then
    v_random := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
    perform marketplace._set_platform_secret(
      'marketplace_signing_secret',
      'whsec_' || translate(encode(convert_to(v_random, 'UTF8'), 'base64'), E'\n', '')
    );
  end if;
end
$$;

-- Partitions ---------------------------------------------------------------------------------

create function marketplace._make_partition(p_table text, p_day date)
returns boolean
language plpgsql
volatile
set search_path = ''
set lock_timeout = '1200ms' -- deliveries wait behind us, so not long; an autovacuum gives way after deadlock_timeout, a second
as $$
declare
  v_name text := format('%s_%s', p_table, to_char(p_day, 'YYYYMMDD'));
  v_default text := format('%s_default', p_table);
  v_column text;
  v_strays boolean;
begin
  if to_regclass(format('marketplace.%I', v_name)) is not null then
    return false;
  end if;
  select a.attname into v_column
  from pg_catalog.pg_partitioned_table as p
  join pg_catalog.pg_attribute as a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
  where p.partrelid = format('marketplace.%I', p_table)::regclass;

  -- attaching locks it anyway; from here on no row of the day can slip in behind us
  execute format('lock table marketplace.%I in access exclusive mode', v_default);
  execute format(
    'select exists (select from marketplace.%I where %I >= %L and %I < %L)',
    v_default, v_column, (p_day::timestamp at time zone 'UTC'), v_column, ((p_day + 1)::timestamp at time zone 'UTC')
  ) into v_strays;

  -- Rows that arrived while no partition stood ready wait in the default one: move them first.
  execute format(
    'create table marketplace.%I (like marketplace.%I including defaults including constraints) with (fillfactor = %s)',
    v_name, p_table,
    -- an attempt whose workflow reports is written when it was sent and again when it ends, in place if there is room
    case p_table when 'sync_job_attempts' then 70 else 90 end
  );
  execute format('alter table marketplace.%I enable row level security', v_name);
  if v_strays then
    execute format(
      'with moved as (delete from marketplace.%I where %I >= %L and %I < %L returning *) '
      'insert into marketplace.%I select * from moved',
      v_default, v_column, (p_day::timestamp at time zone 'UTC'), v_column, ((p_day + 1)::timestamp at time zone 'UTC'), v_name
    );
  end if;
  execute format(
    'alter table marketplace.%I attach partition marketplace.%I for values from (%L) to (%L)',
    p_table, v_name, (p_day::timestamp at time zone 'UTC'), ((p_day + 1)::timestamp at time zone 'UTC')
  );
  return true;
end
$$;
comment on function marketplace._make_partition(text, date) is
  'Makes one daily partition (UTC) of a partitioned table, moving in what waited in its default partition. False when it exists; lock_not_available when the default one is in use.';

create function marketplace._drop_partitions(p_table text, p_before timestamptz)
returns int
language plpgsql
volatile
set search_path = ''
set lock_timeout = '1200ms' -- deliveries wait behind us, so not long; an autovacuum gives way after deadlock_timeout, a second
as $$
declare
  v_partition record;
  v_column text;
  v_dropped int := 0;
begin
  for v_partition in
    select c.relname
    from pg_catalog.pg_inherits as i
    join pg_catalog.pg_class as c on c.oid = i.inhrelid
    where i.inhparent = format('marketplace.%I', p_table)::regclass
      and c.relname ~ ('^' || p_table || '_[0-9]{8}$')
      and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= (p_before at time zone 'UTC')::date
    order by c.relname
  loop
    begin
      execute format('drop table marketplace.%I', v_partition.relname);
    exception when lock_not_available then
      -- somebody reads it for long (a backup): it goes with a later run
      raise warning 'marketplace: partition % is in use and was not dropped', v_partition.relname;
      exit;
    end;
    v_dropped := v_dropped + 1;
  end loop;
  -- rows of days that never had a partition
  select a.attname into v_column
  from pg_catalog.pg_partitioned_table as p
  join pg_catalog.pg_attribute as a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
  where p.partrelid = format('marketplace.%I', p_table)::regclass;
  execute format('delete from marketplace.%I where %I < %L', p_table || '_default', v_column, p_before);
  return v_dropped;
end
$$;
comment on function marketplace._drop_partitions(text, timestamptz) is
  'Drops the daily partitions that end before the given time, and older rows of the default one; returns how many partitions. What is in use is left for a later run.';

revoke all on all functions in schema marketplace from public;
grant select, update on marketplace.settings to service_role;
grant execute on function marketplace.uuid_v7() to authenticated, service_role;
grant execute on function marketplace.configure_platform(text) to service_role;
