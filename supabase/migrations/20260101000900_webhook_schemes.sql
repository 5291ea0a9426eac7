-- The catalogue's providers, and how each one's webhooks are proven, read and named: code and operations.
-- All of it is data: a provider whose scheme is known to marketplace-webhook needs a row like these and
-- no deploy. The language of webhook_config is described in
-- supabase/functions/marketplace-webhook/README.md.

insert into marketplace.providers
  (slug, name, category, base_url, docs_url, secret_env, default_workflow_slug, max_body_bytes, webhook_config)
values
(
  'github', 'GitHub', 'automation', 'https://api.github.com',
  'https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries',
  'GITHUB_WEBHOOK_SECRET', 'github-artifacts-mirror', 26214400,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-hub-signature-256", "prefix": "sha256="},
    "body": {"form_json_field": "payload"},
    "event": {
      "dedupe": "{header:x-github-delivery}",
      "type": ["{header:x-github-event}[.{body:/action}]"],
      "path": [
        {"if": {"event_type": "workflow_run.completed", "body:/workflow_run/conclusion": "success"}, "then": "artifacts/"},
        {"if": {"event_type": "workflow_run.completed"}, "then": "runs/{body:/workflow_run/conclusion}/artifacts/"},
        {"if": {"header:x-github-event": "push"}, "then": "{body:/ref}"},
        {"if": {"header:x-github-event": ["create", "delete"], "body:/ref_type": "branch"}, "then": "refs/heads/{body:/ref}"},
        {"if": {"header:x-github-event": ["create", "delete"], "body:/ref_type": "tag"}, "then": "refs/tags/{body:/ref}"},
        {"if": {"header:x-github-event": "release"}, "then": "releases/{body:/release/tag_name}"},
        {"if": {"header:x-github-event": "workflow_run"}, "then": "workflow_run/{body:/workflow_run/id}"},
        {"if": {"header:x-github-event": "workflow_job"}, "then": "workflow_job/{body:/workflow_job/name}"},
        {"if": {"header:x-github-event": "workflow_dispatch"}, "then": "{body:/ref}"},
        {"if": {"header:x-github-event": "check_run"}, "then": "check_run/{body:/check_run/name}"},
        {"if": {"header:x-github-event": "deployment"}, "then": "deployment/{body:/deployment/environment}"},
        {"if": {"header:x-github-event": "deployment_status"}, "then": "deployment/{body:/deployment/environment}"},
        {"if": {"header:x-github-event": ["issues", "issue_comment"]}, "then": "issues/{body:/issue/number}"},
        {"if": {"body:/pull_request/number": true}, "then": "pull_request/{body:/pull_request/number}"},
        "{header:x-github-event}/"
      ],
      "account": [
        "{body:/repository/full_name}", "{body:/organization/login}",
        "{body:/installation/account/login}", "{body:/sender/login}"
      ],
      "occurred_at": [
        "body:/workflow_run/updated_at", "body:/release/published_at", "body:/head_commit/timestamp",
        "body:/workflow_job/completed_at", "body:/comment/updated_at", "body:/pull_request/updated_at", "body:/issue/updated_at"
      ]
    }
  }
  $json$
),
(
  'gitlab', 'GitLab', 'automation', 'https://gitlab.com/api/v4',
  'https://docs.gitlab.com/user/project/integrations/webhooks/', 'GITLAB_WEBHOOK_SECRET', null, 26214400,
  $json$
  {
    "verify": [
      {"family": "standard_webhooks", "header_prefixes": ["webhook-"]},
      {"family": "token", "header": "x-gitlab-token"}
    ],
    "event": {
      "dedupe": ["{header:idempotency-key}", "{header:webhook-id}"],
      "type": [
        {"if": {"body:/object_kind": "pipeline"}, "then": "pipeline.{body:/object_attributes/status}"},
        {"if": {"body:/object_kind": "build"}, "then": "build.{body:/build_status}"},
        "{body:/object_kind}[.{body:/object_attributes/action}]",
        "{body:/event_name}"
      ],
      "path": [
        {"if": {"body:/object_kind": ["push", "tag_push"]}, "then": "{body:/ref}"},
        {"if": {"body:/object_kind": "merge_request"}, "then": "merge_requests/{body:/object_attributes/iid}"},
        {"if": {"body:/object_kind": ["issue", "work_item"]}, "then": "issues/{body:/object_attributes/iid}"},
        {"if": {"body:/object_kind": "pipeline"}, "then": "pipelines/{body:/object_attributes/id}"},
        {"if": {"body:/object_kind": "build"}, "then": "jobs/{body:/build_name}"},
        {"if": {"body:/object_kind": "release"}, "then": "releases/{body:/tag}"},
        "{body:/object_kind}/"
      ],
      "account": ["{body:/project/path_with_namespace}", "{body:/group/full_path}"],
      "occurred_at": ["body:/object_attributes/updated_at", "body:/created_at"]
    }
  }
  $json$
),
(
  'bitbucket', 'Bitbucket', 'automation', 'https://api.bitbucket.org/2.0',
  'https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/', 'BITBUCKET_WEBHOOK_SECRET', null, 10485760,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-hub-signature", "prefix": "sha256="},
    "event": {
      "dedupe": "{header:x-request-uuid}",
      "type": "{header:x-event-key}",
      "path": [
        {"if": {"body:/push/changes/0/new/type": "branch"}, "then": "refs/heads/{body:/push/changes/0/new/name}"},
        {"if": {"body:/push/changes/0/new/type": "tag"}, "then": "refs/tags/{body:/push/changes/0/new/name}"},
        "pullrequests/{body:/pullrequest/id}",
        "issues/{body:/issue/id}",
        "repository/"
      ],
      "account": "{body:/repository/full_name}",
      "occurred_at": ["body:/pullrequest/updated_on", "body:/push/changes/0/new/target/date", "body:/date"]
    }
  }
  $json$
),
(
  'jira', 'Jira', 'project_management', null,
  'https://developer.atlassian.com/cloud/jira/platform/webhooks/', 'JIRA_WEBHOOK_SECRET', null, 10485760,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-hub-signature", "prefix": "sha256="},
    "event": {
      "dedupe": ["{header:x-atlassian-webhook-identifier}", "{header:x-request-uuid}"],
      "type": "{body:/webhookEvent}",
      "path": ["issues/{body:/issue/key}", "projects/{body:/project/key}", "sprints/{body:/sprint/id}", "jira/"],
      "account": ["{body:/issue/fields/project/key}", "{body:/project/key}"],
      "occurred_at": ["body:/timestamp"]
    }
  }
  $json$
),
(
  'linear', 'Linear', 'project_management', 'https://api.linear.app',
  'https://linear.app/developers/webhooks', 'LINEAR_WEBHOOK_SECRET', null, 1048576,
  $json$
  {
    "verify": {
      "family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "linear-signature",
      "timestamp": {"from": "body:/webhookTimestamp", "unit": "ms", "tolerance_seconds": 60, "future_seconds": 60}
    },
    "event": {
      "dedupe": "{header:linear-delivery}",
      "type": "{body:/type}[.{body:/action}]",
      "path": ["{body:/type|lower}/{body:/data/identifier}", "{body:/type|lower}/{body:/data/id}", "{body:/type|lower}/"],
      "account": "{body:/organizationId}",
      "occurred_at": ["body:/createdAt", "body:/webhookTimestamp"]
    }
  }
  $json$
),
(
  'sentry', 'Sentry', 'monitoring', 'https://sentry.io/api/0',
  'https://docs.sentry.io/organization/integrations/integration-platform/webhooks/', 'SENTRY_CLIENT_SECRET', null, 4194304,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "sentry-hook-signature"},
    "event": {
      "dedupe": "{header:request-id}",
      "type": "{header:sentry-hook-resource}[.{body:/action}]",
      "path": [
        "issues/{body:/data/issue/id}", "issues/{body:/data/event/issue_id}", "issues/{body:/data/error/issue_id}",
        "metric_alerts/{body:/data/metric_alert/id}", "{header:sentry-hook-resource}/"
      ],
      "account": "{body:/installation/uuid}",
      "occurred_at": ["header:sentry-hook-timestamp"]
    }
  }
  $json$
),
(
  'pagerduty', 'PagerDuty', 'monitoring', 'https://api.pagerduty.com',
  'https://developer.pagerduty.com/docs/verifying-webhook-signatures', 'PAGERDUTY_WEBHOOK_SECRET', null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-pagerduty-signature", "prefix": "v1=", "separator": ","},
    "event": {
      "dedupe": "{body:/event/id}",
      "type": "{body:/event/event_type}",
      "path": ["{body:/event/resource_type}s/{body:/event/data/id}", "{body:/event/resource_type}s/", "events/"],
      "account": "{body:/event/data/service/id}",
      "occurred_at": ["body:/event/occurred_at"]
    }
  }
  $json$
),
(
  'vercel', 'Vercel', 'automation', 'https://api.vercel.com',
  'https://vercel.com/docs/webhooks/webhooks-api', 'VERCEL_WEBHOOK_SECRET', null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha1", "encoding": "hex", "header": "x-vercel-signature"},
    "event": {
      "dedupe": "{body:/id}",
      "type": "{body:/type}",
      "path": ["deployments/{body:/payload/deployment/id}", "projects/{body:/payload/project/id}", "events/"],
      "account": ["{body:/payload/team/id}", "{body:/payload/user/id}"],
      "occurred_at": ["body:/createdAt"]
    }
  }
  $json$
),
(
  'cloudflare', 'Cloudflare', 'monitoring', 'https://api.cloudflare.com/client/v4',
  'https://developers.cloudflare.com/notifications/get-started/configure-webhooks/', 'CLOUDFLARE_WEBHOOK_SECRET', null, 1048576,
  $json$
  {
    "verify": [
      {"family": "token", "header": "cf-webhook-auth"},
      {
        "family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "webhook-signature", "prefix": "sig1=",
        "separator": ",", "signed": "{timestamp}.{raw}", "timestamp": {"from": "part:time"}
      }
    ],
    "event": {
      "type": ["{body:/alert_type}[.{body:/alert_event}]", "stream.{body:/status/state}", "notification"],
      "path": ["alerts/{body:/alert_type}", "videos/{body:/uid}", "alerts/"],
      "account": ["{body:/account_id}", "{body:/creator}"],
      "occurred_at": ["body:/ts", "body:/modified"]
    }
  }
  $json$
)
on conflict (slug) do update set
  name = excluded.name,
  category = excluded.category,
  base_url = excluded.base_url,
  docs_url = excluded.docs_url,
  secret_env = excluded.secret_env,
  default_workflow_slug = excluded.default_workflow_slug,
  max_body_bytes = excluded.max_body_bytes,
  webhook_config = excluded.webhook_config;
