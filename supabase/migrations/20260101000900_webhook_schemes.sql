-- The catalogue's providers, and how each one's webhooks are proven, read and named. All of it is data:
-- a provider whose scheme is known to marketplace-webhook needs a row like these and no deploy.
-- The language of webhook_config is described in supabase/functions/marketplace-webhook/README.md.

insert into marketplace.providers as p
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
  'google_drive', 'Google Drive', 'storage', 'https://www.googleapis.com/drive/v3',
  'https://developers.google.com/workspace/drive/api/guides/push', null, 'workspace-events-handler', 65536, '{}'
),
(
  'aws_s3', 'AWS S3', 'storage', null, -- regional: integrations with api_base reach R2, B2, MinIO and others
  'https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html', null, null, 1048576, '{}'
),
(
  'slack', 'Slack', 'communication', 'https://slack.com/api',
  'https://docs.slack.dev/authentication/verifying-requests-from-slack', 'SLACK_SIGNING_SECRET', null, 1048576, '{}'
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
