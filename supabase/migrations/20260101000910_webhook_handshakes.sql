-- What marketplace-webhook keeps of a handshake: secrets that providers bring themselves.

create function marketplace.expect_webhook_handshake(p_slug text, p_for interval default '15 minutes')
returns timestamptz
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_until timestamptz := now() + p_for;
begin
  if p_for is null or p_for not between interval '1 second' and interval '1 day' then
    raise exception 'a handshake cannot be expected for %', coalesce(p_for::text, 'null')
      using errcode = 'MK400', hint = 'Pass an interval between 1 second and 1 day.';
  end if;
  update marketplace.integrations as i
  set config = jsonb_set(
    i.config, '{webhook}',
    coalesce(i.config -> 'webhook', '{}') || jsonb_build_object('accept_handshake_until', v_until)
  )
  where i.id = marketplace._integration_id(p_slug);
  return v_until;
end
$$;
comment on function marketplace.expect_webhook_handshake(text, interval) is
  'Lets the next webhook that is made at the provider bring its secret along (Asana): one handshake, within the time given. Returns until when.';

create function marketplace.accept_hook_secret(p_integration_id uuid, p_secret text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_integration marketplace.integrations;
begin
  -- one at a time for an integration: of two that come at once, the first one counts
  select i.* into v_integration from marketplace.integrations as i where i.id = p_integration_id for update;
  if v_integration.id is null then
    raise exception 'integration % does not exist', p_integration_id
      using errcode = 'MK404', hint = 'Register it with marketplace.register_integration(slug, name, provider, category, config).';
  end if;
  -- anybody can knock: only an operator opens the door, and for one only
  if coalesce((v_integration.config -> 'webhook' ->> 'accept_handshake_until')::timestamptz, '-infinity') <= now() then
    return false;
  end if;
  update marketplace.integrations as i
  set config = i.config #- '{webhook,accept_handshake_until}'
  where i.id = p_integration_id;
  -- each webhook of the provider has a secret of its own: the former ones stay valid
  perform marketplace.rotate_integration_secret(v_integration.slug, 'webhook', p_secret, interval '100 years');
  return true;
end
$$;
comment on function marketplace.accept_hook_secret(uuid, text) is
  'Keeps a webhook secret that the provider brought itself (Asana), if expect_webhook_handshake has opened the door; closes it again. False: refused.';

create function marketplace.offer_webhook_secret(p_integration_id uuid, p_secret text)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_slug text;
  v_known jsonb;
  v_purpose text;
  v_secret_id uuid;
begin
  select i.slug into v_slug from marketplace.integrations as i where i.id = p_integration_id for update;
  if v_slug is null then
    raise exception 'integration % does not exist', p_integration_id
      using errcode = 'MK404', hint = 'Register it with marketplace.register_integration(slug, name, provider, category, config).';
  end if;
  v_known := marketplace.integration_credentials(p_integration_id);
  if v_known ? 'webhook' or exists (
    select from jsonb_each_text(v_known) as k
    where k.key like 'offered\_webhook\_%' and k.value = p_secret
  ) then
    return false;
  end if;
  -- strangers can offer too: five places, and whoever has one keeps it, so that nobody pushes the provider out
  select format('offered_webhook_%s', place) into v_purpose
  from generate_series(1, 5) as place
  where not v_known ? format('offered_webhook_%s', place)
  order by place
  limit 1;
  if v_purpose is null then
    return false;
  end if;
  v_secret_id := marketplace.set_integration_secret(v_slug, v_purpose, p_secret);
  update marketplace.integration_secrets as s set valid_until = now() + interval '7 days' where s.id = v_secret_id;
  return true;
end
$$;
comment on function marketplace.offer_webhook_secret(uuid, text) is
  'Puts a secret that came unsigned (Notion''s verification token) aside for a week, while the integration has none; five at most. It proves nothing until an operator sets it.';

create function marketplace.offered_webhook_secrets(p_slug text)
returns table (offered_at timestamptz, secret text)
language sql
stable
set search_path = ''
as $$
  select s.created_at, known.secrets ->> s.purpose
  from (select marketplace._integration_id(p_slug) as id) as i
  cross join lateral (select marketplace.integration_credentials(i.id) as secrets) as known
  join marketplace.integration_secrets as s on s.integration_id = i.id
  where s.purpose like 'offered\_webhook\_%' and s.valid_until > now()
  order by s.created_at
$$;
comment on function marketplace.offered_webhook_secrets(text) is
  'Secrets that came unsigned for an integration, oldest first. Enter the right one at the provider and set it with set_integration_secret(slug, ''webhook'', …).';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace.expect_webhook_handshake(text, interval),
  marketplace.accept_hook_secret(uuid, text),
  marketplace.offer_webhook_secret(uuid, text),
  marketplace.offered_webhook_secrets(text)
to service_role;
