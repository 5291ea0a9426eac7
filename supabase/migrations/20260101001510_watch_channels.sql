-- Push channels: opened for a cursor, renewed before they end, stopped when nobody needs them.

create table marketplace.watch_channels (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  cursor_id uuid not null references marketplace.sync_cursors (id) on delete cascade,
  kind text not null check (kind in ('drive', 'calendar', 'gmail')),
  channel_id text not null default gen_random_uuid()::text check (channel_id <> ''),
  resource_id text, -- null: the provider has not named it yet
  proof_id uuid, -- null: its pushes are proven without a token
  address text, -- null: the provider pushes elsewhere, as Gmail does to a topic
  status text not null default 'pending'
    check (status in ('pending', 'active', 'replaced', 'stopping', 'stopped', 'failed')),
  expires_at timestamptz, -- null: the provider has not said yet
  renew_after timestamptz, -- null: not open
  lease_id uuid, -- null: nobody is asking the provider
  lease_until timestamptz, -- null: nobody is asking the provider
  retry_at timestamptz not null default now(),
  failure_count int not null default 0 check (failure_count >= 0),
  error_message text, -- null: the provider did as it was asked
  push_count bigint not null default 0 check (push_count >= 0),
  last_push_at timestamptz, -- null: none yet
  last_message_number bigint, -- null: none yet
  stopped_at timestamptz, -- null: open, or still to be stopped
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint watch_channels_integration_id_channel_id_key unique (integration_id, channel_id),
  constraint watch_channels_lease_check check ((lease_id is null) = (lease_until is null)),
  constraint watch_channels_active_is_known_check check (
    status not in ('active', 'replaced') or resource_id is not null and expires_at is not null and renew_after is not null
  ),
  constraint watch_channels_stopped_check check ((status in ('stopped', 'failed')) = (stopped_at is not null))
) with (fillfactor = 80);
comment on table marketplace.watch_channels is
  'Push channels at Google, one row each: pending (written before the provider is asked) -> active -> replaced by the next one -> stopping -> stopped; or failed. Written by the functions of marketplace-maintain; members read those of accounts that they see.';
comment on column marketplace.watch_channels.proof_id is
  'integration_secrets.id of the webhook secret that it sends along; when another becomes the newest, the channel is renewed.';
comment on column marketplace.watch_channels.push_count is 'Pushes that made its cursor due; see sync_cursors.push_count.';
comment on column marketplace.watch_channels.cursor_id is 'What its pushes make due.';
comment on column marketplace.watch_channels.kind is 'Whose way of opening and proving is used.';
comment on column marketplace.watch_channels.channel_id is 'Our name for it, which comes with each push.';
comment on column marketplace.watch_channels.resource_id is 'The provider''s name for it, needed to stop it.';
comment on column marketplace.watch_channels.address is 'Where pushes arrive: our URL.';
comment on column marketplace.watch_channels.status is
  'replaced: a newer one is open; stopping: the provider is still to be told.';
comment on column marketplace.watch_channels.expires_at is 'When the provider stops by itself.';
comment on column marketplace.watch_channels.renew_after is 'From then on another one is opened in its place.';
comment on column marketplace.watch_channels.retry_at is 'The provider is not asked before.';
comment on column marketplace.watch_channels.last_push_at is 'When it last made itself heard.';
comment on column marketplace.watch_channels.last_message_number is
  'The provider''s count of its pushes, which may leave numbers out.';
comment on column marketplace.watch_channels.stopped_at is 'When it was over, on both sides.';
create unique index watch_channels_pending_key on marketplace.watch_channels (cursor_id) where status = 'pending';
create unique index watch_channels_active_key on marketplace.watch_channels (cursor_id) where status = 'active';
create index watch_channels_cursor_id_idx on marketplace.watch_channels (cursor_id);
create index watch_channels_organization_id_idx on marketplace.watch_channels (organization_id);
create index watch_channels_open_idx on marketplace.watch_channels (retry_at) where stopped_at is null;
create trigger watch_channels_touch before update on marketplace.watch_channels
  for each row execute function marketplace._touch_updated_at();

-- Pushes --------------------------------------------------------------------------------------

create function marketplace.note_push(
  p_integration_id uuid,
  p_channel_id text,
  p_resource_id text,
  p_message_number bigint default null,
  p_state text default null
)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_channel marketplace.watch_channels;
begin
  select * into v_channel
  from marketplace.watch_channels as w
  where w.integration_id = p_integration_id and w.channel_id = p_channel_id
    -- a push can be faster than the answer that names the resource
    and (w.resource_id is null or w.resource_id = p_resource_id);
  if v_channel.id is null then
    return case
      when exists (select from marketplace.watch_channels as w where w.integration_id = p_integration_id) then 'unknown'
      else 'unchecked'
    end;
  end if;
  if v_channel.resource_id is null then
    update marketplace.watch_channels as w
    set resource_id = p_resource_id
    where w.id = v_channel.id and w.resource_id is null;
  end if;
  if p_state = 'sync' then
    return 'sync';
  end if;
  if not marketplace._mark_due(v_channel.cursor_id) then
    return 'coalesced';
  end if;
  update marketplace.watch_channels as w
  set push_count = w.push_count + 1, last_push_at = clock_timestamp(),
    last_message_number = greatest(w.last_message_number, p_message_number)
  where w.id = v_channel.id;
  return 'noted';
end
$$;
comment on function marketplace.note_push(uuid, text, text, bigint, text) is
  'Notes a push of a channel: noted (its cursor is due now), coalesced (it was due already; nothing is written), sync (the channel''s first word), unknown (a channel that is not ours), unchecked (no channel is kept for the integration). For Edge Functions only.';

-- What is to be done --------------------------------------------------------------------------

create function marketplace._webhook_address(p_integration_id uuid)
returns text
language sql
stable
security definer -- reads the functions' URL from Vault, which is no secret; executable by the service role only
set search_path = ''
as $$
  select coalesce(
    i.config -> 'webhook' ->> 'public_url',
    marketplace._vault_read_named('marketplace_functions_url') || '/marketplace-webhook/' || i.provider || '/' || i.slug
  )
  from marketplace.integrations as i
  where i.id = p_integration_id
$$;
comment on function marketplace._webhook_address(uuid) is
  'Where a provider posts for an integration: config.webhook.public_url, else below the functions'' URL; null when configure_platform has not been called.';

create function marketplace._cursors_without_channel()
returns setof uuid
language sql
stable
rows 10
set search_path = ''
as $$
  select c.id
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  join marketplace._feeds() as f on f.provider = i.provider and f.feed = c.feed
  left join marketplace.watch_channels as w on w.cursor_id = c.id and w.status = 'active'
  where c.is_active and c.cursor is not null and i.status <> 'inactive' and f.channel_kind is not null
    and c.channel_retry_at <= clock_timestamp()
    -- Gmail pushes to a topic; whoever has none lives from reconciliation
    and (f.channel_kind <> 'gmail' or i.config ->> 'pubsub_topic' is not null)
    and (
      w.id is null or w.renew_after <= clock_timestamp() or w.expires_at <= clock_timestamp()
      or w.proof_id is distinct from case when f.channel_kind <> 'gmail' then marketplace._newest_secret_id(i.id, 'webhook') end
    )
    and not exists (select from marketplace.watch_channels as p where p.cursor_id = c.id and p.status = 'pending')
$$;
comment on function marketplace._cursors_without_channel() is
  'Cursors for which a push channel is to be opened: there is none, it ends before long, or its token is no longer the newest.';

create function marketplace._retire_channels()
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  -- the provider has ended it
  update marketplace.watch_channels as w
  set status = 'stopped', stopped_at = clock_timestamp(), lease_id = null, lease_until = null
  where w.status in ('active', 'replaced', 'stopping') and w.expires_at <= clock_timestamp();
  -- Whoever asked for it never heard the answer, or never came to tell: it may be open.
  update marketplace.watch_channels as w
  set status = 'stopping', lease_id = null, lease_until = null,
    expires_at = coalesce(w.expires_at, w.created_at + interval '7 days'),
    error_message = coalesce(w.error_message, 'Asked for, and no answer was noted.')
  where w.status = 'pending' and coalesce(w.lease_until, '-infinity') <= clock_timestamp();
  -- nobody follows what it pushes, or its integration is switched off
  update marketplace.watch_channels as w
  set status = 'stopping'
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  where c.id = w.cursor_id and not (c.is_active and i.status <> 'inactive') and w.status in ('active', 'replaced');
  -- Gmail has one watch a mailbox: to stop it would silence whoever follows the mailbox still
  update marketplace.watch_channels as w
  set status = 'stopped', stopped_at = clock_timestamp(), lease_id = null, lease_until = null
  from marketplace.sync_cursors as c
  where c.id = w.cursor_id and w.kind = 'gmail' and w.status = 'stopping'
    and exists (
      select from marketplace.sync_cursors as o
      join marketplace.integrations as i on i.id = o.integration_id
      where o.feed = c.feed and o.is_active and i.status <> 'inactive' and lower(o.account) = lower(c.account)
    );
end
$$;
comment on function marketplace._retire_channels() is
  'Marks the channels that have ended, and those to be stopped: replaced, without a cursor that is followed, or asked for without an answer.';

create function marketplace._channel_task(p_task text, p_channel marketplace.watch_channels)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'task', p_task, 'id', p_channel.id, 'lease_id', p_channel.lease_id, 'kind', p_channel.kind, 'channel_id', p_channel.channel_id,
    'resource_id', p_channel.resource_id, 'address', p_channel.address,
    'token', case when p_task = 'open' then (
      select marketplace._vault_read(s.vault_secret_id) from marketplace.integration_secrets as s where s.id = p_channel.proof_id
    ) end,
    'lifetime_seconds', extract(epoch from f.channel_lifetime)::int,
    'feed', c.feed, 'scope', c.scope, 'account', c.account, 'cursor', c.cursor, 'connection_id', c.connection_id,
    'integration', marketplace._integration_json(c.integration_id)
  )
  from marketplace.sync_cursors as c
  join marketplace.integrations as i on i.id = c.integration_id
  join marketplace._feeds() as f on f.provider = i.provider and f.feed = c.feed
  where c.id = p_channel.cursor_id
$$;
comment on function marketplace._channel_task(text, marketplace.watch_channels) is
  'What marketplace-maintain must know to open or to stop a channel.';

create function marketplace.claim_channel_tasks(p_limit int default 4)
returns setof jsonb
language plpgsql
volatile
security definer -- hands out the channels' token from Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_cursor_ids uuid[];
begin
  perform marketplace._retire_channels();

  -- Whoever is deleted or claimed just now is passed by: nobody waits here with locks in hand.
  with locked as (
    select c.id
    from marketplace.sync_cursors as c
    join marketplace.integrations as i on i.id = c.integration_id
    where c.id in (select marketplace._cursors_without_channel())
    order by c.id
    limit p_limit
    for no key update of c skip locked
    for key share of i skip locked
  )
  select array_agg(l.id) into v_cursor_ids from locked as l;

  -- A statement of its own: it must see what the former holder of these locks committed. The row is
  -- there before the provider is asked: what it pushes meanwhile is known.
  return query
  with
  wanting as (
    select c.*
    from marketplace.sync_cursors as c
    where c.id = any (v_cursor_ids) and c.id in (select marketplace._cursors_without_channel())
  ),
  opened as (
    insert into marketplace.watch_channels as w
      (organization_id, integration_id, cursor_id, kind, proof_id, address, lease_id, lease_until, created_at)
    select
      c.organization_id, c.integration_id, c.id, f.channel_kind,
      case when f.channel_kind <> 'gmail' then marketplace._newest_secret_id(c.integration_id, 'webhook') end,
      case when f.channel_kind <> 'gmail' then marketplace._webhook_address(c.integration_id) end,
      gen_random_uuid(), clock_timestamp() + interval '2 minutes', clock_timestamp()
    from wanting as c
    join marketplace.integrations as i on i.id = c.integration_id
    join marketplace._feeds() as f on f.provider = i.provider and f.feed = c.feed
    on conflict (cursor_id) where status = 'pending' do nothing
    returning w.*
  )
  select marketplace._channel_task('open', o) from opened as o;

  -- The resource is the same for all channels of a cursor: one of them knows it.
  return query
  with
  ending as (
    select w.id
    from marketplace.watch_channels as w
    where w.status in ('replaced', 'stopping') and w.retry_at <= clock_timestamp()
      and coalesce(w.lease_until, '-infinity') <= clock_timestamp()
      and exists (
        select from marketplace.watch_channels as s where s.cursor_id = w.cursor_id and s.resource_id is not null
      )
    order by w.retry_at
    limit p_limit
    for no key update skip locked
  ),
  stopping as (
    update marketplace.watch_channels as w
    set status = 'stopping', lease_id = gen_random_uuid(), lease_until = clock_timestamp() + interval '2 minutes',
      resource_id = coalesce(w.resource_id, (
        select s.resource_id from marketplace.watch_channels as s
        where s.cursor_id = w.cursor_id and s.resource_id is not null order by s.created_at desc limit 1
      ))
    from ending as e
    where w.id = e.id
    returning w.*
  )
  select marketplace._channel_task('stop', s) from stopping as s;
end
$$;
comment on function marketplace.claim_channel_tasks(int) is
  'Leases what is to be done about push channels: open one for each cursor that wants one (its row is made here), stop those that nobody needs. For Edge Functions only.';

-- What became of it ---------------------------------------------------------------------------

create function marketplace._lock_cursor_of(p_channel_id uuid)
returns void
language sql
volatile
set search_path = ''
as $$
  select from marketplace.sync_cursors as c
  where c.id = (select w.cursor_id from marketplace.watch_channels as w where w.id = p_channel_id)
  for no key update
$$;
comment on function marketplace._lock_cursor_of(uuid) is
  'Locks a channel''s cursor until the end of the transaction: before the channel, so that it cannot be deleted in between.';

create function marketplace.channel_opened(p_id uuid, p_lease_id uuid, p_resource_id text, p_expires_at timestamptz)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_channel marketplace.watch_channels;
  v_renew_every interval;
begin
  -- first the cursor, then its channels, as everybody locks them
  perform marketplace._lock_cursor_of(p_id);
  update marketplace.watch_channels as w
  set resource_id = coalesce(p_resource_id, w.resource_id), expires_at = coalesce(p_expires_at, w.created_at + interval '1 hour')
  where w.id = p_id
  returning w.* into v_channel;
  if v_channel.id is null or v_channel.status <> 'pending' or v_channel.lease_id is distinct from p_lease_id then
    return coalesce(v_channel.status, 'gone'); -- given up meanwhile: now that it is known, it can be stopped
  end if;
  select f.renew_every into v_renew_every
  from marketplace.integrations as i
  join marketplace.sync_cursors as c on c.integration_id = i.id
  join marketplace._feeds() as f on f.provider = i.provider and f.feed = c.feed
  where c.id = v_channel.cursor_id;
  -- Only now is the former one dispensable. Gmail has one watch a mailbox, and this is it.
  update marketplace.watch_channels as w
  set status = case when w.kind = 'gmail' then 'stopped' else 'replaced' end,
    stopped_at = case when w.kind = 'gmail' then clock_timestamp() end
  where w.cursor_id = v_channel.cursor_id and w.status = 'active';
  update marketplace.watch_channels as w
  set status = 'active', lease_id = null, lease_until = null, error_message = null,
    renew_after = least(w.created_at + v_renew_every, w.expires_at - (w.expires_at - w.created_at) / 4)
  where w.id = p_id;
  -- one more look, for what changed before the channel was open
  update marketplace.sync_cursors as c
  set channel_failure_count = 0, channel_error = null, channel_retry_at = '-infinity',
    due_at = least(c.due_at, greatest(clock_timestamp(), c.not_before))
  where c.id = v_channel.cursor_id;
  return 'active';
end
$$;
comment on function marketplace.channel_opened(uuid, uuid, text, timestamptz) is
  'The provider has opened a channel: it takes the place of the former one, which is stopped from now on. Returns its status. For Edge Functions only.';

create function marketplace.channel_stopped(p_id uuid, p_lease_id uuid)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
begin
  update marketplace.watch_channels as w
  set status = 'stopped', stopped_at = clock_timestamp(), lease_id = null, lease_until = null, error_message = null
  where w.id = p_id and w.lease_id = p_lease_id and w.status = 'stopping';
  return found;
end
$$;
comment on function marketplace.channel_stopped(uuid, uuid) is
  'The provider has stopped a channel, or does not know it. False when the lease is lost. For Edge Functions only.';

create function marketplace.channel_failed(
  p_id uuid,
  p_lease_id uuid,
  p_message text,
  p_is_possible boolean default false,
  p_retry_after_ms numeric default null
)
returns timestamptz
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_channel marketplace.watch_channels;
  v_failures int;
  v_next timestamptz;
begin
  perform marketplace._lock_cursor_of(p_id);
  select * into v_channel from marketplace.watch_channels as w where w.id = p_id and w.lease_id = p_lease_id for no key update;
  if v_channel.id is null then
    return null;
  end if;
  select case when v_channel.status = 'pending' then c.channel_failure_count else v_channel.failure_count end into v_failures
  from marketplace.sync_cursors as c where c.id = v_channel.cursor_id;
  v_next := clock_timestamp() + greatest(
    make_interval(secs => least(15 * 2 ^ least(v_failures, 20), 3600) * (1 + random() * 0.2)),
    make_interval(secs => (least(coalesce(p_retry_after_ms, 0), 86400000) / 1000)::float8)
  );
  if v_channel.status = 'pending' then
    update marketplace.sync_cursors as c
    set channel_failure_count = c.channel_failure_count + 1, channel_error = left(p_message, 500), channel_retry_at = v_next
    where c.id = v_channel.cursor_id;
  end if;
  update marketplace.watch_channels as w
  set error_message = left(p_message, 500), failure_count = w.failure_count + 1, retry_at = v_next, lease_id = null, lease_until = null,
    status = case when w.status = 'pending' and not p_is_possible then 'failed' else 'stopping' end,
    stopped_at = case when w.status = 'pending' and not p_is_possible then clock_timestamp() end,
    expires_at = coalesce(w.expires_at, w.created_at + interval '7 days')
  where w.id = p_id;
  return v_next;
end
$$;
comment on function marketplace.channel_failed(uuid, uuid, text, boolean, numeric) is
  'A channel could not be opened or stopped; when it may be open all the same (p_is_possible) it will be stopped. Tried again after 15 s, doubling to an hour. Returns when, null when the lease is lost. For Edge Functions only.';

create function marketplace.has_channel_tasks()
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select marketplace._cursors_without_channel())
    or exists (
      select
      from marketplace.watch_channels as w
      join marketplace.sync_cursors as c on c.id = w.cursor_id
      join marketplace.integrations as i on i.id = c.integration_id
      where w.stopped_at is null and w.retry_at <= clock_timestamp() and coalesce(w.lease_until, '-infinity') <= clock_timestamp()
        and (w.status <> 'active' or not c.is_active or i.status = 'inactive')
        and exists (select from marketplace.watch_channels as s where s.cursor_id = w.cursor_id and s.resource_id is not null)
    )
$$;
comment on function marketplace.has_channel_tasks() is 'Whether claim_channel_tasks would find something to do.';

create function marketplace.forget_channels()
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_count int;
begin
  delete from marketplace.watch_channels as w where w.stopped_at < now() - interval '7 days';
  delete from marketplace.sync_cursors as c
  where not c.is_active and c.updated_at < now() - interval '1 hour'
    and not exists (select from marketplace.watch_channels as w where w.cursor_id = c.id and w.stopped_at is null);
  get diagnostics v_count = row_count;
  -- what is pushed for it from now on, somebody else has asked for
  update marketplace.integrations as i
  set is_watched = false
  where i.is_watched and not exists (
    select from marketplace.sync_cursors as c
    join marketplace._feeds() as f on f.feed = c.feed and f.provider = i.provider
    where c.integration_id = i.id and f.channel_kind is not null
  );
  return v_count;
end
$$;
comment on function marketplace.forget_channels() is
  'Rung by pg_cron: forgets channels a week after they were stopped, and cursors that nobody follows and whose channels are stopped. Returns how many cursors went.';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.watch_channels enable row level security;
create policy "members read the channels of cursors that they see" on marketplace.watch_channels
  for select to authenticated
  using (
    organization_id in (select marketplace.my_organization_ids())
    and cursor_id in (select c.id from marketplace.sync_cursors as c)
  );

revoke all on all functions in schema marketplace from public;
grant select (
  id, organization_id, integration_id, cursor_id, kind, channel_id, resource_id, proof_id, address, status, expires_at, renew_after,
  retry_at, failure_count, error_message, push_count, last_push_at, last_message_number, stopped_at, created_at, updated_at
) on marketplace.watch_channels to authenticated;
grant select, insert, update, delete on marketplace.watch_channels to service_role;
grant execute on function
  marketplace.note_push(uuid, text, text, bigint, text),
  marketplace._webhook_address(uuid),
  marketplace._cursors_without_channel(),
  marketplace._retire_channels(),
  marketplace.claim_channel_tasks(int),
  marketplace._lock_cursor_of(uuid),
  marketplace.channel_opened(uuid, uuid, text, timestamptz),
  marketplace.channel_stopped(uuid, uuid),
  marketplace.channel_failed(uuid, uuid, text, boolean, numeric),
  marketplace.has_channel_tasks(),
  marketplace.forget_channels()
to service_role;
