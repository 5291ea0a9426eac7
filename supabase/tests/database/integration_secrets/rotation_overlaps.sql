begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- given an integration with a webhook secret
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
  perform marketplace.set_integration_secret('acme-files', 'webhook', 'old');
end
$$;
create temp view secret as
select s.* from marketplace.integration_secrets as s
join marketplace.integrations as i on i.id = s.integration_id where i.slug = 'acme-files';
create temp view accepted as
select jsonb_array_elements(marketplace.webhook_config('acme') -> 'secrets') ->> 'secret' as value;
update marketplace.integration_secrets set valid_from = now() - interval '1 year'
where id in (select id from secret);

-- when it is rotated
create temp table version as select config_version from marketplace.integrations
where slug = 'acme-files';
do $$
begin
  perform marketplace.rotate_integration_secret('acme-files', 'webhook', 'new', interval '1 hour');
end
$$;

-- then
select set_eq(
  'table accepted',
  array['old', 'new'], 'during the overlap deliveries verify with the old secret and the new'
);
select is(
  marketplace.integration_credentials((select id from marketplace.integrations where slug = 'acme-files')) ->> 'webhook', 'new',
  'what we use ourselves is the new one'
);
select results_eq(
  'select valid_until from secret order by valid_from',
  $$ values (now() + interval '1 hour'), (null) $$,
  'the old one ends with the overlap'
);
select cmp_ok(
  (select config_version from marketplace.integrations where slug = 'acme-files'), '>', (select config_version from version),
  'the integration''s version moves on'
);

-- when the overlap is over
update marketplace.integration_secrets set valid_until = now() - interval '1 second'
where id in (select id from secret where valid_until is not null);
select results_eq('table accepted', array['new'], 'after it only the new one verifies');

-- what cannot be rotated
select throws_ok(
  $$ select marketplace.rotate_integration_secret('acme-files', 'webhook', 'x', interval '-1 second') $$,
  'MK400', 'overlap -00:00:01 is negative', 'an overlap is not negative'
);
select throws_ok(
  $$ select marketplace.rotate_integration_secret('acme-files', 'webhook', null) $$,
  'MK400', null, 'a secret is needed'
);

select * from finish();
rollback;
