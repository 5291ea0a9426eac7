-- OpenAI, Anthropic, Windmill, n8n and SiYuan.

-- OpenAI --------------------------------------------------------------------------------------

select marketplace.register_provider(
  'openai', 'OpenAI', 'ai', 'https://api.openai.com/v1',
  p_auth_type => 'bearer',
  p_auth_config => $json$
  {
    "settings": {
      "organization": {"title": "Organization", "is_required": false}, "project": {"title": "Project", "is_required": false}
    },
    "secrets": {"api_token": {"title": "API key", "description": "Begins with sk-"}},
    "headers": {"openai-organization": "{connection.organization}", "openai-project": "{connection.project}"}
  }
  $json$,
  p_rate_limit => $json$
  {
    "limit_header": "x-ratelimit-limit-requests", "remaining_header": "x-ratelimit-remaining-requests",
    "reset_header": "x-ratelimit-reset-requests", "reset_format": "duration", "quota": {"limit": 500, "window_seconds": 60}
  }
  $json$,
  p_health_action => 'models.list',
  p_docs_url => 'https://platform.openai.com/docs/api-reference'
);

select marketplace.register_action('openai', 'models.list', 'GET', '/models', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'List models');

select marketplace.register_action('openai', 'responses.create', 'POST', '/responses', $json$
{
  "type": "object", "additionalProperties": true, "required": ["model", "input"],
  "properties": {
    "model": {"type": "string", "minLength": 1},
    "input": {"type": ["string", "array"], "items": {"type": "object"}},
    "instructions": {"type": ["string", "null"]},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 16},
    "previous_response_id": {"type": ["string", "null"]},
    "tools": {"type": "array", "items": {"type": "object"}},
    "tool_choice": {"type": ["string", "object"]},
    "text": {"type": "object"},
    "reasoning": {"type": ["object", "null"]},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "store": {"type": ["boolean", "null"]},
    "background": {"type": ["boolean", "null"]},
    "metadata": {"type": ["object", "null"]},
    "stream": {"const": false}
  }
}
$json$, p_name => 'Generate a response', p_timeout_ms => 120000, p_description => 'Further members of the API are passed on as they are.');

select marketplace.register_action('openai', 'chat.completions.create', 'POST', '/chat/completions', $json$
{
  "type": "object", "additionalProperties": true, "required": ["model", "messages"],
  "properties": {
    "model": {"type": "string", "minLength": 1},
    "messages": {
      "type": "array", "minItems": 1,
      "items": {"type": "object", "required": ["role"], "properties": {"role": {"enum": ["developer", "system", "user", "assistant", "tool", "function"]}}}
    },
    "max_completion_tokens": {"type": ["integer", "null"], "minimum": 1},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "tools": {"type": "array", "items": {"type": "object"}},
    "tool_choice": {"type": ["string", "object"]},
    "response_format": {"type": "object"},
    "n": {"type": ["integer", "null"], "minimum": 1},
    "stream": {"const": false}
  }
}
$json$, p_name => 'Complete a chat', p_timeout_ms => 120000, p_description => 'Further members of the API are passed on as they are.');

select marketplace.register_action('openai', 'embeddings.create', 'POST', '/embeddings', $json$
{
  "type": "object", "additionalProperties": false, "required": ["model", "input"],
  "properties": {
    "model": {"type": "string", "minLength": 1},
    "input": {"type": ["string", "array"], "items": {}},
    "dimensions": {"type": "integer", "minimum": 1},
    "encoding_format": {"enum": ["float", "base64"]},
    "user": {"type": "string"}
  }
}
$json$, p_is_read_only => true, p_name => 'Embed texts', p_timeout_ms => 60000);

select marketplace.register_action('openai', 'moderations.create', 'POST', '/moderations', $json$
{
  "type": "object", "additionalProperties": false, "required": ["input"],
  "properties": {"model": {"type": "string"}, "input": {"type": ["string", "array"], "items": {"type": ["string", "object"]}}}
}
$json$, p_is_read_only => true, p_name => 'Check texts and images');

select marketplace.register_action('openai', 'images.generate', 'POST', '/images/generations', $json$
{
  "type": "object", "additionalProperties": false, "required": ["prompt"],
  "properties": {
    "prompt": {"type": "string", "minLength": 1, "maxLength": 32000},
    "model": {"type": "string"},
    "n": {"type": "integer", "minimum": 1, "maximum": 10},
    "size": {"type": "string", "description": "Such as 1024x1024 or auto"},
    "quality": {"enum": ["auto", "low", "medium", "high", "standard", "hd"]},
    "background": {"enum": ["transparent", "opaque", "auto"]},
    "output_format": {"enum": ["png", "jpeg", "webp"]},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "moderation": {"enum": ["low", "auto"]}
  }
}
$json$, p_name => 'Generate images', p_timeout_ms => 120000, p_sensitive_paths => '{/data/*/b64_json}');

select marketplace.register_action('openai', 'audio.transcriptions.create', 'POST', '/audio/transcriptions', $json$
{
  "type": "object", "additionalProperties": false, "required": ["file", "model"],
  "properties": {
    "file": {"$ref": "#/$defs/file"},
    "model": {"type": "string", "minLength": 1},
    "language": {"type": "string", "minLength": 2, "maxLength": 3},
    "prompt": {"type": "string"},
    "response_format": {"enum": ["json", "verbose_json", "diarized_json"]},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1}
  },
  "$defs": {
    "file": {
      "type": "object", "additionalProperties": false, "required": ["filename"],
      "properties": {
        "filename": {"type": "string", "minLength": 1}, "content_type": {"type": "string"},
        "data": {"type": "string", "format": "base64"},
        "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
      }
    }
  }
}
$json$, p_body_type => 'multipart', p_is_read_only => true, p_name => 'Transcribe speech', p_timeout_ms => 120000, p_sensitive_paths => '{/file/data}');

select marketplace.register_action('openai', 'audio.speech.create', 'POST', '/audio/speech', $json$
{
  "type": "object", "additionalProperties": false, "required": ["model", "input", "voice"],
  "properties": {
    "model": {"type": "string", "minLength": 1},
    "input": {"type": "string", "minLength": 1, "maxLength": 4096},
    "voice": {"type": "string", "minLength": 1},
    "instructions": {"type": "string"},
    "response_format": {"enum": ["mp3", "opus", "aac", "flac", "wav", "pcm"]},
    "speed": {"type": "number", "minimum": 0.25, "maximum": 4}
  }
}
$json$, p_response_type => 'binary', p_name => 'Speak a text', p_timeout_ms => 120000);

select marketplace.register_action('openai', 'files.create', 'POST', '/files', $json$
{
  "type": "object", "additionalProperties": false, "required": ["file", "purpose"],
  "properties": {
    "file": {
      "type": "object", "additionalProperties": false, "required": ["filename"],
      "properties": {
        "filename": {"type": "string", "minLength": 1}, "content_type": {"type": "string"},
        "data": {"type": "string", "format": "base64"},
        "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
      }
    },
    "purpose": {"enum": ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]}
  }
}
$json$, p_body_type => 'multipart', p_name => 'Upload a file', p_timeout_ms => 120000, p_sensitive_paths => '{/file/data}');

select marketplace.register_action('openai', 'files.list', 'GET', '/files', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "purpose": {"type": "string"}, "order": {"enum": ["asc", "desc"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": 10000}, "after": {"type": "string"}
  }
}
$json$, p_name => 'List files',
p_pagination => '{"style": "cursor", "parameter": "after", "next_of_last_item": "/id", "more": "/has_more", "items": "/data"}');

select marketplace.register_action('openai', 'batches.create', 'POST', '/batches', $json$
{
  "type": "object", "additionalProperties": false, "required": ["input_file_id", "endpoint"],
  "properties": {
    "input_file_id": {"type": "string", "minLength": 1},
    "endpoint": {"enum": ["/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations"]},
    "completion_window": {"const": "24h", "default": "24h"},
    "metadata": {"type": "object", "additionalProperties": {"type": "string"}}
  }
}
$json$, p_name => 'Start a batch');

-- Anthropic -----------------------------------------------------------------------------------

select marketplace.register_provider(
  'anthropic', 'Anthropic', 'ai', 'https://api.anthropic.com',
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API key", "description": "Begins with sk-ant-"}}, "headers": {"x-api-key": "{secret.api_token}"}}',
  p_request_headers => '{"anthropic-version": "2026-10-21"}',
  p_rate_limit => $json$
  {
    "limit_header": "anthropic-ratelimit-requests-limit", "remaining_header": "anthropic-ratelimit-requests-remaining",
    "reset_header": "anthropic-ratelimit-requests-reset", "reset_format": "iso", "quota": {"limit": 50, "window_seconds": 60}
  }
  $json$,
  p_health_action => 'models.list',
  p_docs_url => 'https://platform.claude.com/docs/en/api/overview'
);

select marketplace.register_action('anthropic', 'models.list', 'GET', '/v1/models', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {"limit": {"type": "integer", "minimum": 1, "maximum": 1000}, "after_id": {"type": "string"}, "before_id": {"type": "string"}}
}
$json$, p_name => 'List models',
p_pagination => '{"style": "cursor", "parameter": "after_id", "next": "/last_id", "more": "/has_more", "items": "/data"}');

select marketplace.register_action('anthropic', message.slug, 'POST', message.path, jsonb_build_object(
  'type', 'object', 'additionalProperties', true, 'required', message.required,
  'properties', message.more || $json$
  {
    "model": {"type": "string", "minLength": 1},
    "messages": {
      "type": "array", "minItems": 1,
      "items": {
        "type": "object", "required": ["role", "content"],
        "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"type": ["string", "array"], "items": {"type": "object"}}}
      }
    },
    "system": {"type": ["string", "array"], "items": {"type": "object"}},
    "tools": {"type": "array", "items": {"type": "object"}},
    "tool_choice": {"type": "object"},
    "thinking": {"type": "object"}
  }
  $json$::jsonb
), p_is_read_only => message.is_read_only, p_name => message.name, p_timeout_ms => message.timeout_ms,
p_description => 'Further members of the API are passed on as they are.')
from (
  values
  (
    'messages.create', '/v1/messages', 'Generate a message', '["model", "max_tokens", "messages"]'::jsonb,
    '{"max_tokens": {"type": "integer", "minimum": 1}, "stop_sequences": {"type": "array", "items": {"type": "string"}}, "metadata": {"type": "object"}, "stream": {"const": false}}'::jsonb,
    false, 120000
  ),
  ('messages.countTokens', '/v1/messages/count_tokens', 'Count tokens', '["model", "messages"]', '{}', true, 30000)
) as message (slug, path, name, required, more, is_read_only, timeout_ms);

select marketplace.register_action('anthropic', 'messages.batches.create', 'POST', '/v1/messages/batches', $json$
{
  "type": "object", "additionalProperties": false, "required": ["requests"],
  "properties": {
    "requests": {
      "type": "array", "minItems": 1, "maxItems": 100000,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["custom_id", "params"],
        "properties": {"custom_id": {"type": "string", "minLength": 1, "maxLength": 64}, "params": {"type": "object"}}
      }
    }
  }
}
$json$, p_name => 'Start a batch');

select marketplace.register_action('anthropic', 'messages.batches.retrieve', 'GET', '/v1/messages/batches/{message_batch_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["message_batch_id"],
  "properties": {"message_batch_id": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Get a batch');

-- Windmill ------------------------------------------------------------------------------------

select marketplace.register_provider(
  'windmill', 'Windmill', 'automation', 'https://app.windmill.dev/api', -- self-hosted: api_base
  p_auth_type => 'bearer',
  p_auth_config => '{"settings": {"workspace": {"title": "Workspace"}}, "secrets": {"api_token": {"title": "Token"}}}',
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'whoami',
  p_docs_url => 'https://app.windmill.dev/openapi.html'
);

select marketplace.register_action('windmill', 'whoami', 'GET', '/w/{connection.workspace}/users/whoami', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the user');

select marketplace.register_action('windmill', run.slug, 'POST', run.path, jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'required', '["path"]'::jsonb,
  'properties', $json$
  {
    "path": {"type": "string", "pattern": "^[uf]/[^/]+/.+", "description": "Such as f/billing/send_invoices"},
    "args": {"type": "object", "default": {}},
    "tag": {"type": "string", "description": "Worker group"}
  }
  $json$::jsonb || run.more
), p_query_parameters => run.query, p_request_transform => 'args', p_response_type => run.response_type, p_timeout_ms => run.timeout_ms,
p_name => run.name)
from (
  values
  (
    'runScriptByPath', '/w/{connection.workspace}/jobs/run/p/{+path}', 'Start a script', 'text', 30000,
    '{tag,scheduled_in_secs}'::text[], '{"scheduled_in_secs": {"type": "integer", "minimum": 0}}'::jsonb
  ),
  (
    'runFlowByPath', '/w/{connection.workspace}/jobs/run/f/{+path}', 'Start a flow', 'text', 30000,
    '{tag,scheduled_in_secs}', '{"scheduled_in_secs": {"type": "integer", "minimum": 0}}'
  ),
  ('runWaitResultScriptByPath', '/w/{connection.workspace}/jobs/run_wait_result/p/{+path}', 'Run a script and wait', 'json', 120000, '{tag}', '{}')
) as run (slug, path, name, response_type, timeout_ms, query, more);

select marketplace.register_action('windmill', job.slug, 'GET', job.path, $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"id": {"type": "string", "format": "uuid"}}
}
$json$, p_name => job.name)
from (
  values
  ('getJob', '/w/{connection.workspace}/jobs_u/get/{id}', 'Get a job'),
  ('getCompletedJobResult', '/w/{connection.workspace}/jobs_u/completed/get_result/{id}', 'Get a job''s result')
) as job (slug, path, name);

select marketplace.register_action('windmill', 'listJobs', 'GET', '/w/{connection.workspace}/jobs/list', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "script_path_exact": {"type": "string"},
    "success": {"type": "boolean"},
    "running": {"type": "boolean"},
    "created_after": {"type": "string", "format": "date-time"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List jobs',
p_pagination => '{"style": "page", "parameter": "page", "size_parameter": "per_page", "default_size": 30, "items": ""}');

-- n8n -----------------------------------------------------------------------------------------

select marketplace.register_provider(
  'n8n', 'n8n', 'automation', -- every instance has a URL of its own: https://n8n.example.com/api/v1
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API key"}}, "headers": {"x-n8n-api-key": "{secret.api_token}"}}',
  p_rate_limit => '{"quota": {"limit": 50, "window_seconds": 1}}',
  p_health_action => 'workflows.list',
  p_docs_url => 'https://docs.n8n.io/api/api-reference/'
);

select marketplace.register_action('n8n', 'workflows.list', 'GET', '/workflows', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "active": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "name": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 250},
    "cursor": {"type": "string"}
  }
}
$json$, p_name => 'List workflows', p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/nextCursor", "items": "/data"}');

select marketplace.register_action('n8n', 'workflows.create', 'POST', '/workflows', $json$
{
  "type": "object", "additionalProperties": false, "required": ["name", "nodes", "connections", "settings"],
  "properties": {
    "name": {"type": "string", "minLength": 1},
    "nodes": {"type": "array", "items": {"type": "object"}},
    "connections": {"type": "object"},
    "settings": {"type": "object"},
    "staticData": {"type": ["object", "string", "null"]}
  }
}
$json$, p_name => 'Create a workflow');

select marketplace.register_action('n8n', workflow.slug, workflow.method, workflow.path, $json$
{
  "type": "object", "additionalProperties": false, "required": ["workflowId"],
  "properties": {"workflowId": {"type": "string", "minLength": 1}}
}
$json$, p_body_type => 'none', p_is_idempotent => true, p_name => workflow.name)
from (
  values
  ('workflows.get', 'GET', '/workflows/{workflowId}', 'Get a workflow'),
  ('workflows.activate', 'POST', '/workflows/{workflowId}/activate', 'Activate a workflow'),
  ('workflows.deactivate', 'POST', '/workflows/{workflowId}/deactivate', 'Deactivate a workflow')
) as workflow (slug, method, path, name);

select marketplace.register_action('n8n', 'executions.list', 'GET', '/executions', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "workflowId": {"type": "string"},
    "status": {"enum": ["canceled", "crashed", "error", "new", "running", "success", "unknown", "waiting"]},
    "includeData": {"type": "boolean"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 250},
    "cursor": {"type": "string"}
  }
}
$json$, p_name => 'List executions', p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/nextCursor", "items": "/data"}',
p_sensitive_paths => '{/data/*/data}');

select marketplace.register_action('n8n', 'executions.get', 'GET', '/executions/{executionId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["executionId"],
  "properties": {"executionId": {"type": ["integer", "string"]}, "includeData": {"type": "boolean"}}
}
$json$, p_name => 'Get an execution', p_sensitive_paths => '{/data}');

select marketplace.register_action('n8n', 'executions.retry', 'POST', '/executions/{executionId}/retry', $json$
{
  "type": "object", "additionalProperties": false, "required": ["executionId"],
  "properties": {"executionId": {"type": ["integer", "string"]}, "loadWorkflow": {"type": "boolean", "description": "True takes the workflow as it is now"}}
}
$json$, p_name => 'Retry an execution');

-- SiYuan --------------------------------------------------------------------------------------
-- Everything is a POST, and every answer has status 200 with a code.

select marketplace.register_provider(
  'siyuan', 'SiYuan', 'documents', -- a program on one's own machine: http://127.0.0.1:6806
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API token"}}, "headers": {"authorization": "Token {secret.api_token}"}}',
  p_rate_limit => '{"quota": {"limit": 50, "window_seconds": 1}}',
  p_health_action => 'notebook.lsNotebooks',
  p_response_errors => '{"pointer": "/code", "success": 0, "code": "/code", "message": "/msg"}',
  p_docs_url => 'https://github.com/siyuan-note/siyuan/blob/master/API.md'
);

select marketplace.register_action('siyuan', call.slug, 'POST', call.path, jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'required', call.required, 'properties', call.properties
), p_response_transform => call.response, p_is_read_only => call.is_read_only, p_is_idempotent => call.is_idempotent, p_name => call.name)
from (
  values
  ('notebook.lsNotebooks', '/api/notebook/lsNotebooks', 'List notebooks', '[]'::jsonb, '{}'::jsonb, 'data.notebooks', true, true),
  (
    'filetree.createDocWithMd', '/api/filetree/createDocWithMd', 'Create a document', '["notebook", "path", "markdown"]',
    '{"notebook": {"type": "string", "minLength": 1}, "path": {"type": "string", "pattern": "^/"}, "markdown": {"type": "string"}}',
    'data', false, false
  ),
  (
    'block.insertBlock', '/api/block/insertBlock', 'Insert a block', '["dataType", "data"]', $json$
    {
      "dataType": {"enum": ["markdown", "dom"]}, "data": {"type": "string"},
      "nextID": {"type": "string"}, "previousID": {"type": "string"}, "parentID": {"type": "string"}
    }
    $json$, 'data', false, false
  ),
  (
    'block.appendBlock', '/api/block/appendBlock', 'Append a block', '["dataType", "data", "parentID"]',
    '{"dataType": {"enum": ["markdown", "dom"]}, "data": {"type": "string"}, "parentID": {"type": "string", "minLength": 1}}',
    'data', false, false
  ),
  (
    'block.updateBlock', '/api/block/updateBlock', 'Change a block', '["dataType", "data", "id"]',
    '{"dataType": {"enum": ["markdown", "dom"]}, "data": {"type": "string"}, "id": {"type": "string", "minLength": 1}}',
    'data', false, true
  ),
  ('block.deleteBlock', '/api/block/deleteBlock', 'Delete a block', '["id"]', '{"id": {"type": "string", "minLength": 1}}', 'data', false, true),
  ('block.getBlockKramdown', '/api/block/getBlockKramdown', 'Read a block', '["id"]', '{"id": {"type": "string", "minLength": 1}}', 'data', true, true),
  ('export.exportMdContent', '/api/export/exportMdContent', 'Export a document as Markdown', '["id"]', '{"id": {"type": "string", "minLength": 1}}', 'data', true, true),
  (
    'query.sql', '/api/query/sql', 'Query blocks with SQL', '["stmt"]',
    '{"stmt": {"type": "string", "pattern": "^\\s*[Ss][Ee][Ll][Ee][Cc][Tt]\\s"}}', '[data]', true, true
  )
) as call (slug, path, name, required, properties, response, is_read_only, is_idempotent);
