begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(8);

-- given a mailbox with a topic, followed by two integrations
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-mail', 'Mail', 'gmail', 'communication', '{"pubsub_topic": "projects/p/topics/t"}');
  perform marketplace.register_integration('acme-mail-2', 'Mail', 'gmail', 'communication');
  perform marketplace.watch('acme-mail'), marketplace.watch('acme-mail-2');
end
$$;
create temp view followed as select c.*, i.slug from marketplace.sync_cursors as c
join marketplace.integrations as i on i.id = c.integration_id where i.slug like 'acme-mail%';
delete from marketplace.sync_cursors where id not in (select id from followed);
update marketplace.sync_cursors set cursor = '1', status = 'active', due_at = 'infinity', account = 'ada@example.com' where id in (select id from followed);
create temp view channel as select w.* from marketplace.watch_channels as w where w.cursor_id in (select id from followed);
create temp table task (n serial, task jsonb);
create function pg_temp.claim() returns int language sql as $$
  with claimed as (insert into task (task) select t from marketplace.claim_channel_tasks() as t returning 1) select count(*)::int from claimed
$$;
create function pg_temp.opened() returns text language sql as $$
  select marketplace.channel_opened((task ->> 'id')::uuid, (task ->> 'lease_id')::uuid, 'ada@example.com', clock_timestamp() + interval '7 days')
  from task order by n desc limit 1
$$;

-- then
select is(pg_temp.claim(), 1, 'who has no topic lives from reconciliation');
select results_eq(
  $$ select task -> 'token', task -> 'address' from task $$, $$ values ('null'::jsonb, 'null'::jsonb) $$, 'it pushes to the topic, and proves itself otherwise'
);
select is(pg_temp.opened(), 'active', 'the watch is on');
select ok((select renew_after < now() + interval '25 hours' from channel), 'and renewed every day');

-- when it is renewed
update marketplace.watch_channels set renew_after = now() where status = 'active' and kind = 'gmail';
select is(pg_temp.claim(), 1, 'it is asked for again');
do $$ begin perform pg_temp.opened(); end $$;
select is(pg_temp.claim(), 0, 'and nothing is stopped: it is the same watch');

-- when one of the two no longer follows
do $$ begin perform marketplace.unwatch('acme-mail'); end $$;
select is(pg_temp.claim(), 0, 'the other one''s watch is not stopped');
do $$ begin perform marketplace.unwatch('acme-mail-2'); end $$;
update marketplace.watch_channels set status = 'active', stopped_at = null
where id = (select id from channel order by created_at desc limit 1);
select is(pg_temp.claim(), 1, 'when nobody does, it is');

select * from finish();
rollback;
