begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(4);

-- given plans that were made when there was nothing
do $$
begin
  perform marketplace.register_provider(
    'acme', 'Acme', 'storage', 'https://acme.example', 'bearer', p_rate_limit => '{"quota": {"limit": 100000, "window_seconds": 86400}}'
  );
  perform marketplace.register_action('acme', 'files.list', 'GET', '/files', '{"type": "object", "properties": {}}');
end
$$;
create function pg_temp.run(p_integration text, p_count int) returns void language plpgsql as $$
declare
  v_reports jsonb := '[]';
begin
  perform marketplace.register_integration(p_integration, 'Acme', 'acme', 'storage');
  perform marketplace.set_integration_secret(p_integration, 'api_token', 'secret');
  for v_n in 1 .. p_count loop
    v_reports := v_reports || marketplace.begin_execution(jsonb_build_object(
      'caller', '{"kind": "service"}'::jsonb, 'integration', p_integration, 'action', 'files.list', 'pages', 1,
      'request_hash', '00', 'correlation_id', gen_random_uuid()
    ));
  end loop;
  select jsonb_agg(r || '{"action": "files.list", "outcome": "succeeded", "status_code": 200, "duration_ms": 1, "attempt_count": 1,
    "spent": 1, "observed": [], "is_kept": false, "is_read_only": true}') into v_reports
  from jsonb_array_elements(v_reports) as r;
  perform marketplace.finish_executions(v_reports);
end
$$;
do $$ begin perform pg_temp.run('acme-first', 1); end $$;

-- and then a day's log, and the limits of many integrations
insert into marketplace.execution_logs (created_at, organization_id, integration_id, correlation_id, action, outcome, duration_ms)
select now() - n * interval '1 ms', x.organization_id, x.integration_id, gen_random_uuid(), x.action,
  case when n > 1000 then 'running' else 'succeeded' end, case when n <= 1000 then 1 end
from marketplace.execution_logs as x, generate_series(1, 2000) as n
where x.action = 'files.list';
insert into marketplace.integrations (organization_id, slug, name, provider, category)
select i.organization_id, 'acme-' || n, 'Acme', i.provider, i.category
from marketplace.integrations as i, generate_series(1, 1000) as n
where i.slug = 'acme-first';
insert into marketplace.api_quotas (organization_id, integration_id, name, limit_count, resets_at)
select i.organization_id, i.id, 'requests', 10, now() + interval '1 hour'
from marketplace.integrations as i
where i.slug ~ '^acme-\d+$';

create function pg_temp.rows_read(p_table text) returns bigint language sql volatile as $$
  select coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)), 0)::bigint
  from pg_catalog.pg_stat_xact_user_tables as s
  where s.schemaname = 'marketplace' and s.relname ~ ('^' || p_table || '(_[0-9]+|_default)?$')
$$;
create temp table before as
select t, pg_temp.rows_read(t) as count from unnest(array['execution_logs', 'api_quotas', 'integrations', 'integration_secrets']) as t;

-- when ten run
do $$ begin perform pg_temp.run('acme-last', 10); end $$;

-- then what is read is theirs
select cmp_ok((select pg_temp.rows_read(t) - count from before where t = 'execution_logs'), '<=', 150::bigint, 'of the log, ten that began at one time');
select cmp_ok((select pg_temp.rows_read(t) - count from before where t = 'api_quotas'), '<=', 60::bigint, 'of the limits');
select cmp_ok((select pg_temp.rows_read(t) - count from before where t = 'integrations'), '<=', 150::bigint, 'of the integrations');
select cmp_ok((select pg_temp.rows_read(t) - count from before where t = 'integration_secrets'), '<=', 60::bigint, 'of the secrets');

select * from finish();
rollback;
