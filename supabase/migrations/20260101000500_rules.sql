-- Rules and the workflows that carry them out.

create table marketplace.workflows (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null default marketplace._default_organization_id() references marketplace.organizations (id),
  slug text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null check (name <> ''),
  description text not null default '',
  kind text not null default 'n8n' check (kind in ('n8n', 'windmill', 'http', 'postgres')),
  endpoint text not null check (endpoint <> ''),
  completion text not null default 'callback' check (completion in ('callback', 'response')),
  is_active boolean not null default true,
  disabled_reason text, -- null: nobody and nothing switched it off
  paused_at timestamptz, -- null: not paused
  allows_private_network boolean not null default false,
  sends_payload boolean not null default false,
  signing_vault_id uuid unique, -- null: signed with the platform's own secret
  token_vault_id uuid unique, -- null: no bearer token is sent
  max_concurrency int not null default 5 check (max_concurrency between 1 and 1000),
  max_per_key int not null default 1 check (max_per_key >= 1),
  rate_per_second numeric check (rate_per_second > 0), -- null: as fast as concurrency allows
  rate_tokens numeric not null default 1 check (rate_tokens >= 0),
  rate_refilled_at timestamptz not null default now(),
  timeout_ms int not null default 10000 check (timeout_ms between 100 and 120000),
  lease interval not null default '5 minutes' check (lease between '1 second' and '1 day'),
  max_attempts int not null default 3 check (max_attempts between 1 and 100),
  retry_base interval not null default '1 second' check (retry_base >= '0'),
  retry_cap interval not null default '1 hour' check (retry_cap >= '0'),
  breaker_state text not null default 'closed' check (breaker_state in ('closed', 'open', 'half_open')),
  breaker_threshold int not null default 5 check (breaker_threshold >= 1),
  breaker_cooldown interval not null default '30 seconds' check (breaker_cooldown > '0'),
  breaker_failures int not null default 0 check (breaker_failures >= 0),
  breaker_openings int not null default 0 check (breaker_openings >= 0),
  breaker_until timestamptz, -- null: closed
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint workflows_breaker_check check ((breaker_state = 'closed') = (breaker_until is null))
);
comment on table marketplace.workflows is
  'Executors of jobs: an n8n workflow, a Windmill script, any HTTPS endpoint, or a function of this database. Members of its organization read it; the service role writes.';
comment on column marketplace.workflows.endpoint is
  'For n8n the path below <N8N_URL>/webhook/, for Windmill the path below <WINDMILL_URL>/api/, or an absolute URL; for http an absolute URL; for postgres "<schema>.<function>", see run_jobs.';
comment on column marketplace.workflows.completion is
  'callback = done when the workflow reports with its job token; response = done when it answers 2xx.';
comment on column marketplace.workflows.paused_at is 'Its jobs wait until resume_workflow; nothing is lost.';
comment on column marketplace.workflows.allows_private_network is
  'Whether the endpoint may resolve to a private or loopback address, as that of a self-hosted n8n does.';
comment on column marketplace.workflows.max_per_key is 'How many jobs of one concurrency key run at once; they start in order.';
comment on column marketplace.workflows.rate_tokens is 'Token bucket of rate_per_second, as of rate_refilled_at; claim_jobs keeps it.';
comment on column marketplace.workflows.breaker_openings is
  'How often in a row the circuit opened; each time it stays open twice as long as breaker_cooldown, up to half an hour.';
comment on column marketplace.workflows.breaker_failures is
  'Dispatches that failed in a row; at breaker_threshold the circuit opens until breaker_until, then one probe is let through.';
comment on column marketplace.workflows.sends_payload is
  'Whether a dispatch carries the event''s payload; otherwise the workflow asks for it with its job token.';
comment on column marketplace.workflows.lease is
  'How long an attempt may be silent; every call with the job token renews it.';
comment on column marketplace.workflows.retry_base is
  'The n-th retry waits a random time up to retry_base * 2^(n-1), at most retry_cap.';
comment on column marketplace.workflows.kind is 'Whose way of being called is used.';
comment on column marketplace.workflows.is_active is 'Switched off, it is sent nothing, and its jobs wait.';
comment on column marketplace.workflows.disabled_reason is 'Who or what switched it off.';
comment on column marketplace.workflows.signing_vault_id is
  'vault.secrets.id of the key that dispatches to it are signed with.';
comment on column marketplace.workflows.token_vault_id is 'vault.secrets.id of a bearer token for its endpoint.';
comment on column marketplace.workflows.max_concurrency is 'Jobs that run at once; of a function, transactions that call it.';
comment on column marketplace.workflows.rate_per_second is 'How fast rate_tokens grow again; a start takes one.';
comment on column marketplace.workflows.rate_refilled_at is 'When rate_tokens were last brought up to date.';
comment on column marketplace.workflows.timeout_ms is 'Until the endpoint has to have answered a dispatch, or the function to have returned.';
comment on column marketplace.workflows.max_attempts is 'Then a job is a dead letter; a rule may say otherwise.';
comment on column marketplace.workflows.retry_cap is 'The longest wait between two attempts.';
comment on column marketplace.workflows.breaker_state is
  'closed: jobs are sent; open: they wait; half_open: one is sent as a probe.';
comment on column marketplace.workflows.breaker_threshold is 'So many failures in a row open the circuit.';
comment on column marketplace.workflows.breaker_cooldown is 'How long it stays open the first time.';
comment on column marketplace.workflows.breaker_until is 'When the probe may be sent.';
create index workflows_organization_id_idx on marketplace.workflows (organization_id);
create trigger workflows_touch before update on marketplace.workflows
  for each row execute function marketplace._touch_updated_at();

-- The workflow that mirrors GitHub artifacts, kept in n8n/workflows/
insert into marketplace.workflows (
  slug, name, description, kind, endpoint, allows_private_network, max_concurrency, lease, max_attempts, retry_cap
)
values (
  'github-artifacts-mirror',
  'GitHub artifacts mirror',
  'Copies the artifacts of a GitHub Actions run to Drive, S3, R2 or B2, and verifies the copies.',
  'n8n',
  'github-artifacts-mirror',
  true,
  5,
  '5 minutes',
  10,
  '5 minutes'
);

-- Globs --------------------------------------------------------------------------------------

create function marketplace._glob_to_regex(p_glob text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_regex text := '';
  v_char text;
  v_braces int := 0;
  v_end int;
  i int := 1;
begin
  while i <= length(p_glob) loop
    v_char := substr(p_glob, i, 1);
    if v_char = '*' and substr(p_glob, i, 3) = '**/' and (i = 1 or substr(p_glob, i - 1, 1) = '/') then
      v_regex := v_regex || '(?:[^/]+/)*';
      i := i + 2;
    elsif v_char = '*' and substr(p_glob, i, 2) = '**' then
      v_regex := v_regex || '.*';
      i := i + 1;
    elsif v_char = '*' then
      v_regex := v_regex || '[^/]*';
    elsif v_char = '?' then
      v_regex := v_regex || '[^/]';
    elsif v_char = '{' and position('}' in substr(p_glob, i)) > 0 then
      v_regex := v_regex || '(?:';
      v_braces := v_braces + 1;
    elsif v_char = ',' and v_braces > 0 then
      v_regex := v_regex || '|';
    elsif v_char = '}' and v_braces > 0 then
      v_regex := v_regex || ')';
      v_braces := v_braces - 1;
    elsif v_char = '[' and substr(p_glob, i) ~ '^\[[!^]?[^]/\[\\!^][^]/\[\\]*\]' then
      v_end := i + position(']' in substr(p_glob, i)) - 1;
      v_regex := v_regex || regexp_replace(substr(p_glob, i, v_end - i + 1), '^\[[!^]', '[^/');
      i := v_end;
    elsif v_char ~ '[\\.+^$|()\[\]{}]' then
      v_regex := v_regex || '\' || v_char;
    else
      v_regex := v_regex || v_char;
    end if;
    i := i + 1;
  end loop;
  return '^' || v_regex || repeat(')', v_braces) || '$';
end
$$;
comment on function marketplace._glob_to_regex(text) is
  'A glob as an anchored regular expression that Postgres and JavaScript read alike: * and ? within a segment, ** across segments, {a,b}, [abc], [!abc].';

create function marketplace._pattern_ends(p_glob text)
returns text[]
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_prefix text := substring(p_glob from '^[^*?{[]*');
  v_suffix text := '';
begin
  -- in a choice the end may belong to one of several
  if v_prefix <> p_glob and p_glob !~ '[{}]' then
    v_suffix := substring(p_glob from '[^*?\]]*$');
    -- "**/" matches nothing at all, too
    if left(v_suffix, 1) = '/' then
      v_suffix := substr(v_suffix, 2);
    end if;
  end if;
  return array[v_prefix, v_suffix];
end
$$;
comment on function marketplace._pattern_ends(text) is
  'What every path that a glob matches begins and ends with: the text before its first wildcard, and after its last.';

create function marketplace._pattern_key(p_glob text)
returns text
language sql
immutable
set search_path = ''
as $$
  -- no beginning has an asterisk in it
  select array_to_string(marketplace._pattern_ends(p_glob), '*')
$$;
comment on function marketplace._pattern_key(text) is
  'What a pattern is found by: <beginning>*<end> of all paths that it matches; a pattern without wildcards is its own beginning.';

create function marketplace._pattern_shape(p_glob text)
returns int
language sql
immutable
set search_path = ''
as $$
  select 1000 * length(e.ends[1]) + length(e.ends[2]) from marketplace._pattern_ends(p_glob) as e (ends)
$$;
comment on function marketplace._pattern_shape(text) is
  'How long a pattern''s beginning (times 1000) and end are: with it a path knows what to look for among the keys.';

create function marketplace._event_type_patterns(p_event_types text[])
returns text[]
language sql
immutable
set search_path = ''
as $$
  select coalesce(array_agg(
    regexp_replace(case when right(t, 1) = '*' then left(t, -1) else t end, '([\\%_])', '\\\1', 'g')
      || case when right(t, 1) = '*' then '%' else '' end
  ), '{}')
  from unnest(p_event_types) as t
$$;
comment on function marketplace._event_type_patterns(text[]) is
  'Event types, a trailing * matching the rest, as patterns of the operator like.';

create function marketplace._event_type_key(p_event_types text[])
returns text
language sql
immutable
set search_path = ''
as $$
  select case when cardinality(p_event_types) = 1 and right(p_event_types[1], 1) <> '*' then p_event_types[1] else '' end
$$;
comment on function marketplace._event_type_key(text[]) is
  'What a rule''s event types are found by: the type, if there is just one; else nothing.';

-- Schedules ----------------------------------------------------------------------------------

create function marketplace._cron_field(p_field text, p_min int, p_max int, p_names text[] default '{}')
returns int[]
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_part text;
  v_match text[];
  v_from int;
  v_to int;
  v_step int;
  v_values int[] := '{}';
begin
  foreach v_part in array string_to_array(lower(p_field), ',') loop
    v_match := regexp_match(v_part, '^(\*|[a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?(?:/(\d{1,2}))?$');
    if v_match is null or v_match[1] = '*' and v_match[2] is not null then
      return null;
    end if;
    v_step := coalesce(v_match[3]::int, 1);
    v_from := case
      when v_match[1] = '*' then p_min
      when v_match[1] ~ '^\d' then v_match[1]::int
      else p_min + array_position(p_names, v_match[1]) - 1
    end;
    v_to := case
      when v_match[2] ~ '^\d' then v_match[2]::int
      when v_match[2] is not null then p_min + array_position(p_names, v_match[2]) - 1
      -- "5/15" means from 5 on
      when v_match[1] = '*' or v_match[3] is not null then p_max
      else v_from
    end;
    if v_from is null or v_to is null or v_from not between p_min and p_max or v_to not between v_from and p_max or v_step < 1 then
      return null;
    end if;
    v_values := v_values || array(select generate_series(v_from, v_to, v_step));
  end loop;
  return array(select distinct v from unnest(v_values) as v order by v);
end
$$;
comment on function marketplace._cron_field(text, int, int, text[]) is
  'The values that a field of a cron expression stands for: *, numbers, names, ranges, steps, lists. Null when it cannot be read.';

create function marketplace._next_run(p_schedule text, p_after timestamptz)
returns timestamptz
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_fields text[] := regexp_split_to_array(btrim(p_schedule), '\s+');
  v_minutes int[];
  v_hours int[];
  v_days int[];
  v_months int[];
  v_weekdays int[];
  v_after timestamp := date_trunc('minute', p_after at time zone 'UTC') + interval '1 minute';
  v_day date := v_after::date;
  v_at timestamp;
begin
  if cardinality(v_fields) <> 5 then
    return null;
  end if;
  v_minutes := marketplace._cron_field(v_fields[1], 0, 59);
  v_hours := marketplace._cron_field(v_fields[2], 0, 23);
  v_days := marketplace._cron_field(v_fields[3], 1, 31);
  v_months := marketplace._cron_field(v_fields[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}');
  v_weekdays := marketplace._cron_field(v_fields[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}');
  if v_minutes is null or v_hours is null or v_days is null or v_months is null or v_weekdays is null then
    return null;
  end if;
  -- 29 February comes again within eight years
  while v_day <= v_after::date + 8 * 366 loop
    if extract(month from v_day)::int = any (v_months) and (
      -- as cron has it: when both kinds of day are named, either will do
      case when v_fields[3] like '*%' or v_fields[5] like '*%' then
        extract(day from v_day)::int = any (v_days) and array[extract(dow from v_day)::int, extract(isodow from v_day)::int] && v_weekdays
      else
        extract(day from v_day)::int = any (v_days) or array[extract(dow from v_day)::int, extract(isodow from v_day)::int] && v_weekdays
      end
    ) then
      select min(v_day + make_time(h, m, 0)) into v_at
      from unnest(v_hours) as h, unnest(v_minutes) as m
      where v_day + make_time(h, m, 0) >= v_after;
      if v_at is not null then
        return v_at at time zone 'UTC';
      end if;
    end if;
    v_day := v_day + 1;
  end loop;
  return null;
end
$$;
comment on function marketplace._next_run(text, timestamptz) is
  'When a cron expression (minute hour day month weekday, UTC) comes true next, after the given time. Null when it cannot be read, or never comes true.';

-- Rules --------------------------------------------------------------------------------------

create table marketplace.sync_rules (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  name text not null check (name <> ''),
  description text not null default '',
  is_active boolean not null default true,
  source_integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  event_types text[] not null default '{}',
  source_pattern text not null default '**' check (source_pattern <> '' and length(source_pattern) <= 500),
  filter jsonpath, -- null: every event of the pattern
  artifact_types text[] not null default '{}',
  destination_integration_id uuid references marketplace.integrations (id) on delete cascade, -- null: the workflow has no storage destination
  destination_template text not null default '{name}' check (destination_template <> ''),
  workflow_id uuid not null references marketplace.workflows (id),
  notify_integration_id uuid references marketplace.integrations (id) on delete set null, -- null: nobody is told
  notify_channel text, -- null: the integration's own config.channel
  priority int not null default 0 check (priority between -1000 and 1000),
  paused_at timestamptz, -- null: not paused
  max_attempts int check (max_attempts between 1 and 100), -- null: the workflow's
  retry_base interval check (retry_base >= '0'), -- null: the workflow's
  retry_cap interval check (retry_cap >= '0'), -- null: the workflow's
  concurrency_key text check (concurrency_key <> ''), -- null: its jobs run in any order
  absorbs boolean not null default false,
  schedule text, -- null: events alone make its jobs
  next_run_at timestamptz, -- null: no schedule
  config jsonb not null default '{}' check (jsonb_typeof(config) = 'object'),
  event_type_patterns text[] not null generated always as (marketplace._event_type_patterns(event_types)) stored,
  event_type_key text not null generated always as (marketplace._event_type_key(event_types)) stored,
  pattern_key text not null generated always as (marketplace._pattern_key(source_pattern)) stored,
  pattern_shape int not null generated always as (marketplace._pattern_shape(source_pattern)) stored,
  pattern_regex text not null generated always as (marketplace._glob_to_regex(source_pattern)) stored,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sync_rules_schedule_check check ((schedule is null) = (next_run_at is null))
);
comment on table marketplace.sync_rules is
  'What should happen when: events of a source that match become jobs of a workflow. Members of its organization read it; the service role writes.';
comment on column marketplace.sync_rules.event_types is
  'Event types such as workflow_run.completed; a trailing * matches the rest; empty means any, or none when there is a schedule.';
comment on column marketplace.sync_rules.source_pattern is
  'Glob over the resource path: artifacts/<name>, refs/heads/<branch>, objects/<key>, files/<folder>/<name>, …';
comment on column marketplace.sync_rules.filter is 'SQL/JSON path over the payload: a predicate, or a path that must exist.';
comment on column marketplace.sync_rules.artifact_types is 'File types (extensions, lower case) to take; empty means all.';
comment on column marketplace.sync_rules.destination_template is
  'Path at the destination; {date} {workflow} {name} {repo} {branch} {run_id} {sha} {ext} … are filled in and sanitised.';
comment on column marketplace.sync_rules.priority is
  'Each point is a head start of ten seconds in the queue: higher runs first, and nothing waits for ever.';
comment on column marketplace.sync_rules.config is 'Settings of its own for the workflow, which finds them in the job''s rule.';
comment on column marketplace.sync_rules.paused_at is 'Its jobs are made but wait until resume_rule.';
comment on column marketplace.sync_rules.concurrency_key is
  'Template of {provider} {integration} {event_type} {resource_path} {account} and {/json/pointer} into the payload: jobs of one key run in order.';
comment on column marketplace.sync_rules.absorbs is
  'A job that still waits takes newer events of the same key in (the latest one wins) instead of a job being made for each.';
comment on column marketplace.sync_rules.schedule is
  'Cron expression of five fields, in UTC, such as "0 3 * * mon-fri": makes jobs without an event.';
comment on column marketplace.sync_rules.next_run_at is 'When the schedule makes the next job; kept by its trigger and make_scheduled_jobs.';
comment on column marketplace.sync_rules.is_active is 'Switched off, no jobs are made.';
comment on column marketplace.sync_rules.source_integration_id is 'Whose events it answers to.';
comment on column marketplace.sync_rules.destination_integration_id is 'Where artifacts go.';
comment on column marketplace.sync_rules.workflow_id is 'Who carries its jobs out.';
comment on column marketplace.sync_rules.notify_integration_id is 'Who tells people of the end: Slack, …';
comment on column marketplace.sync_rules.notify_channel is 'Where there.';
comment on column marketplace.sync_rules.max_attempts is 'See workflows.';
comment on column marketplace.sync_rules.retry_base is 'See workflows.';
comment on column marketplace.sync_rules.retry_cap is 'See workflows.';
comment on column marketplace.sync_rules.event_type_patterns is 'event_types as LIKE patterns.';
comment on column marketplace.sync_rules.event_type_key is 'What the index finds the rules of an event type by.';
comment on column marketplace.sync_rules.pattern_key is
  'source_pattern''s beginning and end, as far as they are literal: leaves few rules to compare.';
comment on column marketplace.sync_rules.pattern_shape is
  'How long that beginning and that end are.';
comment on column marketplace.sync_rules.pattern_regex is
  'source_pattern as a regular expression that reads alike in SQL and JavaScript.';
create index sync_rules_next_run_at_idx on marketplace.sync_rules (next_run_at) where is_active and next_run_at is not null;
create index sync_rules_match_idx
  on marketplace.sync_rules (source_integration_id, pattern_shape, pattern_key collate "C", event_type_key collate "C") where is_active;
create index sync_rules_organization_id_idx on marketplace.sync_rules (organization_id);
create index sync_rules_source_integration_id_idx on marketplace.sync_rules (source_integration_id);
create index sync_rules_destination_integration_id_idx on marketplace.sync_rules (destination_integration_id);
create index sync_rules_notify_integration_id_idx on marketplace.sync_rules (notify_integration_id);
create index sync_rules_workflow_id_idx on marketplace.sync_rules (workflow_id);

create function marketplace._complete_rule()
returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_source marketplace.integrations;
  v_default_workflow_slug text;
begin
  select * into v_source from marketplace.integrations as i where i.id = new.source_integration_id;
  if v_source.id is null and tg_op = 'UPDATE' and new.source_integration_id = old.source_integration_id then
    return new; -- the integration is being deleted, and the rule goes with it
  elsif v_source.id is null then
    raise exception 'rule % has no source: integration % does not exist', quote_literal(new.name), coalesce(new.source_integration_id::text, 'null')
      using errcode = 'MK422', hint = 'Register the integration first with marketplace.register_integration(…), then use its id.';
  end if;
  -- an expression that cannot be compiled would stop all routing
  begin
    perform '' ~ marketplace._glob_to_regex(new.source_pattern);
  exception when invalid_regular_expression then
    raise exception 'rule % has a source_pattern that cannot be read: %', quote_literal(new.name), quote_literal(new.source_pattern)
      using errcode = 'MK422', hint = 'Ranges in […] go upwards: [a-z].';
  end;
  if new.schedule is null then
    new.next_run_at := null;
  elsif tg_op = 'INSERT' or new.schedule is distinct from old.schedule or new.is_active and not old.is_active then
    new.next_run_at := marketplace._next_run(new.schedule, now());
    if new.next_run_at is null then
      raise exception 'rule % has a schedule that cannot be read, or never comes: %', quote_literal(new.name), quote_literal(new.schedule)
        using errcode = 'MK422', hint = 'Five fields, in UTC: minute hour day month weekday; "0 3 * * *" is every night at three, "*/15 * * * *" every quarter of an hour.';
    end if;
  end if;
  new.organization_id := v_source.organization_id;
  new.artifact_types := coalesce((select array_agg(lower(ltrim(t, '.'))) from unnest(new.artifact_types) as t), '{}');
  if exists (
    select from marketplace.integrations as i
    where i.id in (new.destination_integration_id, new.notify_integration_id)
      and i.organization_id <> v_source.organization_id
  ) then
    raise exception 'rule % mixes organizations', quote_literal(new.name)
      using errcode = 'MK422', hint = 'Source, destination and notification must be integrations of one organization.';
  end if;
  if new.config ->> 'attachments_integration' is not null and not exists (
    select from marketplace.integrations as i
    where i.slug = new.config ->> 'attachments_integration' and i.organization_id = v_source.organization_id
  ) then
    raise exception 'rule % stores attachments with integration %, which its organization does not have',
      quote_literal(new.name), quote_literal(new.config ->> 'attachments_integration')
      using errcode = 'MK422', hint = 'Name the slug of one of its own integrations, or leave attachments_integration out of config.';
  end if;
  if new.workflow_id is null then
    select p.default_workflow_slug into v_default_workflow_slug from marketplace.providers as p where p.slug = v_source.provider;
    select w.id into new.workflow_id from marketplace.workflows as w where w.slug = v_default_workflow_slug;
    if new.workflow_id is null then
      raise exception 'rule % names no workflow, and provider % has no default one', quote_literal(new.name), v_source.provider
        using errcode = 'MK422', hint = 'Set workflow_id to a row of marketplace.workflows.';
    end if;
  end if;
  new.updated_at := now();
  return new;
end
$$;
comment on function marketplace._complete_rule() is
  'Fills in a rule''s organization, default workflow and next scheduled time, and refuses a rule that mixes organizations or whose pattern or schedule cannot be read.';
create function marketplace._attachments_integration_id(p_rule marketplace.sync_rules)
returns uuid
language sql
stable
set search_path = ''
as $$
  select i.id
  from marketplace.integrations as i
  where i.slug = p_rule.config ->> 'attachments_integration' and i.organization_id = p_rule.organization_id
$$;
comment on function marketplace._attachments_integration_id(marketplace.sync_rules) is
  'Where a rule stores the attachments of messages (config.attachments_integration), of its own organization only; null when it stores none.';
create trigger sync_rules_complete before insert or update on marketplace.sync_rules
  for each row execute function marketplace._complete_rule();

alter table marketplace.workflows enable row level security;
alter table marketplace.sync_rules enable row level security;
create policy "members read their workflows" on marketplace.workflows
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));
create policy "members read their rules" on marketplace.sync_rules
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select on marketplace.workflows, marketplace.sync_rules to authenticated;
grant select, insert, update, delete on marketplace.workflows, marketplace.sync_rules to service_role;
grant execute on function
  marketplace._glob_to_regex(text), marketplace._pattern_ends(text), marketplace._pattern_key(text),
  marketplace._pattern_shape(text), marketplace._event_type_patterns(text[]), marketplace._event_type_key(text[]),
  marketplace._cron_field(text, int, int, text[]), marketplace._next_run(text, timestamptz),
  marketplace._attachments_integration_id(marketplace.sync_rules)
to service_role;
