-- Routing: events x rules become jobs, set-based, exactly once per (event, rule).

create function marketplace._reaches_into(p_glob text, p_collection text)
returns boolean
language sql
immutable
set search_path = ''
as $$
  with
  -- the pattern's folders up to where it can cross segments ('**', or a choice with a slash in it)
  pattern as (
    select
      regexp_replace(substring(p_glob from '^(.*?)(?:\*\*|\{[^}]*/|$)'), '[^/]*$', '') as folders,
      p_glob ~ '\*\*|\{[^}]*/' as is_deep,
      regexp_count(p_collection, '/') as depth
  )
  select case
    -- each folder of the collection has its counterpart in the pattern
    when regexp_count(p.folders, '/') >= p.depth then
      p_collection ~ marketplace._glob_to_regex(array_to_string((string_to_array(p.folders, '/'))[1:p.depth], '/') || '/')
    -- or the pattern goes deeper by itself
    else p.is_deep and p_collection ~ rtrim(marketplace._glob_to_regex(p.folders), '$')
  end
  from pattern as p
$$;
comment on function marketplace._reaches_into(text, text) is
  'Whether a glob could match a member, at any depth, of a collection (a path that ends in "/"), whose members are not known yet.';

create function marketplace._rule_matches(
  p_rule marketplace.sync_rules,
  p_event_type text,
  p_resource_path text,
  p_payload jsonb
)
returns boolean
language sql
stable
-- bound here and now instead of by a search_path of its own: only so is it inlined, every event calls it
return (
    cardinality((p_rule).event_types) = 0 and (p_rule).schedule is null
    or p_event_type like any ((p_rule).event_type_patterns)
  )
  and case
    when right(p_resource_path, 1) = '/' then marketplace._reaches_into((p_rule).source_pattern, p_resource_path)
    else p_resource_path ~ (p_rule).pattern_regex
  end
  -- A predicate that cannot be decided, such as '$.size > 10' of a text, yields null; of times with and
  -- without a zone only the _tz form compares any two: the other raises, and would stop all routing.
  and ((p_rule).filter is null or not jsonb_path_query_array_tz(p_payload, (p_rule).filter, '{}', true) <@ '[false, null]');
comment on function marketplace._rule_matches(marketplace.sync_rules, text, text, jsonb) is
  'Whether a rule applies to an event of its source: event type, path (or a collection that can hold such a path), filter.';

create function marketplace._rule_shapes(p_integration_id uuid)
returns int[]
language plpgsql
stable
set search_path = ''
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
as $$
declare
  v_shape int := -1;
  v_shapes int[] := '{}';
begin
  loop
    select r.pattern_shape into v_shape
    from marketplace.sync_rules as r
    where r.is_active and r.source_integration_id = p_integration_id and r.pattern_shape > v_shape
    order by r.pattern_shape
    limit 1;
    exit when not found;
    v_shapes := v_shapes || v_shape;
  end loop;
  return v_shapes;
end
$$;
comment on function marketplace._rule_shapes(uuid) is
  'The shapes that the patterns of an integration''s active rules have: a few, however many rules there are.';

create function marketplace._matching_rules(
  p_integration_id uuid,
  p_event_type text,
  p_resource_path text,
  p_payload jsonb,
  p_shapes int[]
)
returns setof marketplace.sync_rules
language sql
stable
rows 2
-- no search_path of its own: only so can it be inlined into its callers, which pin theirs
as $$
  select r.*
  from unnest(p_shapes) as shape
  join marketplace.sync_rules as r
    on r.is_active
    and r.source_integration_id = p_integration_id
    and r.pattern_shape = shape
    and r.pattern_key collate "C" = left(p_resource_path, shape / 1000) || '*' || right(p_resource_path, shape % 1000)
    and r.event_type_key collate "C" in ('', p_event_type)
  where right(p_resource_path, 1) <> '/'
    and marketplace._rule_matches(r, p_event_type, p_resource_path, p_payload)
  union all
  -- a collection: its members begin like it does, and patterns may reach deeper into it
  select r.*
  from unnest(p_shapes) as shape
  join marketplace.sync_rules as r
    on r.is_active
    and r.source_integration_id = p_integration_id
    and r.pattern_shape = shape
    -- '+' follows '*', and '0' follows '/'
    and r.pattern_key collate "C" >= case when shape / 1000 <= length(p_resource_path)
      then left(p_resource_path, shape / 1000) || '*' else p_resource_path end
    and r.pattern_key collate "C" < case when shape / 1000 <= length(p_resource_path)
      then left(p_resource_path, shape / 1000) || '+' else left(p_resource_path, -1) || '0' end
    and r.event_type_key collate "C" in ('', p_event_type)
  where right(p_resource_path, 1) = '/'
    and marketplace._rule_matches(r, p_event_type, p_resource_path, p_payload)
$$;
comment on function marketplace._matching_rules(uuid, text, text, jsonb, int[]) is
  'The active rules that apply to an event, found by index on what their patterns begin and end with; the shapes are those of _rule_shapes.';

create function marketplace._matching_rules(
  p_integration_id uuid,
  p_event_type text,
  p_resource_path text,
  p_payload jsonb
)
returns setof marketplace.sync_rules
language sql
stable
rows 2
set search_path = ''
as $$
  select r.*
  from marketplace._matching_rules(
    p_integration_id, p_event_type, p_resource_path, p_payload, marketplace._rule_shapes(p_integration_id)
  ) as r
$$;
comment on function marketplace._matching_rules(uuid, text, text, jsonb) is 'The active rules that apply to an event.';

create function marketplace._render_key(
  p_template text,
  p_provider text,
  p_integration_slug text,
  p_event_type text,
  p_resource_path text,
  p_account text,
  p_payload jsonb
)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_key text := p_template;
  v_placeholder text;
  v_value text;
begin
  for v_placeholder in select m[1] from regexp_matches(p_template, '\{([^{}]+)\}', 'g') as m loop
    v_value := case
      when v_placeholder = 'provider' then p_provider
      when v_placeholder = 'integration' then p_integration_slug
      when v_placeholder = 'event_type' then p_event_type
      when v_placeholder = 'resource_path' then p_resource_path
      when v_placeholder = 'account' then p_account
      when left(v_placeholder, 1) = '/' then p_payload #>> array(
        -- JSON Pointer, RFC 6901: ~1 is a slash, ~0 a tilde
        select replace(replace(part, '~1', '/'), '~0', '~')
        from unnest(string_to_array(substr(v_placeholder, 2), '/')) with ordinality as parts (part, n)
        order by n
      )
    end;
    v_key := replace(v_key, '{' || v_placeholder || '}', coalesce(v_value, ''));
  end loop;
  return left(v_key, 500);
end
$$;
comment on function marketplace._render_key(text, text, text, text, text, text, jsonb) is
  'A rule''s concurrency key from the fields of an event; what the event does not have is empty.';

create function marketplace._render_key(
  p_template text,
  p_event marketplace.webhook_events,
  p_integration_slug text
)
returns text
language sql
immutable
set search_path = ''
as $$
  select marketplace._render_key(
    p_template, p_event.provider, p_integration_slug, p_event.event_type, p_event.resource_path, p_event.account, p_event.payload
  )
$$;
comment on function marketplace._render_key(text, marketplace.webhook_events, text) is
  'A rule''s concurrency key for an event; what the event does not have is empty.';

create function marketplace.route_events(p_limit int default 500)
returns table (events int, jobs int)
language plpgsql
volatile
rows 1
set search_path = ''
set jit = off -- compiling would take longer than running
set plan_cache_mode = force_generic_plan -- a plan is made once, and looks at a few rows by index
set enable_seqscan = off
set enable_sort = off
set enable_bitmapscan = off
as $$
declare
  -- the partitions of today and yesterday; the others are not even opened
  v_since timestamptz := now() - interval '1 day';
  v_until timestamptz := now() + interval '1 hour';
  v_first timestamptz;
  v_event_ids uuid[];
  v_created_ats timestamptz[];
  v_job_counts int[];
  v_absorbed_bys uuid[];
begin
  -- One router at a time: jobs of one key must be made in the order of their events.
  if not pg_try_advisory_xact_lock(hashtext('marketplace.route_events')) then
    return query select 0, 0;
    return;
  end if;
  -- what waits there since longer comes first; in the order of their index, of which these are the ends
  select e.created_at into v_first from marketplace.webhook_events as e where not e.processed and e.created_at < v_since
  order by e.created_at, e.id limit 1;
  if not found then
    select e.created_at into v_first from marketplace.webhook_events as e where not e.processed and e.created_at > v_until
    order by e.created_at, e.id limit 1;
  end if;
  if found then
    v_since := '-infinity';
    v_until := 'infinity';
  end if;
  select e.created_at into v_first from marketplace.webhook_events as e
  where not e.processed and e.created_at between v_since and v_until
  order by e.created_at, e.id limit 1;
  if not found then
    return query select 0, 0;
    return;
  end if;

  with
  batch as materialized (
    select
      e.id, e.created_at, e.correlation_id, e.integration_id, e.provider, e.event_type, e.resource_path, e.account, e.payload
    from marketplace.webhook_events as e
    where not e.processed and e.created_at between v_since and v_until
    order by e.created_at, e.id
    limit p_limit
  ),
  source as materialized (
    select i.id, i.slug, marketplace._rule_shapes(i.id) as shapes
    from marketplace.integrations as i
    where i.id in (select b.integration_id from batch as b)
  ),
  matched as materialized (
    select
      b.id as event_id, b.created_at as event_created_at, b.correlation_id,
      r.id as rule_id, r.organization_id, r.workflow_id, r.priority, r.absorbs,
      coalesce(r.max_attempts, w.max_attempts) as max_attempts,
      case when r.paused_at is null then now() else 'infinity' end as run_at,
      case when r.concurrency_key is not null then marketplace._render_key(
        r.concurrency_key, b.provider, s.slug, b.event_type, b.resource_path, b.account, b.payload
      ) end as concurrency_key
    from batch as b
    join source as s on s.id = b.integration_id
    cross join lateral marketplace._matching_rules(s.id, b.event_type, b.resource_path, b.payload, s.shapes) as r
    join marketplace.workflows as w on w.id = r.workflow_id
  ),
  -- of the events that a rule absorbs, the latest of each key stands for all
  led as materialized (
    select m.*, m.event_id as leader_id, 1 as size
    from matched as m
    where not m.absorbs
    union all
    select
      m.*,
      last_value(m.event_id) over (
        partition by m.rule_id, m.concurrency_key order by m.event_created_at, m.event_id
        rows between unbounded preceding and unbounded following
      ),
      count(*) over (partition by m.rule_id, m.concurrency_key)
    from matched as m
    where m.absorbs
  ),
  -- a job that still waits for its first attempt takes them in
  absorbing as (
    update marketplace.sync_jobs as j
    set event_id = l.event_id, event_created_at = l.event_created_at, absorbed_count = j.absorbed_count + l.size
    from led as l
    where l.absorbs and l.event_id = l.leader_id
      and j.id = (
        select waiting.id
        from marketplace.sync_jobs as waiting
        where waiting.rule_id = l.rule_id and waiting.status = 'pending' and waiting.attempt_count = 0
          and waiting.replay_of is null and waiting.concurrency_key is not distinct from l.concurrency_key
        order by waiting.position
        limit 1
        for update skip locked
      )
    returning j.id, l.rule_id, l.leader_id
  ),
  made as (
    insert into marketplace.sync_jobs (
      organization_id, rule_id, workflow_id, event_id, event_created_at, correlation_id, priority, run_at,
      max_attempts, concurrency_key, absorbed_count
    )
    select
      l.organization_id, l.rule_id, l.workflow_id, l.event_id, l.event_created_at, l.correlation_id, l.priority, l.run_at,
      l.max_attempts, l.concurrency_key, l.size - 1
    from led as l
    where l.event_id = l.leader_id
      and not (l.absorbs and exists (select from absorbing as a where a.rule_id = l.rule_id and a.leader_id = l.leader_id))
    order by l.event_created_at, l.event_id
    on conflict (event_id, rule_id) where replay_of is null do nothing
    returning id, event_id, rule_id
  ),
  -- which job each absorbed event went into
  absorbed as (
    select distinct on (l.event_id) l.event_id, coalesce(a.id, m.id) as job_id
    from led as l
    left join absorbing as a on a.rule_id = l.rule_id and a.leader_id = l.leader_id
    left join made as m on m.rule_id = l.rule_id and m.event_id = l.leader_id
    where l.absorbs and (a.id is not null or l.event_id <> l.leader_id)
    order by l.event_id
  ),
  per_event as (
    select m.event_id, count(*)::int as job_count from made as m group by m.event_id
  )
  select array_agg(b.id), array_agg(b.created_at), array_agg(coalesce(p.job_count, 0)), array_agg(a.job_id)
  into v_event_ids, v_created_ats, v_job_counts, v_absorbed_bys
  from batch as b
  left join per_event as p on p.event_id = b.id
  left join absorbed as a on a.event_id = b.id;

  update marketplace.webhook_events as e
  set processed = true, processed_at = clock_timestamp(), job_count = b.job_count, absorbed_by = b.absorbed_by
  from unnest(v_event_ids, v_created_ats, v_job_counts, v_absorbed_bys) as b (id, created_at, job_count, absorbed_by)
  where e.id = b.id and e.created_at = b.created_at;

  return query
  select coalesce(cardinality(v_event_ids), 0), coalesce((select sum(n) from unnest(v_job_counts) as n), 0)::int;
end
$$;
comment on function marketplace.route_events(int) is
  'Applies the rules to events not processed yet, oldest first: exactly one job per (event, rule), or one that absorbs it. Returns how many events and jobs.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace._reaches_into(text, text),
  marketplace._rule_matches(marketplace.sync_rules, text, text, jsonb),
  marketplace._rule_shapes(uuid),
  marketplace._matching_rules(uuid, text, text, jsonb, int[]),
  marketplace._matching_rules(uuid, text, text, jsonb),
  marketplace._render_key(text, text, text, text, text, text, jsonb),
  marketplace._render_key(text, marketplace.webhook_events, text),
  marketplace.route_events(int)
to service_role;
