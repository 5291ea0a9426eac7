-- serial: locks the doorbell's table
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a platform that knows where its functions are, and a bell that has been silent
do $$ begin perform marketplace.configure_platform('https://project.example/functions/v1/'); end $$;
update marketplace.dispatcher_state set rung_at = '-infinity', polling_until = '-infinity';
create temp table before as select coalesce(max(id), 0) as id from net.http_request_queue;
create temp view ring as select q.* from net.http_request_queue as q
where q.id > (select id from before);
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
do $$
begin
  perform marketplace.register_integration('acme-files', 'Files', 'acme', 'storage');
end
$$;
create function pg_temp.arrive(p_count int) returns void language sql as $$
  insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key)
  select i.organization_id, i.id, i.provider, 't', n::text from marketplace.integrations as i, generate_series(1, p_count) as n
  where i.slug = 'acme-files'
$$;
create function pg_temp.rings() returns int language sql as 'select count(*)::int from ring';

-- when events arrive
do $$ begin perform pg_temp.arrive(3); end $$;
select is(pg_temp.rings(), 1, 'events of one statement ring once');
update marketplace.dispatcher_state set rung_at = clock_timestamp();
do $$ begin perform pg_temp.arrive(1); end $$;
select is(pg_temp.rings(), 1, 'what comes within 50 milliseconds rings no more');
update marketplace.dispatcher_state set rung_at = clock_timestamp() - interval '51 milliseconds';
do $$ begin perform pg_temp.arrive(1); end $$;
select is(pg_temp.rings(), 2, 'what comes later does');

-- when the dispatcher looks by itself
update marketplace.dispatcher_state set rung_at = '-infinity';
do $$ begin perform marketplace.mark_polling(5000), pg_temp.arrive(1); end $$;
select is(pg_temp.rings(), 2, 'a dispatcher that is polling is not rung');
select ok(
  (select polling_until between clock_timestamp() + interval '4 seconds' and clock_timestamp() + interval '5 seconds' from marketplace.dispatcher_state),
  'for as long as it said'
);
do $$ begin perform marketplace.mark_polling(3600000); end $$;
select ok(
  (select polling_until < clock_timestamp() + interval '11 seconds' from marketplace.dispatcher_state),
  'but ten seconds at most: it may have died'
);
do $$ begin perform marketplace.mark_polling(0), pg_temp.arrive(1); end $$;
select is(pg_temp.rings(), 3, 'a dispatcher that stops polling is rung again');

-- when the bell is broken
update marketplace.dispatcher_state set rung_at = '-infinity';
alter table marketplace.dispatcher_state add constraint broken check (rung_at = '-infinity') not valid;
select lives_ok('select pg_temp.arrive(1)', 'a broken bell refuses no event');
select is(
  (select count(*) from marketplace.webhook_events as e join marketplace.integrations as i on i.id = e.integration_id where i.slug = 'acme-files')::int,
  8, 'the event is stored'
);

select * from finish();
rollback;
