-- Webhooks that are made at the provider through its API, kept as they should be, and looked after:
-- GitHub's hooks, and S3 buckets that tell through an SNS topic.

create table marketplace.provider_webhooks (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  connection_id uuid references marketplace.connections (id) on delete cascade, -- null: with the integration's own credential
  kind text not null check (kind in ('github.repository', 'github.organization', 's3.bucket')),
  target text not null check (target <> ''),
  event_types text[], -- null: what the integration's rules need
  is_wanted boolean not null default true,
  status text not null default 'pending' check (status in ('pending', 'active', 'failing', 'removed')),
  hook_id text, -- null: not made yet
  topic_arn text, -- null: not known yet, or of a kind that has none
  sent_event_types text[], -- null: not made yet
  sent_filters text[], -- null: not made yet, or of a kind that has none
  sent_address text, -- null: not made yet
  sent_proof_id uuid, -- null: not made yet
  due_at timestamptz not null default now(),
  lease_id uuid, -- null: nobody is asking the provider
  lease_until timestamptz, -- null: nobody is asking the provider
  checked_at timestamptz, -- null: never
  failure_count int not null default 0 check (failure_count >= 0),
  error_message text, -- null: the provider did as it was asked
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint provider_webhooks_integration_id_kind_target_key unique (integration_id, kind, target),
  constraint provider_webhooks_lease_check check ((lease_id is null) = (lease_until is null)),
  constraint provider_webhooks_active_has_hook_check check (status <> 'active' or hook_id is not null),
  constraint provider_webhooks_failing_has_reason_check check ((status = 'failing') = (error_message is not null))
);
comment on table marketplace.provider_webhooks is
  'Webhooks that ensure_webhook keeps at the provider: pending (S3: until the subscription is confirmed) -> active, failing while the provider refuses, removed. Written by ensure_webhook, remove_webhook and marketplace-maintain; members of its organization read it.';
comment on column marketplace.provider_webhooks.target is 'owner/repo, an organization''s name, or a bucket.';
comment on column marketplace.provider_webhooks.topic_arn is
  'The SNS topic through which a bucket tells; messages of it count from the moment in which it stands here.';
comment on column marketplace.provider_webhooks.sent_filters is 'Which keys the bucket tells of: "prefix*suffix".';
comment on column marketplace.provider_webhooks.sent_proof_id is
  'integration_secrets.id of the webhook secret that the provider was given; when another becomes the newest, it is told.';
comment on column marketplace.provider_webhooks.kind is 'What target names.';
comment on column marketplace.provider_webhooks.event_types is 'What it is to be sent.';
comment on column marketplace.provider_webhooks.is_wanted is 'Switched off, the webhook is removed at the provider.';
comment on column marketplace.provider_webhooks.status is 'failing: the provider refuses, error_message says why.';
comment on column marketplace.provider_webhooks.hook_id is 'The provider''s own id of it: GitHub''s hook, SNS''s subscription.';
comment on column marketplace.provider_webhooks.sent_event_types is 'What the provider was last told to send.';
comment on column marketplace.provider_webhooks.sent_address is 'Where the provider was last told to send it.';
comment on column marketplace.provider_webhooks.due_at is 'When it is compared with what the provider has.';
comment on column marketplace.provider_webhooks.checked_at is 'When it was last compared.';
create index provider_webhooks_organization_id_idx on marketplace.provider_webhooks (organization_id);
create index provider_webhooks_connection_id_idx on marketplace.provider_webhooks (connection_id);
create trigger provider_webhooks_touch before update on marketplace.provider_webhooks
  for each row execute function marketplace._touch_updated_at();

create function marketplace._event_types_needed(p_integration_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  -- GitHub subscribes to events, rules to an event and its action: workflow_run.completed
  with needed as (
    select distinct case
      when cardinality(r.event_types) = 0 or t.event_type is null or t.event_type ~ '^\*|^[^.]+\*$' then '*'
      else split_part(t.event_type, '.', 1)
    end as event_type
    from marketplace.sync_rules as r
    left join lateral unnest(r.event_types) as t (event_type) on true
    where r.source_integration_id = p_integration_id and r.is_active
      and not (cardinality(r.event_types) = 0 and r.schedule is not null)
  )
  select case
    when exists (select from needed as n where n.event_type = '*') then '{*}'::text[]
    else coalesce((select array_agg(n.event_type order by n.event_type) from needed as n), '{push}')
  end
$$;
comment on function marketplace._event_types_needed(uuid) is
  'The events that the active rules of an integration ask of GitHub; {*} when one of them takes any, {push} when there is no rule.';

create function marketplace._wanted_event_types(p_hook marketplace.provider_webhooks)
returns text[]
language sql
stable
set search_path = ''
as $$
  select coalesce(p_hook.event_types, case p_hook.kind
    when 's3.bucket' then marketplace._s3_events_needed(p_hook.integration_id)
    else marketplace._event_types_needed(p_hook.integration_id)
  end)
$$;
comment on function marketplace._wanted_event_types(marketplace.provider_webhooks) is 'What a webhook is to tell of, in the provider''s words.';

create function marketplace._wanted_filters(p_hook marketplace.provider_webhooks)
returns text[]
language sql
stable
set search_path = ''
as $$
  select case when p_hook.kind = 's3.bucket' then marketplace._s3_filters_needed(p_hook.integration_id) end
$$;
comment on function marketplace._wanted_filters(marketplace.provider_webhooks) is 'Which keys a bucket is to tell of; null of what is no bucket.';

create function marketplace._has_other_topic(p_hook marketplace.provider_webhooks, p_config jsonb)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select p_hook.kind = 's3.bucket' and case
    when p_config ->> 'sns_topic_arn' is not null then p_hook.topic_arn is distinct from p_config ->> 'sns_topic_arn'
    else split_part(coalesce(p_hook.topic_arn, ''), ':', 6) is distinct from p_config ->> 'sns_topic_name'
  end
$$;
comment on function marketplace._has_other_topic(marketplace.provider_webhooks, jsonb) is 'Whether a bucket tells through another topic than the settings name.';

create function marketplace.ensure_webhook(
  p_integration_slug text,
  p_target text default null,
  p_event_types text[] default null,
  p_connection_id uuid default null
)
returns uuid
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_integration marketplace.integrations;
  v_target text := p_target;
  v_id uuid;
begin
  select * into v_integration from marketplace.integrations as i where i.id = marketplace._integration_id(p_integration_slug);
  if v_integration.provider = 'aws_s3' then
    v_target := coalesce(p_target, v_integration.config ->> 'bucket');
    perform marketplace._require_bucket_notifications(v_integration, v_target, p_event_types);
  elsif v_integration.provider <> 'github' then
    raise exception 'webhooks of % are not made through its API here', v_integration.provider
      using errcode = 'MK422', hint = case
        when v_integration.provider in ('cloudflare_r2', 'backblaze_b2') then marketplace._without_sns_hint()
        else 'For Google use marketplace.watch(slug); elsewhere enter the URL of marketplace-webhook at the provider.'
      end;
  elsif coalesce(v_target, '') !~ '^[^/\s]+(/[^/\s]+)?$' then
    raise exception '% names neither a repository nor an organization', quote_nullable(v_target)
      using errcode = 'MK400', hint = 'Pass owner/repo, or the organization''s name.';
  end if;
  if v_integration.removal_requested_at is not null then
    raise exception 'integration % is being removed', quote_literal(p_integration_slug)
      using errcode = 'MK409', hint = 'Register it again once it is gone.';
  end if;
  if p_connection_id is not null and not exists (
    select from marketplace.connections as c where c.id = p_connection_id and c.integration_id = v_integration.id
  ) then
    raise exception 'connection % does not exist under integration %', p_connection_id, quote_literal(p_integration_slug)
      using errcode = 'MK404', hint = 'select id, name from marketplace.connections lists the known ones.';
  end if;
  -- what SNS sends is signed by SNS
  if v_integration.provider = 'github' and marketplace._newest_secret_id(v_integration.id, 'webhook') is null then
    perform marketplace.set_integration_secret(v_integration.slug, 'webhook', marketplace._random_secret());
  end if;
  insert into marketplace.provider_webhooks as h (organization_id, integration_id, connection_id, kind, target, event_types)
  values (
    v_integration.organization_id, v_integration.id, p_connection_id,
    case when v_integration.provider = 'aws_s3' then 's3.bucket' when v_target like '%/%' then 'github.repository' else 'github.organization' end,
    v_target, p_event_types
  )
  on conflict (integration_id, kind, target) do update
    set event_types = excluded.event_types, connection_id = excluded.connection_id, is_wanted = true, due_at = now(),
      status = case when h.status = 'removed' then 'pending' else h.status end
  returning h.id into v_id;
  if v_integration.provider = 'github' then
    -- its delivery log is where a delivery is found that never arrived
    perform marketplace.watch(p_integration_slug, 'github.deliveries', v_target, p_connection_id);
  else
    perform marketplace._ring_maintain_or_warn();
  end if;
  return v_id;
end
$$;
comment on function marketplace.ensure_webhook(text, text, text[], uuid) is
  'Makes a webhook through the provider''s API and keeps it as it should be: of a GitHub repository or organization (URL, secret, events; its delivery log is followed too), or of an S3 bucket (config.bucket when none is named) through an SNS topic and its subscription. Events: null for those that the rules need. Returns the row''s id; again, it looks again.';

create function marketplace.remove_webhook(p_integration_slug text, p_target text default null)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_hook marketplace.provider_webhooks;
begin
  update marketplace.provider_webhooks as h
  set is_wanted = false, due_at = now()
  from marketplace.integrations as i
  where i.id = h.integration_id and i.id = marketplace._integration_id(p_integration_slug) and h.status <> 'removed'
    and h.target = coalesce(p_target, i.config ->> 'bucket')
  returning h.* into v_hook;
  if v_hook.id is null then
    return false;
  end if;
  perform marketplace.unwatch(p_integration_slug, 'github.deliveries', v_hook.target, v_hook.connection_id);
  perform marketplace._ring_maintain_or_warn();
  return true;
end
$$;
comment on function marketplace.remove_webhook(text, text) is
  'Takes a webhook that ensure_webhook made away again, at the provider too: the hook, or the bucket''s entry and the subscription. False when there is none.';

create function marketplace._due_webhooks()
returns setof uuid
language sql
stable
rows 10
set search_path = ''
as $$
  select h.id
  from marketplace.provider_webhooks as h
  join marketplace.integrations as i on i.id = h.integration_id
  where coalesce(h.lease_until, '-infinity') <= clock_timestamp()
    and case
      -- of an integration that is switched off nothing is left at the provider
      when not h.is_wanted or i.status = 'inactive' then h.status = 'active' or h.status <> 'removed' and h.due_at <= clock_timestamp()
      else h.status = 'removed'
        or h.due_at <= clock_timestamp()
        -- what it should be like has changed
        or h.status = 'active' and (
          h.sent_proof_id is distinct from marketplace._newest_secret_id(i.id, 'webhook')
          or h.sent_event_types is distinct from marketplace._wanted_event_types(h)
          or h.sent_filters is distinct from marketplace._wanted_filters(h)
          or marketplace._has_other_topic(h, i.config)
        )
    end
$$;
comment on function marketplace._due_webhooks() is
  'Webhooks to be looked at: once a day, after a change of rules, settings or secrets, when a failure''s wait is over, and when they are not wanted any more or again.';

create function marketplace.claim_webhooks(p_limit int default 4)
returns setof jsonb
language sql
volatile
security definer -- hands out webhook secrets from Vault; executable by the service role only
set search_path = ''
as $$
  with
  due as (
    select h.id from marketplace.provider_webhooks as h
    where h.id in (select marketplace._due_webhooks())
    order by h.due_at
    limit p_limit
    for no key update skip locked
  ),
  leased as (
    update marketplace.provider_webhooks as h
    -- who makes it due meanwhile moves this to an earlier time, which stays
    set lease_id = gen_random_uuid(), lease_until = l.until, due_at = l.until,
      status = case when h.status = 'removed' then 'pending' else h.status end
    from due, (select clock_timestamp() + interval '2 minutes' as until) as l
    where h.id = due.id
    returning h.*
  )
  select jsonb_build_object(
    'id', l.id, 'lease_id', l.lease_id, 'kind', l.kind, 'target', l.target, 'hook_id', l.hook_id, 'status', l.status,
    'is_wanted', l.is_wanted and i.status <> 'inactive', 'topic_arn', l.topic_arn,
    'is_topic_shared', exists (
      select from marketplace.provider_webhooks as o
      where o.integration_id = l.integration_id and o.topic_arn = l.topic_arn and o.id <> l.id and o.is_wanted and o.status <> 'removed'
    ),
    'address', marketplace._webhook_address(l.integration_id), 'sent_address', l.sent_address,
    'event_types', marketplace._wanted_event_types(h),
    'filters', marketplace._wanted_filters(h),
    'secret', marketplace._vault_read(s.vault_secret_id), 'proof_id', s.id, 'sent_proof_id', l.sent_proof_id,
    'connection_id', l.connection_id, 'integration', marketplace._integration_json(l.integration_id)
  )
  from leased as l
  join marketplace.provider_webhooks as h on h.id = l.id
  join marketplace.integrations as i on i.id = l.integration_id
  left join marketplace.integration_secrets as s on s.id = marketplace._newest_secret_id(l.integration_id, 'webhook')
$$;
comment on function marketplace.claim_webhooks(int) is
  'Leases the webhooks that are to be looked at, with what they should be like. For Edge Functions only.';

create function marketplace._refresh_topics(p_integration_id uuid)
returns void
language sql
volatile
set search_path = ''
as $$
  update marketplace.integrations as i
  set sns_topic_arns = t.arns
  from (
    select array(
      select distinct h.topic_arn
      from marketplace.provider_webhooks as h
      where h.integration_id = p_integration_id and h.topic_arn is not null and h.status <> 'removed'
      order by 1
    ) as arns
  ) as t
  where i.id = p_integration_id and i.sns_topic_arns is distinct from t.arns
$$;
comment on function marketplace._refresh_topics(uuid) is 'Keeps integrations.sns_topic_arns to the topics through which its buckets tell.';

create function marketplace.note_webhook_topic(p_id uuid, p_lease_id uuid, p_topic_arn text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_integration_id uuid;
begin
  -- first the integration, then its webhook, as a deletion takes them
  select i.id into v_integration_id
  from marketplace.integrations as i
  where i.id = (select h.integration_id from marketplace.provider_webhooks as h where h.id = p_id)
  for no key update;
  update marketplace.provider_webhooks as h set topic_arn = p_topic_arn where h.id = p_id and h.lease_id = p_lease_id;
  if not found then
    return false;
  end if;
  perform marketplace._refresh_topics(v_integration_id);
  return true;
end
$$;
comment on function marketplace.note_webhook_topic(uuid, uuid, text) is
  'The topic through which a bucket will tell: from now on its messages count, the first of which asks for confirmation. False when the lease is lost. For Edge Functions only.';

create function marketplace.note_confirmation(p_integration_id uuid, p_topic_arn text)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_count int;
begin
  update marketplace.provider_webhooks as h
  set due_at = clock_timestamp()
  where h.integration_id = p_integration_id and h.topic_arn = p_topic_arn and h.status in ('pending', 'failing');
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform marketplace._ring_maintain_or_warn();
  end if;
  return v_count;
end
$$;
comment on function marketplace.note_confirmation(uuid, text) is
  'A subscription to a topic was confirmed: the webhooks that wait for it are looked at now. Returns how many. For Edge Functions only.';

create function marketplace.record_webhook(
  p_id uuid,
  p_lease_id uuid,
  p_hook_id text,
  p_event_types text[] default null,
  p_address text default null,
  p_proof_id uuid default null,
  p_filters text[] default null,
  p_is_pending boolean default false
)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_hook marketplace.provider_webhooks;
begin
  -- first the integration, then the cursor, then the webhook, as a deletion takes them
  perform i.id
  from marketplace.provider_webhooks as h
  join marketplace.integrations as i on i.id = h.integration_id
  where h.id = p_id and h.kind = 's3.bucket'
  for no key update of i;
  perform c.id
  from marketplace.provider_webhooks as h
  join marketplace.sync_cursors as c on c.integration_id = h.integration_id and c.feed = 'github.deliveries' and c.scope = h.target
  where h.id = p_id
  order by c.id
  for no key update of c;
  update marketplace.provider_webhooks as h
  set hook_id = p_hook_id, sent_event_types = p_event_types, sent_address = p_address, sent_proof_id = p_proof_id,
    sent_filters = p_filters, topic_arn = case when p_hook_id is not null then h.topic_arn end,
    status = case when p_hook_id is null then 'removed' when p_is_pending then 'pending' else 'active' end,
    checked_at = clock_timestamp(),
    due_at = case
      when h.due_at < h.lease_until then h.due_at -- made due meanwhile
      when p_is_pending then clock_timestamp() + make_interval(secs => least(5 * 2 ^ least(h.failure_count, 20), 3600))
      else clock_timestamp() + interval '1 day'
    end,
    failure_count = case when p_is_pending then h.failure_count + 1 else 0 end,
    error_message = null, lease_id = null, lease_until = null
  where h.id = p_id and h.lease_id = p_lease_id
  returning h.* into v_hook;
  if v_hook.kind = 's3.bucket' then
    perform marketplace._refresh_topics(v_hook.integration_id);
  end if;
  -- its delivery log can be followed from now on
  update marketplace.sync_cursors as c
  set due_at = clock_timestamp(), not_before = '-infinity'
  where c.integration_id = v_hook.integration_id and c.feed = 'github.deliveries' and c.scope = v_hook.target
    and c.cursor is null and c.is_active and v_hook.hook_id is not null;
  return v_hook.id is not null;
end
$$;
comment on function marketplace.record_webhook(uuid, uuid, text, text[], text, uuid, text[], boolean) is
  'A webhook is at the provider as it should be, or waits to be confirmed (p_is_pending: looked at again after 5 s, doubling to an hour); without an id, it is gone. False when the lease is lost. For Edge Functions only.';

create function marketplace.fail_webhook(p_id uuid, p_lease_id uuid, p_message text, p_retry_after_ms numeric default null)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  update marketplace.provider_webhooks as h
  set status = 'failing', error_message = coalesce(nullif(left(p_message, 500), ''), 'failed'), failure_count = h.failure_count + 1,
    checked_at = clock_timestamp(), lease_id = null, lease_until = null,
    due_at = clock_timestamp() + greatest(
      make_interval(secs => least(15 * 2 ^ least(h.failure_count, 20), 3600) * (1 + random() * 0.2)),
      make_interval(secs => (least(coalesce(p_retry_after_ms, 0), 86400000) / 1000)::float8)
    )
  where h.id = p_id and h.lease_id = p_lease_id
  returning h.due_at
$$;
comment on function marketplace.fail_webhook(uuid, uuid, text, numeric) is
  'The provider refused; tried again after 15 s, doubling to an hour. Returns when, null when the lease is lost. For Edge Functions only.';

create function marketplace.webhook_at(p_integration_id uuid, p_target text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object('kind', h.kind, 'target', h.target, 'hook_id', h.hook_id, 'address', h.sent_address)
  from marketplace.provider_webhooks as h
  where h.integration_id = p_integration_id and h.target = p_target and h.hook_id is not null
$$;
comment on function marketplace.webhook_at(uuid, text) is 'The webhook that was made for a target; null when none was. For Edge Functions only.';

create function marketplace.unknown_deliveries(p_integration_id uuid, p_dedupe_keys text[])
returns setof text
language sql
stable
set search_path = ''
as $$
  select k.key
  from unnest(p_dedupe_keys) as k (key)
  where not exists (
    select from marketplace.webhook_deliveries as d where d.integration_id = p_integration_id and d.dedupe_key = k.key
  )
$$;
comment on function marketplace.unknown_deliveries(uuid, text[]) is 'Which of these deliveries were never stored. For Edge Functions only.';

alter table marketplace.provider_webhooks enable row level security;
create policy "members read their webhooks" on marketplace.provider_webhooks
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select (
  id, organization_id, integration_id, connection_id, kind, target, event_types, is_wanted, status, hook_id, topic_arn,
  sent_event_types, sent_filters, sent_address, sent_proof_id, due_at, checked_at, failure_count, error_message, created_at, updated_at
) on marketplace.provider_webhooks to authenticated;
grant select, insert, update, delete on marketplace.provider_webhooks to service_role;
grant execute on function
  marketplace._event_types_needed(uuid),
  marketplace._wanted_event_types(marketplace.provider_webhooks),
  marketplace._wanted_filters(marketplace.provider_webhooks),
  marketplace._has_other_topic(marketplace.provider_webhooks, jsonb),
  marketplace.ensure_webhook(text, text, text[], uuid),
  marketplace.remove_webhook(text, text),
  marketplace._due_webhooks(),
  marketplace.claim_webhooks(int),
  marketplace._refresh_topics(uuid),
  marketplace.note_webhook_topic(uuid, uuid, text),
  marketplace.note_confirmation(uuid, text),
  marketplace.record_webhook(uuid, uuid, text, text[], text, uuid, text[], boolean),
  marketplace.fail_webhook(uuid, uuid, text, numeric),
  marketplace.webhook_at(uuid, text),
  marketplace.unknown_deliveries(uuid, text[])
to service_role;
