-- What a running workflow may do with its job token: read its job, plan artifacts, report, finish.
-- marketplace-jobs calls these; every change names the lease it was made under.

create function marketplace.authorize_job(p_job_id uuid, p_token text)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs;
  v_context jsonb;
begin
  -- any call with a living token renews its lease
  update marketplace.sync_jobs as j
  set lease_expires_at = greatest(j.lease_expires_at, now() + w.lease)
  from marketplace.workflows as w
  where j.id = p_job_id and w.id = j.workflow_id
    and j.token_hash = sha256(convert_to(p_token, 'UTF8'))
    and j.status = 'running' and j.lease_expires_at > now()
  returning j.* into v_job;

  if v_job.id is null then
    select * into v_job from marketplace.sync_jobs as j where j.id = p_job_id;
    if v_job.id is null then
      raise exception 'job % does not exist', p_job_id
        using errcode = 'MK404', hint = 'Use the job URL that the dispatch carried.';
    elsif v_job.token_hash is distinct from sha256(convert_to(coalesce(p_token, ''), 'UTF8')) then
      raise exception 'the token is not valid for job %', p_job_id
        using errcode = 'MK401', hint = 'Send the token of this attempt''s dispatch as Authorization: Bearer <token>; an earlier attempt''s token is dead.';
    elsif v_job.status = 'running' then
      raise exception 'the lease of job % ended at %', p_job_id, v_job.lease_expires_at
        using errcode = 'MK409', hint = 'Report a heartbeat before the lease ends; the job will be tried again.';
    elsif v_job.status <> 'completed' then
      raise exception 'job % is % and no longer held by this attempt', p_job_id, v_job.status
        using errcode = 'MK409', hint = 'Stop working on it; a retry comes with a token of its own.';
    end if;
  end if;

  select jsonb_build_object(
    'job', jsonb_build_object(
      'id', v_job.id, 'status', v_job.status, 'attempt', v_job.attempt_count, 'max_attempts', v_job.max_attempts,
      'lease_id', v_job.lease_id, 'lease_expires_at', v_job.lease_expires_at,
      'correlation_id', v_job.correlation_id, 'organization_id', v_job.organization_id, 'created_at', v_job.created_at,
      'replay_of', v_job.replay_of
    ),
    'event', (
      select jsonb_build_object(
        'id', e.id, 'event_type', e.event_type, 'provider', e.provider, 'account', e.account,
        'resource_path', e.resource_path, 'occurred_at', e.occurred_at, 'created_at', e.created_at, 'payload', e.payload
      )
      from marketplace.webhook_events as e
      where e.id = v_job.event_id and e.created_at = v_job.event_created_at
    ),
    'rule', jsonb_build_object(
      'id', r.id, 'name', r.name, 'source_pattern', r.source_pattern, 'source_pattern_regex', r.pattern_regex,
      'artifact_types', to_jsonb(r.artifact_types), 'destination_template', r.destination_template, 'config', r.config
    ),
    'source', marketplace._integration_json(r.source_integration_id),
    'destination', marketplace._integration_json(r.destination_integration_id),
    'notify', marketplace._integration_json(r.notify_integration_id) || jsonb_build_object(
      'channel', coalesce(r.notify_channel, (select i.config ->> 'channel' from marketplace.integrations as i where i.id = r.notify_integration_id))
    ),
    'attachments', marketplace._integration_json(marketplace._attachments_integration_id(r)),
    'artifacts', (
      select coalesce(jsonb_agg(to_jsonb(a) order by a.id), '[]')
      from marketplace.artifact_syncs as a
      where a.job_id = v_job.id
    )
  )
  into v_context
  from marketplace.sync_rules as r
  where r.id = v_job.rule_id;
  return v_context;
end
$$;
comment on function marketplace.authorize_job(uuid, text) is
  'Checks a job token (MK401, MK404, MK409), renews the lease, and returns the job with its event, rule, integrations and artifacts. A completed job can still be read.';

create function marketplace._require_lease(p_job_id uuid, p_lease_id uuid)
returns marketplace.sync_jobs
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs;
begin
  select * into v_job
  from marketplace.sync_jobs as j
  where j.id = p_job_id and j.lease_id = p_lease_id and j.status = 'running' and j.lease_expires_at > now()
  for no key update;
  if v_job.id is null then
    raise exception 'lease % does not hold job %', coalesce(p_lease_id::text, 'null'), coalesce(p_job_id::text, 'null')
      using errcode = 'MK409', hint = 'The lease ended, or the job did; stop working on it.';
  end if;
  return v_job;
end
$$;
comment on function marketplace._require_lease(uuid, uuid) is
  'The job, locked until the end of the transaction, if the lease still holds it; MK409 otherwise.';

create function marketplace.plan_artifacts(p_job_id uuid, p_lease_id uuid, p_artifacts jsonb)
returns setof marketplace.artifact_syncs
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs := marketplace._require_lease(p_job_id, p_lease_id);
begin
  if jsonb_typeof(p_artifacts) is distinct from 'array' then
    raise exception 'artifacts is not a JSON array' using errcode = 'MK400', hint = 'Pass [{"source_ref": …, "name": …}].';
  end if;
  -- of two jobs about one message, the second must see what the first has planned
  perform pg_advisory_xact_lock(hashtextextended(v_job.rule_id::text || task.source_ref, 0))
  from (
    select distinct listed ->> 'source_ref' as source_ref
    from jsonb_array_elements(p_artifacts) as listed
    where listed ->> 'kind' = 'task'
    order by 1
  ) as task;
  return query
  insert into marketplace.artifact_syncs as a (
    organization_id, job_id, rule_id, source_integration_id, destination_integration_id, correlation_id,
    kind, source_ref, source_version, source_path, name, content_type, size_bytes, sha256, destination_path, destination_ref,
    status, error_code, error_message
  )
  select
    v_job.organization_id, v_job.id, r.id, r.source_integration_id,
    coalesce(p.destination_integration_id, r.destination_integration_id), v_job.correlation_id,
    coalesce(p.kind, 'transfer'), p.source_ref, p.source_version, p.source_path, p.name,
    coalesce(p.content_type, 'application/octet-stream'), p.size_bytes, lower(p.sha256), coalesce(p.destination_path, ''),
    -- a replay writes to the object that the earlier job made, not beside it
    (
      select earlier.destination_ref
      from marketplace.artifact_syncs as earlier
      where earlier.rule_id = r.id and earlier.source_ref = p.source_ref
        and earlier.destination_integration_id = coalesce(p.destination_integration_id, r.destination_integration_id)
        and earlier.destination_path = p.destination_path and earlier.kind = 'transfer'
      order by earlier.created_at desc
      limit 1
    ),
    case when coalesce(p.skip_reason, taken.reason) is null then 'planned' else 'skipped' end,
    case when coalesce(p.skip_reason, taken.reason) is not null then 'skipped' end,
    coalesce(p.skip_reason, taken.reason)
  from (
    -- a source may list an artifact twice, on two pages
    select distinct on (listed.source_ref) listed.*
    from jsonb_to_recordset(p_artifacts) as listed (
      kind text, source_ref text, source_version text, source_path text, name text, content_type text,
      size_bytes bigint, sha256 text, destination_integration_id uuid, destination_path text, skip_reason text
    )
    order by listed.source_ref
  ) as p
  join marketplace.sync_rules as r on r.id = v_job.rule_id
  -- one task a rule and message, whichever of its labels came first
  left join lateral (
    select case other.status
      when 'completed' then format('it is task %s already', other.destination_ref)
      else format('job %s makes it a task', other.job_id)
    end as reason
    from marketplace.artifact_syncs as other
    join marketplace.sync_jobs as j on j.id = other.job_id
    where p.kind = 'task' and other.kind = 'task'
      and other.rule_id = r.id and other.source_ref = p.source_ref and other.job_id <> v_job.id
      and (
        other.status = 'completed'
        or other.status in ('planned', 'transferring', 'uploaded', 'failed') and j.status in ('pending', 'running')
      )
    order by other.status = 'completed' desc
    limit 1
  ) as taken on true
  -- what is completed, or failed for good, stays; anything else begins anew, at the destination it already has
  on conflict (job_id, source_ref) do update
    set status = case when a.status = 'completed' or a.is_final then a.status else excluded.status end,
      error_code = case when a.status = 'completed' or a.is_final then a.error_code else excluded.error_code end,
      error_message = case when a.status = 'completed' or a.is_final then a.error_message else excluded.error_message end,
      -- it may have been edited between two attempts
      source_version = case when a.status = 'completed' then a.source_version else excluded.source_version end,
      size_bytes = case when a.status = 'completed' then a.size_bytes else coalesce(excluded.size_bytes, a.size_bytes) end,
      sha256 = case when a.status = 'completed' then a.sha256 else coalesce(excluded.sha256, a.sha256) end
  returning a.*;
end
$$;
comment on function marketplace.plan_artifacts(uuid, uuid, jsonb) is
  'Writes down what a job will move (or skips, with the reason). Planning again keeps what is completed or failed for good and starts the rest anew. A message that another job of the rule makes a task, or has made one, is skipped.';

create function marketplace.last_synced(p_rule_id uuid, p_source_ref text)
returns marketplace.artifact_syncs
language sql
stable
set search_path = ''
as $$
  select a.*
  from marketplace.artifact_syncs as a
  where a.rule_id = p_rule_id and a.source_ref = p_source_ref and a.status = 'completed'
  order by a.completed_at desc
  limit 1
$$;
comment on function marketplace.last_synced(uuid, text) is
  'How a rule left an object of its source when it last synced it; null when it never has.';

create function marketplace.occupied_paths(p_rule_id uuid, p_places jsonb)
returns table (source_ref text, occupant_ref text, occupant_name text)
language sql
stable
set search_path = ''
as $$
  select w.source_ref, there.source_ref, there.name
  from jsonb_to_recordset(p_places) as w (source_ref text, path text)
  cross join lateral (
    select a.source_ref, a.name
    from marketplace.artifact_syncs as a
    where a.rule_id = p_rule_id and a.destination_path = w.path and a.status = 'completed' and a.destination_path <> ''
      and a.source_ref <> w.source_ref
      -- and has not gone elsewhere since
      and not exists (
        select from marketplace.artifact_syncs as later
        where later.rule_id = a.rule_id and later.source_ref = a.source_ref and later.status = 'completed'
          and later.completed_at > a.completed_at and later.destination_path <> a.destination_path
      )
    order by a.completed_at desc
    limit 1
  ) as there
$$;
comment on function marketplace.occupied_paths(uuid, jsonb) is
  'Of [{source_ref, path}], those whose path holds what the rule has last made of another object of its source, and which.';

create function marketplace._note_integration_health(p_integration_id uuid, p_error text)
returns void
language sql
volatile
set search_path = ''
as $$
  update marketplace.integrations as i
  set health_status = case when p_error is null then 'healthy' else 'degraded' end,
    error_message = left(p_error, 500), health_checked_at = now()
  where i.id = p_integration_id
    and (
      i.health_status <> case when p_error is null then 'healthy' else 'degraded' end
      or i.error_message is distinct from left(p_error, 500)
    )
$$;
comment on function marketplace._note_integration_health(uuid, text) is
  'Notes what the last transfer said about an integration: null = it works; writes only when that changes.';

create function marketplace.update_artifact(p_job_id uuid, p_lease_id uuid, p_artifact_id uuid, p_changes jsonb)
returns marketplace.artifact_syncs
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs := marketplace._require_lease(p_job_id, p_lease_id);
  v_artifact marketplace.artifact_syncs;
  v_status text := p_changes ->> 'status';
  v_unknown text;
begin
  select k into v_unknown
  from jsonb_object_keys(p_changes) as k
  where k <> all (array[
    'status', 'destination_ref', 'transferred_bytes', 'transferred_sha256', 'transferred_md5',
    'destination_size_bytes', 'destination_checksum', 'result', 'error_code', 'error_message', 'is_final'
  ])
  limit 1;
  if v_unknown is not null then
    raise exception 'artifact field % cannot be changed', quote_literal(v_unknown) using errcode = 'MK400';
  end if;

  select * into v_artifact
  from marketplace.artifact_syncs as a
  where a.id = p_artifact_id and a.job_id = v_job.id
  for no key update;
  if v_artifact.id is null then
    raise exception 'artifact % is not part of job %', coalesce(p_artifact_id::text, 'null'), p_job_id
      using errcode = 'MK404', hint = 'Use an id from this job''s plan.';
  end if;
  if v_status is not null and v_status <> v_artifact.status and not (case v_artifact.status
    when 'planned' then v_status in ('transferring', 'failed', 'skipped') or v_artifact.kind <> 'transfer' and v_status = 'completed'
    when 'transferring' then v_status in ('uploaded', 'failed') or v_artifact.kind <> 'transfer' and v_status in ('completed', 'skipped')
    when 'uploaded' then v_status in ('completed', 'failed', 'transferring')
    when 'failed' then v_status in ('planned', 'transferring')
    else false
  end) then
    raise exception 'artifact % is % and cannot become %', p_artifact_id, v_artifact.status, quote_literal(v_status)
      using errcode = 'MK409', hint = 'The way is planned, transferring, uploaded, completed; plan again to start over.';
  end if;

  update marketplace.artifact_syncs as a
  set status = coalesce(v_status, a.status),
    destination_ref = coalesce(p_changes ->> 'destination_ref', a.destination_ref),
    transferred_bytes = coalesce((p_changes ->> 'transferred_bytes')::bigint, a.transferred_bytes),
    transferred_sha256 = coalesce(lower(p_changes ->> 'transferred_sha256'), a.transferred_sha256),
    transferred_md5 = coalesce(lower(p_changes ->> 'transferred_md5'), a.transferred_md5),
    destination_size_bytes = coalesce((p_changes ->> 'destination_size_bytes')::bigint, a.destination_size_bytes),
    destination_checksum = coalesce(p_changes ->> 'destination_checksum', a.destination_checksum),
    result = coalesce(p_changes -> 'result', a.result),
    is_final = case when v_status is null then a.is_final else v_status = 'failed' and coalesce((p_changes ->> 'is_final')::boolean, false) end,
    error_code = case when v_status in ('failed', 'skipped') then coalesce(p_changes ->> 'error_code', 'failed')
      when v_status is null then a.error_code end,
    error_message = case when v_status in ('failed', 'skipped') then left(p_changes ->> 'error_message', 2000)
      when v_status is null then a.error_message end,
    started_at = case when v_status = 'transferring' then now() else a.started_at end,
    completed_at = case when v_status = 'completed' then coalesce(a.completed_at, clock_timestamp()) else a.completed_at end
  where a.id = v_artifact.id
  returning a.* into v_artifact;

  if v_status = 'completed' then
    perform marketplace._note_integration_health(v_artifact.destination_integration_id, null);
  elsif v_status = 'failed' and not v_artifact.is_final then
    -- what is final is about this object, not about the integration
    perform marketplace._note_integration_health(
      case when v_artifact.error_code like 'source%' or v_artifact.error_code like 'download%'
        then v_artifact.source_integration_id else v_artifact.destination_integration_id end,
      coalesce(v_artifact.error_message, v_artifact.error_code)
    );
  end if;
  return v_artifact;
end
$$;
comment on function marketplace.update_artifact(uuid, uuid, uuid, jsonb) is
  'Moves one artifact along (planned -> transferring -> uploaded -> completed, or failed) and notes what is known of the copy. MK409 for a step backwards.';

create function marketplace.complete_job(p_job_id uuid, p_lease_id uuid, p_result jsonb default '{}')
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs;
  v_failed int;
  v_final int;
  v_unfinished int;
  v_reason text;
  v_status text;
begin
  -- a report that is sent again after its answer was lost is harmless
  if exists (select from marketplace.sync_jobs as j where j.id = p_job_id and j.status = 'completed')
    and exists (
      select from marketplace.sync_job_attempts as a
      where a.job_id = p_job_id and a.id = p_lease_id and a.result = 'completed'
    ) then
    return jsonb_build_object('status', 'completed', 'failed', 0);
  end if;
  v_job := marketplace._require_lease(p_job_id, p_lease_id);

  select
    count(*) filter (where a.status = 'failed'),
    count(*) filter (where a.is_final),
    count(*) filter (where a.status in ('planned', 'transferring', 'uploaded')),
    string_agg(format('%s: %s', a.name, coalesce(a.error_message, a.error_code)), '; ' order by a.id)
      filter (where a.status = 'failed')
  into v_failed, v_final, v_unfinished, v_reason
  from marketplace.artifact_syncs as a
  where a.job_id = v_job.id;

  if v_failed + v_unfinished > 0 then
    select r.status into v_status
    from marketplace._release_jobs(jsonb_build_array(jsonb_build_object(
      'job_id', p_job_id, 'lease_id', p_lease_id, 'result', 'failed', 'error_code', 'artifacts_incomplete',
      'error_message', format('%s artifacts failed, %s unfinished. %s', v_failed, v_unfinished, coalesce(v_reason, '')),
      -- where nothing else is left, another attempt would end the same way
      'retryable', v_failed + v_unfinished > v_final
    ))) as r;
    return jsonb_build_object('status', v_status, 'failed', v_failed, 'unfinished', v_unfinished);
  end if;

  perform marketplace._finish_jobs(jsonb_build_array(jsonb_build_object(
    'job_id', p_job_id, 'lease_id', p_lease_id, 'result', p_result
  )));
  return jsonb_build_object('status', 'completed', 'failed', 0);
end
$$;
comment on function marketplace.complete_job(uuid, uuid, jsonb) is
  'Finishes a job whose artifacts are all completed or skipped; otherwise the attempt failed and the job is retried, or dead when only what failed for good is left. Returns {status, failed}.';

create function marketplace.fail_job(
  p_job_id uuid,
  p_lease_id uuid,
  p_code text,
  p_message text default null,
  p_retryable boolean default true
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job marketplace.sync_jobs := marketplace._require_lease(p_job_id, p_lease_id);
  v_status text;
begin
  select r.status into v_status
  from marketplace._release_jobs(jsonb_build_array(jsonb_build_object(
    'job_id', v_job.id, 'lease_id', p_lease_id, 'result', 'failed',
    'error_code', left(coalesce(nullif(p_code, ''), 'failed'), 100), 'error_message', p_message, 'retryable', p_retryable
  ))) as r;
  return jsonb_build_object('status', v_status);
end
$$;
comment on function marketplace.fail_job(uuid, uuid, text, text, boolean) is
  'The workflow says that this attempt failed: the job is retried, or dead when it must not be or was tried often enough. Returns {status}.';

create function marketplace.note_wait(p_job_id uuid, p_wait_ms numeric default null)
returns timestamptz
language sql
volatile
set search_path = ''
as $$
  update marketplace.sync_jobs as j
  set not_before = greatest(j.not_before, now() + least(
    coalesce(
      make_interval(secs => p_wait_ms::float8 / 1000),
      -- nobody says for how long: half a minute and more, twice as long with each attempt, at most 15 minutes
      least(interval '30 seconds' * power(2, least(j.attempt_count, 20) - 1), interval '15 minutes') * (1 + random() * 0.2)
    ),
    interval '1 day'
  ))
  where j.id = p_job_id and j.status = 'running'
  returning j.not_before
$$;
comment on function marketplace.note_wait(uuid, numeric) is
  'Notes that a running job has met a rate limit: no retry before it starts anew, in so many milliseconds, or, where the provider does not say, for a time that doubles with each attempt. Returns until when; null when the job does not run.';

create function marketplace.destination_folder(p_integration_id uuid, p_path text, p_proposed_id text)
returns text
language sql
volatile
set search_path = ''
as $$
  with proposed as (
    insert into marketplace.destination_folders as f (integration_id, path, folder_id)
    values (p_integration_id, p_path, p_proposed_id)
    on conflict (integration_id, path) do update set path = excluded.path -- no change; locks and returns the first one's
    returning f.folder_id
  )
  select p.folder_id from proposed as p
$$;
comment on function marketplace.destination_folder(uuid, text, text) is
  'Agrees on the id of a folder at a destination: the first proposal wins, everybody gets it.';

create function marketplace.forget_destination_folder(p_integration_id uuid, p_path text)
returns void
language sql
volatile
set search_path = ''
as $$
  delete from marketplace.destination_folders as f
  where f.integration_id = p_integration_id and (f.path = p_path or starts_with(f.path, p_path || '/'))
$$;
comment on function marketplace.forget_destination_folder(uuid, text) is
  'Forgets a folder that is gone at the destination, and those below it, so that they are made anew.';

create function marketplace._note_quota(
  p_organization_id uuid,
  p_integration_id uuid,
  p_connection_id uuid,
  p_name text,
  p_limit bigint,
  p_remaining bigint,
  p_resets_at timestamptz,
  p_action text default null
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  insert into marketplace.api_quotas as q (
    organization_id, integration_id, connection_id, name, limit_count, used_count, observed_count, is_observed, resets_at, action_slugs
  )
  select
    p_organization_id, p_integration_id, p_connection_id, p_name, p_limit,
    greatest(p_limit - p_remaining, 0), greatest(p_limit - p_remaining, 0), true, coalesce(p_resets_at, now() + interval '1 minute'),
    array_remove(array[p_action], null)
  where p_limit > 0 and p_remaining >= 0 and (p_resets_at is null or p_resets_at > now())
  on conflict (integration_id, connection_id, name) do update
    set limit_count = excluded.limit_count,
      is_observed = true,
      used_count = excluded.used_count,
      observed_count = excluded.observed_count,
      action_slugs = case when excluded.action_slugs <@ q.action_slugs then q.action_slugs else q.action_slugs || excluded.action_slugs end,
      -- a window that the provider began anew; what is reserved in the former one is settled there
      window_started_at = case when p_resets_at > q.resets_at + interval '2 seconds' and q.observed_count > 0
        then now() else q.window_started_at end,
      reserved_count = case when p_resets_at > q.resets_at + interval '2 seconds' and q.observed_count > 0
        then 0 else q.reserved_count end,
      resets_at = case when p_resets_at is not null then excluded.resets_at else greatest(q.resets_at, now()) end,
      updated_at = now()
    where case
      when p_resets_at is null then true -- a bucket that fills all the time: the latest word counts
      when q.observed_count = 0 or q.resets_at <= now() then true
      -- answers can arrive out of order: within a window the highest use is the latest
      when abs(extract(epoch from p_resets_at - q.resets_at)) <= 2 then excluded.observed_count > q.observed_count
      else p_resets_at > q.resets_at
    end;
end
$$;
comment on function marketplace._note_quota(uuid, uuid, uuid, text, bigint, bigint, timestamptz, text) is
  'Takes over what a provider said of a limit, unless a later answer has said more already. Resets null: it does not say when.';

create function marketplace.observe_quota(
  p_integration_id uuid,
  p_name text,
  p_limit bigint,
  p_remaining bigint,
  p_resets_at timestamptz
)
returns void
language sql
volatile
set search_path = ''
as $$
  select marketplace._note_quota(i.organization_id, i.id, null, p_name, p_limit, p_remaining, p_resets_at)
  from marketplace.integrations as i
  where i.id = p_integration_id
$$;
comment on function marketplace.observe_quota(uuid, text, bigint, bigint, timestamptz) is
  'Notes what a provider''s rate-limit headers said to an integration''s own credential: limit, remaining, and when the window resets.';

revoke all on all functions in schema marketplace from public;
grant execute on function
  marketplace.authorize_job(uuid, text),
  marketplace._require_lease(uuid, uuid),
  marketplace.plan_artifacts(uuid, uuid, jsonb),
  marketplace.last_synced(uuid, text),
  marketplace.occupied_paths(uuid, jsonb),
  marketplace._note_integration_health(uuid, text),
  marketplace.update_artifact(uuid, uuid, uuid, jsonb),
  marketplace.complete_job(uuid, uuid, jsonb),
  marketplace.fail_job(uuid, uuid, text, text, boolean),
  marketplace.note_wait(uuid, numeric),
  marketplace.destination_folder(uuid, text, text),
  marketplace.forget_destination_folder(uuid, text),
  marketplace._note_quota(uuid, uuid, uuid, text, bigint, bigint, timestamptz, text),
  marketplace.observe_quota(uuid, text, bigint, bigint, timestamptz)
to service_role;
