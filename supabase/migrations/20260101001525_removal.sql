-- Integrations that are removed: what they have opened at their provider is closed first, with the
-- credentials that go with them.

create function marketplace._is_wound_down(p_integration_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  select not exists (
      select from marketplace.provider_webhooks as h where h.integration_id = p_integration_id and h.status <> 'removed'
    )
    and not exists (
      select from marketplace.watch_channels as w
      where w.integration_id = p_integration_id and w.stopped_at is null
        -- one that no answer has named cannot be stopped: it ends by itself
        and (
          w.lease_until > clock_timestamp()
          or exists (select from marketplace.watch_channels as s where s.cursor_id = w.cursor_id and s.resource_id is not null)
        )
    )
$$;
comment on function marketplace._is_wound_down(uuid) is
  'Whether nothing that could be taken away is left of an integration at its provider.';

create function marketplace.finish_removals()
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_count int;
begin
  delete from marketplace.integrations as i
  where i.id in (
    select r.id from marketplace.integrations as r
    where r.removal_requested_at is not null and marketplace._is_wound_down(r.id)
    order by r.id
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function marketplace.finish_removals() is
  'Deletes the integrations whose removal was asked for and of which nothing is left at their provider. Returns how many.';

create function marketplace.remove_integration(p_slug text, p_force boolean default false)
returns text
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_id uuid := marketplace._integration_id(p_slug);
  v_rules text;
begin
  perform from marketplace.integrations as i where i.id = v_id for update;
  if p_force then
    delete from marketplace.integrations as i where i.id = v_id;
    return 'removed';
  end if;
  select string_agg(quote_literal(r.name), ', ' order by r.name) into v_rules
  from marketplace.sync_rules as r
  where v_id in (r.source_integration_id, r.destination_integration_id);
  if v_rules is not null then
    raise exception 'integration % is used by the rules %', quote_literal(p_slug), v_rules
      using errcode = 'MK409', hint = 'Delete them first; with p_force => true they go along, and what is open at the provider stays there.';
  end if;
  update marketplace.integrations as i
  set status = 'inactive', removal_requested_at = coalesce(i.removal_requested_at, now())
  where i.id = v_id;
  update marketplace.sync_cursors as c
  set is_active = false, lease_id = null, lease_until = null
  where c.integration_id = v_id and c.is_active;
  update marketplace.provider_webhooks as h
  set is_wanted = false, due_at = now()
  where h.integration_id = v_id and h.status <> 'removed';
  perform marketplace.finish_removals();
  if not exists (select from marketplace.integrations as i where i.id = v_id) then
    return 'removed';
  end if;
  perform marketplace._ring_maintain_or_warn();
  return 'removing';
end
$$;
comment on function marketplace.remove_integration(text, boolean) is
  'Removes an integration: switched off at once, its push channels, webhooks and subscriptions are taken away at the provider, then it is deleted with its secrets. Returns removing, or removed when nothing was open. Refused while rules use it; p_force deletes it and them at once and leaves the provider alone.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._is_wound_down(uuid),
  marketplace.finish_removals(),
  marketplace.remove_integration(text, boolean)
to service_role;
