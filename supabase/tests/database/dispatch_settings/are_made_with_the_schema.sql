begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(4);

-- then
select matches(
  marketplace.dispatch_settings() ->> 'ring_key',
  '^mpr_[0-9a-f]{64}$', 'the ring key is random'
);
select matches(
  marketplace.dispatch_settings() ->> 'signing_secret',
  '^whsec_[A-Za-z0-9+/]+=*$', 'the signing secret is one of Standard Webhooks'
);
select matches(
  convert_from(decode(substr(marketplace.dispatch_settings() ->> 'signing_secret', 7), 'base64'), 'UTF8'), '^[0-9a-f]{64}$',
  'its bytes are printable, for receivers that take only a text key'
);
select is_empty(
  $$ select name from vault.secrets where name like 'marketplace\_%' and secret like '%mpr\_%' $$,
  'Vault holds them encrypted'
);

select * from finish();
rollback;
