begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(22);

-- The statements that the documentation prints, word for word, in a project where nothing is set up yet.
delete from marketplace.sync_rules;
delete from marketplace.integrations;
delete from marketplace.webhook_events;

-- Registering integrations
select lives_ok($spec$
-- Register GitHub Actions integration
SELECT marketplace.register_integration(
    'github-actions',
    'GitHub Actions',
    'github',
    'automation',
    '{"api_base": "https://api.github.com", "default_org": "Insightpulseai-net"}'::JSONB
);
$spec$, 'the GitHub Actions integration is registered');
select lives_ok($spec$
-- Register Google Drive integration
SELECT marketplace.register_integration(
    'google-drive',
    'Google Drive',
    'google_drive',
    'storage',
    '{"api_base": "https://www.googleapis.com/drive/v3"}'::JSONB
);
$spec$, 'the Google Drive integration is registered');
select results_eq(
  'select slug, name, provider, category, status, is_default from marketplace.integrations order by slug',
  $$ values
    ('github-actions', 'GitHub Actions', 'github', 'automation', 'active', true),
    ('google-drive', 'Google Drive', 'google_drive', 'storage', 'active', true) $$,
  'both are active and receive their provider''s webhooks'
);

-- Creating sync rules
select lives_ok($spec$
-- Sync GitHub artifacts to Google Drive
INSERT INTO marketplace.sync_rules (
    name,
    description,
    source_integration_id,
    source_pattern,
    destination_integration_id,
    destination_template,
    artifact_types,
    priority
) VALUES (
    'GitHub Artifacts to Drive',
    'Mirror GitHub Actions artifacts to Google Drive',
    (SELECT id FROM marketplace.integrations WHERE slug = 'github-actions'),
    'artifacts/*',
    (SELECT id FROM marketplace.integrations WHERE slug = 'google-drive'),
    'CI-Artifacts/{date}/{workflow}/{name}',
    ARRAY['zip', 'pdf', 'json'],
    5
);
$spec$, 'the rule is created');
select results_eq(
  $$ select r.is_active, w.slug, o.is_default, r.event_types, r.artifact_types, r.priority
     from marketplace.sync_rules as r
     join marketplace.workflows as w on w.id = r.workflow_id
     join marketplace.organizations as o on o.id = r.organization_id $$,
  $$ values (true, 'github-artifacts-mirror', true, '{}'::text[], array['zip', 'pdf', 'json'], 5) $$,
  'it is active and carried out by the mirror workflow'
);

-- Monitoring, before anything has happened
select results_eq(
  $spec$ select slug, health_status, last_event_at, completed_24h from (
SELECT * FROM marketplace.v_integration_health
  ) as health $spec$,
  $$ values ('github-actions', 'unknown', null::timestamptz, 0::bigint),
       ('google-drive', 'unknown', null, 0) $$,
  'the health of both is unknown'
);
select is_empty($spec$
SELECT * FROM marketplace.v_recent_syncs LIMIT 20;
$spec$, 'nothing has been copied');
select is_empty($spec$
SELECT * FROM marketplace.v_quota_status WHERE usage_percent > 75;
$spec$, 'no quota is known');

-- Artifact mirroring, steps 1 to 3: a successful run is delivered and routed
create temp table delivered as
select o.* from marketplace.integrations as i, marketplace.ingest_events(
  array[i.id], array[i.config_version], array['delivery-1'], array['workflow_run.completed'], array['artifacts/'],
  array['Insightpulseai-net/odoo-ce'], array[now()], array['{}'], array['{"workflow_run": {"conclusion": "success"}}']
) as o
where i.slug = 'github-actions';
select results_eq('select outcome from delivered', array['stored'], 'a delivery is logged');
select is(
  (select p.event_type from (
-- Check pending webhook events
SELECT * FROM marketplace.webhook_events
WHERE NOT processed
ORDER BY created_at DESC
LIMIT 10
  ) as p), 'workflow_run.completed', 'it is among the pending events'
);
select null from pg_advisory_xact_lock(hashtext('marketplace.route_events'));
select results_eq('select * from marketplace.route_events()', 'select 1, 1', 'the rule matches it');
select is_empty($spec$
-- Check pending webhook events
SELECT * FROM marketplace.webhook_events
WHERE NOT processed
ORDER BY created_at DESC
LIMIT 10;
$spec$, 'then nothing is pending');

-- steps 4 and 5: one artifact is copied, another cannot be
create temp table held as select * from marketplace.claim_jobs(1000)
where workflow_slug = 'github-artifacts-mirror';
create temp table artifact as
select p.id, p.name from held as h, marketplace.plan_artifacts(h.job_id, h.lease_id, '[
  {"source_ref": "1", "source_path": "artifacts/report", "name": "report", "size_bytes": 3, "destination_path": "CI-Artifacts/2026-01-01/CI/report.pdf"},
  {"source_ref": "2", "source_path": "artifacts/image", "name": "image", "destination_path": "CI-Artifacts/2026-01-01/CI/image.zip"}
]') as p;
do $$
begin
  perform marketplace.update_artifact(s.job_id, s.lease_id, s.id, s.changes::jsonb)
  from (
    select h.job_id, h.lease_id, a.id, c.changes
    from held as h, artifact as a, (values
      (1, 'report', '{"status": "transferring", "destination_ref": "drive-file-1"}'),
      (2, 'report', '{"status": "uploaded"}'),
      (3, 'report', '{"status": "completed", "destination_size_bytes": 3, "destination_checksum": "md5:900150983cd24fb0d6963f7d28e17f72"}'),
      (4, 'image', '{"status": "failed", "error_code": "destination_full", "error_message": "The Drive is full."}')
    ) as c (n, name, changes)
    where c.name = a.name
    order by c.n
  ) as s;
  perform marketplace.observe_quota(id, 'core', 5000, 500, now() + interval '1 hour') from marketplace.integrations where slug = 'github-actions';
  update marketplace.integrations set health_status = 'unhealthy' where slug = 'google-drive';
end
$$;

select set_eq(
  $spec$ select name, status, source, destination, destination_path, rule from (
SELECT * FROM marketplace.v_recent_syncs LIMIT 20
  ) as recent $spec$,
  $$ values
    ('report', 'completed', 'github-actions', 'google-drive', 'CI-Artifacts/2026-01-01/CI/report.pdf', 'GitHub Artifacts to Drive'),
    ('image', 'failed', 'github-actions', 'google-drive', 'CI-Artifacts/2026-01-01/CI/image.zip', 'GitHub Artifacts to Drive') $$,
  'the recent syncs show both'
);
select results_eq(
  $spec$ select name, error_code, error_message from (
-- Check failed syncs
SELECT * FROM marketplace.artifact_syncs
WHERE status = 'failed'
ORDER BY created_at DESC
LIMIT 10
  ) as failed $spec$,
  $$ values ('image', 'destination_full', 'The Drive is full.') $$,
  'the failed syncs say why'
);
select results_eq($spec$
-- Check integration errors
SELECT slug, name, status, health_status, error_message
FROM marketplace.integrations
WHERE status = 'error' OR health_status = 'unhealthy';
$spec$, $$ values ('google-drive', 'Google Drive', 'active', 'unhealthy', 'The Drive is full.') $$, 'so do the integration errors');
select results_eq(
  $spec$ select integration, usage_percent from (
SELECT * FROM marketplace.v_quota_status WHERE usage_percent > 75
  ) as quota $spec$,
  $$ values ('github-actions', 90.0) $$,
  'a quota that is nearly spent is shown'
);
select results_eq(
  $spec$ select slug, health_status, last_event_at, completed_24h, failed_24h from (
SELECT * FROM marketplace.v_integration_health
  ) as health $spec$,
  $$ values ('github-actions', 'unknown', now(), 1::bigint, 1::bigint),
       ('google-drive', 'unhealthy', null, 1, 1) $$,
  'the health of both shows what happened'
);

-- Security
select is_empty(
  $$ select grantee from information_schema.role_table_grants
     where table_schema = 'marketplace' and table_name = 'oauth_tokens' and grantee not in ('postgres', 'service_role') $$,
  'oauth_tokens is for the service role only'
);
select set_eq(
  $$ select privilege_type from information_schema.role_table_grants
     where table_schema = 'marketplace' and table_name = 'oauth_tokens' and grantee = 'service_role' $$,
  array['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  'which has full access'
);
select is_empty(
  $$ select table_name from information_schema.role_table_grants
     where table_schema = 'marketplace' and grantee = 'authenticated' and privilege_type <> 'SELECT' $$,
  'authenticated users only read'
);

-- The other integrations that the document names
select is_empty(
  $$ select unnest(array['github', 'google_drive', 'aws_s3', 'slack']) except select slug
       from marketplace.providers $$,
  'their providers are in the catalogue'
);
select set_eq(
  $$ select table_name::text from information_schema.tables where table_schema = 'marketplace'
     and table_name in ('integrations', 'oauth_tokens', 'webhook_events', 'artifact_syncs', 'sync_rules', 'api_quotas') $$,
  array['integrations', 'oauth_tokens', 'webhook_events', 'artifact_syncs', 'sync_rules', 'api_quotas'],
  'so are the tables'
);

select * from finish();
rollback;
