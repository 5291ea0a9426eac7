begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(15);

-- given connections whose tokens end at different times
insert into marketplace.providers (slug, name, category, auth_type) values ('acme', 'Acme', 'storage', 'oauth2');
do $$ begin perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'); end $$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5(n)::uuid, organization_id, id, n, true
from marketplace.integrations, unnest(array['soon', 'later', 'short', 'young', 'dead', 'key', 'last', 'tired']) as n
where slug = 'acme-files';
do $$
declare
  v record;
begin
  for v in
    select * from (values
      ('soon', 'oauth2', 'r', 14 * 60, 3600), ('later', 'oauth2', 'r', 16 * 60, 3600),
      ('short', 'oauth2', 'r', 50, 100), ('young', 'oauth2', 'r', 70, 100),
      ('dead', 'oauth2', 'r', 60, 3600), ('key', 'client_credentials', null, 60, 3600),
      ('last', 'oauth2', null, 60, 3600), ('tired', 'oauth2', 'r', 60, 3600)
    ) as t (name, type, refresh, left_s, life_s)
  loop
    perform marketplace.open_grant(md5(v.name)::uuid, v.type, null, 'a', v.refresh, 'Bearer', '{}', v.life_s);
    update marketplace.oauth_tokens
    set issued_at = now() - make_interval(secs => v.life_s - v.left_s), expires_at = now() + make_interval(secs => v.left_s)
    where connection_id = md5(v.name)::uuid;
  end loop;
end
$$;
update marketplace.oauth_tokens set status = 'reauthorization_required' where connection_id = md5('dead')::uuid;
update marketplace.oauth_tokens
set failure_count = 9, failed_days = 4, failed_on = now() where connection_id = md5('tired')::uuid;
create temp table claimed as
select (select c.name from marketplace.oauth_tokens as t join marketplace.connections as c on c.id = t.connection_id
  where t.id = (l ->> 'grant_id')::uuid) as name, l
from marketplace.claim_expiring_tokens(100) as l;

-- then
select set_eq(
  'select name from claimed', array['soon', 'short'],
  'those that end within a quarter of an hour, in the later part of their life, with something to renew them'
);
select is((select l ->> 'refresh_token' from claimed where name = 'soon'), 'r', 'each with what renews it');
select is_empty('select from marketplace.claim_expiring_tokens(100)', 'nobody else gets them meanwhile');
update marketplace.oauth_tokens set refresh_lease_until = now() where refresh_lease_id is not null;
select is((select count(*)::int from marketplace.claim_expiring_tokens(1)), 1, 'as many as are asked for, once the leases have run out');
update marketplace.oauth_tokens set refresh_lease_id = null, refresh_lease_until = null;
do $$
begin
  perform marketplace.fail_refresh((l ->> 'grant_id')::uuid, (l ->> 'lease_id')::uuid, 'no') from marketplace.claim_expiring_tokens(100) as l;
end
$$;
select is_empty('select from marketplace.claim_expiring_tokens(100)', 'what failed cools down');
update marketplace.oauth_tokens set retry_at = null, refresh_lease_id = null, refresh_lease_until = null;

-- when cron looks
do $$ begin perform marketplace.configure_platform('http://127.0.0.1:9/functions/v1'); end $$;
select isnt(marketplace.maintain_connections(), null, 'it rings when one is about to end');
select matches(
  (select url from net.http_request_queue order by id desc limit 1), '/functions/v1/marketplace-maintain$', 'marketplace-maintain'
);
update marketplace.oauth_tokens set expires_at = now() + interval '1 hour' where connection_id in (md5('soon')::uuid, md5('short')::uuid);
select is(marketplace.maintain_connections(), null, 'and is silent when none is');
delete from vault.secrets where name = 'marketplace_functions_url';
select is(marketplace.ring_maintain(), null, 'nor can it ring where nobody is known to listen');

-- and what nobody finished is forgotten
do $$
begin
  perform marketplace.begin_authorization(md5('soon')::uuid, 'state', 'browser');
  perform marketplace.create_connect_link(md5('soon')::uuid);
end
$$;
update marketplace.oauth_states set expires_at = now() - interval '1 second';
update marketplace.connect_links set expires_at = now() - interval '25 hours';
update marketplace.connections set status = 'pending', created_at = now() - interval '3 days' where name = 'young';
do $$ begin perform marketplace.maintain_connections(); end $$;
select is_empty('select from marketplace.oauth_states', 'states that have ended');
select is_empty('select from marketplace.connect_links', 'links that ended a day ago');
select is_empty($$ select from marketplace.connections where name = 'young' $$, 'connections begun and never made');

-- and what wants its owner is shown
update marketplace.connections set status = 'reauthorization_required', error_message = 'no' where name = 'dead';
select set_eq(
  'select name from marketplace.v_expiring_connections', array['dead', 'last'],
  'refused, or ending soon with nothing to renew it'
);
update marketplace.connections set expires_at = now() + interval '8 days' where name = 'last';
select set_eq('select name from marketplace.v_expiring_connections', array['dead'], 'a week before');
do $$ begin perform marketplace.note_connection_test(md5('soon')::uuid, 'refused', 'ada', '{"team": "t"}'); end $$;
select results_eq(
  $$ select status, error_message, account, metadata from marketplace.connections where name = 'soon' $$,
  $$ values ('error', 'refused', 'ada', '{"team": "t"}'::jsonb) $$, 'a test that fails says so'
);

select * from finish();
rollback;
