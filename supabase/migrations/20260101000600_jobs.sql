-- Jobs (one event x one rule), their attempts, the artifacts they move, quotas and execution logs.

create table marketplace.sync_jobs (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  rule_id uuid not null references marketplace.sync_rules (id) on delete cascade,
  workflow_id uuid not null references marketplace.workflows (id),
  event_id uuid, -- null: made by a schedule, not by an event
  event_created_at timestamptz, -- null: as event_id; finds the event's partition
  scheduled_at timestamptz, -- null: not made by a schedule
  correlation_id uuid not null default gen_random_uuid(),
  status text not null default 'pending' check (status in ('pending', 'running', 'completed', 'dead', 'cancelled')),
  priority int not null default 0,
  run_at timestamptz not null default now(),
  not_before timestamptz, -- null: nobody asked to wait
  position bigint not null generated always as identity,
  concurrency_key text, -- null: runs in any order
  is_parked boolean not null default false,
  absorbed_count int not null default 0 check (absorbed_count >= 0),
  replay_of uuid references marketplace.sync_jobs (id) on delete set null, -- null: not a replay
  replayed_at timestamptz, -- null: never replayed
  attempt_count int not null default 0 check (attempt_count >= 0),
  max_attempts int not null default 3 check (max_attempts >= 1),
  lease_id uuid, -- null: nobody holds it
  lease_expires_at timestamptz, -- null: nobody holds it
  claimed_at timestamptz, -- null: it waits, or never began
  token_hash bytea, -- null: never claimed
  dispatched_at timestamptz, -- null: its attempt has not begun, or nobody has said how it was sent
  finished_at timestamptz, -- null: not finished
  error_code text, -- null: no attempt has failed
  error_message text, -- null: no attempt has failed
  result jsonb, -- null: not completed
  created_at timestamptz not null default now(),
  constraint sync_jobs_event_check check ((event_id is null) = (event_created_at is null)),
  constraint sync_jobs_running_has_lease_check check (
    (status = 'running') = (lease_id is not null)
    and (status = 'running') = (lease_expires_at is not null)
    and (status <> 'running' or claimed_at is not null)
  ),
  constraint sync_jobs_finished_check check ((status in ('completed', 'dead', 'cancelled')) = (finished_at is not null)),
  constraint sync_jobs_dead_has_reason_check check (status <> 'dead' or error_code is not null),
  constraint sync_jobs_attempts_check check (status <> 'running' or token_hash is not null and attempt_count >= 1)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
comment on table marketplace.sync_jobs is
  'The queue: pending -> running (leased) -> completed, or back to pending, or dead. Written by route_events, claim_jobs and the job functions; members of its organization read it.';
comment on column marketplace.sync_jobs.lease_id is
  'The attempt that holds the job. A report that names another one changes nothing.';
comment on column marketplace.sync_jobs.not_before is
  'When the rate limit starts anew that an attempt has met: a retry waits for it, whatever its backoff. Written by note_wait.';
comment on column marketplace.sync_jobs.token_hash is
  'SHA-256 of the token of the latest attempt; the token itself was given to the workflow only.';
comment on column marketplace.sync_jobs.scheduled_at is 'The time of its rule''s schedule that it was made for; it has no event.';
comment on column marketplace.sync_jobs.result is 'What the workflow reported at the end: {"summary": …}, or its answer.';
comment on column marketplace.sync_jobs.run_at is 'Not before; moved on by every retry; infinity while its rule is paused.';
comment on column marketplace.sync_jobs.position is 'The order in which jobs of one concurrency key run.';
comment on column marketplace.sync_jobs.is_parked is
  'One of very many that wait behind others of their key: claim_jobs does not look at it again until one of those ends.';
comment on column marketplace.sync_jobs.absorbed_count is 'How many further events it took in while it waited.';
comment on column marketplace.sync_jobs.event_id is
  'webhook_events.id; no foreign key: events have a retention of their own.';
comment on column marketplace.sync_jobs.event_created_at is 'Its created_at, to look in one partition only.';
comment on column marketplace.sync_jobs.status is 'A dead one waits for replay_job.';
comment on column marketplace.sync_jobs.priority is 'As its rule''s when it was made.';
comment on column marketplace.sync_jobs.concurrency_key is 'As its rule''s template rendered it.';
comment on column marketplace.sync_jobs.replay_of is 'The job that it does again.';
comment on column marketplace.sync_jobs.replayed_at is 'When it was last done again.';
comment on column marketplace.sync_jobs.attempt_count is 'Attempts that were begun.';
comment on column marketplace.sync_jobs.max_attempts is 'As its rule or workflow had it when it was made.';
comment on column marketplace.sync_jobs.lease_expires_at is 'Without a report by then, the attempt has failed.';
comment on column marketplace.sync_jobs.claimed_at is 'When the attempt began that runs, or that finished it.';
comment on column marketplace.sync_jobs.dispatched_at is 'When it was written down that its workflow has started or, unanswered, may have.';
comment on column marketplace.sync_jobs.finished_at is 'When it was completed, given up or cancelled.';

create function marketplace._claim_rank(p_run_at timestamptz, p_priority int)
returns timestamptz
language plpgsql -- cannot be inlined either way, and starts faster than language sql
immutable -- seconds do not depend on the time zone
set search_path = ''
as $$
begin
  return p_run_at - make_interval(secs => p_priority * 10);
end
$$;
comment on function marketplace._claim_rank(timestamptz, int) is
  'The order of the queue: when a job is due, with a head start of ten seconds a point of priority.';
revoke all on function marketplace._claim_rank(timestamptz, int) from public;
grant execute on function marketplace._claim_rank(timestamptz, int) to service_role;

-- exactly one job per (event, rule); replays stand beside it
create unique index sync_jobs_event_id_rule_id_key on marketplace.sync_jobs (event_id, rule_id) where replay_of is null;
-- and one per (rule, time of its schedule)
create unique index sync_jobs_rule_id_scheduled_at_key on marketplace.sync_jobs (rule_id, scheduled_at)
  where replay_of is null and scheduled_at is not null;
create unique index sync_jobs_open_replay_key on marketplace.sync_jobs (replay_of)
  where status in ('pending', 'running') and replay_of is not null;
create index sync_jobs_replay_of_idx on marketplace.sync_jobs (replay_of) where replay_of is not null;
-- run_at is in it so that what is not due yet is passed by without a look at the table, and the organization
-- so that a member's jobs are counted without one
create index sync_jobs_due_idx
  on marketplace.sync_jobs (workflow_id, is_parked, marketplace._claim_rank(run_at, priority), position, run_at)
  include (organization_id)
  where status = 'pending';
create index sync_jobs_parked_idx on marketplace.sync_jobs (workflow_id, concurrency_key, position)
  where status = 'pending' and is_parked;
create index sync_jobs_key_idx on marketplace.sync_jobs (workflow_id, concurrency_key, position)
  where status in ('pending', 'running') and concurrency_key is not null;
create index sync_jobs_running_idx on marketplace.sync_jobs (workflow_id, lease_expires_at) include (organization_id)
  where status = 'running';
create index sync_jobs_dead_idx on marketplace.sync_jobs (finished_at desc) where status = 'dead' and replayed_at is null;
-- of values that many rows share: to merge them costs each transition more than the pages it saves
create index sync_jobs_organization_id_idx on marketplace.sync_jobs (organization_id, created_at)
  with (deduplicate_items = off);
create index sync_jobs_rule_id_idx on marketplace.sync_jobs (rule_id) with (deduplicate_items = off);
create index sync_jobs_correlation_id_idx on marketplace.sync_jobs (correlation_id);

create table marketplace.sync_job_attempts (
  id uuid not null,
  started_at timestamptz not null default now(),
  organization_id uuid not null,
  job_id uuid not null,
  attempt int not null check (attempt >= 1),
  dispatch_outcome text check (dispatch_outcome in ('delivered', 'failed', 'unknown')), -- null: nobody has said
  dispatch_status int, -- null: no answer
  dispatch_ms numeric check (dispatch_ms >= 0), -- null: nobody has said
  result text check (result in ('completed', 'failed', 'lease_lost', 'cancelled')), -- null: still running
  ended_at timestamptz, -- null: still running
  error_code text, -- null: nothing went wrong
  error_message text, -- null: nothing went wrong
  response text, -- null: nothing worth keeping
  primary key (job_id, id, started_at),
  constraint sync_job_attempts_ended_check check ((result is null) = (ended_at is null))
) partition by range (started_at);
comment on table marketplace.sync_job_attempts is
  'One row per attempt of a job, partitioned by day: sent how, answered what, ended how. Written once it is known how it was sent, or how it ended; until then its job says that it runs. Its id is the lease id. Members of its organization read it.';
comment on column marketplace.sync_job_attempts.dispatch_outcome is
  'delivered = answered 2xx, that is started; failed = certainly not started; unknown = sent, no answer: possibly started.';
comment on column marketplace.sync_job_attempts.job_id is 'sync_jobs.id; no foreign key: attempts have a retention of their own.';
comment on column marketplace.sync_job_attempts.id is 'The lease''s id.';
comment on column marketplace.sync_job_attempts.started_at is 'When the job was claimed; decides the partition.';
comment on column marketplace.sync_job_attempts.attempt is 'The first is 1.';
comment on column marketplace.sync_job_attempts.dispatch_status is 'HTTP status of the endpoint''s answer.';
comment on column marketplace.sync_job_attempts.dispatch_ms is 'From sending to the endpoint''s answer.';
comment on column marketplace.sync_job_attempts.result is 'How it ended; lease_lost: nobody reported in time.';
comment on column marketplace.sync_job_attempts.ended_at is 'When that was known.';
comment on column marketplace.sync_job_attempts.response is 'What the endpoint answered, cut short.';
create table marketplace.sync_job_attempts_default partition of marketplace.sync_job_attempts default;
comment on table marketplace.sync_job_attempts_default is
  'Catches attempts of days without a partition; maintenance moves them. No policy: read through the parent.';
alter table marketplace.sync_job_attempts_default enable row level security;
create index sync_job_attempts_started_at_idx on marketplace.sync_job_attempts (started_at) with (deduplicate_items = off);

create table marketplace.artifact_syncs (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  job_id uuid not null references marketplace.sync_jobs (id) on delete cascade,
  rule_id uuid not null references marketplace.sync_rules (id) on delete cascade,
  source_integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  destination_integration_id uuid references marketplace.integrations (id) on delete cascade, -- null: the workflow decides
  correlation_id uuid not null,
  kind text not null default 'transfer' check (kind in ('transfer', 'document', 'task', 'table')),
  source_ref text not null,
  source_version text, -- null: the source counts none
  source_path text not null,
  name text not null,
  content_type text not null default 'application/octet-stream',
  size_bytes bigint check (size_bytes >= 0), -- null: the source does not say
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'), -- null: the source does not say
  destination_path text not null default '',
  destination_ref text, -- null: none yet; the destination's own id (Drive file id, object key)
  transferred_bytes bigint check (transferred_bytes >= 0), -- null: not reported
  transferred_sha256 text check (transferred_sha256 ~ '^[0-9a-f]{64}$'), -- null: not reported
  transferred_md5 text check (transferred_md5 ~ '^[0-9a-f]{32}$'), -- null: not reported
  destination_size_bytes bigint check (destination_size_bytes >= 0), -- null: not verified
  destination_checksum text, -- null: not verified; '<algorithm>:<hex>'
  result jsonb check (jsonb_typeof(result) = 'object'), -- null: nothing beyond the other columns
  status text not null default 'planned'
    check (status in ('planned', 'transferring', 'uploaded', 'completed', 'failed', 'skipped')),
  error_code text, -- null: no failure
  error_message text, -- null: no failure
  is_final boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  started_at timestamptz, -- null: not begun
  completed_at timestamptz, -- null: not completed
  constraint artifact_syncs_job_id_source_ref_key unique (job_id, source_ref),
  constraint artifact_syncs_completed_is_proven_check check (
    (status = 'completed') = (completed_at is not null)
    and (status <> 'completed' or case kind
      when 'task' then destination_ref is not null
      when 'table' then result is not null
      else destination_size_bytes is not null and destination_checksum is not null
    end)
  ),
  constraint artifact_syncs_size_matches_check check (
    status <> 'completed' or size_bytes is null or destination_size_bytes = size_bytes
  ),
  constraint artifact_syncs_failed_has_reason_check check (
    (status in ('failed', 'skipped')) = (error_code is not null) and (error_code is not null or error_message is null)
  ),
  constraint artifact_syncs_final_has_failed_check check (not is_final or status = 'failed')
) with (fillfactor = 80);
comment on table marketplace.artifact_syncs is
  'One object moved for a job: planned -> transferring -> uploaded -> completed once the destination''s size and checksum match; or failed, or skipped. The latest completed row of a rule and a source_ref is what the next sync of that source knows of the last one. Members of its organization read it.';
comment on column marketplace.artifact_syncs.kind is
  'transfer = bytes moved by a workflow; document = exported and committed; task = a message made into a task; table = rows brought up to date.';
comment on column marketplace.artifact_syncs.source_version is
  'What the source calls this state of it, such as a Drive file''s version: the same again is nothing new.';
comment on column marketplace.artifact_syncs.result is
  'What it became there: a commit and its blobs, a task''s link, counts of rows and the rows that could not be read.';
comment on column marketplace.artifact_syncs.is_final is
  'Whether a failure would be the same at every attempt (a conflict, a document too large): its job is not tried again for it.';
comment on column marketplace.artifact_syncs.job_id is 'For which job.';
comment on column marketplace.artifact_syncs.source_integration_id is 'Where it comes from.';
comment on column marketplace.artifact_syncs.destination_integration_id is 'Where it goes.';
comment on column marketplace.artifact_syncs.source_ref is 'The source''s own id of it; unique within the job.';
comment on column marketplace.artifact_syncs.source_path is 'What the rule''s pattern was compared with.';
comment on column marketplace.artifact_syncs.name is 'As the source calls it.';
comment on column marketplace.artifact_syncs.content_type is
  'Of what is moved, which may be an export of the original.';
comment on column marketplace.artifact_syncs.size_bytes is 'As the source tells it.';
comment on column marketplace.artifact_syncs.sha256 is 'As the source tells it: hex.';
comment on column marketplace.artifact_syncs.destination_path is 'destination_template, rendered.';
comment on column marketplace.artifact_syncs.destination_ref is
  'The destination''s own id: a Drive file''s, an object''s key.';
comment on column marketplace.artifact_syncs.transferred_bytes is 'What the workflow says it moved.';
comment on column marketplace.artifact_syncs.transferred_sha256 is 'Of the bytes as the workflow saw them: hex.';
comment on column marketplace.artifact_syncs.transferred_md5 is
  'The same in MD5, for destinations that know only that.';
comment on column marketplace.artifact_syncs.destination_size_bytes is 'As the destination itself tells it.';
comment on column marketplace.artifact_syncs.destination_checksum is
  'As the destination itself tells it: <algorithm>:<hex>.';
comment on column marketplace.artifact_syncs.status is
  'Only forwards; a failed one is planned again by the next attempt.';
comment on column marketplace.artifact_syncs.started_at is 'When its transfer began.';
comment on column marketplace.artifact_syncs.completed_at is
  'When the destination''s size and checksum had been compared.';
create index artifact_syncs_organization_id_idx on marketplace.artifact_syncs (organization_id, created_at desc);
create index artifact_syncs_created_at_idx on marketplace.artifact_syncs (created_at desc);
create index artifact_syncs_rule_id_idx on marketplace.artifact_syncs (rule_id, source_ref, created_at desc);
create index artifact_syncs_memory_idx on marketplace.artifact_syncs (rule_id, source_ref, completed_at desc)
  where status = 'completed';
create index artifact_syncs_place_idx on marketplace.artifact_syncs (rule_id, destination_path, completed_at desc)
  where status = 'completed' and destination_path <> '';
create index artifact_syncs_source_integration_id_idx on marketplace.artifact_syncs (source_integration_id, created_at desc);
create index artifact_syncs_destination_integration_id_idx on marketplace.artifact_syncs (destination_integration_id, created_at desc);
create index artifact_syncs_correlation_id_idx on marketplace.artifact_syncs (correlation_id);
create index artifact_syncs_failed_idx on marketplace.artifact_syncs (created_at desc) where status = 'failed';
create trigger artifact_syncs_touch before update on marketplace.artifact_syncs
  for each row execute function marketplace._touch_updated_at();

create table marketplace.destination_folders (
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  path text not null,
  folder_id text not null check (folder_id <> ''),
  created_at timestamptz not null default now(),
  primary key (integration_id, path)
);
comment on table marketplace.destination_folders is
  'Ids agreed upon for folders at destinations that address folders by id (Drive), so that two transfers never make one twice. No policy: only functions and the service role touch it.';
comment on column marketplace.destination_folders.path is 'Below the destination''s root folder.';
comment on column marketplace.destination_folders.folder_id is
  'The destination''s own id: whoever proposed first, and everybody since.';

create table marketplace.api_quotas (
  id uuid primary key default marketplace.uuid_v7(),
  organization_id uuid not null references marketplace.organizations (id),
  integration_id uuid not null references marketplace.integrations (id) on delete cascade,
  connection_id uuid, -- null: the integration's own credential, or all of its connections together
  name text not null check (name <> ''),
  limit_count bigint not null check (limit_count > 0),
  used_count bigint not null default 0 check (used_count >= 0),
  reserved_count bigint not null default 0 check (reserved_count >= 0),
  observed_count bigint not null default 0 check (observed_count >= 0),
  is_observed boolean not null default false,
  action_slugs text[] not null default '{}',
  window_started_at timestamptz not null default now(),
  resets_at timestamptz not null,
  updated_at timestamptz not null default now(),
  constraint api_quotas_integration_id_connection_id_name_key unique nulls not distinct (integration_id, connection_id, name),
  constraint api_quotas_window_check check (resets_at >= window_started_at)
) with (fillfactor = 70);
comment on table marketplace.api_quotas is
  'How much of a provider''s rate limit is spent in the running window. Reserved by begin_execution before a call, corrected by finish_executions and observe_quota from the provider''s answers; members of its organization read it.';
comment on column marketplace.api_quotas.reserved_count is 'For calls under way; an answer turns it into use, or gives it back.';
comment on column marketplace.api_quotas.observed_count is
  'The highest use that the provider has told in this window: an answer that tells less has been overtaken on its way.';
comment on column marketplace.api_quotas.is_observed is 'The provider told its limit: what the catalogue assumes does not replace it.';
comment on column marketplace.api_quotas.action_slugs is
  'Actions that the provider has counted here: where it has several limits, that is how it is known which one an action will spend.';
comment on column marketplace.api_quotas.connection_id is 'Whose account is counted.';
comment on column marketplace.api_quotas.name is 'Which of the provider''s limits, such as core or search.';
comment on column marketplace.api_quotas.limit_count is 'What the window allows.';
comment on column marketplace.api_quotas.used_count is 'What the window has seen.';
comment on column marketplace.api_quotas.window_started_at is 'Since when used_count counts.';
comment on column marketplace.api_quotas.resets_at is 'When the next window begins.';
create index api_quotas_organization_id_idx on marketplace.api_quotas (organization_id);
create index api_quotas_connection_id_idx on marketplace.api_quotas (connection_id) where connection_id is not null;

create table marketplace.execution_logs (
  id uuid not null default marketplace.uuid_v7(),
  created_at timestamptz not null default now(),
  organization_id uuid not null,
  integration_id uuid, -- null: the caller named none that it may use
  connection_id uuid, -- null: with the integration's own credential, or none was found
  caller text not null default 'service' check (caller in ('user', 'api_key', 'job', 'service')),
  user_id uuid, -- null: not called by a user
  api_key_id uuid, -- null: not called with an API key
  job_id uuid, -- null: not called for a job
  correlation_id uuid not null,
  action text not null,
  idempotency_key text, -- null: the caller sent none
  outcome text not null check (outcome in ('running', 'succeeded', 'failed')),
  status_code int, -- null: the provider did not answer
  attempt_count int not null default 0 check (attempt_count >= 0),
  duration_ms numeric check (duration_ms >= 0), -- null: still running
  request jsonb, -- null: refused before there was one
  response jsonb, -- null: the provider did not answer
  reserved jsonb, -- null: no quota, or it was lost, and settled for it
  error_code text, -- null: it went well
  error_message text, -- null: it went well
  primary key (id, created_at),
  constraint execution_logs_failed_has_reason_check check ((outcome = 'failed') = (error_code is not null)),
  constraint execution_logs_finished_check check ((outcome = 'running') = (duration_ms is null)),
  constraint execution_logs_caller_is_named_check check (
    (caller = 'user') = (user_id is not null) and (caller = 'api_key') = (api_key_id is not null)
    and (caller = 'job') = (job_id is not null)
  )
) partition by range (created_at);
comment on table marketplace.execution_logs is
  'Every action that somebody asked for, partitioned by day: who, what, where, when, and how it went. Begun by begin_execution, ended by finish_executions; members read theirs, owners and admins all of the organization.';
comment on column marketplace.execution_logs.attempt_count is 'Requests that went to the provider: 0 when it was refused before.';
comment on column marketplace.execution_logs.request is 'Method, URL and parameters; credentials and sensitive places taken out, capped.';
comment on column marketplace.execution_logs.response is 'The result, or what the provider refused with; sensitive places taken out, capped.';
comment on column marketplace.execution_logs.reserved is
  'What it has reserved of which quota windows, so that an execution which never reports leaves nothing reserved.';
comment on column marketplace.execution_logs.organization_id is
  'On whose behalf; who is not in it does not see the row.';
comment on column marketplace.execution_logs.integration_id is
  'Under which integration; no foreign key: logs outlive it.';
comment on column marketplace.execution_logs.connection_id is 'With which account; no foreign key: logs outlive it.';
comment on column marketplace.execution_logs.caller is 'Who asked, by kind of credential.';
comment on column marketplace.execution_logs.user_id is 'auth.users.id of the caller.';
comment on column marketplace.execution_logs.api_key_id is 'api_keys.id of the caller.';
comment on column marketplace.execution_logs.job_id is 'sync_jobs.id of the job that called.';
comment on column marketplace.execution_logs.action is 'Slug of the action.';
comment on column marketplace.execution_logs.idempotency_key is 'As the caller sent it.';
comment on column marketplace.execution_logs.outcome is 'One that never reports is ended by the sweep, as execution_lost.';
comment on column marketplace.execution_logs.status_code is 'The provider''s.';
comment on column marketplace.execution_logs.duration_ms is 'From the request''s arrival to its answer.';
create table marketplace.execution_logs_default partition of marketplace.execution_logs default;
comment on table marketplace.execution_logs_default is
  'Catches executions of days without a partition; maintenance moves them. No policy: read through the parent.';
alter table marketplace.execution_logs_default enable row level security;
create index execution_logs_created_at_idx on marketplace.execution_logs (created_at);
create index execution_logs_organization_id_idx on marketplace.execution_logs (organization_id, created_at desc);
create index execution_logs_correlation_id_idx on marketplace.execution_logs (correlation_id);
create index execution_logs_running_idx on marketplace.execution_logs (created_at) where outcome = 'running';

-- Who may -------------------------------------------------------------------------------------

alter table marketplace.sync_jobs enable row level security;
alter table marketplace.sync_job_attempts enable row level security;
alter table marketplace.artifact_syncs enable row level security;
alter table marketplace.destination_folders enable row level security;
alter table marketplace.api_quotas enable row level security;
alter table marketplace.execution_logs enable row level security;

create policy "members read their jobs" on marketplace.sync_jobs
  for select to authenticated
  -- an array: looked through for each of very many jobs, it costs a third of a set
  using (organization_id = any (array(select marketplace.my_organization_ids())));
create policy "members read the attempts of their jobs" on marketplace.sync_job_attempts
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));
create policy "members read their artifact syncs" on marketplace.artifact_syncs
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));
create policy "members read their quotas" on marketplace.api_quotas
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));
create policy "members read their executions" on marketplace.execution_logs
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

-- a member sees a job, but never the hash of its token, nor its position: that counts everybody's jobs
grant select (
  id, organization_id, rule_id, workflow_id, event_id, event_created_at, scheduled_at, correlation_id, status, priority, run_at, not_before,
  concurrency_key, is_parked, absorbed_count, replay_of, replayed_at,
  attempt_count, max_attempts, lease_expires_at, claimed_at, dispatched_at, finished_at, error_code, error_message,
  result, created_at
) on marketplace.sync_jobs to authenticated;
grant select on
  marketplace.sync_job_attempts, marketplace.artifact_syncs, marketplace.api_quotas, marketplace.execution_logs
to authenticated;
grant select, insert, update, delete on
  marketplace.sync_jobs, marketplace.sync_job_attempts, marketplace.artifact_syncs,
  marketplace.destination_folders, marketplace.api_quotas, marketplace.execution_logs
to service_role;
