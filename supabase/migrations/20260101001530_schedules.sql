-- Scheduled rules: jobs without an event, made when a cron expression says so (UTC).

create function marketplace.make_scheduled_jobs(p_limit int default 100)
returns int
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_made int;
begin
  with
  -- a rule is one sweeper's: it is locked until its next time stands in the row
  due as (
    select r.*
    from marketplace.sync_rules as r
    where r.is_active and r.next_run_at <= now()
    order by r.next_run_at
    limit p_limit
    for no key update skip locked
  ),
  made as (
    insert into marketplace.sync_jobs (
      organization_id, rule_id, workflow_id, scheduled_at, priority, run_at, max_attempts, concurrency_key
    )
    select
      d.organization_id, d.id, d.workflow_id, d.next_run_at, d.priority,
      case when d.paused_at is null then now() else 'infinity' end,
      coalesce(d.max_attempts, w.max_attempts),
      case when d.concurrency_key is not null then marketplace._render_key(d.concurrency_key, null, i.slug) end
    from due as d
    join marketplace.workflows as w on w.id = d.workflow_id
    join marketplace.integrations as i on i.id = d.source_integration_id
    -- one that still waits will do what this one would
    where not exists (
      select from marketplace.sync_jobs as j
      where j.rule_id = d.id and j.scheduled_at is not null and j.status = 'pending' and j.attempt_count = 0
    )
    on conflict (rule_id, scheduled_at) where replay_of is null and scheduled_at is not null do nothing
    returning 1
  ),
  moved as (
    -- from now on: times that passed while nobody looked are one
    update marketplace.sync_rules as r
    set next_run_at = marketplace._next_run(r.schedule, now())
    from due as d
    where r.id = d.id
  )
  select count(*) into v_made from made;
  if v_made > 0 then
    perform marketplace.ring_if_due();
  end if;
  return v_made;
end
$$;
comment on function marketplace.make_scheduled_jobs(int) is
  'Makes the jobs of rules whose time has come: exactly one per rule and time, however many sweepers; missed times are one job, and none is made while an earlier one still waits to begin. Returns how many.';

revoke all on all functions in schema marketplace from public;
grant execute on function marketplace.make_scheduled_jobs(int) to service_role;
