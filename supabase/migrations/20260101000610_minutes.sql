-- Events and syncs counted by minute, once a minute is over: storing them counts nothing, and who asks
-- for an hour or a day counts only what is not counted yet.

create table marketplace.event_minutes (
  minute timestamptz not null,
  organization_id uuid not null,
  provider text not null,
  event_type text not null,
  event_count bigint not null check (event_count > 0),
  job_count bigint not null check (job_count >= 0),
  primary key (minute, organization_id, provider, event_type)
);
comment on table marketplace.event_minutes is
  'Routed events of the last hours by minute, organization, provider and type. Written by count_minutes, read by v_event_rates; members of its organization read it.';
comment on column marketplace.event_minutes.minute is 'When it began; by when the events were stored.';
comment on column marketplace.event_minutes.provider is 'Who sent them.';
comment on column marketplace.event_minutes.event_type is 'As the provider calls what happened.';
comment on column marketplace.event_minutes.event_count is 'How many of them there were.';
comment on column marketplace.event_minutes.job_count is 'How many jobs were made of them.';

create table marketplace.sync_minutes (
  minute timestamptz not null,
  organization_id uuid not null,
  source_integration_id uuid not null,
  destination_integration_id uuid not null,
  completed_count bigint not null check (completed_count >= 0),
  failed_count bigint not null check (failed_count >= 0),
  last_completed_at timestamptz, -- null: none of them is completed
  primary key (minute, organization_id, source_integration_id, destination_integration_id)
);
comment on table marketplace.sync_minutes is
  'Artifact syncs of the last day by the minute in which they were planned, organization, source and destination. Written by count_minutes, read by v_integration_health; members of its organization read it.';
comment on column marketplace.sync_minutes.minute is 'When it began; by when the syncs were planned.';
comment on column marketplace.sync_minutes.source_integration_id is 'Where they were read.';
comment on column marketplace.sync_minutes.destination_integration_id is 'The source again where only the workflow knows the destination.';
comment on column marketplace.sync_minutes.completed_count is 'How many have arrived and were verified.';
comment on column marketplace.sync_minutes.failed_count is 'How many have failed, and are not being tried again.';
comment on column marketplace.sync_minutes.last_completed_at is 'When the last of them had arrived.';

create table marketplace.minute_marks (
  minute timestamptz not null,
  mark text not null check (mark in ('over', 'events_counted', 'events_changed', 'syncs_counted', 'syncs_changed')),
  made_by xid8 not null default pg_current_xact_id(),
  primary key (minute, mark, made_by)
);
comment on table marketplace.minute_marks is
  'Which minutes are counted. Who stores something late adds a mark and waits for nobody; count_minutes takes them away. No policy: only functions and the service role touch it.';
comment on column marketplace.minute_marks.minute is 'When it began.';
comment on column marketplace.minute_marks.mark is
  'over: so are all before it. counted: its event_minutes or sync_minutes hold. changed: no longer, they are counted anew.';
comment on column marketplace.minute_marks.made_by is
  'The transaction that made it: once all older ones have ended, nobody is left who stored something in a minute that was over by then.';

create function marketplace._minute_of(p_at timestamptz)
returns timestamptz
language sql
immutable -- unlike date_trunc: a minute is the same in every time zone
return date_bin('1 minute', p_at, '2000-01-01 00:00+00');
comment on function marketplace._minute_of(timestamptz) is 'When the minute began.';

-- Changes of what may be counted already ------------------------------------------------------

create function marketplace._note_changed_minute()
returns trigger
language plpgsql
security definer -- whoever writes an event or a sync need not have rights on the marks
set search_path = ''
as $$
begin
  if tg_op <> 'DELETE' then
    insert into marketplace.minute_marks (minute, mark) values (marketplace._minute_of(new.created_at), tg_argv[0])
    on conflict do nothing;
  end if;
  if tg_op <> 'INSERT' then
    insert into marketplace.minute_marks (minute, mark) values (marketplace._minute_of(old.created_at), tg_argv[0])
    on conflict do nothing;
  end if;
  return null;
end
$$;
comment on function marketplace._note_changed_minute() is
  'What comes late, or changes after it may have been counted, has its minute counted anew.';

-- What is of this minute, and an event that is routed, is none of theirs: nearly everything passes them by.
create trigger webhook_events_late after insert on marketplace.webhook_events
  for each row
  when (new.created_at < marketplace._minute_of(clock_timestamp()) and new.created_at > clock_timestamp() - interval '2 hours')
  execute function marketplace._note_changed_minute('events_changed');
create trigger webhook_events_changed after update on marketplace.webhook_events
  for each row
  when (
    (old.processed or new.created_at <> old.created_at)
    and greatest(old.created_at, new.created_at) > clock_timestamp() - interval '2 hours'
  )
  execute function marketplace._note_changed_minute('events_changed');
create trigger webhook_events_gone after delete on marketplace.webhook_events
  for each row
  when (old.created_at > clock_timestamp() - interval '2 hours')
  execute function marketplace._note_changed_minute('events_changed');

create trigger artifact_syncs_late after insert on marketplace.artifact_syncs
  for each row
  when (new.created_at < marketplace._minute_of(clock_timestamp()) and new.created_at > clock_timestamp() - interval '25 hours')
  execute function marketplace._note_changed_minute('syncs_changed');
create trigger artifact_syncs_changed after update on marketplace.artifact_syncs
  for each row
  when (
    (
      new.created_at <> old.created_at
      or old.created_at < marketplace._minute_of(clock_timestamp()) and (
        new.status <> old.status and (new.status in ('completed', 'failed') or old.status in ('completed', 'failed'))
        or new.completed_at <> old.completed_at
        or new.destination_integration_id is distinct from old.destination_integration_id
      )
    )
    and greatest(old.created_at, new.created_at) > clock_timestamp() - interval '25 hours'
  )
  execute function marketplace._note_changed_minute('syncs_changed');
create trigger artifact_syncs_gone after delete on marketplace.artifact_syncs
  for each row
  when (old.created_at > clock_timestamp() - interval '25 hours')
  execute function marketplace._note_changed_minute('syncs_changed');

-- Counting ------------------------------------------------------------------------------------

create function marketplace._minutes_to_count(p_kind text, p_since timestamptz, p_until timestamptz)
returns setof timestamptz
language sql
stable
set search_path = ''
as $$
  select span.minute
  from generate_series(marketplace._minute_of(p_since), p_until - interval '1 minute', '1 minute') as span (minute)
  where not exists (select from marketplace.minute_marks as m where m.minute = span.minute and m.mark = p_kind || '_counted')
$$;
comment on function marketplace._minutes_to_count(text, timestamptz, timestamptz) is 'The minutes between two times whose events or syncs are not counted.';

create function marketplace.count_minutes()
returns table (events int, syncs int)
language plpgsql
volatile
rows 1
set search_path = ''
set enable_seqscan = off -- a minute is found by its index, however few rows there were when the plan was made
as $$
declare
  v_settled timestamptz;
begin
  events := 0;
  syncs := 0;
  if not pg_try_advisory_xact_lock(hashtext('marketplace.count_minutes')) then
    return next;
    return;
  end if;
  delete from marketplace.minute_marks as m
  where m.minute < now() - case when m.mark like 'syncs%' then interval '25 hours' else interval '2 hours' end;
  -- Changes that are seen here are counted below, by a later snapshot; what is noted in between stays noted.
  with changed as (
    delete from marketplace.minute_marks as m where m.mark in ('events_changed', 'syncs_changed')
    returning m.minute, split_part(m.mark, '_', 1) || '_counted' as mark
  )
  delete from marketplace.minute_marks as m where (m.minute, m.mark) in (select c.minute, c.mark from changed as c);
  -- What bears no mark does not hold.
  delete from marketplace.event_minutes as e
  where e.minute not in (select m.minute from marketplace.minute_marks as m where m.mark = 'events_counted');
  delete from marketplace.sync_minutes as s
  where s.minute not in (select m.minute from marketplace.minute_marks as m where m.mark = 'syncs_counted');

  -- Settled: over when a transaction began that is older than all which have not ended.
  select max(m.minute) into v_settled
  from marketplace.minute_marks as m
  where m.mark = 'over' and m.made_by < pg_snapshot_xmin(pg_current_snapshot());
  delete from marketplace.minute_marks as m where m.mark = 'over' and m.minute < v_settled;
  insert into marketplace.minute_marks (minute, mark)
  select began.minute, 'over'
  from (select marketplace._minute_of(now()) as minute) as began
  where not exists (select from marketplace.minute_marks as m where m.mark = 'over' and m.minute = began.minute);

  with
  uncounted as materialized (
    select u.minute
    from marketplace._minutes_to_count('events', now() - interval '1 hour', v_settled) as u (minute)
    -- routing changes an event once more
    where not exists (
      select from marketplace.webhook_events as e
      where not e.processed and e.created_at >= u.minute and e.created_at < u.minute + interval '1 minute'
    )
  ),
  counted as (
    insert into marketplace.event_minutes (minute, organization_id, provider, event_type, event_count, job_count)
    select u.minute, e.organization_id, e.provider, e.event_type, count(*), sum(e.job_count)
    from uncounted as u
    join marketplace.webhook_events as e on e.created_at >= u.minute and e.created_at < u.minute + interval '1 minute'
    group by u.minute, e.organization_id, e.provider, e.event_type
  )
  insert into marketplace.minute_marks (minute, mark)
  select u.minute, 'events_counted' from uncounted as u;
  get diagnostics events = row_count;

  with
  uncounted as materialized (
    select u.minute
    from marketplace._minutes_to_count('syncs', now() - interval '24 hours', v_settled) as u (minute)
  ),
  counted as (
    insert into marketplace.sync_minutes (
      minute, organization_id, source_integration_id, destination_integration_id, completed_count, failed_count, last_completed_at
    )
    select
      u.minute, a.organization_id, a.source_integration_id, coalesce(a.destination_integration_id, a.source_integration_id),
      count(*) filter (where a.status = 'completed'), count(*) filter (where a.status = 'failed'), max(a.completed_at)
    from uncounted as u
    join marketplace.artifact_syncs as a on a.created_at >= u.minute and a.created_at < u.minute + interval '1 minute'
    group by 1, 2, 3, 4
  )
  insert into marketplace.minute_marks (minute, mark)
  select u.minute, 'syncs_counted' from uncounted as u;
  get diagnostics syncs = row_count;
  return next;
end
$$;
comment on function marketplace.count_minutes() is
  'Rung by pg_cron: counts the minutes that are over and not counted yet, events of the last hour and syncs of the last day; returns how many of each. Without it the views are right all the same, and slower.';

create function marketplace._minute_spans(p_kind text, p_for interval)
returns table (since timestamptz, until timestamptz, is_counted boolean)
language sql
stable
security definer -- tells which minutes are counted; of whom there is anything in them it does not tell
rows 60
set search_path = ''
as $$
  with
  mark as materialized (
    select m.minute, bool_and(m.mark = p_kind || '_counted') as is_counted
    from marketplace.minute_marks as m
    where m.minute > now() - p_for and m.mark in (p_kind || '_counted', p_kind || '_changed')
    group by m.minute
  )
  select
    span.minute,
    -- the last one has no end, whatever the clock says
    case when span.minute < marketplace._minute_of(now()) then span.minute + interval '1 minute' else 'infinity' end,
    -- of the first one only a part belongs to the time asked for
    coalesce(m.is_counted, false)
  from generate_series(marketplace._minute_of(now() - p_for), marketplace._minute_of(now()), '1 minute') as span (minute)
  left join mark as m on m.minute = span.minute
$$;
comment on function marketplace._minute_spans(text, interval) is
  'The minutes from so long ago until now, and whether the counts of events or syncs tell all of them.';

alter table marketplace.event_minutes enable row level security;
alter table marketplace.sync_minutes enable row level security;
alter table marketplace.minute_marks enable row level security;

create policy "members read the counts of their events" on marketplace.event_minutes
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));
create policy "members read the counts of their syncs" on marketplace.sync_minutes
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select on marketplace.event_minutes, marketplace.sync_minutes to authenticated;
grant select, insert, update, delete on marketplace.event_minutes, marketplace.sync_minutes, marketplace.minute_marks to service_role;
grant execute on function
  marketplace._minute_of(timestamptz), marketplace._minute_spans(text, interval)
to authenticated, service_role;
grant execute on function
  marketplace._note_changed_minute(), marketplace._minutes_to_count(text, timestamptz, timestamptz), marketplace.count_minutes()
to service_role;
