begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(19);

-- given the tables of the schema, and for each rule a view of what breaks it
create temp view our_table as
select c.oid, c.relname, c.relrowsecurity, c.relispartition, c.relname ~ '_[0-9]{8}$' as is_daily
from pg_catalog.pg_class as c
where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p');

create temp view without_rls as
select t.relname from our_table as t where not t.relrowsecurity;

create temp view without_comment as
select t.relname from our_table as t
where not t.is_daily and coalesce(obj_description(t.oid, 'pg_class'), '') = '';

create temp view without_primary_key as
select t.relname from our_table as t
where not exists (
  select from pg_catalog.pg_constraint as k where k.conrelid = t.oid and k.contype = 'p'
);

create temp view foreign_key_without_index as
select k.conrelid::regclass::text, k.conname
from pg_catalog.pg_constraint as k
where k.connamespace = 'marketplace'::regnamespace and k.contype = 'f'
  -- looked at only when a workflow is deleted, and written with each step of each job
  and k.conname <> 'sync_jobs_workflow_id_fkey'
  and not exists (
    select from pg_catalog.pg_index as i
    where i.indrelid = k.conrelid and i.indisvalid
      -- an index without the nulls serves as well: they refer to nothing
      and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', (
        select a.attname from pg_catalog.pg_attribute as a where a.attrelid = k.conrelid and a.attnum = k.conkey[1]
      )))
      and (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(k.conkey)] @> k.conkey
  );

create temp view our_column as
select t.relname, a.attname, a.atttypid, a.attidentity, format_type(a.atttypid, a.atttypmod) as type,
  col_description(t.oid, a.attnum) as comment
from our_table as t
join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
where not t.relispartition;

create temp view column_of_doubtful_type as
select c.relname, c.attname, c.type
from our_column as c
where c.type in ('timestamp without time zone', 'time without time zone', 'json', 'money', 'oid')
  or c.type ~ '^char' or c.type like 'timestamp(%';

-- a comment that says no more than the name says nothing
create temp view column_without_comment as
select c.relname, c.attname
from our_column as c
where coalesce(btrim(lower(c.comment), ' .'), '') in ('', replace(c.attname, '_', ' '), c.attname);

create temp view enum as
select t.typname from pg_catalog.pg_type as t
where t.typnamespace = 'marketplace'::regnamespace and t.typtype = 'e';

-- a name that promises a secret, on a column that is neither a reference into Vault nor a hash
create temp view secret_in_the_open as
select c.relname, c.attname
from our_column as c
where c.attname ~ '(secret|token|password|credential|api_key|private_key)'
  and c.attname !~ '(_vault_id|_hash)$'
  and (c.relname, c.attname) not in (
    ('integration_secrets', 'vault_secret_id'), -- the reference itself
    ('oauth_tokens', 'token_type'), -- 'Bearer'
    ('oauth_tokens', 'credential_type'), -- 'oauth2'
    ('execution_logs', 'api_key_id'), -- which key called
    ('providers', 'secret_env'), -- the name of an environment variable
    ('workflows', 'rate_tokens') -- of a token bucket
  );

-- a serial number, in a column that a signed-in user reads
create temp view counter_in_the_open as
select c.relname, c.attname
from our_column as c
where (c.attidentity <> '' or pg_get_serial_sequence('marketplace.' || c.relname, c.attname) is not null)
  and has_column_privilege('authenticated', 'marketplace.' || c.relname, c.attname, 'select');

-- then
select is_empty('table without_rls', 'row level security is on for every table and partition');
select is_empty('table without_comment', 'every table says what it is and who writes it');
select is_empty('table without_primary_key', 'every table has a primary key');
select is_empty('table foreign_key_without_index', 'every foreign key is indexed');
select is_empty('table column_of_doubtful_type', 'times carry their zone, documents are jsonb');
select is_empty('table column_without_comment', 'every column says what it is, beyond its name');
select is_empty('table enum', 'lifecycles are checks, not enums');
select is_empty('table secret_in_the_open', 'a secret is a reference into Vault or a hash');
select is_empty(
  'table counter_in_the_open',
  'no number that counts everybody''s rows is shown to a tenant'
);

-- when each fault is planted, then its rule finds it
create type marketplace.planted_enum as enum ('a');
create table marketplace.planted (
  number int generated always as identity,
  at timestamp,
  access_token text,
  document jsonb,
  integration_id uuid references marketplace.integrations (id)
);
select set_eq('table without_rls', array['planted'], 'a table without row level security is found');
select set_eq('table without_comment', array['planted'], 'a table without a comment is found');
select set_eq(
  'table without_primary_key',
  array['planted'], 'a table without a primary key is found'
);
select set_eq(
  'select conname from foreign_key_without_index',
  array['planted_integration_id_fkey'], 'a foreign key without an index is found'
);
select set_eq(
  'select attname from column_of_doubtful_type',
  array['at'], 'a time without its zone is found'
);
comment on column marketplace.planted.number is 'Counts.';
comment on column marketplace.planted.access_token is 'Access token.';
select set_eq(
  'select attname from column_without_comment',
  array['at', 'access_token', 'document', 'integration_id'],
  'a column that nothing is said of is found, and one whose comment is its name'
);
select set_eq('table enum', array['planted_enum'], 'an enum is found');
select set_eq(
  'select attname from secret_in_the_open',
  array['access_token'], 'a token in the open is found'
);
grant select on marketplace.planted to authenticated;
select set_eq(
  'select attname from counter_in_the_open',
  array['number'], 'a serial number in the open is found'
);
create index on marketplace.planted (integration_id) where at is null;
select isnt_empty(
  'table foreign_key_without_index',
  'a partial index does not serve a foreign key'
);

select * from finish();
rollback;
