-- Change feeds: where each one stands, and how what it tells becomes events. A push says only that
-- something has changed: it makes a cursor due, and marketplace-maintain pulls from there.

create function marketplace._feeds()
returns table (provider text, feed text, channel_kind text, channel_lifetime interval, renew_every interval)
language sql
immutable
rows 6
set search_path = ''
as $$
  values
    ('google_drive', 'drive.changes', 'drive', interval '7 days', interval '6 days'),
    ('google_docs', 'drive.changes', 'drive', interval '7 days', interval '6 days'),
    ('google_sheets', 'drive.changes', 'drive', interval '7 days', interval '6 days'),
    ('google_calendar', 'calendar.events', 'calendar', interval '7 days', interval '6 days'),
    ('gmail', 'gmail.history', 'gmail', interval '7 days', interval '1 day'),
    ('github', 'github.deliveries', null, null, null)
$$;
comment on function marketplace._feeds() is
  'The feeds that marketplace-maintain can pull (an adapter in _shared/feeds each), the push channel that goes with each, how long a channel is asked for, and how early it is renewed.';

create table marketplace.sync_cursors (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  connection_id uuid references marketplace.connections (id) on delete cascade, -- null: with the integration's own credential
  feed text not null check (feed ~ '^[a-z]+\.[a-z]+$'),
  scope text not null default '' check (length(scope) <= 500),
  account text, -- null: not begun yet, or the feed has none
  is_active boolean not null default true,
  status text not null default 'pending' check (status in ('pending', 'active', 'failing')),
  cursor text, -- null: not begun
  progress jsonb, -- null: not in the middle of several pages
  reconcile_every interval check (reconcile_every >= '10 seconds'), -- null: as settings say
  due_at timestamptz not null default now(),
  not_before timestamptz not null default '-infinity',
  pushed_at timestamptz, -- null: never pushed
  push_count bigint not null default 0 check (push_count >= 0),
  lease_id uuid, -- null: nobody pulls
  lease_until timestamptz, -- null: nobody pulls
  pull_started_at timestamptz, -- null: never pulled
  last_pulled_at timestamptz, -- null: no pull has reached the end
  caught_up_at timestamptz, -- null: no pull has reached the end
  last_event_at timestamptz, -- null: nothing has changed yet
  event_count bigint not null default 0 check (event_count >= 0),
  restart_count int not null default 0 check (restart_count >= 0),
  failure_count int not null default 0 check (failure_count >= 0),
  error_code text, -- null: the last pull went well
  error_message text, -- null: the last pull went well
  channel_retry_at timestamptz not null default '-infinity',
  channel_failure_count int not null default 0 check (channel_failure_count >= 0),
  channel_error text, -- null: the last channel was opened
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sync_cursors_integration_id_connection_id_feed_scope_key
    unique nulls not distinct (integration_id, connection_id, feed, scope),
  constraint sync_cursors_lease_check check ((lease_id is null) = (lease_until is null)),
  constraint sync_cursors_failing_has_reason_check check ((status = 'failing') = (error_code is not null)),
  constraint sync_cursors_caught_up_check check ((last_pulled_at is null) = (caught_up_at is null))
) with (fillfactor = 70);
comment on table marketplace.sync_cursors is
  'How far each feed of changes has been read: pending -> active, failing while pulls fail. Written by watch, note_push and the functions of marketplace-maintain; members read those of accounts that they see.';
comment on column marketplace.sync_cursors.scope is
  'Which part of the account: id of a shared drive, mailbox, calendar id, owner/repo or an organization; empty means the feed''s own default.';
comment on column marketplace.sync_cursors.account is 'Whose it is, as the provider names it in pushes: a mailbox.';
comment on column marketplace.sync_cursors.cursor is
  'The provider''s own word for where the next pull begins. It moves in the transaction that stores what came before it.';
comment on column marketplace.sync_cursors.progress is 'Where a pull of several pages stands; what continues it is the adapter''s business.';
comment on column marketplace.sync_cursors.due_at is
  'When it is pulled next. A pull that begins sets it to the next reconciliation, a push to now.';
comment on column marketplace.sync_cursors.not_before is
  'No pull begins earlier, whatever is pushed: a breath after each one, so that a storm of pushes is few pulls; longer after failures.';
comment on column marketplace.sync_cursors.push_count is 'Pushes that made it due; those that came while it was due already are not counted.';
comment on column marketplace.sync_cursors.caught_up_at is 'All that had changed by then is stored: when the last pull that reached the end began.';
comment on column marketplace.sync_cursors.restart_count is 'How often the provider no longer knew the cursor, and all was listed.';
comment on column marketplace.sync_cursors.channel_retry_at is 'No push channel is asked for before; moved on when the provider refuses one.';
comment on column marketplace.sync_cursors.feed is 'Which list of changes, such as google_drive.changes.';
comment on column marketplace.sync_cursors.is_active is 'Switched off, it is neither pulled nor watched.';
comment on column marketplace.sync_cursors.status is 'failing: the last pulls went wrong, error_code says why.';
comment on column marketplace.sync_cursors.reconcile_every is 'How often it is looked at without a push.';
comment on column marketplace.sync_cursors.pushed_at is 'The last push.';
comment on column marketplace.sync_cursors.lease_id is 'Who pulls just now; what another one stores is refused.';
comment on column marketplace.sync_cursors.lease_until is 'Then somebody else may pull.';
comment on column marketplace.sync_cursors.pull_started_at is 'When the last pull began.';
comment on column marketplace.sync_cursors.last_pulled_at is 'When the last pull that reached the end did.';
comment on column marketplace.sync_cursors.last_event_at is 'When a pull last found something.';
comment on column marketplace.sync_cursors.event_count is 'Events that its pulls have stored.';
comment on column marketplace.sync_cursors.channel_failure_count is 'Refusals in a row to open a push channel.';
comment on column marketplace.sync_cursors.channel_error is 'What the provider said to the last one.';
create index sync_cursors_due_idx on marketplace.sync_cursors (due_at) where is_active;
create index sync_cursors_organization_id_idx on marketplace.sync_cursors (organization_id);
create index sync_cursors_connection_id_idx on marketplace.sync_cursors (connection_id);
create index sync_cursors_account_idx on marketplace.sync_cursors (integration_id, lower(account)) where account is not null;
create trigger sync_cursors_touch before update on marketplace.sync_cursors
  for each row execute function marketplace._touch_updated_at();

create table marketplace.feed_items (
  cursor_id uuid not null references marketplace.sync_cursors (id) on delete cascade,
  item_id text not null,
  event_type text not null,
  path text not null,
  version text not null,
  seen_at timestamptz not null default now(),
  primary key (cursor_id, item_id)
);
comment on table marketplace.feed_items is
  'What a feed has told of each thing last, so that a removal has a path and a full listing tells nothing twice. Written by store_changes. No policy: only functions and the service role touch it.';
comment on column marketplace.feed_items.event_type is 'What the thing was, by its last event: google_docs must know which removed files were documents.';
comment on column marketplace.feed_items.cursor_id is 'In which feed.';
comment on column marketplace.feed_items.item_id is 'The provider''s own id of the thing.';
comment on column marketplace.feed_items.path is 'Where it was when last seen, for rules.';
comment on column marketplace.feed_items.version is 'As the provider counts; the same again is no change.';
comment on column marketplace.feed_items.seen_at is 'When a pull last met it; what a listing does not meet is gone.';

-- Watching ------------------------------------------------------------------------------------

create function marketplace._ring_maintain_or_warn()
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform marketplace.ring_maintain();
exception when others then
  raise warning 'marketplace: marketplace-maintain was not rung, the sweep will find the work: %', sqlerrm;
end
$$;
comment on function marketplace._ring_maintain_or_warn() is
  'Rings marketplace-maintain; a broken bell is a warning and no failure of whoever rings.';

create function marketplace._random_secret()
returns text
language sql
volatile
set search_path = ''
as $$
  -- 244 random bits
  select encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex')
$$;
comment on function marketplace._random_secret() is 'A new secret of 64 characters.';

create function marketplace._newest_secret_id(p_integration_id uuid, p_purpose text)
returns uuid
language sql
stable
set search_path = ''
as $$
  select s.id
  from marketplace.integration_secrets as s
  where s.integration_id = p_integration_id and s.purpose = p_purpose
    and s.valid_from <= clock_timestamp() and (s.valid_until is null or s.valid_until > clock_timestamp())
  order by s.valid_from desc, s.id desc
  limit 1
$$;
comment on function marketplace._newest_secret_id(uuid, text) is 'integration_secrets.id of the secret that new requests use; null when there is none.';

create function marketplace.watch(
  p_integration_slug text,
  p_feed text default null,
  p_scope text default '',
  p_connection_id uuid default null
)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_integration marketplace.integrations;
  v_feed record;
  v_cursor_id uuid;
begin
  select * into v_integration from marketplace.integrations as i where i.id = marketplace._integration_id(p_integration_slug);
  if v_integration.removal_requested_at is not null then
    raise exception 'integration % is being removed', quote_literal(p_integration_slug)
      using errcode = 'MK409', hint = 'Register it again once it is gone.';
  end if;
  select f.* into v_feed from marketplace._feeds() as f where f.provider = v_integration.provider and f.feed = coalesce(p_feed, f.feed);
  if v_feed.feed is null then
    raise exception '% has no feed %', v_integration.provider, coalesce(quote_literal(p_feed), 'of changes')
      using errcode = 'MK422', hint = coalesce(
        (select 'Its feeds: ' || string_agg(f.feed, ', ') from marketplace._feeds() as f where f.provider = v_integration.provider),
        'Feeds exist for ' || (select string_agg(f.provider, ', ') from marketplace._feeds() as f) || '.'
      );
  end if;
  if v_feed.feed = 'github.deliveries' and coalesce(p_scope, '') !~ '^[^/\s]+(/[^/\s]+)?$' then
    raise exception 'deliveries of which webhook? % names neither a repository nor an organization', quote_nullable(p_scope)
      using errcode = 'MK400', hint = 'Pass owner/repo, or the organization''s name.';
  end if;
  if p_connection_id is not null and not exists (
    select from marketplace.connections as c where c.id = p_connection_id and c.integration_id = v_integration.id
  ) then
    raise exception 'connection % does not exist under integration %', p_connection_id, quote_literal(p_integration_slug)
      using errcode = 'MK404', hint = 'select id, name from marketplace.connections lists the known ones.';
  end if;
  -- its events are the integration's, which another organization reads
  if exists (
    select from marketplace.connections as c where c.id = p_connection_id and c.organization_id <> v_integration.organization_id
  ) then
    raise exception 'connection % belongs to another organization than integration %', p_connection_id, quote_literal(p_integration_slug)
      using errcode = 'MK422', hint = 'Register an integration in the organization of the connection, and connect the account there.';
  end if;
  -- the token of its channels is the integration's webhook secret
  if v_feed.channel_kind in ('drive', 'calendar') and marketplace._newest_secret_id(v_integration.id, 'webhook') is null then
    perform marketplace.set_integration_secret(v_integration.slug, 'webhook', marketplace._random_secret());
  end if;
  update marketplace.integrations as i
  set is_watched = true
  where i.id = v_integration.id and not i.is_watched and v_feed.channel_kind is not null;

  insert into marketplace.sync_cursors as c (organization_id, integration_id, connection_id, feed, scope)
  values (v_integration.organization_id, v_integration.id, p_connection_id, v_feed.feed, coalesce(p_scope, ''))
  on conflict (integration_id, connection_id, feed, scope) do update
    -- whoever watches again wants to know what changes from now on
    set is_active = true,
      cursor = case when c.is_active then c.cursor end,
      progress = case when c.is_active then c.progress end,
      status = case when c.is_active then c.status else 'pending' end,
      error_code = case when c.is_active then c.error_code end,
      error_message = case when c.is_active then c.error_message end,
      failure_count = case when c.is_active then c.failure_count else 0 end,
      due_at = case when c.is_active then c.due_at else now() end,
      not_before = case when c.is_active then c.not_before else '-infinity' end,
      channel_retry_at = '-infinity'
  returning c.id into v_cursor_id;
  perform marketplace._ring_maintain_or_warn();
  return v_cursor_id;
end
$$;
comment on function marketplace.watch(text, text, text, uuid) is
  'Follows the changes of an account from now on, as events of the integration: pulled when pushed and every settings.reconcile_every, push channels opened and renewed. Returns the cursor''s id; again, it changes nothing.';

create function marketplace.unwatch(
  p_integration_slug text,
  p_feed text default null,
  p_scope text default '',
  p_connection_id uuid default null
)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_integration_id uuid := marketplace._integration_id(p_integration_slug);
  v_count int;
begin
  update marketplace.sync_cursors as c
  set is_active = false, lease_id = null, lease_until = null
  where c.integration_id = v_integration_id and c.feed = coalesce(p_feed, c.feed) and c.scope = coalesce(p_scope, '')
    and c.connection_id is not distinct from p_connection_id and c.is_active;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform marketplace._ring_maintain_or_warn();
  end if;
  return v_count;
end
$$;
comment on function marketplace.unwatch(text, text, text, uuid) is
  'Follows an account''s changes no longer; its push channels are stopped at the provider, then it is forgotten. Returns how many cursors ended.';

-- Due -----------------------------------------------------------------------------------------

create function marketplace._mark_due(p_cursor_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_must_ring boolean;
begin
  -- Who is due already stays as he is, so that a storm of pushes writes once. Who is being pulled is
  -- not due: the pull may have passed by what this push is about.
  update marketplace.sync_cursors as c
  set due_at = greatest(clock_timestamp(), c.not_before), pushed_at = clock_timestamp(), push_count = c.push_count + 1
  where c.id = p_cursor_id and c.is_active and c.due_at > greatest(clock_timestamp(), c.not_before)
  returning c.not_before <= clock_timestamp() and c.lease_id is null into v_must_ring;
  if v_must_ring is null then
    return false;
  end if;
  -- whoever pulls it now looks again, and what is due a little later the sweep finds
  if v_must_ring then
    perform marketplace._ring_maintain_or_warn();
  end if;
  return true;
end
$$;
comment on function marketplace._mark_due(uuid) is
  'Makes a cursor due and rings marketplace-maintain, unless it is due already; says whether it did.';

create function marketplace.note_account_push(p_integration_id uuid, p_account text)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_id uuid;
  v_outcome text := 'unchecked';
begin
  for v_id in
    select c.id from marketplace.sync_cursors as c
    where c.integration_id = p_integration_id and lower(c.account) = lower(p_account) and c.is_active
    order by c.id
  loop
    if marketplace._mark_due(v_id) then
      v_outcome := 'noted';
    elsif v_outcome <> 'noted' then
      v_outcome := 'coalesced';
    end if;
  end loop;
  return v_outcome;
end
$$;
comment on function marketplace.note_account_push(uuid, text) is
  'Notes a push that names an account (Gmail''s mailbox): noted, coalesced (a pull is due already), or unchecked (nobody follows that account here). For Edge Functions only.';

create function marketplace.claim_cursors(p_limit int default 4)
returns setof jsonb
language sql
volatile
set search_path = ''
as $$
  with
  due as (
    select c.id
    from marketplace.sync_cursors as c
    join marketplace.integrations as i on i.id = c.integration_id
    where c.is_active and i.status <> 'inactive'
      and case when c.lease_id is null then c.due_at <= clock_timestamp() else c.lease_until <= clock_timestamp() end
    order by c.due_at
    limit p_limit
    for no key update of c skip locked
  ),
  leased as (
    update marketplace.sync_cursors as c
    set lease_id = gen_random_uuid(), lease_until = clock_timestamp() + interval '2 minutes',
      pull_started_at = clock_timestamp(), not_before = clock_timestamp() + interval '2 seconds',
      due_at = clock_timestamp() + coalesce(c.reconcile_every, (select s.reconcile_every from marketplace.settings as s))
    from due
    where c.id = due.id
    returning c.*
  )
  select jsonb_build_object(
    'cursor_id', l.id, 'lease_id', l.lease_id, 'feed', l.feed, 'scope', l.scope, 'account', l.account,
    'cursor', l.cursor, 'progress', l.progress, 'connection_id', l.connection_id, 'created_at', l.created_at,
    'claimed_at', l.pull_started_at, 'caught_up_at', l.caught_up_at, 'integration', marketplace._integration_json(l.integration_id)
  )
  from leased as l
$$;
comment on function marketplace.claim_cursors(int) is
  'Leases cursors whose time has come, also those that somebody began to pull and did not finish, and plans the next reconciliation. For Edge Functions only.';

create function marketplace.next_cursor_due_at()
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select min(c.due_at)
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  where c.is_active and c.lease_id is null and i.status <> 'inactive'
$$;
comment on function marketplace.next_cursor_due_at() is 'When the next cursor is due; null when nothing is followed.';

-- Pulled --------------------------------------------------------------------------------------

create function marketplace._require_cursor_lease(p_cursor_id uuid, p_lease_id uuid)
returns marketplace.sync_cursors
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_cursor marketplace.sync_cursors;
begin
  select * into v_cursor
  from marketplace.sync_cursors as c
  where c.id = p_cursor_id and c.lease_id = p_lease_id and c.is_active
  for no key update;
  if v_cursor.id is null then
    raise exception 'lease % does not hold cursor %', coalesce(p_lease_id::text, 'null'), coalesce(p_cursor_id::text, 'null')
      using errcode = 'MK409', hint = 'Somebody else pulls it now, or it is no longer followed.';
  end if;
  return v_cursor;
end
$$;
comment on function marketplace._require_cursor_lease(uuid, uuid) is
  'The cursor, locked until the end of the transaction, if the lease still holds it; MK409 otherwise.';

create function marketplace._store_feed_events(p_cursor marketplace.sync_cursors, p_events jsonb)
returns table (stored int, duplicates int)
language plpgsql
volatile
rows 1
set search_path = ''
as $$
declare
  v_stored uuid[];
  v_stale bigint;
begin
  with
  event as (
    select e.*, e.ordinality as n
    from rows from (
      jsonb_to_recordset(p_events) as (
        dedupe_key text, event_type text, resource_path text, account text, occurred_at timestamptz, headers jsonb, payload jsonb
      )
    ) with ordinality as e
  ),
  outcome as (
    select o.outcome, o.event_id
    from (
      select
        array_agg(p_cursor.integration_id order by e.n) as integration_ids, array_agg(i.config_version order by e.n) as versions,
        array_agg(left(e.dedupe_key, 200) order by e.n) as dedupe_keys, array_agg(e.event_type order by e.n) as event_types,
        array_agg(left(e.resource_path, 2048) order by e.n) as resource_paths, array_agg(e.account order by e.n) as accounts,
        array_agg(e.occurred_at order by e.n) as occurred_at, array_agg(coalesce(e.headers, '{}')::text order by e.n) as headers,
        array_agg(coalesce(e.payload, '{}')::text order by e.n) as payloads
      from event as e
      join marketplace.integrations as i on i.id = p_cursor.integration_id
    ) as a
    cross join lateral marketplace.ingest_events(
      a.integration_ids, a.versions, a.dedupe_keys, a.event_types, a.resource_paths, a.accounts, a.occurred_at, a.headers, a.payloads
    ) as o
  )
  select
    coalesce(array_agg(o.event_id) filter (where o.outcome = 'stored'), '{}'),
    count(*) filter (where o.outcome = 'duplicate'), count(*) filter (where o.outcome = 'stale_config')
  into v_stored, duplicates, v_stale
  from outcome as o;
  if v_stale > 0 then
    raise exception 'integration % is inactive, or is being changed', p_cursor.integration_id
      using errcode = 'MK409', hint = 'What was pulled is pulled again.';
  end if;
  if p_cursor.connection_id is not null then
    update marketplace.webhook_events as e
    set connection_id = p_cursor.connection_id
    where e.id = any (v_stored) and e.created_at = now();
  end if;
  stored := cardinality(v_stored);
  return next;
end
$$;
comment on function marketplace._store_feed_events(marketplace.sync_cursors, jsonb) is
  'Stores events of a feed as ingest_events does: once each by their dedupe key, each with a correlation id of its own, and with the connection that told them.';

create function marketplace.store_changes(
  p_cursor_id uuid,
  p_lease_id uuid,
  p_events jsonb,
  p_next_cursor text,
  p_has_more boolean default false,
  p_progress jsonb default null,
  p_account text default null,
  p_seen text[] default '{}'
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_cursor marketplace.sync_cursors := marketplace._require_cursor_lease(p_cursor_id, p_lease_id);
  v_stored int := 0;
  v_duplicates int := 0;
begin
  if jsonb_typeof(p_events) is distinct from 'array' then
    raise exception 'events is not a JSON array' using errcode = 'MK400', hint = 'Pass [{"dedupe_key": …, "event_type": …}].';
  end if;
  if p_events <> '[]' then
    select s.stored, s.duplicates into v_stored, v_duplicates from marketplace._store_feed_events(v_cursor, p_events) as s;
    delete from marketplace.feed_items as f
    using jsonb_array_elements(p_events) as e
    where f.cursor_id = p_cursor_id and f.item_id = e -> 'item' ->> 'id' and e -> 'item' ->> 'version' is null;
    insert into marketplace.feed_items as f (cursor_id, item_id, event_type, path, version)
    select distinct on (e -> 'item' ->> 'id')
      p_cursor_id, e -> 'item' ->> 'id', e ->> 'event_type', e ->> 'resource_path', e -> 'item' ->> 'version'
    from jsonb_array_elements(p_events) with ordinality as page (e, n)
    where e -> 'item' ->> 'version' is not null
    order by e -> 'item' ->> 'id', n desc
    on conflict (cursor_id, item_id) do update
      set event_type = excluded.event_type, path = excluded.path, version = excluded.version, seen_at = now();
  end if;
  update marketplace.feed_items as f set seen_at = now() where f.cursor_id = p_cursor_id and f.item_id = any (p_seen);

  update marketplace.sync_cursors as c
  set cursor = p_next_cursor,
    progress = case when p_has_more then p_progress end,
    account = coalesce(p_account, c.account),
    event_count = c.event_count + v_stored,
    last_event_at = case when v_stored > 0 then now() else c.last_event_at end,
    restart_count = c.restart_count + (
      p_progress ->> 'mode' is not distinct from 'listing' and c.progress ->> 'mode' is distinct from 'listing'
    )::int,
    lease_until = case when p_has_more then clock_timestamp() + interval '2 minutes' end,
    lease_id = case when p_has_more then c.lease_id end,
    status = case when p_has_more then c.status else 'active' end,
    error_code = case when p_has_more then c.error_code end,
    error_message = case when p_has_more then c.error_message end,
    failure_count = case when p_has_more then c.failure_count else 0 end,
    last_pulled_at = case when p_has_more then c.last_pulled_at else clock_timestamp() end,
    caught_up_at = case when p_has_more then c.caught_up_at else c.pull_started_at end
  where c.id = p_cursor_id;
  return jsonb_build_object('stored', v_stored, 'duplicates', v_duplicates);
end
$$;
comment on function marketplace.store_changes(uuid, uuid, jsonb, text, boolean, jsonb, text, text[]) is
  'Stores what a page of a feed told and moves the cursor behind it, in one transaction; the last page ends the lease. Events: {dedupe_key, event_type, resource_path, account, occurred_at, headers, payload, item: {id, version}}, without a version the item is gone. MK409 when the lease is lost. For Edge Functions only.';

create function marketplace.fail_pull(
  p_cursor_id uuid,
  p_lease_id uuid,
  p_code text,
  p_message text,
  p_retry_after_ms numeric default null
)
returns timestamptz
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_cursor marketplace.sync_cursors := marketplace._require_cursor_lease(p_cursor_id, p_lease_id);
  v_next timestamptz;
begin
  v_next := clock_timestamp() + greatest(
    make_interval(secs => least(5 * 2 ^ least(v_cursor.failure_count, 20), 900) * (1 + random() * 0.2)),
    make_interval(secs => (least(coalesce(p_retry_after_ms, 0), 86400000) / 1000)::float8)
  );
  update marketplace.sync_cursors as c
  set status = 'failing', error_code = coalesce(nullif(p_code, ''), 'failed'), error_message = left(p_message, 500),
    failure_count = c.failure_count + 1, lease_id = null, lease_until = null, due_at = v_next, not_before = v_next
  where c.id = p_cursor_id;
  return v_next;
end
$$;
comment on function marketplace.fail_pull(uuid, uuid, text, text, numeric) is
  'A pull failed: the cursor stays where it is and is pulled again after 5 s, doubling to 15 min, or when the provider says; pushes do not hurry it. Returns when. For Edge Functions only.';

create function marketplace.pause_pull(p_cursor_id uuid, p_lease_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  perform marketplace._require_cursor_lease(p_cursor_id, p_lease_id);
  update marketplace.sync_cursors as c
  set lease_id = null, lease_until = null, due_at = clock_timestamp()
  where c.id = p_cursor_id;
end
$$;
comment on function marketplace.pause_pull(uuid, uuid) is
  'Whoever pulls must stop between two pages; the next run goes on from there. For Edge Functions only.';

create function marketplace.known_items(p_cursor_id uuid, p_item_ids text[])
returns table (item_id text, event_type text, path text, version text)
language sql
stable
set search_path = ''
as $$
  select f.item_id, f.event_type, f.path, f.version
  from marketplace.feed_items as f
  where f.cursor_id = p_cursor_id and f.item_id = any (p_item_ids)
$$;
comment on function marketplace.known_items(uuid, text[]) is 'What a feed has told of these things last. For Edge Functions only.';

create function marketplace.unseen_items(p_cursor_id uuid, p_since timestamptz, p_limit int default 200)
returns table (item_id text, event_type text, path text, version text)
language sql
stable
set search_path = ''
as $$
  select f.item_id, f.event_type, f.path, f.version
  from marketplace.feed_items as f
  where f.cursor_id = p_cursor_id and f.seen_at < p_since
  order by f.item_id
  limit p_limit
$$;
comment on function marketplace.unseen_items(uuid, timestamptz, int) is
  'Things that a full listing begun at that time has not met: they are gone. For Edge Functions only.';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.sync_cursors enable row level security;
alter table marketplace.feed_items enable row level security;
create policy "members read the cursors of accounts that they see" on marketplace.sync_cursors
  for select to authenticated
  using (
    organization_id in (select marketplace.my_organization_ids())
    and (connection_id is null or connection_id in (select c.id from marketplace.connections as c))
  );

revoke all on all functions in schema marketplace from public;
grant select (
  id, organization_id, integration_id, connection_id, feed, scope, account, is_active, status, reconcile_every, due_at, not_before,
  pushed_at, push_count, pull_started_at, last_pulled_at, caught_up_at, last_event_at, event_count, restart_count, failure_count,
  error_code, error_message, channel_retry_at, channel_failure_count, channel_error, created_at, updated_at
) on marketplace.sync_cursors to authenticated;
grant select, insert, update, delete on marketplace.sync_cursors, marketplace.feed_items to service_role;
grant execute on function
  marketplace._feeds(),
  marketplace._ring_maintain_or_warn(),
  marketplace._random_secret(),
  marketplace._newest_secret_id(uuid, text),
  marketplace.watch(text, text, text, uuid),
  marketplace.unwatch(text, text, text, uuid),
  marketplace._mark_due(uuid),
  marketplace.note_account_push(uuid, text),
  marketplace.claim_cursors(int),
  marketplace.next_cursor_due_at(),
  marketplace._require_cursor_lease(uuid, uuid),
  marketplace._store_feed_events(marketplace.sync_cursors, jsonb),
  marketplace.store_changes(uuid, uuid, jsonb, text, boolean, jsonb, text, text[]),
  marketplace.fail_pull(uuid, uuid, text, text, numeric),
  marketplace.pause_pull(uuid, uuid),
  marketplace.known_items(uuid, text[]),
  marketplace.unseen_items(uuid, timestamptz, int)
to service_role;
