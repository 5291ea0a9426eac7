-- The Workspace events handler: the workflow that Google's events go to, and the actions of which it
-- consists. Documents, messages and sheets arrive as one answer each, ready to be handed on.

insert into marketplace.workflows (
  slug, name, description, kind, endpoint, allows_private_network, max_concurrency, lease, max_attempts, retry_base, retry_cap
)
values (
  'workspace-events-handler',
  'Workspace events handler',
  'Drive files to storage, documents to GitHub as Markdown, messages to tasks, sheets to tables.',
  'n8n',
  'workspace-events-handler',
  true,
  5,
  '5 minutes',
  10,
  '2 seconds',
  '5 minutes'
)
on conflict (slug) do nothing;

-- Objects of a bucket are moved as artifacts are: by a link that the plan's tickets name.
update marketplace.providers as p set default_workflow_slug = 'github-artifacts-mirror' where p.slug = 'aws_s3';

-- Reading -------------------------------------------------------------------------------------

select marketplace.register_action('google_docs', 'documents.exportFiles', 'GET', '/documents/{documentId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["documentId", "path"],
  "properties": {
    "documentId": {"type": "string", "minLength": 1},
    "path": {"type": "string", "pattern": "^[^/].*\\.md$", "description": "Where the Markdown will be; images go into the folder of its name"}
  }
}
$json$, p_handler => 'google_docs_files', p_timeout_ms => 60000, p_quota_cost => 2, p_name => 'Export as Markdown with its images beside it',
p_sensitive_paths => '{/files/*/text,/files/*/content}', p_scopes => '{https://www.googleapis.com/auth/drive.readonly}',
p_description => 'The document''s title, link and last author, and its files as git would name them. At most 10 MB.');

select marketplace.register_action('gmail', 'messages.read', 'GET', '/users/{userId}/messages/{id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"userId": {"type": "string", "default": "me"}, "id": {"type": "string", "minLength": 1}}
}
$json$, p_handler => 'gmail_message', p_name => 'Read a message', p_quota_cost => 5,
p_sensitive_paths => '{/text,/html,/snippet,/subject}', p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}',
p_description => 'Sender, subject, date, text (made from HTML where there is no other), attachments and the thread''s link.');

select marketplace.register_action('gmail', 'messages.attachments.download', 'GET', '/users/{userId}/messages/{messageId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["messageId", "partId"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "messageId": {"type": "string", "minLength": 1},
    "partId": {"type": "string", "pattern": "^[0-9.]+$", "description": "As messages.read names it; attachment ids do not last"}
  }
}
$json$, p_response_type => 'binary', p_handler => 'gmail_attachment', p_name => 'Download an attachment', p_quota_cost => 10,
p_timeout_ms => 120000, p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('google_sheets', 'spreadsheets.rows.get', 'GET', '/spreadsheets/{spreadsheetId}/values/{range}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "range"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "range": {"type": "string", "minLength": 1, "description": "A1 notation; its first row is the header"},
    "key": {"type": "string", "minLength": 1, "description": "Column that tells rows apart: rows without, or with one that another row has, are named in bad_rows"},
    "valueRenderOption": {"enum": ["FORMATTED_VALUE", "UNFORMATTED_VALUE"], "default": "UNFORMATTED_VALUE"},
    "dateTimeRenderOption": {"enum": ["SERIAL_NUMBER", "FORMATTED_STRING"], "default": "FORMATTED_STRING"}
  }
}
$json$, p_handler => 'google_sheets_rows', p_name => 'Read a range as rows', p_scopes => '{https://www.googleapis.com/auth/spreadsheets.readonly}');

-- Writing -------------------------------------------------------------------------------------

select marketplace.register_action('github', 'repos.syncFiles', 'POST', '/repos/{owner}/{repo}/git/commits', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "message", "files"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "branch": {"type": "string", "minLength": 1, "description": "The default branch when absent"},
    "message": {"type": "string", "minLength": 1},
    "author": {
      "type": "object", "additionalProperties": false, "required": ["name", "email"],
      "properties": {"name": {"type": "string", "minLength": 1}, "email": {"type": "string", "minLength": 3}, "date": {"type": "string", "format": "date-time"}}
    },
    "files": {
      "type": "array", "minItems": 1, "maxItems": 500,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["path"],
        "properties": {
          "path": {"type": "string", "minLength": 1},
          "text": {"type": "string"},
          "content": {"type": "string", "format": "base64"},
          "sha": {"type": "string", "description": "Ignored: it is computed"},
          "size_bytes": {"type": "integer", "description": "Ignored"}
        }
      }
    },
    "expected": {
      "type": "object", "additionalProperties": {"type": "string"}, "default": {},
      "description": "Path to blob SHA as it was left last time. Files that are not in files any more are deleted"
    }
  }
}
$json$, p_handler => 'github_sync_files', p_name => 'Bring files up to date, without overwriting others'' work', p_scopes => '{repo}', p_quota_cost => 5,
p_timeout_ms => 60000, p_is_idempotent => true, p_sensitive_paths => '{/files/*/text,/files/*/content}',
p_description => 'One commit, or none when nothing differs. A file that is not as expected is a conflict (409): nothing is written.');

select marketplace.register_action('nocodb', 'records.upsert', 'POST', '/api/v2/tables/{tableId}/records', $json$
{
  "type": "object", "additionalProperties": false, "required": ["tableId", "key", "rows"],
  "properties": {
    "tableId": {"type": "string", "minLength": 1},
    "key": {"type": "string", "minLength": 1, "description": "Column that tells rows apart"},
    "rows": {"type": "array", "maxItems": 10000, "items": {"type": "object", "minProperties": 1}}
  }
}
$json$, p_handler => 'nocodb_upsert', p_is_idempotent => true, p_timeout_ms => 60000, p_name => 'Bring records up to date by a key column',
p_description => 'Creates what is missing, changes what differs, writes nothing else: {created, updated, unchanged}.');

select marketplace.register_provider(
  'supabase', 'Supabase', 'database', -- every project has a URL of its own: api_base is https://<project>.supabase.co
  p_auth_type => 'api_key',
  p_auth_config => $json$
  {
    "secrets": {"api_token": {"title": "Secret key", "description": "sb_secret_… or the service_role key"}},
    "headers": {"apikey": "{secret.api_token}", "authorization": "Bearer {secret.api_token}"}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'tables.list',
  p_docs_url => 'https://docs.postgrest.org/en/stable/references/api/tables_views.html'
);

select marketplace.register_action('supabase', 'tables.list', 'GET', '/rest/v1/', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_response_transform => '{"tables": $keys(definitions)}', p_name => 'List tables and views');

select marketplace.register_action('supabase', 'rows.list', 'GET', '/rest/v1/{table}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["table"],
  "properties": {
    "table": {"type": "string", "minLength": 1},
    "schema": {"type": "string", "description": "public when absent; it has to be exposed"},
    "select": {"type": "string", "default": "*"},
    "or": {"type": "string", "description": "Such as: (status.eq.open,points.gt.3)"},
    "order": {"type": "string", "description": "Such as: created_at.desc"},
    "limit": {"type": "integer", "minimum": 1},
    "offset": {"type": "integer", "minimum": 0}
  }
}
$json$, p_header_parameters => '{"schema": "accept-profile"}', p_name => 'List or search rows',
p_pagination => '{"style": "offset", "parameter": "offset", "size_parameter": "limit", "default_size": 1000, "items": ""}');

select marketplace.register_action('supabase', 'rows.insert', 'POST', '/rest/v1/{table}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["table", "rows"],
  "properties": {
    "table": {"type": "string", "minLength": 1},
    "schema": {"type": "string"},
    "rows": {"type": "array", "minItems": 1, "maxItems": 10000, "items": {"type": "object"}},
    "prefer": {"const": "return=representation", "default": "return=representation"}
  }
}
$json$, p_header_parameters => '{"schema": "content-profile", "prefer": "prefer"}', p_request_transform => '[rows]', p_name => 'Insert rows');

select marketplace.register_action('supabase', 'rows.upsert', 'POST', '/rest/v1/{table}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["table", "key", "rows"],
  "properties": {
    "table": {"type": "string", "minLength": 1},
    "schema": {"type": "string", "description": "public when absent; it has to be exposed"},
    "key": {"type": "string", "minLength": 1, "description": "Column that tells rows apart; it needs a unique index"},
    "rows": {"type": "array", "maxItems": 10000, "items": {"type": "object", "minProperties": 1}}
  }
}
$json$, p_handler => 'supabase_upsert', p_is_idempotent => true, p_timeout_ms => 60000, p_name => 'Bring rows up to date by a key column',
p_description => 'Creates what is missing, changes what differs (resolution=merge-duplicates), writes nothing else: {created, updated, unchanged}, and in refused the rows whose values the table does not take, up to twenty.');
