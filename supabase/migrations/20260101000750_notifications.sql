-- Outgoing notifications take the same way as everything else: our own events, a rule, a workflow that
-- is an HTTPS endpoint, jobs with retries and dead letters.

insert into marketplace.providers (slug, name, category, webhook_config)
values ('marketplace', 'Marketplace', 'automation', '{}')
on conflict (slug) do nothing;
comment on column marketplace.providers.slug is
  'Also in the webhook URL, with "-" for "_". The provider "marketplace" is ourselves: the source of our own events; it accepts no webhooks.';

create table marketplace.notification_endpoints (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  url text not null check (url ~ '^https?://[^\s]+$'),
  event_types text[] not null check (cardinality(event_types) > 0),
  description text not null default '',
  workflow_id uuid not null unique references marketplace.workflows (id),
  rule_id uuid not null unique references marketplace.sync_rules (id) on delete cascade,
  created_at timestamptz not null default now(),
  unique (organization_id, url)
);
comment on table marketplace.notification_endpoints is
  'Who is told of our own events. Written by add_notification_endpoint; members of its organization read it.';
comment on column marketplace.notification_endpoints.event_types is
  'sync.completed, sync.failed, job.dead, integration.unhealthy, integration.recovered, quota.exceeded, workflow.circuit_opened, workflow.circuit_closed, workflow.disabled, …; a trailing * matches the rest.';
comment on column marketplace.notification_endpoints.url is 'Where events are sent, signed with Standard Webhooks.';
comment on column marketplace.notification_endpoints.workflow_id is
  'The workflow behind it: events are jobs like any other.';
comment on column marketplace.notification_endpoints.rule_id is 'The rule behind it.';

create function marketplace.add_notification_endpoint(
  p_url text,
  p_event_types text[],
  p_description text default '',
  p_organization_slug text default null,
  p_allows_private_network boolean default false
)
returns table (endpoint_id uuid, signing_secret text)
language plpgsql
volatile
security definer -- makes a signing secret in Vault; executable by the service role only
set search_path = ''
as $$
declare
  v_organization marketplace.organizations;
  v_suffix text := replace(gen_random_uuid()::text, '-', '');
  v_integration_id uuid;
  v_workflow_id uuid;
  v_rule_id uuid;
  v_secret text;
begin
  if p_url is null or p_url !~ '^https?://[^\s]+$' then
    raise exception 'url % is not an http(s) URL', coalesce(quote_literal(p_url), 'null') using errcode = 'MK400';
  end if;
  if coalesce(cardinality(p_event_types), 0) = 0 then
    raise exception 'an endpoint without event types would never be told anything'
      using errcode = 'MK400', hint = 'Pass array[''job.dead'', ''sync.*''] or array[''*''].';
  end if;
  select * into v_organization
  from marketplace.organizations as o
  where case when p_organization_slug is null then o.is_default else o.slug = p_organization_slug end;
  if v_organization.id is null then
    raise exception 'organization % does not exist', quote_literal(p_organization_slug) using errcode = 'MK404';
  end if;

  -- subscribing the same URL again changes what it is told, not who it is
  select n.id into endpoint_id
  from marketplace.notification_endpoints as n
  where n.organization_id = v_organization.id and n.url = p_url;
  if endpoint_id is not null then
    update marketplace.notification_endpoints as n
    set event_types = p_event_types, description = p_description
    where n.id = endpoint_id
    returning n.rule_id, n.workflow_id into v_rule_id, v_workflow_id;
    update marketplace.sync_rules as r set event_types = p_event_types where r.id = v_rule_id;
    update marketplace.workflows as w
    set allows_private_network = p_allows_private_network, is_active = true, disabled_reason = null
    where w.id = v_workflow_id;
    return next;
    return;
  end if;

  select i.id into v_integration_id
  from marketplace.integrations as i
  where i.provider = 'marketplace' and i.organization_id = v_organization.id;
  if v_integration_id is null then
    v_integration_id := marketplace.register_integration(
      'marketplace-' || v_organization.slug, 'Marketplace events', 'marketplace', 'automation', '{}', v_organization.slug
    );
  end if;

  insert into marketplace.workflows (
    organization_id, slug, name, kind, endpoint, completion, sends_payload, allows_private_network, max_attempts, lease
  )
  values (
    v_organization.id, 'notify-' || left(v_suffix, 12), 'Notification to ' || substring(p_url from '^https?://[^/?#]+'),
    'http', p_url, 'response', true, p_allows_private_network, 8, '1 minute'
  )
  returning id into v_workflow_id;
  v_secret := 'whsec_' || translate(encode(convert_to(v_suffix, 'UTF8'), 'base64'), E'\n', '');
  perform marketplace.set_workflow_secret('notify-' || left(v_suffix, 12), 'signing', v_secret);

  insert into marketplace.sync_rules (organization_id, name, source_integration_id, event_types, workflow_id, concurrency_key)
  values (v_organization.id, 'Notification ' || left(v_suffix, 12), v_integration_id, p_event_types, v_workflow_id, null)
  returning id into v_rule_id;
  insert into marketplace.notification_endpoints (organization_id, url, event_types, description, workflow_id, rule_id)
  values (v_organization.id, p_url, p_event_types, p_description, v_workflow_id, v_rule_id)
  returning id into endpoint_id;
  signing_secret := v_secret;
  return next;
end
$$;
comment on function marketplace.add_notification_endpoint(text, text[], text, text, boolean) is
  'Subscribes a URL to our own events, signed with Standard Webhooks. The signing secret is shown this once (null when the URL was subscribed already).';

create function marketplace.remove_notification_endpoint(p_endpoint_id uuid)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_endpoint marketplace.notification_endpoints;
begin
  select * into v_endpoint from marketplace.notification_endpoints as n where n.id = p_endpoint_id;
  if v_endpoint.id is null then
    raise exception 'notification endpoint % does not exist', coalesce(p_endpoint_id::text, 'null') using errcode = 'MK404';
  end if;
  delete from marketplace.sync_rules as r where r.id = v_endpoint.rule_id; -- its jobs and the endpoint go along
  delete from marketplace.workflows as w where w.id = v_endpoint.workflow_id;
end
$$;
comment on function marketplace.remove_notification_endpoint(uuid) is 'Unsubscribes an endpoint; its waiting notifications go with it.';

create function marketplace._forget_workflow_secrets()
returns trigger
language plpgsql
security definer -- writes Vault on behalf of whoever may delete the workflow
set search_path = ''
as $$
begin
  perform marketplace._vault_delete(v.id)
  from unnest(array[old.signing_vault_id, old.token_vault_id]) as v (id)
  where v.id is not null;
  return null;
end
$$;
comment on function marketplace._forget_workflow_secrets() is 'A workflow that goes takes its Vault secrets along.';
create trigger workflows_forget after delete on marketplace.workflows
  for each row execute function marketplace._forget_workflow_secrets();

create function marketplace._integration_health_changed()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  if new.provider <> 'marketplace' and old.health_status <> new.health_status then
    perform marketplace._emit_event(
      new.organization_id,
      case when new.health_status = 'healthy' then 'integration.recovered' else 'integration.unhealthy' end,
      'integrations/' || new.slug, null,
      jsonb_build_object('integration', new.slug, 'provider', new.provider, 'health_status', new.health_status, 'error', new.error_message)
    );
  end if;
  return null;
end
$$;
comment on function marketplace._integration_health_changed() is
  'Emits integration.unhealthy and integration.recovered when an integration''s health turns.';
create trigger integrations_health_changed after update of health_status on marketplace.integrations
  for each row
  when (
    new.health_status in ('degraded', 'unhealthy') and old.health_status in ('healthy', 'unknown')
    or new.health_status = 'healthy' and old.health_status in ('degraded', 'unhealthy')
  )
  execute function marketplace._integration_health_changed();

create function marketplace._quota_exceeded()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  perform marketplace._emit_event(
    new.organization_id, 'quota.exceeded',
    'integrations/' || (select i.slug from marketplace.integrations as i where i.id = new.integration_id), null,
    jsonb_build_object('quota', new.name, 'limit', new.limit_count, 'used', new.used_count, 'resets_at', new.resets_at)
  );
  return null;
end
$$;
comment on function marketplace._quota_exceeded() is 'Emits quota.exceeded when a provider''s limit has just been spent.';
create trigger api_quotas_exceeded after update on marketplace.api_quotas
  for each row
  when (new.used_count >= new.limit_count and (old.used_count < old.limit_count or old.resets_at <> new.resets_at))
  execute function marketplace._quota_exceeded();

alter table marketplace.notification_endpoints enable row level security;
create policy "members read their notification endpoints" on marketplace.notification_endpoints
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select on marketplace.notification_endpoints to authenticated;
grant select, insert, update, delete on marketplace.notification_endpoints to service_role;
grant execute on function
  marketplace.add_notification_endpoint(text, text[], text, text, boolean),
  marketplace.remove_notification_endpoint(uuid)
to service_role;
