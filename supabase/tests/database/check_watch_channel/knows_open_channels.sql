begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given the two columns of a channel that are compared, and a table of channels
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'automation');
create temp table integration as select marketplace.register_integration('acme-push', 'Push', 'acme', 'automation') as id;
create function pg_temp.check_channel(p_channel text, p_resource text) returns text language sql as $$
  select marketplace.check_watch_channel(id, p_channel, p_resource) from integration
$$;

-- when there is no such table
do $$ begin
  if to_regclass('marketplace.watch_channels') is not null then
    alter table marketplace.watch_channels rename to watch_channels_aside;
  end if;
end $$;
select is(pg_temp.check_channel('c1', 'r1'), 'unchecked', 'without a table it says that nothing was checked');

-- when there is one
create table marketplace.watch_channels (integration_id uuid, channel_id text, resource_id text, expires_at timestamptz);
insert into marketplace.watch_channels
select id, c.channel_id, 'r1', now() + c.rest
from integration
cross join (values ('c1', interval '1 hour'), ('c2', interval '-1 second')) as c (channel_id, rest);
select is(pg_temp.check_channel('c1', 'r1'), 'match', 'an open channel is known');
select is(pg_temp.check_channel('c1', 'r2'), 'unknown', 'for its own resource only');
select is(pg_temp.check_channel('c2', 'r1'), 'unknown', 'until it ends');
select is(pg_temp.check_channel('c3', 'r1'), 'unknown', 'and no other is');
select is(
  marketplace.check_watch_channel(gen_random_uuid(), 'c1', 'r1'), 'unknown', 'nor for another integration'
);

select * from finish();
rollback;
