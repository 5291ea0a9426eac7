-- The first actions of the catalogue: what the shipped workflows run through marketplace-execute.

insert into marketplace.actions as a
  (provider_slug, slug, name, description, method, path, request_schema, is_read_only, is_idempotent)
values
(
  'slack', 'chat.postMessage', 'Send a message',
  'Posts to a channel: https://docs.slack.dev/reference/methods/chat.postMessage',
  'POST', '/chat.postMessage',
  $json$
  {
    "type": "object",
    "required": ["channel"],
    "properties": {
      "channel": {"type": "string", "minLength": 1, "description": "Id, or name such as #ci-artifacts"},
      "text": {"type": "string", "maxLength": 40000, "description": "Message, or fallback for blocks"},
      "blocks": {"type": "array", "items": {"type": "object"}, "maxItems": 50},
      "attachments": {"type": "array", "items": {"type": "object"}, "maxItems": 100},
      "thread_ts": {"type": "string"},
      "reply_broadcast": {"type": "boolean"},
      "mrkdwn": {"type": "boolean"},
      "unfurl_links": {"type": "boolean"},
      "unfurl_media": {"type": "boolean"}
    },
    "additionalProperties": false
  }
  $json$,
  false, false
),
(
  'github', 'actions.listWorkflowRunArtifacts', 'List a workflow run''s artifacts',
  'https://docs.github.com/en/rest/actions/artifacts#list-workflow-run-artifacts',
  'GET', '/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts',
  $json$
  {
    "type": "object",
    "required": ["owner", "repo", "run_id"],
    "properties": {
      "owner": {"type": "string", "minLength": 1},
      "repo": {"type": "string", "minLength": 1},
      "run_id": {"type": "integer", "minimum": 1},
      "name": {"type": "string"},
      "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
      "page": {"type": "integer", "minimum": 1}
    },
    "additionalProperties": false
  }
  $json$,
  true, true
)
on conflict (provider_slug, slug) do update set
  name = excluded.name,
  description = excluded.description,
  method = excluded.method,
  path = excluded.path,
  request_schema = excluded.request_schema,
  is_read_only = excluded.is_read_only,
  is_idempotent = excluded.is_idempotent;
