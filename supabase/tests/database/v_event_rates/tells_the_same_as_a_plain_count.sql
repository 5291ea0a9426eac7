begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(28);

-- given nobody else who counts meanwhile
do $$ begin perform pg_advisory_xact_lock(hashtext('marketplace.count_minutes')); end $$;

-- and two organizations with events of the last hour and around it, routed but for those of one minute
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
delete from marketplace.webhook_events;
delete from marketplace.event_minutes;
delete from marketplace.minute_marks;
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000002', 'viewer'),
    marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue files', 'acme', 'storage', '{}', 'blue');
end
$$;
insert into marketplace.webhook_events (
  organization_id, integration_id, provider, event_type, dedupe_key, created_at, job_count, processed, processed_at
)
select i.organization_id, i.id, i.provider, (array['a', 'b', 'c'])[1 + n % 3], n::text, now() - make_interval(secs => 7 * n - 100),
  n % 3, not w.waits, case when not w.waits then now() end
from marketplace.integrations as i
cross join generate_series(1, 600) as n
cross join lateral (
  select marketplace._minute_of(now() - make_interval(secs => 7 * n - 100)) = marketplace._minute_of(now()) - interval '20 minutes' as waits
) as w
where i.provider = 'acme' and (i.slug = 'red-files' or n % 5 = 0);

create temp view plain with (security_invoker = true) as
select
  date_trunc('minute', e.created_at) as minute, e.provider, e.event_type,
  count(*) as event_count, count(*) filter (where not e.processed) as waiting_count, sum(e.job_count) as job_count
from marketplace.webhook_events as e
where e.created_at > now() - interval '1 hour'
group by 1, 2, 3;
create temp view difference with (security_invoker = true) as
(table plain except table marketplace.v_event_rates) union all (table marketplace.v_event_rates except table plain);
grant select on plain, difference to public;
create function pg_temp.at(p_minutes int) returns timestamptz language sql as $$
  select marketplace._minute_of(now()) - make_interval(mins => p_minutes)
$$;
create function pg_temp.is_counted(p_minutes int) returns boolean language sql as $$
  select s.is_counted from marketplace._minute_spans('events', '1 hour') as s where s.since = pg_temp.at(p_minutes)
$$;
create function pg_temp.events_read() returns bigint language sql volatile as $$
  select coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)), 0)::bigint
  from pg_catalog.pg_stat_xact_user_tables as s
  where s.schemaname = 'marketplace' and s.relname ~ '^webhook_events'
$$;

-- then without anybody who counts
select isnt_empty('table plain', 'there are events');
select is_empty('table difference', 'the view is right when nothing is counted, as while pg_cron is silent');

-- when minutes are over, but somebody may still be storing events in them
select is((select events from marketplace.count_minutes()), 0, 'nothing is counted at first');
select is((select events from marketplace.count_minutes()), 0, 'nor while a transaction is open that is older than their end');
update marketplace.minute_marks set made_by = '3' where mark = 'over';

-- when all of those have ended
select is((select events from marketplace.count_minutes()), 59, 'each minute of the hour that is over is counted, but for the one that waits');
select ok(pg_temp.is_counted(1) and not pg_temp.is_counted(0) and not pg_temp.is_counted(20), 'this one is not, either');
select is_empty('table difference', 'and the view is right');
select is((select events from marketplace.count_minutes()), 0, 'no minute is counted twice');
set local enable_seqscan = off; -- as when there are many
create temp table reading as select pg_temp.events_read() as before;
do $$ begin perform count(*) from marketplace.v_event_rates; end $$;
select cmp_ok(
  pg_temp.events_read() - (select before from reading), '<', 100::bigint,
  'of more than 600 events the view looks at those of the minutes that are not counted'
);

-- when those that waited are routed
update marketplace.webhook_events set processed = true, processed_at = now(), job_count = 5 where not processed;
select is_empty('table difference', 'the view is right when events are routed');
select is((select events from marketplace.count_minutes()), 1, 'then their minute is counted');
select is_empty('table difference', 'and the view is right');

-- when an event comes late, by a transaction that began in a minute that has been counted
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at, processed, processed_at, job_count)
select i.organization_id, i.id, i.provider, 'late', 'late', pg_temp.at(3) + interval '30 seconds', true, now(), 7
from marketplace.integrations as i where i.slug = 'red-files';
select isnt_empty($$ select from marketplace.v_event_rates where event_type = 'late' $$, 'an event that comes late is there at once');
select is_empty('table difference', 'and the view is right');
select ok((select events from marketplace.count_minutes()) = 1 and pg_temp.is_counted(3), 'its minute is counted anew');
select is_empty('table difference', 'and the view is right');

-- when events change that were counted
update marketplace.webhook_events set job_count = job_count + 1 where created_at >= pg_temp.at(5) and created_at < pg_temp.at(4);
update marketplace.webhook_events set created_at = created_at - interval '10 minutes' where created_at >= pg_temp.at(7) and created_at < pg_temp.at(6);
delete from marketplace.webhook_events where created_at >= pg_temp.at(9) and created_at < pg_temp.at(8) and event_type = 'b';
select is_empty('table difference', 'the view is right when counted events change, move or go');
select is((select events from marketplace.count_minutes()), 4, 'their minutes are counted anew');
select is_empty('table difference', 'and the view is right');

-- when the marks are lost, as by a restore of some tables
delete from marketplace.minute_marks where mark = 'events_counted' and minute > pg_temp.at(30);
select is_empty('table difference', 'the view is right when it is not known which minutes are counted');
do $$ begin perform marketplace.count_minutes(); end $$;
select ok(pg_temp.is_counted(2) and not exists (table difference), 'they are counted anew');

-- when an event is stored as usual
delete from marketplace.minute_marks where mark = 'events_changed';
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at)
select i.organization_id, i.id, i.provider, 'new', 'new', clock_timestamp() from marketplace.integrations as i where i.slug = 'red-files';
select is_empty($$ select from marketplace.minute_marks where mark = 'events_changed' $$, 'an event of this minute notes nothing');

-- when a day is dropped
do $$
begin
  perform marketplace._make_partition('webhook_events', ((now() - interval '3 days') at time zone 'UTC')::date);
  insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at)
  select i.organization_id, i.id, i.provider, 'old', 'old', now() - interval '3 days' from marketplace.integrations as i where i.slug = 'red-files';
  perform marketplace._drop_partitions('webhook_events', now() - interval '1 day');
end
$$;
select is_empty('table difference', 'the view is right when a partition is dropped');

-- when the clock of the session is elsewhere
set local time zone 'Asia/Kathmandu';
select is_empty('table difference', 'the view is right in another time zone');
set local time zone 'UTC';

-- when members look
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select ok((select count(*) > 100 from plain) and not exists (table difference), 'red sees its own, and all of it');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select ok((select count(*) > 10 from plain) and not exists (table difference), 'so does blue');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select is_empty('table marketplace.v_event_rates', 'somebody else sees nothing');
reset role;

-- when two hours have passed
update marketplace.event_minutes set minute = minute - interval '2 hours';
update marketplace.minute_marks set minute = minute - interval '2 hours';
do $$ begin perform marketplace.count_minutes(); end $$;
select is_empty(
  $$ select minute from marketplace.event_minutes where minute < now() - interval '2 hours'
     union all select minute from marketplace.minute_marks where minute < now() - interval '2 hours' and mark like 'events%' $$,
  'what nobody asks for any more is forgotten'
);

select * from finish();
rollback;
