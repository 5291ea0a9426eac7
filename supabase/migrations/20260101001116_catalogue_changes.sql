-- What marketplace-maintain runs to follow changes: Drive's feed for Docs and Sheets, GitHub's webhooks
-- and their delivery logs.

-- Documents and spreadsheets are files of Drive: the same actions, sent to Drive's API.
select marketplace.register_action(
  other.slug, a.slug, a.method, a.path, a.request_schema,
  p_query_parameters => case when a.method = 'GET' then array(
    select name from jsonb_object_keys(a.request_schema -> 'properties') as name
    where a.path not like '%{' || name || '}%'
    order by name
  ) else a.query_parameters end,
  p_response_type => a.response_type, p_pagination => a.pagination, p_handler => 'drive_api', p_is_idempotent => a.is_idempotent,
  p_name => a.name, p_sensitive_paths => a.sensitive_paths, p_scopes => a.scopes
)
from marketplace.actions as a
cross join (values ('google_docs'), ('google_sheets')) as other (slug)
where a.provider_slug = 'google_drive' and a.slug in (
  'changes.getStartPageToken', 'changes.list', 'changes.watch', 'channels.stop', 'files.list', 'files.get'
);

-- A repository's webhooks and an organization's differ in nothing but their place.
select marketplace.register_action(
  'github', place.prefix || action.slug, action.method, place.path || action.path,
  jsonb_build_object(
    'type', 'object', 'additionalProperties', false,
    'required', to_jsonb(place.parameters || action.required),
    'properties', (select jsonb_object_agg(name, '{"type": "string", "minLength": 1}'::jsonb) from unnest(place.parameters) as name)
      || action.properties
  ),
  p_request_transform => action.transform, p_response_type => action.response_type, p_pagination => action.pagination,
  p_is_idempotent => action.is_idempotent, p_name => action.name, p_description => place.what,
  p_sensitive_paths => action.sensitive_paths, p_scopes => case when action.method = 'GET' then place.reads else place.writes end
)
from (
  values
  ('repos.', '/repos/{owner}/{repo}', '{owner,repo}'::text[], 'A repository''s webhook.', '{read:repo_hook}'::text[], '{admin:repo_hook}'::text[]),
  ('orgs.', '/orgs/{org}', '{org}', 'An organization''s webhook.', '{admin:org_hook}', '{admin:org_hook}')
) as place (prefix, path, parameters, what, reads, writes)
cross join (
  values
  (
    'listWebhooks', 'GET', '/hooks', '{}'::text[],
    '{"per_page": {"type": "integer", "minimum": 1, "maximum": 100}, "page": {"type": "integer", "minimum": 1}}'::jsonb,
    null, 'json', '{"style": "link", "items": ""}'::jsonb, null::boolean, 'List webhooks', '{}'::text[]
  ),
  (
    'createWebhook', 'POST', '/hooks', '{config}',
    '{
      "events": {"type": "array", "items": {"type": "string"}, "default": ["push"]},
      "active": {"type": "boolean", "default": true},
      "config": {
        "type": "object", "additionalProperties": false, "required": ["url"],
        "properties": {
          "url": {"type": "string", "format": "uri"},
          "content_type": {"enum": ["json", "form"], "default": "json"},
          "secret": {"type": "string"},
          "insecure_ssl": {"enum": ["0", "1"]}
        }
      }
    }',
    '$merge([{"name": "web"}, $body])', 'json', '{}', false, 'Create a webhook', '{/config/secret}'
  ),
  (
    'updateWebhook', 'PATCH', '/hooks/{hook_id}', '{hook_id}',
    '{
      "hook_id": {"type": "integer", "minimum": 1},
      "events": {"type": "array", "items": {"type": "string"}},
      "active": {"type": "boolean"},
      "config": {
        "type": "object", "additionalProperties": false,
        "properties": {
          "url": {"type": "string", "format": "uri"},
          "content_type": {"enum": ["json", "form"]},
          "secret": {"type": "string"},
          "insecure_ssl": {"enum": ["0", "1"]}
        }
      }
    }',
    null, 'json', '{}', true, 'Change a webhook', '{/config/secret}'
  ),
  (
    'deleteWebhook', 'DELETE', '/hooks/{hook_id}', '{hook_id}', '{"hook_id": {"type": "integer", "minimum": 1}}',
    null, 'none', '{}', true, 'Delete a webhook', '{}'
  ),
  (
    'listWebhookDeliveries', 'GET', '/hooks/{hook_id}/deliveries', '{hook_id}',
    '{
      "hook_id": {"type": "integer", "minimum": 1},
      "status": {"enum": ["success", "failure"]},
      "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
      "cursor": {"type": "string"}
    }',
    null, 'json', '{"style": "link", "items": ""}', null, 'List a webhook''s deliveries', '{}'
  ),
  (
    'getWebhookDelivery', 'GET', '/hooks/{hook_id}/deliveries/{delivery_id}', '{hook_id,delivery_id}',
    '{"hook_id": {"type": "integer", "minimum": 1}, "delivery_id": {"type": "integer", "minimum": 1}}',
    null, 'json', '{}', null, 'Get a delivery of a webhook', '{/request/payload}'
  ),
  (
    'redeliverWebhookDelivery', 'POST', '/hooks/{hook_id}/deliveries/{delivery_id}/attempts', '{hook_id,delivery_id}',
    '{"hook_id": {"type": "integer", "minimum": 1}, "delivery_id": {"type": "integer", "minimum": 1}}',
    null, 'json', '{}', false, 'Deliver a webhook again', '{}'
  )
) as action (slug, method, path, required, properties, transform, response_type, pagination, is_idempotent, name, sensitive_paths);
