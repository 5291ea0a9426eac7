begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(21);

-- given a connection whose token has ended
insert into marketplace.providers (slug, name, category, auth_type) values ('acme', 'Acme', 'storage', 'oauth2');
do $$ begin perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage'); end $$;
insert into marketplace.connections (id, organization_id, integration_id, name, is_shared)
select md5('1')::uuid, organization_id, id, 'Files', true from marketplace.integrations where slug = 'acme-files';
create function pg_temp.grant_anew() returns uuid language plpgsql as $$
declare
  v_id uuid := marketplace.open_grant(md5('1')::uuid, 'oauth2', null, 'access-1', 'refresh-1', 'Bearer', '{files}', 3600);
begin
  update marketplace.oauth_tokens set issued_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' where id = v_id;
  return v_id;
end
$$;
create function pg_temp.lease() returns jsonb language sql as $$ select marketplace.lease_refresh(md5('1')::uuid) $$;
create view pg_temp.held as
select t.id, marketplace._vault_read(t.access_token_vault_id) as access_token,
  marketplace._vault_read(t.refresh_token_vault_id) as refresh_token, t.scopes, t.status,
  extract(epoch from t.expires_at - t.issued_at)::int as lifetime, t.refresh_lease_id, t.failure_count, t.error_message,
  c.status as connection_status, c.error_message as connection_error, c.expires_at = t.expires_at as is_told
from marketplace.connections as c left join marketplace.oauth_tokens as t on t.connection_id = c.id
where c.id = md5('1')::uuid;
create temp table lease (n int, answer jsonb);

-- when the holder of the lease stores what it got
do $$ begin perform pg_temp.grant_anew(); end $$;
insert into lease select 1, pg_temp.lease();
create function pg_temp.store(p_lease int, p_access text, p_refresh text, p_life numeric default 1800) returns boolean
language sql as $$
  select marketplace.store_tokens(
    (answer ->> 'grant_id')::uuid, (answer ->> 'lease_id')::uuid, p_access, p_refresh, null, null, p_life
  ) from lease where n = p_lease
$$;
create function pg_temp.fail(p_lease int, p_final boolean default false, p_retry numeric default null) returns boolean
language sql as $$
  select marketplace.fail_refresh((answer ->> 'grant_id')::uuid, (answer ->> 'lease_id')::uuid, 'no', p_final, p_retry)
  from lease where n = p_lease
$$;
select is(pg_temp.store(1, 'access-2', 'refresh-2'), true, 'the holder of the lease stores');
select results_eq(
  $$ select access_token, refresh_token, lifetime, scopes, refresh_lease_id, connection_status, is_told from pg_temp.held $$,
  $$ values ('access-2', 'refresh-2', 1800, '{files}'::text[], null::uuid, 'active', true) $$,
  'both tokens and the expiry, and the lease is over'
);
select is(pg_temp.store(1, 'access-3', null), true, 'a provider that does not rotate gives no refresh token');
select is((select refresh_token from pg_temp.held), 'refresh-2', 'then the former one stays');
select throws_ok($$ select pg_temp.store(1, '', 'x') $$, 'MK400', null, 'no token is no answer');

-- when the lease has run out and gone to another
do $$ begin perform pg_temp.grant_anew(); end $$;
insert into lease select 2, pg_temp.lease();
update marketplace.oauth_tokens set refresh_lease_until = now() - interval '1 second';
insert into lease select 3, pg_temp.lease();
select is(pg_temp.store(2, 'access-late', 'refresh-late'), true, 'whoever is late stores all the same');
select results_eq(
  $$ select refresh_token, refresh_lease_id from pg_temp.held $$, $$ values ('refresh-late', null::uuid) $$,
  'for what he got may be all that is left'
);
select is(pg_temp.fail(3, true), false, 'the other''s failure, with the former token, says nothing then');
select is((select status from pg_temp.held), 'active', 'the grant lives');
insert into lease select 4, pg_temp.lease();
select is((select answer ->> 'state' from lease where n = 4), 'fresh', 'nobody has to renew it');

-- when the account was connected anew, or revoked, meanwhile
do $$ begin perform pg_temp.grant_anew(); end $$;
insert into lease select 5, pg_temp.lease();
do $$ begin perform marketplace.open_grant(md5('1')::uuid, 'oauth2', null, 'access-new', 'refresh-new', 'Bearer', '{files}', 3600); end $$;
select is(pg_temp.store(5, 'access-old', 'refresh-old'), false, 'what belongs to the former grant is of no use');
select is(pg_temp.fail(5, true), false, 'and no harm');
select is((select access_token from pg_temp.held), 'access-new', 'the new grant is untouched');
do $$ begin perform marketplace.revoke_connection(md5('1')::uuid); end $$;
select is(pg_temp.store(5, 'access-old', 'refresh-old'), false, 'nothing is stored for what was revoked');

-- when it fails for now, again and again
do $$ begin perform pg_temp.grant_anew(); end $$;
create temp table pause (n int, seconds numeric);
do $$
begin
  for n in 1..10 loop
    update marketplace.oauth_tokens set retry_at = null;
    delete from lease where lease.n = 6;
    insert into lease select 6, pg_temp.lease();
    perform pg_temp.fail(6);
    insert into pause select n, round(extract(epoch from t.retry_at - clock_timestamp())) from marketplace.oauth_tokens as t;
  end loop;
end
$$;
select results_eq(
  'select seconds from pause order by n', array[5, 10, 20, 40, 80, 160, 320, 640, 900, 900]::numeric[],
  'the pauses double, to a quarter of an hour'
);
select is(pg_temp.lease() ->> 'state', 'cooldown', 'nobody asks meanwhile');
select cmp_ok((pg_temp.lease() ->> 'retry_after_ms')::int, '<=', 900000, 'and knows until when');
select results_eq(
  $$ select failure_count, failed_days, failed_on, status from marketplace.oauth_tokens where connection_id = md5('1')::uuid $$,
  $$ values (10, 1, (now() at time zone 'UTC')::date, 'active') $$, 'ten failures of a day are one day'
);
select results_eq(
  $$ select connection_status, connection_error from pg_temp.held $$, $$ values ('error', 'no') $$,
  'the owner sees it once the token has ended'
);
update marketplace.oauth_tokens set retry_at = null;
delete from lease where n = 6;
insert into lease select 6, pg_temp.lease();
do $$ begin perform pg_temp.fail(6, false, 3600); end $$;
select cmp_ok(
  (select retry_at from marketplace.oauth_tokens where connection_id = md5('1')::uuid), '>', clock_timestamp() + interval '59 minutes',
  'a provider that says when is believed'
);
update marketplace.oauth_tokens set retry_at = null;
delete from lease where n = 6;
insert into lease select 6, pg_temp.lease();
do $$ begin perform pg_temp.store(6, 'access-9', 'refresh-9'); end $$;
select results_eq(
  $$ select failure_count, error_message, connection_status, connection_error from pg_temp.held $$,
  $$ values (0, null::text, 'active', null::text) $$, 'one success and all is forgotten'
);

select * from finish();
rollback;
