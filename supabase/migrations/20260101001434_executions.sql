-- Running an action takes two round trips: begin_execution before the provider is called, and
-- finish_executions after.

create table marketplace.execution_results (
  execution_id uuid primary key,
  created_at timestamptz not null,
  organization_id uuid not null references marketplace.organizations (id) on delete cascade,
  caller_key text not null,
  idempotency_key text check (idempotency_key <> ''), -- null: kept for whoever asks for it at the status URL
  request_hash bytea not null,
  is_repeatable boolean not null,
  lease_until timestamptz not null,
  http_status int, -- null: still running
  answer jsonb, -- null: still running, or too large to keep
  finished_at timestamptz, -- null: still running
  expires_at timestamptz not null default now() + interval '24 hours',
  unique (organization_id, caller_key, idempotency_key),
  constraint execution_results_finished_check check ((http_status is null) = (finished_at is null))
);
comment on table marketplace.execution_results is
  'Answers that are given again, for a day: to a repeated idempotency key, and at the status URL of what runs in the background. Written by begin_execution and finish_executions. No policy: only functions touch it, which ask who wants to know.';
comment on column marketplace.execution_results.answer is 'The answer''s body; null while it runs, or when it was too large to be kept.';
comment on column marketplace.execution_results.caller_key is
  'Who asked: nobody is given what somebody else was answered, whatever key he guesses. A job''s next attempt is another caller, and does its work anew.';
comment on column marketplace.execution_results.request_hash is
  'SHA-256 of what was asked for, and of the account it was asked of: a key is for one request.';
comment on column marketplace.execution_results.is_repeatable is
  'Whether the action may run again when its first run never reported.';
comment on column marketplace.execution_results.lease_until is 'Until then it is taken to be running.';
comment on column marketplace.execution_results.execution_id is 'execution_logs.id.';
comment on column marketplace.execution_results.created_at is 'As of the log''s row, to look in one partition only.';
comment on column marketplace.execution_results.organization_id is 'On whose behalf.';
comment on column marketplace.execution_results.idempotency_key is 'As the caller sent it; unique for him.';
comment on column marketplace.execution_results.http_status is 'Of the answer to the caller.';
comment on column marketplace.execution_results.finished_at is 'When the answer was there.';
comment on column marketplace.execution_results.expires_at is 'Then the key may be used for something else.';
create index execution_results_expires_at_idx on marketplace.execution_results (expires_at);

-- Idempotency ---------------------------------------------------------------------------------

create function marketplace._claim_execution(p_execution jsonb, p_request jsonb, p_is_repeatable boolean, p_lease interval)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_result marketplace.execution_results;
  v_hash bytea := sha256(
    decode(p_request ->> 'request_hash', 'hex')
      || convert_to(coalesce(p_execution ->> 'connection_id', p_execution ->> 'integration_id', ''), 'UTF8')
  );
begin
  loop
    insert into marketplace.execution_results as r
      (execution_id, created_at, organization_id, caller_key, idempotency_key, request_hash, is_repeatable, lease_until)
    values (
      (p_execution ->> 'execution_id')::uuid, (p_execution ->> 'created_at')::timestamptz, (p_execution ->> 'organization_id')::uuid,
      p_execution ->> 'caller_key', p_execution ->> 'idempotency_key', v_hash, p_is_repeatable, clock_timestamp() + p_lease
    )
    on conflict (organization_id, caller_key, idempotency_key) do update
      set execution_id = excluded.execution_id, created_at = excluded.created_at, request_hash = excluded.request_hash,
        is_repeatable = excluded.is_repeatable, lease_until = excluded.lease_until, expires_at = excluded.expires_at,
        http_status = null, answer = null, finished_at = null
      where r.expires_at <= clock_timestamp()
        -- its first run never reported, and may be repeated
        or r.finished_at is null and r.lease_until <= clock_timestamp() and r.is_repeatable and r.request_hash = excluded.request_hash
    returning r.* into v_result;
    if found then
      return null;
    end if;
    select * into v_result
    from marketplace.execution_results as r
    where r.organization_id = (p_execution ->> 'organization_id')::uuid
      and r.caller_key = p_execution ->> 'caller_key' and r.idempotency_key = p_execution ->> 'idempotency_key';
    -- freed between the two looks: then it is ours to take
    exit when found;
  end loop;
  return case
    when v_result.request_hash <> v_hash then
      jsonb_build_object('refusal', marketplace._refusal(
        422, 'idempotency_key_reused', 'The idempotency key was used for another request: a key is for one request, and its repetitions.'
      ))
    when v_result.finished_at is not null and v_result.answer is not null then
      jsonb_build_object('replay', jsonb_build_object(
        'execution_id', v_result.execution_id, 'http_status', v_result.http_status, 'answer', v_result.answer
      ))
    when v_result.finished_at is not null then
      jsonb_build_object('refusal', marketplace._refusal(
        409, 'answer_not_kept', format('Execution %s ended with status %s; its answer was too large to be kept.', v_result.execution_id, v_result.http_status),
        jsonb_build_object('details', jsonb_build_object('execution_id', v_result.execution_id, 'http_status', v_result.http_status))
      ))
    when v_result.lease_until > clock_timestamp() then
      jsonb_build_object('refusal', marketplace._refusal(
        409, 'execution_in_progress', 'An execution with this idempotency key is under way: ask again for its answer.',
        jsonb_build_object('retry_after_ms', 1000, 'details', jsonb_build_object('execution_id', v_result.execution_id))
      ))
    else
      jsonb_build_object('refusal', marketplace._refusal(
        409, 'outcome_unknown', format('Execution %s with this idempotency key never reported: look at the provider whether it took place, then use another key.', v_result.execution_id),
        jsonb_build_object('details', jsonb_build_object('execution_id', v_result.execution_id))
      ))
  end;
end
$$;
comment on function marketplace._claim_execution(jsonb, jsonb, boolean, interval) is
  'Takes a caller''s idempotency key, or the place where a later answer is kept: null; {replay} when the key was answered before, {refusal} when it was used otherwise or is in use.';

-- Before --------------------------------------------------------------------------------------

create function marketplace._log_execution(p_execution jsonb, p_refusal jsonb, p_reserved jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  insert into marketplace.execution_logs (
    id, created_at, organization_id, integration_id, connection_id, caller, user_id, api_key_id, job_id, correlation_id,
    action, idempotency_key, reserved, outcome, duration_ms, error_code, error_message
  )
  values (
    (p_execution ->> 'execution_id')::uuid, (p_execution ->> 'created_at')::timestamptz, (p_execution ->> 'organization_id')::uuid,
    (p_execution ->> 'integration_id')::uuid, (p_execution ->> 'connection_id')::uuid, p_execution ->> 'caller',
    (p_execution ->> 'user_id')::uuid, (p_execution ->> 'api_key_id')::uuid, (p_execution ->> 'job_id')::uuid,
    (p_execution ->> 'correlation_id')::uuid, p_execution ->> 'action', p_execution ->> 'idempotency_key', nullif(p_reserved, '[]'),
    case when p_refusal is null then 'running' else 'failed' end,
    case when p_refusal is not null then round((extract(epoch from clock_timestamp() - now()) * 1000)::numeric, 1) end,
    p_refusal ->> 'code', left(p_refusal ->> 'message', 2000)
  )
  on conflict (id, created_at) do nothing;
end
$$;
comment on function marketplace._log_execution(jsonb, jsonb, jsonb) is
  'Writes down that somebody runs an action, and what is reserved for it; or that he asked for it and was refused.';

create function marketplace._execution_grant(p_integration marketplace.integrations, p_connection_id uuid, p_request jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  if p_connection_id is not null then
    return marketplace.lease_refresh(p_connection_id);
  elsif p_integration.is_default and p_request -> 'environment_tokens' ? p_integration.provider then
    -- The environment may hold the token of the platform's own integration.
    if not exists (
      select from marketplace.integration_secrets as s
      where s.integration_id = p_integration.id and (s.valid_until is null or s.valid_until > now())
        and s.purpose in ('api_token', 'refresh_token', 'service_account_key', 'private_key', 'client_secret')
    ) then
      return jsonb_build_object('state', 'environment', 'settings', marketplace._connection_settings(p_integration.config, '{}'));
    end if;
  end if;
  return marketplace.lease_refresh(
    null, p_integration.id, interval '0', null,
    case when p_integration.is_default and p_integration.provider ~ '^(google|gmail)' then p_request ->> 'google_seed' end
  );
end
$$;
comment on function marketplace._execution_grant(marketplace.integrations, uuid, jsonb) is
  'The credential an action runs with, as lease_refresh gives it; {state: environment} where the function''s environment holds it.';

create function marketplace.begin_execution(p_request jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
set jit = off -- compiling would take longer than running
-- Here and in all that is called from here a plan is made once, and looks at a few rows by index.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_caller jsonb := marketplace._execution_caller(p_request -> 'caller');
  v_target jsonb := marketplace._execution_target(v_caller, p_request);
  v_integration_id uuid := v_target ->> 'integration_id';
  v_connection_id uuid := v_target ->> 'connection_id';
  v_key text := p_request ->> 'idempotency_key';
  v_found record;
  v_action marketplace.actions;
  v_execution jsonb;
  v_refusal jsonb;
  v_claim jsonb;
  v_limit jsonb;
  v_grant jsonb;
  v_quota jsonb;
begin
  select i as integration, c as connection, a as action, p.rate_limit into v_found
  from (select) as one
  left join marketplace.integrations as i on i.id = v_integration_id
  left join marketplace.providers as p on p.slug = i.provider
  left join marketplace.connections as c on c.id = v_connection_id
  left join marketplace.actions as a on a.provider_slug = i.provider and a.slug = p_request ->> 'action';
  v_action := v_found.action;
  v_execution := v_target - 'refusal' || jsonb_build_object(
    'execution_id', marketplace.uuid_v7(), 'created_at', now(), 'caller', v_caller -> 'kind',
    'user_id', v_caller -> 'user_id', 'api_key_id', v_caller -> 'api_key_id', 'job_id', v_caller -> 'job_id',
    'correlation_id', coalesce(v_caller -> 'correlation_id', p_request -> 'correlation_id'), 'action', p_request -> 'action',
    'idempotency_key', v_key,
    'caller_key', concat_ws(' ', v_caller ->> 'kind', coalesce(v_caller ->> 'user_id', v_caller ->> 'api_key_id', v_caller ->> 'lease_id'))
  );

  v_refusal := marketplace._execution_refusal(v_caller, v_target, v_found.integration, v_found.connection, v_action, p_request);
  if v_refusal is null and (v_key is not null or p_request @> '{"is_async": true}') then
    v_claim := marketplace._claim_execution(
      v_execution, p_request, v_action.is_read_only or v_action.is_idempotent or v_action.idempotency_header is not null, interval '160 seconds'
    );
    if v_claim ? 'replay' then
      return jsonb_build_object('correlation_id', v_execution -> 'correlation_id', 'replay', v_claim -> 'replay');
    end if;
    v_refusal := v_claim -> 'refusal';
  end if;
  if v_refusal is null then
    v_limit := marketplace._told_limit(v_integration_id, v_connection_id, v_action.slug);
    v_refusal := v_limit -> 'refusal';
    if v_refusal is null then
      v_grant := marketplace._execution_grant(v_found.integration, v_connection_id, p_request);
      -- last of all: callers of one account wait for each other from here to the commit
      v_quota := marketplace._reserve_quota(
        v_found.integration, v_found.connection, v_found.rate_limit, v_limit ->> 'name', v_action.quota_cost, (p_request ->> 'pages')::bigint
      );
      v_refusal := v_quota -> 'refusal';
    end if;
    if v_refusal is not null then
      delete from marketplace.execution_results as r where r.execution_id = (v_execution ->> 'execution_id')::uuid;
      perform marketplace._release_lease(v_grant);
    end if;
  end if;
  if v_refusal is null and v_key is null and not p_request @> '{"is_async": true}' and v_grant ->> 'state' in ('fresh', 'environment') then
    -- Nobody can ask for this one again, and its report, which waits for the disk unless it only
    -- reads, brings along what a crash of the server in between would lose: one wait instead of two.
    perform set_config('synchronous_commit', 'off', true);
  end if;
  if v_refusal is not null and v_execution ->> 'organization_id' is null then
    return jsonb_build_object('correlation_id', v_execution -> 'correlation_id', 'refusal', v_refusal);
  end if;
  perform marketplace._log_execution(v_execution, v_refusal, v_quota -> 'windows');
  if v_refusal is not null then
    if v_refusal ->> 'code' = 'rate_limited' and v_caller ->> 'job_id' is not null then
      perform marketplace.note_wait((v_caller ->> 'job_id')::uuid, (v_refusal ->> 'retry_after_ms')::numeric);
    end if;
    return v_execution || jsonb_build_object('refusal', v_refusal);
  end if;
  return v_execution || jsonb_build_object(
    -- what the provider is told: another caller's key is another key to it, too
    'provider_key', case when v_key is null then v_execution ->> 'execution_id' else encode(
      substring(sha256(convert_to(concat_ws(' ', v_execution ->> 'organization_id', v_execution ->> 'caller_key', v_key), 'UTF8')) for 16), 'hex'
    )::uuid::text end,
    'integration', coalesce(v_grant -> 'integration', marketplace._integration_json(v_integration_id)),
    'provider', marketplace._provider_json(v_action.provider_slug),
    'action', to_jsonb(v_action) - array['id', 'name', 'description', 'created_at', 'updated_at'],
    'grant', case when v_grant @> '{"state": "fresh"}' then v_grant - 'integration' else v_grant end,
    'windows', v_quota -> 'windows'
  );
end
$$;
comment on function marketplace.begin_execution(jsonb) is
  'All that must be known and done before an action runs, in one round trip: proves the caller (MK401), finds connection, integration and action as that caller, checks what it may, claims the idempotency key, reserves quota, reads the credential, and writes the log row. Answers with all of it, or with {replay}, or with {refusal}, which is in the log. For Edge Functions only.';

create function marketplace.begin_executions(p_requests jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_commit text := current_setting('synchronous_commit');
  v_is_awaited boolean := false;
  v_request jsonb;
  v_answer jsonb;
  v_answers jsonb[] := '{}';
  v_code text;
  v_message text;
  v_hint text;
begin
  for v_request in select r from jsonb_array_elements(p_requests) as r loop
    begin
      perform set_config('synchronous_commit', v_commit, true);
      v_answer := marketplace.begin_execution(v_request);
      v_is_awaited := v_is_awaited or current_setting('synchronous_commit') <> 'off';
    exception when others then
      -- one caller's error is not another's: this one's is told, and what he has begun is undone
      get stacked diagnostics v_code = returned_sqlstate, v_message = message_text, v_hint = pg_exception_hint;
      v_answer := jsonb_build_object('error', jsonb_build_object('code', v_code, 'message', v_message, 'hint', nullif(v_hint, '')));
    end;
    v_answers := v_answers || v_answer;
  end loop;
  perform set_config('synchronous_commit', case when v_is_awaited then v_commit else 'off' end, true);
  return to_jsonb(v_answers);
end
$$;
comment on function marketplace.begin_executions(jsonb) is
  'begin_execution for several at a time, in the order given: callers that use the same accounts give them in the same order, or wait for each other in vain. Answers in that order; {error: {code, message, hint}} for one that failed. For Edge Functions only.';

-- After ---------------------------------------------------------------------------------------

create function marketplace._keep_answer(p_result jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  if p_result @> '{"is_kept": true}' then
    update marketplace.execution_results as r
    set http_status = (p_result ->> 'http_status')::int, finished_at = clock_timestamp(), answer = nullif(p_result -> 'answer', 'null')
    where r.execution_id = (p_result ->> 'execution_id')::uuid;
  else
    -- nothing happened that a repetition would do twice
    delete from marketplace.execution_results as r where r.execution_id = (p_result ->> 'execution_id')::uuid;
  end if;
end
$$;
comment on function marketplace._keep_answer(jsonb) is
  'Keeps the answer of an execution that has just ended, or frees its idempotency key.';

create function marketplace.finish_executions(p_results jsonb)
returns void
language plpgsql
volatile
set search_path = ''
set jit = off
set plan_cache_mode = force_generic_plan -- as in begin_execution
set enable_seqscan = off
as $$
declare
  v_told record;
  v_reserved jsonb;
  v_spent jsonb := '[]';
  v_limited jsonb := '[]';
  v_is_awaited boolean := false;
begin
  <<reports>>
  -- One by one: a join with a list is planned for a hundred of them, and reads all of the day instead.
  for v_told in
    select r.report, t.*
    from jsonb_array_elements(p_results) as r (report)
    cross join lateral jsonb_to_record(r.report) as t (
      execution_id uuid, created_at timestamptz, outcome text, status_code int, attempt_count int, duration_ms numeric, request jsonb,
      response jsonb, error_code text, error_message text, spent bigint, observed jsonb, retry_after_ms float8, is_kept boolean,
      is_read_only boolean, idempotency_key text, job_id uuid
    )
  loop
    v_is_awaited := v_is_awaited or v_told.is_read_only is not true or v_told.is_kept is true or v_told.idempotency_key is not null;
    loop
      update marketplace.execution_logs as x
      set outcome = v_told.outcome, status_code = v_told.status_code, attempt_count = v_told.attempt_count,
        duration_ms = greatest(v_told.duration_ms, 0), request = v_told.request, response = v_told.response,
        error_code = case when v_told.outcome = 'failed' then coalesce(v_told.error_code, 'failed') end,
        error_message = left(v_told.error_message, 2000)
      where x.id = v_told.execution_id and x.created_at = v_told.created_at and (x.outcome = 'running' or x.error_code = 'execution_lost')
      returning x.reserved into v_reserved;
      exit when found;
      perform from marketplace.execution_logs as x where x.id = v_told.execution_id and x.created_at = v_told.created_at;
      -- what was reported before stays as it was
      continue reports when found;
      -- a crash of the server has lost its beginning
      perform marketplace._log_execution(v_told.report, null, null);
    end loop;

    if v_told.is_kept or v_told.idempotency_key is not null then
      perform marketplace._keep_answer(v_told.report);
    end if;
    if v_reserved is not null then
      v_spent := v_spent || jsonb_build_object(
        'reserved', v_reserved, 'spent', v_told.spent, 'is_told', jsonb_array_length(v_told.observed) > 0
      );
    end if;
    if v_told.error_code = 'rate_limited' or jsonb_array_length(v_told.observed) > 0 or v_told.retry_after_ms > 0 then
      v_limited := v_limited || v_told.report;
    end if;
  end loop;

  if v_limited <> '[]' then
    perform marketplace.note_wait((r ->> 'job_id')::uuid, (r ->> 'wait_ms')::numeric)
    from jsonb_array_elements(v_limited) as r
    where r ->> 'error_code' = 'rate_limited' and r ->> 'job_id' is not null
    order by r ->> 'job_id';
  end if;
  -- last of all: callers of one account wait for each other from here to the commit
  perform marketplace._settle_quota(v_spent);
  if v_limited <> '[]' then
    perform marketplace._note_limits(r)
    from jsonb_array_elements(v_limited) as r
    order by r ->> 'integration_id', r ->> 'connection_id';
  end if;
  if not v_is_awaited then
    -- They have changed nothing anywhere, and nobody can ask for them again: a crash of the server
    -- may lose the last half second of such log rows, and nobody waits for the disk.
    perform set_config('synchronous_commit', 'off', true);
  end if;
end
$$;
comment on function marketplace.finish_executions(jsonb) is
  'Reports how executions ended, any number in one round trip: completes their log rows (or writes them, where a crash has lost them), settles the quota, keeps the answers for repetitions or frees the idempotency keys. A second report changes nothing. For Edge Functions only.';

create function marketplace.read_execution(p_execution_id uuid, p_caller jsonb)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_caller jsonb := marketplace._execution_caller(p_caller);
  v_execution jsonb;
begin
  select jsonb_build_object(
    'execution_id', r.execution_id, 'created_at', r.created_at, 'correlation_id', x.correlation_id, 'action', x.action,
    'status', case
      when r.finished_at is not null then case when r.http_status < 400 then 'succeeded' else 'failed' end
      when r.lease_until > clock_timestamp() then 'running'
      else 'lost'
    end,
    'http_status', r.http_status, 'answer', r.answer, 'finished_at', r.finished_at
  ) into v_execution
  from marketplace.execution_results as r
  join marketplace.execution_logs as x on x.id = r.execution_id and x.created_at = r.created_at
  where r.execution_id = p_execution_id and r.expires_at > clock_timestamp()
    -- who asked for it may know what came of it
    and case v_caller ->> 'kind'
      when 'service' then true
      when 'user' then x.user_id = (v_caller ->> 'user_id')::uuid and exists (
        select from marketplace.organization_members as m
        where m.organization_id = x.organization_id and m.user_id = x.user_id
      )
      when 'job' then x.job_id = (v_caller ->> 'job_id')::uuid
      else x.api_key_id = (v_caller ->> 'api_key_id')::uuid
        or x.organization_id = (v_caller ->> 'organization_id')::uuid and v_caller -> 'scopes' ? 'admin'
          -- what somebody did with an account of his own is no program's to read
          and not exists (select from marketplace.connections as c where c.id = x.connection_id and not c.is_shared)
    end;
  if v_execution is null then
    raise exception 'execution % is not known, or its answer is no longer kept', coalesce(p_execution_id::text, 'null')
      using errcode = 'MK404', hint = 'Answers of executions in the background, or with an idempotency key, are kept for a day.';
  end if;
  return v_execution;
end
$$;
comment on function marketplace.read_execution(uuid, jsonb) is
  'State and answer of an execution that runs in the background or had an idempotency key, for whoever asked for it; MK401, MK404. For Edge Functions only.';

create function marketplace.maintain_executions(p_limit int default 10000)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_lost marketplace.execution_logs;
  v_lost_count int := 0;
  v_forgotten_count int;
begin
  for v_lost in
    select x.*
    from marketplace.execution_logs as x
    where x.outcome = 'running' and x.created_at < now() - interval '10 minutes'
    limit p_limit
    for no key update skip locked
  loop
    update marketplace.execution_logs as x
    set outcome = 'failed', error_code = 'execution_lost', reserved = null,
      error_message = 'It never reported: what ran it was stopped. Whether the provider was reached is not known.',
      duration_ms = round((extract(epoch from now() - x.created_at) * 1000)::numeric)
    where x.id = v_lost.id and x.created_at = v_lost.created_at;
    -- one request may have gone out; whatever else was reserved is given back
    perform marketplace._settle_quota(jsonb_build_array(jsonb_build_object('reserved', v_lost.reserved)));
    v_lost_count := v_lost_count + 1;
  end loop;
  delete from marketplace.execution_results as r
  where r.execution_id in (
    select o.execution_id from marketplace.execution_results as o where o.expires_at < now() limit p_limit
  );
  get diagnostics v_forgotten_count = row_count;
  return jsonb_build_object('lost', v_lost_count, 'forgotten', v_forgotten_count);
end
$$;
comment on function marketplace.maintain_executions(int) is
  'Rung by pg_cron: marks executions that never reported and settles their quota, forgets answers after their day; returns how many of each.';

-- Who may ---------------------------------------------------------------------------------------

alter table marketplace.execution_results enable row level security;
-- What somebody does with an account of his own is for him, and for whoever answers for the organization.
alter policy "members read their executions" on marketplace.execution_logs
  using (
    organization_id in (select marketplace.my_organization_ids())
    and (
      user_id = (select auth.uid())
      or user_id is null and connection_id is null
      or connection_id in (select c.id from marketplace.connections as c where c.is_shared)
      or organization_id in (
        select m.organization_id from marketplace.organization_members as m
        where m.user_id = (select auth.uid()) and m.role in ('owner', 'admin')
      )
    )
  );

revoke all on all functions in schema marketplace from public;
grant select, insert, update, delete on marketplace.execution_results to service_role;
grant execute on function
  marketplace._claim_execution(jsonb, jsonb, boolean, interval),
  marketplace._log_execution(jsonb, jsonb, jsonb),
  marketplace._execution_grant(marketplace.integrations, uuid, jsonb),
  marketplace.begin_execution(jsonb),
  marketplace.begin_executions(jsonb),
  marketplace._keep_answer(jsonb),
  marketplace.finish_executions(jsonb),
  marketplace.read_execution(uuid, jsonb),
  marketplace.maintain_executions(int)
to service_role;

select marketplace._schedule('marketplace_executions', '*/10 * * * *', null, 'select marketplace.maintain_executions()');
