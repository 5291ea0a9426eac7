-- Verified deliveries: the event log (partitioned by day), the dedupe keys, and the count of refusals.

create table marketplace.webhook_events (
  id uuid not null default marketplace.uuid_v7(),
  created_at timestamptz not null default now(),
  organization_id uuid not null,
  integration_id uuid not null,
  provider text not null,
  event_type text not null,
  resource_path text not null default '',
  account text, -- null: the provider names none
  connection_id uuid, -- null: it came by itself, or was pulled with the integration's own credential
  dedupe_key text not null,
  occurred_at timestamptz, -- null: the provider does not say
  headers jsonb not null default '{}',
  payload jsonb not null default '{}',
  correlation_id uuid not null default gen_random_uuid(),
  processed boolean not null default false,
  processed_at timestamptz, -- null: not routed yet
  job_count int not null default 0,
  absorbed_by uuid, -- null: it made jobs of its own, or none
  receive_ms real, -- null: not measured
  verify_ms real, -- null: not measured
  primary key (id, created_at),
  constraint webhook_events_processed_check check (processed = (processed_at is not null))
) partition by range (created_at);
comment on table marketplace.webhook_events is
  'Event log: one row per verified delivery, partitioned by day (UTC). Written by ingest_events, marked by route_events; members of its organization read it.';
comment on column marketplace.webhook_events.integration_id is
  'integrations.id; no foreign key: events outlive their integration, and a hot parent row would be locked by every insert.';
comment on column marketplace.webhook_events.connection_id is
  'connections.id of the account whose feed told it: the event''s jobs read with the same. No foreign key, as above.';
comment on column marketplace.webhook_events.headers is 'Of the delivery: {"name": "value"}; what proves or authorizes is replaced by [redacted].';
comment on column marketplace.webhook_events.payload is 'The delivery''s body as the provider sent it, as JSON.';
comment on column marketplace.webhook_events.resource_path is
  'What the event is about, for rules: refs/heads/<branch>, objects/<key>, files/<…>; ending in "/" it is a collection whose members are found later.';
comment on column marketplace.webhook_events.correlation_id is
  'Joins everything that follows; also the trace id of the W3C traceparent sent along.';
comment on column marketplace.webhook_events.receive_ms is 'How long the body took to arrive, in milliseconds.';
comment on column marketplace.webhook_events.verify_ms is 'From the body''s last byte to the verdict, in milliseconds.';
comment on column marketplace.webhook_events.absorbed_by is
  'sync_jobs.id of a waiting job that took this event in instead of a job of its own being made (rules that absorb).';
comment on column marketplace.webhook_events.processed is 'Routed: the rules have been applied and the jobs made.';
comment on column marketplace.webhook_events.organization_id is
  'As its integration''s; who is not in it does not see the row.';
comment on column marketplace.webhook_events.provider is 'Who sent it; stays when the integration is gone.';
comment on column marketplace.webhook_events.event_type is 'As rules name it, such as workflow_run.completed.';
comment on column marketplace.webhook_events.account is
  'Whose account at the provider, where one integration serves many.';
comment on column marketplace.webhook_events.dedupe_key is
  'What makes the delivery unique: the provider''s delivery id, else a hash of what was sent.';
comment on column marketplace.webhook_events.occurred_at is 'When it happened, by the provider''s clock.';
comment on column marketplace.webhook_events.processed_at is 'When processed became true.';
comment on column marketplace.webhook_events.job_count is 'Jobs that were made of it.';

create table marketplace.webhook_events_default partition of marketplace.webhook_events default;
comment on table marketplace.webhook_events_default is
  'Catches events of days without a partition, so that nothing is refused; maintenance moves them. No policy: read through the parent.';
alter table marketplace.webhook_events_default enable row level security;

create index webhook_events_unprocessed_idx on marketplace.webhook_events (created_at, id) where not processed;
create index webhook_events_created_at_idx on marketplace.webhook_events (created_at);
create index webhook_events_integration_idx on marketplace.webhook_events (integration_id, created_at desc);
create index webhook_events_correlation_id_idx on marketplace.webhook_events (correlation_id);

create table marketplace.webhook_deliveries (
  integration_id uuid not null,
  dedupe_key text not null,
  event_id uuid not null,
  correlation_id uuid not null,
  received_at timestamptz not null default now(),
  last_received_at timestamptz not null default now(),
  duplicate_count int not null default 0,
  primary key (integration_id, dedupe_key)
);
comment on table marketplace.webhook_deliveries is
  'Dedupe keys: which delivery ids have been seen, and how often again. Unique across partitions of the event log. No policy: only functions and the service role touch it.';
comment on column marketplace.webhook_deliveries.dedupe_key is 'As of webhook_events.';
comment on column marketplace.webhook_deliveries.event_id is
  'webhook_events.id of what the first delivery was stored as.';
comment on column marketplace.webhook_deliveries.received_at is 'Of the first one.';
comment on column marketplace.webhook_deliveries.last_received_at is 'Of the latest repetition.';
comment on column marketplace.webhook_deliveries.duplicate_count is
  'Deliveries after the first; none of them was stored.';
create index webhook_deliveries_received_at_idx on marketplace.webhook_deliveries (received_at);
create index webhook_deliveries_event_id_idx on marketplace.webhook_deliveries (event_id);

create table marketplace.webhook_rejections (
  provider text not null,
  reason text not null,
  minute timestamptz not null,
  rejection_count bigint not null default 0 check (rejection_count >= 0),
  primary key (minute, provider, reason)
);
comment on table marketplace.webhook_rejections is
  'Refused deliveries, counted by provider, reason and minute; nothing else of them is kept. No policy: only functions and the service role touch it.';
comment on column marketplace.webhook_rejections.provider is 'From the URL, whoever sent it.';
comment on column marketplace.webhook_rejections.reason is 'Code of the refusal, such as invalid_signature.';
comment on column marketplace.webhook_rejections.minute is 'Start of the minute that is counted.';
comment on column marketplace.webhook_rejections.rejection_count is 'How many; never which.';

create function marketplace.webhook_config(p_provider text, p_integration text default null)
returns jsonb
language sql
stable
security definer -- reads webhook secrets from Vault; executable by the service role only
set search_path = ''
as $$
  with
  -- the path names a provider by its slug, '-' and '_' alike
  provider as (
    select p.*
    from marketplace.providers as p
    where p.slug = replace(p_provider, '-', '_')
  ),
  -- and one of its integrations, or its default one
  integration as (
    select i.*
    from marketplace.integrations as i
    join provider on provider.slug = i.provider
    where case when p_integration is null then i.is_default else i.slug = p_integration end
  )
  select jsonb_build_object(
    'integration_id', integration.id,
    'organization_id', integration.organization_id,
    'integration_slug', integration.slug,
    'provider', provider.slug,
    'is_default', coalesce(integration.is_default, false),
    'is_watched', coalesce(integration.is_watched, false),
    'status', integration.status,
    'version', integration.config_version,
    'config', coalesce(integration.config, '{}') - 'webhook',
    'webhook_config', provider.webhook_config || (coalesce(integration.config -> 'webhook', '{}') - 'sns_endpoint')
      -- a stand-in is asked for certificates and believed: only the platform says so
      || case when integration.config ->> 'sns_api_base' is null or (integration.config ->> 'allow_private_network') is distinct from 'true'
        then '{}' else jsonb_build_object('sns_endpoint', integration.config -> 'sns_api_base') end
      || case when coalesce(integration.sns_topic_arns, '{}') = '{}' then '{}' else jsonb_build_object(
        'topic_arns', coalesce(integration.config #> '{webhook,topic_arns}', '[]') || to_jsonb(integration.sns_topic_arns)
      ) end,
    'secret_env', provider.secret_env,
    'max_body_bytes', provider.max_body_bytes,
    'secrets', (
      select coalesce(
        jsonb_agg(
          jsonb_build_object(
            'secret', marketplace._vault_read(s.vault_secret_id),
            'valid_from', s.valid_from, 'valid_until', s.valid_until
          )
          order by s.valid_from desc
        ),
        '[]'
      )
      from marketplace.integration_secrets as s
      where s.integration_id = integration.id and s.purpose = 'webhook'
        and (s.valid_until is null or s.valid_until > now())
    )
  )
  from provider
  left join integration on true
  where p_integration is null or integration.id is not null
$$;
comment on function marketplace.webhook_config(text, text) is
  'All that marketplace-webhook needs to verify a delivery, secrets included; null for an unknown provider or integration. For Edge Functions only.';

create function marketplace.ingest_events(
  p_integration_ids uuid[],
  p_versions bigint[],
  p_dedupe_keys text[],
  p_event_types text[],
  p_resource_paths text[],
  p_accounts text[],
  p_occurred_at timestamptz[],
  p_headers text[],
  p_payloads text[],
  p_receive_ms real[] default null,
  p_verify_ms real[] default null
)
returns table (ordinal int, outcome text, event_id uuid, correlation_id uuid)
language plpgsql -- and not sql: a connection keeps its plan, also behind a pooler that prepares nothing
volatile
set search_path = ''
as $$
begin
  return query
  with
  -- the deliveries, each with an id of its own, and whether they were verified with today's settings
  delivery as (
    select
      d.ordinality::int as ordinal, d.integration_id, d.dedupe_key, d.event_type, d.resource_path,
      d.account, d.occurred_at, d.headers, d.payload, d.receive_ms, d.verify_ms, i.organization_id, i.provider,
      marketplace.uuid_v7() as event_id, gen_random_uuid() as correlation_id,
      (i.config_version = d.version and i.status <> 'inactive') is true as is_current,
      -- of copies in one batch the first that is verified with today's settings counts
      row_number() over (same_delivery order by d.ordinality) as copy,
      count(*) over same_delivery as copies
    from unnest(
      p_integration_ids, p_versions, p_dedupe_keys, p_event_types, p_resource_paths,
      p_accounts, p_occurred_at, p_headers, p_payloads, p_receive_ms, p_verify_ms
    ) with ordinality as d (
      integration_id, version, dedupe_key, event_type, resource_path,
      account, occurred_at, headers, payload, receive_ms, verify_ms, ordinality
    )
    left join marketplace.integrations as i on i.id = d.integration_id
    window same_delivery as (partition by d.integration_id, d.dedupe_key, (i.config_version = d.version) is true)
  ),
  -- one claim per delivery id; whoever comes second waits for the first to commit, then counts as duplicate
  claimed as (
    insert into marketplace.webhook_deliveries as w (
      integration_id, dedupe_key, event_id, correlation_id, duplicate_count
    )
    select d.integration_id, d.dedupe_key, d.event_id, d.correlation_id, d.copies - 1
    from delivery as d
    where d.is_current and d.copy = 1
    order by d.integration_id, d.dedupe_key
    on conflict (integration_id, dedupe_key) do update
      set duplicate_count = w.duplicate_count + 1 + excluded.duplicate_count, last_received_at = now()
    returning w.integration_id, w.dedupe_key, w.event_id, w.correlation_id
  ),
  stored as (
    insert into marketplace.webhook_events (
      id, created_at, organization_id, integration_id, provider, event_type, resource_path, account,
      dedupe_key, occurred_at, headers, payload, correlation_id, receive_ms, verify_ms
    )
    select
      -- a microsecond apart: they are routed in the order in which they were given
      d.event_id, now() + (d.ordinal - 1) * interval '1 microsecond', d.organization_id, d.integration_id, d.provider, d.event_type, d.resource_path, d.account,
      d.dedupe_key, d.occurred_at, d.headers::jsonb, d.payload::jsonb, d.correlation_id,
      d.receive_ms, d.verify_ms
    from delivery as d
    join claimed as c on c.event_id = d.event_id
  )
  select
    d.ordinal,
    case
      when not d.is_current then 'stale_config'
      when c.event_id = d.event_id then 'stored'
      else 'duplicate'
    end,
    c.event_id,
    c.correlation_id
  from delivery as d
  left join claimed as c on c.integration_id = d.integration_id and c.dedupe_key = d.dedupe_key
  order by d.ordinal;
end
$$;
comment on function marketplace.ingest_events(uuid[], bigint[], text[], text[], text[], text[], timestamptz[], text[], text[], real[], real[]) is
  'Stores verified deliveries once each, any number in one statement, in their order: stored, duplicate (with the first one''s event), or stale_config (verify again).';

create function marketplace.count_rejections(p_rows jsonb)
returns int
language sql
volatile
set search_path = ''
as $$
  with counted as (
    insert into marketplace.webhook_rejections as w (provider, reason, minute, rejection_count)
    select left(r.provider, 64), left(r.reason, 64), date_trunc('minute', now()), sum(r.count)
    from jsonb_to_recordset(p_rows) as r (provider text, reason text, count bigint)
    where r.count > 0 and r.provider is not null and r.reason is not null
    group by 1, 2
    order by 1, 2
    on conflict (minute, provider, reason) do update set rejection_count = w.rejection_count + excluded.rejection_count
    returning 1
  )
  select count(*)::int from counted
$$;
comment on function marketplace.count_rejections(jsonb) is
  'Adds refused deliveries to this minute''s counters: [{provider, reason, count}]. Returns how many counters moved.';

alter table marketplace.webhook_events enable row level security;
alter table marketplace.webhook_deliveries enable row level security;
alter table marketplace.webhook_rejections enable row level security;

create policy "members read their events" on marketplace.webhook_events
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select on marketplace.webhook_events to authenticated;
grant select, insert, update, delete on
  marketplace.webhook_events, marketplace.webhook_deliveries, marketplace.webhook_rejections
to service_role;
grant execute on function
  marketplace.webhook_config(text, text),
  marketplace.ingest_events(uuid[], bigint[], text[], text[], text[], text[], timestamptz[], text[], text[], real[], real[]),
  marketplace.count_rejections(jsonb)
to service_role;
