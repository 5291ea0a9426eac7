-- What a bucket is to tell: the rules of an S3 integration, in S3's own words.

create function marketplace._s3_events_needed(p_integration_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  with
  family (name, is_usual) as (
    values ('ObjectCreated', true), ('ObjectRemoved', true), ('ObjectRestore', false), ('ObjectTagging', false),
      ('LifecycleExpiration', false), ('Replication', false)
  ),
  -- as rules name them: s3.ObjectCreated:Put, s3.ObjectCreated:*, s3.*, *
  asked as (
    select distinct coalesce(t.event_type, '*') as event_type
    from marketplace.sync_rules as r
    left join lateral unnest(r.event_types) as t (event_type) on true
    where r.source_integration_id = p_integration_id and r.is_active
      and not (cardinality(r.event_types) = 0 and r.schedule is not null)
  ),
  needed as (
    select 's3:' || f.name || ':*' as event
    from asked as a
    join family as f on right(a.event_type, 1) = '*' and case
      when starts_with('s3.', left(a.event_type, -1)) then f.is_usual
      else starts_with('s3.' || f.name || ':', left(a.event_type, -1)) or starts_with(a.event_type, 's3.' || f.name || ':')
    end
    union
    select 's3:' || substr(a.event_type, 4)
    from asked as a
    -- S3 tells of its test unasked
    where a.event_type ~ '^s3\.[A-Za-z]+(:[A-Za-z]+)?$' and a.event_type <> 's3.TestEvent'
  )
  select coalesce(
    array_agg(n.event order by n.event) filter (
      where not exists (select from needed as o where o.event = regexp_replace(n.event, '[^:]+$', '*') and o.event <> n.event)
    ),
    '{s3:ObjectCreated:*,s3:ObjectRemoved:*}'
  )
  from needed as n
$$;
comment on function marketplace._s3_events_needed(uuid) is
  'The events that the active rules of an integration ask of S3; created and removed objects where a rule takes any, or where there is none.';

create function marketplace._disjoint_filters(p_filters text[])
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_filters text[] := array(select distinct f from unnest(p_filters) as f order by f);
  v_pair record;
begin
  -- S3 takes no two entries that an object could match both: such two become one that covers them.
  loop
    select x.filter as a, y.filter as b,
      (array[x.prefix, y.prefix])[case when length(x.prefix) <= length(y.prefix) then 1 else 2 end]
        || '*' || (array[x.suffix, y.suffix])[case when length(x.suffix) <= length(y.suffix) then 1 else 2 end] as cover
    into v_pair
    from (select f as filter, split_part(f, '*', 1) as prefix, split_part(f, '*', 2) as suffix from unnest(v_filters) as f) as x
    join (select f as filter, split_part(f, '*', 1) as prefix, split_part(f, '*', 2) as suffix from unnest(v_filters) as f) as y
      on x.filter < y.filter
      and (starts_with(x.prefix, y.prefix) or starts_with(y.prefix, x.prefix))
      and (right(x.suffix, length(y.suffix)) = y.suffix or right(y.suffix, length(x.suffix)) = x.suffix)
    order by x.filter, y.filter
    limit 1;
    exit when not found;
    v_filters := array(
      select distinct f from unnest(array_remove(array_remove(v_filters, v_pair.a), v_pair.b) || v_pair.cover) as f order by f
    );
  end loop;
  return v_filters;
end
$$;
comment on function marketplace._disjoint_filters(text[]) is 'Filters "prefix*suffix" so that no key matches two of them.';

create function marketplace._s3_filters_needed(p_integration_id uuid)
returns text[]
language sql
stable
set search_path = ''
as $$
  with
  -- as the settings say
  configured as (
    select case when strpos(f.filter, '*') = 0 then f.filter || '*' else f.filter end as filter
    from marketplace.integrations as i
    cross join lateral jsonb_array_elements_text(i.config -> 'notification_filters') as f (filter)
    where i.id = p_integration_id
  ),
  -- what the keys of a rule's pattern begin and end with
  ruled as (
    select case
      when starts_with(e.beginning, 'objects/') then substr(e.beginning, length('objects/') + 1) || '*' || e.ending
      else '*' || substring(e.ending from '[^/]*$')
    end as filter
    from marketplace.sync_rules as r
    cross join lateral (
      select left(r.pattern_key, r.pattern_shape / 1000) as beginning, right(r.pattern_key, r.pattern_shape % 1000) as ending
    ) as e
    where r.source_integration_id = p_integration_id and r.is_active
      and not (cardinality(r.event_types) = 0 and r.schedule is not null)
      and (starts_with(e.beginning, 'objects/') or starts_with('objects/', e.beginning))
  ),
  disjoint as (
    select marketplace._disjoint_filters(case
      when exists (select from configured) then array(select c.filter from configured as c)
      else array(select r.filter from ruled as r)
    end) as filters
  )
  -- a bucket holds a hundred entries, and others may have some
  select case when cardinality(d.filters) between 1 and 50 then d.filters else '{*}' end from disjoint as d
$$;
comment on function marketplace._s3_filters_needed(uuid) is
  'Which keys a bucket is to tell of, as "prefix*suffix": config.notification_filters, else what the patterns of the active rules begin and end with; no key matches two of them.';

create function marketplace._require_bucket_notifications(p_integration marketplace.integrations, p_bucket text, p_event_types text[])
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  v_config jsonb := p_integration.config;
  v_filters jsonb := coalesce(v_config -> 'notification_filters', '[]');
begin
  if coalesce(v_config ->> 'api_base', '') !~ '^(https://([a-z0-9.-]+\.)?amazonaws\.com(\.cn)?(/.*)?)?$' and v_config ->> 'sns_api_base' is null then
    raise exception 'the store at % has no SNS through which it could tell', v_config ->> 'api_base'
      using errcode = 'MK422', hint = marketplace._without_sns_hint();
  end if;
  if coalesce(p_bucket, '') !~ '^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$' then
    raise exception '% names no bucket', quote_nullable(p_bucket)
      using errcode = 'MK400', hint = 'Pass the bucket''s name, or set config.bucket of the integration.';
  end if;
  if v_config ->> 'sns_topic_arn' is null and v_config ->> 'sns_topic_name' is null then
    raise exception 'integration % names no SNS topic', quote_literal(p_integration.slug)
      using errcode = 'MK422', hint = 'Set config.sns_topic_arn to a topic to which the bucket may publish, or config.sns_topic_name to one that is made for it.';
  end if;
  if v_config ->> 'sns_topic_arn' !~ '^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$'
    or v_config ->> 'sns_topic_name' !~ '^[A-Za-z0-9_-]+$' then
    raise exception '% is no topic to which S3 can publish', quote_literal(coalesce(v_config ->> 'sns_topic_arn', v_config ->> 'sns_topic_name'))
      using errcode = 'MK400', hint = 'A standard topic, such as arn:aws:sns:eu-central-1:123456789012:uploads; S3 publishes to no FIFO topic.';
  end if;
  if jsonb_typeof(v_filters) <> 'array' or jsonb_path_exists(v_filters, '$[*] ? (@.type() != "string" || @ like_regex "\\*.*\\*")') then
    raise exception 'config.notification_filters of integration % cannot be used: %', quote_literal(p_integration.slug), v_filters
      using errcode = 'MK400', hint = 'Pass what keys begin and end with, one asterisk between: ["incoming/*.csv"].';
  end if;
  if exists (select from unnest(p_event_types) as t (name) where t.name is null or t.name !~ '^s3:[A-Za-z]+(:([A-Za-z]+|\*))?$')
    or cardinality(p_event_types) = 0 then
    raise exception 'S3 has no such events: %', array_to_string(p_event_types, ', ', 'null')
      using errcode = 'MK400', hint = 'Name them as S3 does: s3:ObjectCreated:*, s3:ObjectRemoved:Delete, …; null for those that the rules need.';
  end if;
end
$$;
comment on function marketplace._require_bucket_notifications(marketplace.integrations, text, text[]) is
  'Refuses settings with which a bucket could not be made to tell: MK400, MK422.';

create function marketplace._without_sns_hint()
returns text
language sql
immutable
set search_path = ''
as $$
  select 'At Cloudflare R2 let a Worker that consumes the bucket''s notification queue, at Backblaze B2 an event notification rule, at MinIO a webhook target post to marketplace-webhook/generic/<integration>.'
$$;
comment on function marketplace._without_sns_hint() is 'What to do with a store that speaks S3 and has no SNS.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._s3_events_needed(uuid),
  marketplace._disjoint_filters(text[]),
  marketplace._s3_filters_needed(uuid),
  marketplace._require_bucket_notifications(marketplace.integrations, text, text[]),
  marketplace._without_sns_hint()
to service_role;
