-- What hosted Supabase has prepared before the first migration runs. Applied as the bootstrap
-- superuser supabase_admin at every start; every statement may be repeated.

-- Roles. `postgres` runs the migrations and, as on hosted, is not a superuser.
do $$
declare
  v_role record;
begin
  for v_role in
    select *
    from (values
      ('postgres', 'nosuperuser createdb createrole login replication bypassrls password ''postgres'''),
      ('anon', 'nologin inherit'),
      ('authenticated', 'nologin inherit'),
      ('service_role', 'nologin inherit bypassrls'),
      ('authenticator', 'login noinherit password ''postgres'''),
      ('supabase_auth_admin', 'login noinherit createrole password ''postgres'''),
      ('dashboard_user', 'nologin createdb createrole replication'),
      -- the Data API and Auth of this machine connect as this one (see lite.ts)
      ('supabase_lite', 'login inherit password ''postgres''')
    ) as wanted (name, attributes)
    where not exists (select from pg_catalog.pg_roles r where r.rolname = wanted.name)
  loop
    execute format('create role %I %s', v_role.name, v_role.attributes);
  end loop;
end
$$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant pg_monitor, pg_read_all_data, pg_signal_backend, pg_checkpoint to postgres;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role supabase_admin set search_path to "$user", public, auth, extensions;
alter role postgres set search_path to "$user", public, extensions;

-- It reads the catalogue of every schema, switches into the API roles for a request, and owns
-- nothing, so there is nothing it could grant to anybody.
grant pg_read_all_data to supabase_lite;
grant anon, authenticated, service_role to supabase_lite;

-- Database and schemas.
alter database postgres owner to postgres;
alter schema public owner to pg_database_owner;
create schema if not exists extensions authorization supabase_admin;
create schema if not exists auth authorization supabase_admin;
create schema if not exists vault authorization supabase_admin;

grant usage on schema public to postgres, anon, authenticated, service_role;
grant usage on schema extensions to anon, authenticated, service_role;
grant all on schema extensions to postgres, dashboard_user;
grant usage on schema auth to postgres, anon, authenticated, service_role, dashboard_user;
grant all on schema auth to supabase_auth_admin;

alter default privileges for role supabase_admin in schema public
  grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
  grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
  grant all on sequences to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to postgres, anon, authenticated, service_role;

-- Extensions that every hosted project has from its first minute.
create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists pgcrypto with schema extensions;
create extension if not exists supabase_vault with schema vault;

-- A changed schema reloads the Data API's cache, as on hosted.
create or replace function extensions.pgrst_ddl_watch() returns event_trigger
language plpgsql as $$
begin
  if exists (
    select
    from pg_catalog.pg_event_trigger_ddl_commands() c
    where coalesce(c.schema_name, '') not in ('pg_temp', 'auth')
      and (c.command_tag ~ '^(CREATE|ALTER) (SCHEMA|TABLE|VIEW|MATERIALIZED VIEW|FUNCTION|TYPE)'
        or c.command_tag in ('COMMENT', 'CREATE RULE'))
  ) then
    notify pgrst, 'reload schema';
  end if;
end
$$;
create or replace function extensions.pgrst_drop_watch() returns event_trigger
language plpgsql as $$
begin
  if exists (
    select
    from pg_catalog.pg_event_trigger_dropped_objects() o
    where not o.is_temporary
      and coalesce(o.schema_name, '') <> 'auth'
      and o.object_type in ('schema', 'table', 'view', 'materialized view', 'function', 'type')
  ) then
    notify pgrst, 'reload schema';
  end if;
end
$$;
do $$
begin
  if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pgrst_ddl_watch') then
    create event trigger pgrst_ddl_watch on ddl_command_end
      execute function extensions.pgrst_ddl_watch();
  end if;
  if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pgrst_drop_watch') then
    create event trigger pgrst_drop_watch on sql_drop
      execute function extensions.pgrst_drop_watch();
  end if;
end
$$;
