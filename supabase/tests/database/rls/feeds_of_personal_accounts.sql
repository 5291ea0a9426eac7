\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(8);

-- given an account of a member that is followed
select pg_temp.given_organizations();
do $$
begin
  perform marketplace.register_integration('red-drive', 'Drive', 'google_drive', 'storage', '{}', 'red');
end
$$;
insert into marketplace.connections (id, organization_id, integration_id, user_id, name, status)
select md5('own')::uuid, organization_id, id, '00000000-0000-4000-8000-000000000002', 'Ada''s drive', 'active'
from marketplace.integrations where slug = 'red-drive';
do $$ begin perform marketplace.watch('red-drive', null, '', md5('own')::uuid); end $$;
insert into marketplace.watch_channels (organization_id, integration_id, cursor_id, kind)
select organization_id, integration_id, id, 'drive' from marketplace.sync_cursors where connection_id = md5('own')::uuid;
create temp view seen with (security_invoker = true) as
select 'cursor' as what from marketplace.sync_cursors where connection_id = md5('own')::uuid
union all
select 'channel' from marketplace.watch_channels as w join marketplace.integrations as i on i.id = w.integration_id where i.slug = 'red-drive'
union all
select 'v_sync_cursors' from marketplace.v_sync_cursors where integration = 'red-drive'
union all
select 'v_watch_channels' from marketplace.v_watch_channels where integration = 'red-drive';
grant select on seen to public;
create function pg_temp.seen() returns text language sql as $$ select string_agg(what, ' ' order by what collate "C") from seen $$;

-- then
select pg_temp.become('a member');
select is(pg_temp.seen(), 'channel cursor v_sync_cursors v_watch_channels', 'its owner sees that it is followed');
select throws_ok('select cursor from marketplace.sync_cursors', '42501', null, 'but not where the provider stands');
select throws_ok('select lease_id from marketplace.watch_channels', '42501', null, 'nor who is at work');
select throws_ok($$ select marketplace.watch('red-drive') $$, '42501', null, 'whom to follow is the operator''s to say');
select pg_temp.become('an owner');
select is(pg_temp.seen(), null, 'the organization''s owner does not');
reset role;
update marketplace.connections set is_shared = true where id = md5('own')::uuid;
select pg_temp.become('an owner');
select is(pg_temp.seen(), 'channel cursor v_sync_cursors v_watch_channels', 'unless the account is shared');
select pg_temp.become('a newcomer');
select is(pg_temp.seen(), null, 'a newcomer sees nothing');
select pg_temp.become('the service role');
select is(pg_temp.seen(), 'channel cursor v_sync_cursors v_watch_channels', 'the service role sees all');

select * from finish();
rollback;
