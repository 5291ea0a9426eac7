begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(20);

-- given nobody else who counts meanwhile
do $$ begin perform pg_advisory_xact_lock(hashtext('marketplace.count_minutes')); end $$;

-- and two organizations with syncs of the last day and around it: from one to another, within one, to where only
-- the workflow knows
insert into marketplace.organizations (id, slug, name)
values (md5('red')::uuid, 'red', 'Red'), (md5('blue')::uuid, 'blue', 'Blue');
insert into marketplace.providers (slug, name, category) values ('acme', 'Acme', 'storage');
delete from marketplace.artifact_syncs;
delete from marketplace.sync_minutes;
delete from marketplace.minute_marks;
do $$
begin
  perform
    marketplace.add_member('red', '00000000-0000-4000-8000-000000000001', 'viewer'),
    marketplace.add_member('blue', '00000000-0000-4000-8000-000000000002', 'viewer'),
    marketplace.register_integration('red-files', 'Red files', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('red-backup', 'Red backup', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('red-idle', 'Red idle', 'acme', 'storage', '{}', 'red'),
    marketplace.register_integration('blue-files', 'Blue files', 'acme', 'storage', '{}', 'blue');
end
$$;
insert into marketplace.workflows (organization_id, slug, name, kind, endpoint)
select id, slug || '-run', name, 'http', 'https://acme.example' from marketplace.organizations where slug in ('red', 'blue');
insert into marketplace.sync_rules (name, source_integration_id, workflow_id)
select i.slug, i.id, w.id
from marketplace.integrations as i join marketplace.workflows as w on w.organization_id = i.organization_id
where i.slug in ('red-files', 'blue-files');
insert into marketplace.sync_jobs (organization_id, rule_id, workflow_id)
select organization_id, id, workflow_id from marketplace.sync_rules where name in ('red-files', 'blue-files');
insert into marketplace.artifact_syncs (
  organization_id, job_id, rule_id, source_integration_id, destination_integration_id, correlation_id, source_ref, source_path, name,
  created_at, status, completed_at, destination_size_bytes, destination_checksum, error_code
)
select
  j.organization_id, j.id, j.rule_id, r.source_integration_id,
  case n % 3 when 0 then r.source_integration_id when 1 then (select i.id from marketplace.integrations as i where i.slug = 'red-backup' and r.name = 'red-files') end,
  j.correlation_id, n::text, 'files/a', 'a', now() - make_interval(mins => 2 * n) - interval '1 second', s.status,
  case s.status when 'completed' then now() - make_interval(mins => n) end, case s.status when 'completed' then 1 end,
  case s.status when 'completed' then 'md5:x' end, case when s.status in ('failed', 'skipped') then 'x' end
from marketplace.sync_jobs as j
join marketplace.sync_rules as r on r.id = j.rule_id and r.name in ('red-files', 'blue-files')
cross join generate_series(1, 800) as n
cross join lateral (select (array['planned', 'completed', 'failed', 'completed', 'skipped'])[1 + n % 5] as status) as s
where r.name = 'red-files' or n % 7 = 0;
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at)
select i.organization_id, i.id, i.provider, 't', age::text, now() - age
from marketplace.integrations as i, unnest(array['10 minutes', '3 hours']::interval[]) as age
where i.slug = 'red-files' or i.slug = 'blue-files' and age = '3 hours';

create temp view plain with (security_invoker = true) as
select
  i.slug, (select max(e.created_at) from marketplace.webhook_events as e where e.integration_id = i.id) as last_event_at,
  max(a.completed_at) as last_completed_at,
  count(a.id) filter (where a.status = 'completed') as completed_24h,
  count(a.id) filter (where a.status = 'failed') as failed_24h
from marketplace.integrations as i
left join marketplace.artifact_syncs as a
  on i.id in (a.source_integration_id, a.destination_integration_id) and a.created_at > now() - interval '24 hours'
group by i.id;
create temp view told with (security_invoker = true) as
select slug, last_event_at, last_completed_at, completed_24h, failed_24h from marketplace.v_integration_health;
create temp view difference with (security_invoker = true) as
(table plain except table told) union all (table told except table plain);
grant select on plain, told, difference to public;
create function pg_temp.at(p_minutes int) returns timestamptz language sql as $$
  select marketplace._minute_of(now()) - make_interval(mins => p_minutes)
$$;
create function pg_temp.syncs_read() returns bigint language sql volatile as $$
  select coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)), 0)::bigint
  from pg_catalog.pg_stat_xact_user_tables as s where s.schemaname = 'marketplace' and s.relname = 'artifact_syncs'
$$;

-- then without anybody who counts
select set_eq(
  $$ select slug, completed_24h, failed_24h from told where slug like 'red-%' $$,
  $$ values ('red-files', 288::bigint, 144::bigint), ('red-backup', 96, 48), ('red-idle', 0, 0) $$,
  'each integration has what came from it or went to it, once'
);
select is_empty('table difference', 'the view is right when nothing is counted, as while pg_cron is silent');

-- when minutes are over, but somebody may still be storing something in them
select is((select syncs from marketplace.count_minutes()), 0, 'nothing is counted at first');
select is(
  (select syncs from marketplace.count_minutes()),
  0, 'nor while a transaction is open that is older than their end'
);
update marketplace.minute_marks set made_by = '3' where mark = 'over';

-- when all of those have ended
select is((select syncs from marketplace.count_minutes()), 1440, 'each minute of the day that is over is counted');
select is_empty('table difference', 'and the view is right');
select is((select syncs from marketplace.count_minutes()), 0, 'no minute is counted twice');
set local enable_seqscan = off; -- as when there are many
create temp table reading as select pg_temp.syncs_read() as before;
do $$ begin perform count(*) from marketplace.v_integration_health; end $$;
select cmp_ok(
  pg_temp.syncs_read() - (select before from reading), '<', 20::bigint,
  'of more than 800 syncs the view looks at those of the minutes that are not counted'
);

-- when syncs end, or are tried again, in a minute that has been counted
update marketplace.artifact_syncs set status = 'completed', completed_at = now(), destination_size_bytes = 1, destination_checksum = 'md5:x'
where status = 'planned' and created_at between pg_temp.at(40) and pg_temp.at(20);
update marketplace.artifact_syncs set status = 'planned', error_code = null
where status = 'failed' and created_at between pg_temp.at(80) and pg_temp.at(60);
select isnt_empty($$ select from marketplace.minute_marks where mark = 'syncs_changed' $$, 'it is noted');
select is_empty('table difference', 'the view is right at once');
select cmp_ok((select syncs from marketplace.count_minutes()), '>', 2, 'their minutes are counted anew');
select is_empty('table difference', 'and the view is right');

-- when a sync goes on without having ended
update marketplace.artifact_syncs set status = 'transferring' where status = 'planned';
select is_empty($$ select from marketplace.minute_marks where mark = 'syncs_changed' $$, 'nothing is noted, and nobody counts anew');

-- when some come late, move or go
update marketplace.artifact_syncs set created_at = created_at - interval '1 hour' where created_at between pg_temp.at(300) and pg_temp.at(290);
delete from marketplace.artifact_syncs where created_at between pg_temp.at(500) and pg_temp.at(490);
update marketplace.artifact_syncs set destination_integration_id = null where created_at between pg_temp.at(600) and pg_temp.at(590);
select is_empty('table difference', 'the view is right when counted syncs move or go, or go elsewhere');
do $$ begin perform marketplace.count_minutes(); end $$;
select is_empty('table difference', 'and when they are counted anew');

-- when members look
set local role authenticated;
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000001"}';
select ok((select count(*) = 3 from plain) and not exists (table difference), 'red sees its own, and all of it');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000002"}';
select ok((select count(*) = 1 from plain) and not exists (table difference), 'so does blue');
set local request.jwt.claims = '{"role": "authenticated", "sub": "00000000-0000-4000-8000-000000000003"}';
select is_empty('table told', 'somebody else sees nothing');
reset role;

-- when an integration goes with all that was synced from it
delete from marketplace.sync_rules where name = 'blue-files';
delete from marketplace.integrations where slug = 'blue-files';
select is_empty('table difference', 'the view is right when an integration goes');

-- when a day has passed
update marketplace.sync_minutes set minute = minute - interval '25 hours';
update marketplace.minute_marks set minute = minute - interval '25 hours';
do $$ begin perform marketplace.count_minutes(); end $$;
select is_empty(
  $$ select minute from marketplace.sync_minutes where minute < now() - interval '25 hours'
     union all select minute from marketplace.minute_marks where minute < now() - interval '25 hours' $$,
  'what nobody asks for any more is forgotten'
);

select * from finish();
rollback;
