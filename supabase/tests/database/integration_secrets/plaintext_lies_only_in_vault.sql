begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given an integration with a secret
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.set_integration_secret('acme-files', 'webhook', 'find-me-if-you-can');
end
$$;

-- then
create temp table found as
select c.relname
from pg_catalog.pg_class as c
cross join lateral (
  select query_to_xml(
    format('select count(*) as n from %s as t where t::text like %L', c.oid::regclass, '%find-me-if-you-can%'), false, true, ''
  )::text as xml
) as counted
where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p') and counted.xml !~ '<n>0</n>';

select is_empty('table found', 'no table of ours holds the secret');
select is_empty(
  $$ select id from vault.secrets
       where secret like '%find-me-if-you-can%' or description like '%find-me%'
       or name like '%find-me%' $$,
  'Vault holds it encrypted'
);
select is(
  marketplace.integration_credentials((select id from marketplace.integrations where slug = 'acme-files')) ->> 'webhook',
  'find-me-if-you-can',
  'it can be read back through its reference'
);
select matches(
  (select v.name from vault.secrets as v join marketplace.integration_secrets as s on s.vault_secret_id = v.id
   join marketplace.integrations as i on i.id = s.integration_id where i.slug = 'acme-files'),
  '^marketplace/acme-files/webhook/[0-9a-f-]{36}$',
  'its name in Vault says what it is for'
);

-- when the integration goes, then its secrets go from Vault
create temp table stored as
select s.vault_secret_id from marketplace.integration_secrets as s
join marketplace.integrations as i on i.id = s.integration_id where i.slug = 'acme-files';
delete from marketplace.integrations where slug = 'acme-files';
select isnt_empty('table stored', 'there was a secret to forget');
select is_empty(
  $$ select v.id from vault.secrets as v join stored as s on s.vault_secret_id = v.id $$,
  'a deleted integration takes its secrets out of Vault'
);

select * from finish();
rollback;
