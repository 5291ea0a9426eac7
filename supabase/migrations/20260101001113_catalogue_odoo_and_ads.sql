-- Odoo (JSON-RPC), Google Ads and Meta's Marketing API.

-- Odoo ----------------------------------------------------------------------------------------
-- Every call carries database, user and password in its body. $secret leaves a marker that is replaced when
-- the request is sent; the request that is logged holds the marker.

select marketplace.register_provider(
  'odoo', 'Odoo', 'erp',
  p_auth_type => 'api_key',
  p_auth_config => $json$
  {
    "settings": {
      "db": {"title": "Database"},
      "login": {"title": "Login"},
      "uid": {"title": "User ID", "type": "integer", "is_required": false, "description": "Found when the connection is tested"}
    },
    "secrets": {"password": {"title": "API key or password"}},
    "headers": {},
    "health_settings": {"uid": "/uid"}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 60, "window_seconds": 60}}',
  p_health_action => 'common.authenticate',
  p_response_errors => '{"pointer": "/error", "code": "/error/data/name", "message": "/error/data/message", "unauthorized": ["odoo.exceptions.AccessDenied", "odoo.http.SessionExpiredException"], "rejected": ["odoo.exceptions.ValidationError", "odoo.exceptions.UserError", "odoo.exceptions.MissingError"]}',
  p_docs_url => 'https://www.odoo.com/documentation/18.0/developer/howtos/web_services.html'
);

select marketplace.register_action('odoo', 'common.authenticate', 'POST', '/jsonrpc', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$,
p_request_transform => $jsonata$
  {"jsonrpc": "2.0", "method": "call", "id": 1, "params": {
    "service": "common", "method": "authenticate",
    "args": [$connection.db, $connection.login, $secret("password"), {}]
  }}
$jsonata$,
p_response_transform => 'result ? {"uid": result} : $error("Odoo refused the login: check database, login and API key")',
p_is_read_only => true, p_name => 'Log in');

-- What is called, with which positional and which keyword arguments.
select marketplace.register_action('odoo', call.slug, 'POST', '/jsonrpc', jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'required', call.required, 'properties', call.properties
),
p_request_transform => format($jsonata$
  {"jsonrpc": "2.0", "method": "call", "id": 1, "params": {
    "service": "object", "method": "execute_kw",
    "args": [
      $connection.db,
      $connection.uid ? $number($connection.uid) : $error("the connection has no uid: test it first"),
      $secret("password"),
      %s, %s, %s, %s
    ]
  }}
$jsonata$, call.model, call.method, call.args, call.kwargs),
p_response_transform => 'result', p_pagination => call.pagination, p_is_read_only => call.is_read_only, p_is_idempotent => call.is_idempotent,
p_name => call.name)
from (
  values
  (
    'execute_kw', 'Call any method of any model', 'model', 'method', '[args]', 'kwargs ? kwargs : {}', '["model", "method"]'::jsonb, $json$
    {
      "model": {"type": "string", "minLength": 1, "description": "Such as res.partner"},
      "method": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
      "args": {"type": "array", "items": {}, "default": [], "description": "Positional arguments"},
      "kwargs": {"type": "object"}
    }
    $json$::jsonb, '{}'::jsonb, false, false
  ),
  (
    'search_read', 'Search and read records', 'model', '"search_read"', '[[domain]]',
    '{"fields": fields, "limit": limit, "offset": offset, "order": order}', '["model"]', $json$
    {
      "model": {"type": "string", "minLength": 1},
      "domain": {"type": "array", "items": {"type": ["string", "array"]}, "default": [], "description": "[[\"is_company\", \"=\", true]]"},
      "fields": {"type": "array", "items": {"type": "string"}, "default": []},
      "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 80},
      "offset": {"type": "integer", "minimum": 0},
      "order": {"type": "string", "description": "Such as: name asc, id desc"}
    }
    $json$, '{"style": "offset", "parameter": "offset", "size_parameter": "limit", "default_size": 80, "items": "/result"}', true, true
  ),
  (
    'search_count', 'Count records', 'model', '"search_count"', '[[domain]]', '{}', '["model"]', $json$
    {"model": {"type": "string", "minLength": 1}, "domain": {"type": "array", "items": {"type": ["string", "array"]}, "default": []}}
    $json$, '{}', true, true
  ),
  (
    'read', 'Read records by id', 'model', '"read"', '[[ids]]', '{"fields": fields}', '["model", "ids"]', $json$
    {
      "model": {"type": "string", "minLength": 1},
      "ids": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
      "fields": {"type": "array", "items": {"type": "string"}, "default": []}
    }
    $json$, '{}', true, true
  ),
  (
    'fields_get', 'Describe a model', 'model', '"fields_get"', '[]', '{"attributes": attributes}', '["model"]', $json$
    {
      "model": {"type": "string", "minLength": 1},
      "attributes": {"type": "array", "items": {"type": "string"}, "default": ["string", "type", "required", "relation"]}
    }
    $json$, '{}', true, true
  ),
  (
    'create', 'Create a record', 'model', '"create"', '[values]', '{}', '["model", "values"]', $json$
    {"model": {"type": "string", "minLength": 1}, "values": {"type": "object", "minProperties": 1}}
    $json$, '{}', false, false
  ),
  (
    'write', 'Change records', 'model', '"write"', '[[ids], values]', '{}', '["model", "ids", "values"]', $json$
    {
      "model": {"type": "string", "minLength": 1},
      "ids": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
      "values": {"type": "object", "minProperties": 1}
    }
    $json$, '{}', false, true
  ),
  (
    'unlink', 'Delete records', 'model', '"unlink"', '[[ids]]', '{}', '["model", "ids"]', $json$
    {"model": {"type": "string", "minLength": 1}, "ids": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1}}
    $json$, '{}', false, true
  ),
  (
    'message_post', 'Post in a record''s chatter', 'model', '"message_post"', '[[id]]', '{"body": body, "message_type": "comment"}',
    '["model", "id", "body"]', $json$
    {"model": {"type": "string", "minLength": 1}, "id": {"type": "integer", "minimum": 1}, "body": {"type": "string", "minLength": 1}}
    $json$, '{}', false, false
  ),
  (
    'project.task.create', 'Create a task', '"project.task"', '"create"',
    '[$merge([$sift(function($v, $k) { $k != "user_ids" }), user_ids ? {"user_ids": [[6, 0, [user_ids]]]} : {}])]', '{}', '["name"]', $json$
    {
      "name": {"type": "string", "minLength": 1},
      "project_id": {"type": "integer", "minimum": 1},
      "description": {"type": "string", "description": "HTML"},
      "user_ids": {"type": "array", "items": {"type": "integer", "minimum": 1}, "description": "Assignees"},
      "date_deadline": {"type": "string", "description": "2026-01-31, or with a time in UTC: 2026-01-31 12:00:00"},
      "priority": {"enum": ["0", "1"]},
      "stage_id": {"type": "integer", "minimum": 1},
      "partner_id": {"type": "integer", "minimum": 1},
      "parent_id": {"type": "integer", "minimum": 1}
    }
    $json$, '{}', false, false
  ),
  (
    'crm.lead.create', 'Create a lead', '"crm.lead"', '"create"', '[$]', '{}', '["name"]', $json$
    {
      "name": {"type": "string", "minLength": 1},
      "type": {"enum": ["lead", "opportunity"]},
      "contact_name": {"type": "string"},
      "partner_name": {"type": "string"},
      "email_from": {"type": "string"},
      "phone": {"type": "string"},
      "description": {"type": "string"},
      "expected_revenue": {"type": "number"},
      "team_id": {"type": "integer", "minimum": 1},
      "user_id": {"type": "integer", "minimum": 1}
    }
    $json$, '{}', false, false
  ),
  (
    'res.partner.create', 'Create a contact', '"res.partner"', '"create"', '[$]', '{}', '["name"]', $json$
    {
      "name": {"type": "string", "minLength": 1},
      "is_company": {"type": "boolean"},
      "parent_id": {"type": "integer", "minimum": 1},
      "email": {"type": "string"},
      "phone": {"type": "string"},
      "street": {"type": "string"},
      "zip": {"type": "string"},
      "city": {"type": "string"},
      "vat": {"type": "string"},
      "website": {"type": "string"},
      "comment": {"type": "string"}
    }
    $json$, '{}', false, false
  )
) as call (slug, name, model, method, args, kwargs, required, properties, pagination, is_read_only, is_idempotent);

-- Google Ads ----------------------------------------------------------------------------------

select marketplace.register_provider(
  'google_ads', 'Google Ads', 'marketing', 'https://googleads.googleapis.com/v24',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://accounts.google.com/o/oauth2/v2/auth",
    "token_url": "https://oauth2.googleapis.com/token",
    "revoke_url": "https://oauth2.googleapis.com/revoke",
    "authorize_params": {"access_type": "offline", "prompt": "consent"},
    "scopes": ["https://www.googleapis.com/auth/adwords"],
    "token_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": false,
    "settings": {"login_customer_id": {"title": "Manager account", "description": "Digits only", "pattern": "[0-9]{10}", "is_required": false}},
    "secrets": {"developer_token": {"title": "Developer token"}},
    "headers": {"developer-token": "{secret.developer_token}", "login-customer-id": "{connection.login_customer_id}"}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 15000, "window_seconds": 86400}}',
  p_health_action => 'customers.listAccessibleCustomers',
  p_docs_url => 'https://developers.google.com/google-ads/api/rest/overview'
);

select marketplace.register_action('google_ads', 'customers.listAccessibleCustomers', 'GET', '/customers:listAccessibleCustomers', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'List accounts');

select marketplace.register_action('google_ads', 'googleAds.search', 'POST', '/customers/{customerId}/googleAds:search', $json$
{
  "type": "object", "additionalProperties": false, "required": ["customerId", "query"],
  "properties": {
    "customerId": {"type": "string", "pattern": "^[0-9]{10}$"},
    "query": {"type": "string", "minLength": 1, "description": "Google Ads Query Language"},
    "pageToken": {"type": "string"},
    "validateOnly": {"type": "boolean"},
    "searchSettings": {"type": "object"}
  }
}
$json$, p_is_read_only => true, p_name => 'Query with GAQL',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/results"}');

select marketplace.register_action('google_ads', resource.slug || '.mutate', 'POST', format('/customers/{customerId}/%s:mutate', resource.slug), $json$
{
  "type": "object", "additionalProperties": false, "required": ["customerId", "operations"],
  "properties": {
    "customerId": {"type": "string", "pattern": "^[0-9]{10}$"},
    "operations": {
      "type": "array", "minItems": 1, "maxItems": 10000,
      "items": {
        "type": "object", "additionalProperties": false,
        "properties": {
          "create": {"type": "object"}, "update": {"type": "object"}, "updateMask": {"type": "string"}, "remove": {"type": "string"}
        }
      }
    },
    "partialFailure": {"type": "boolean"},
    "validateOnly": {"type": "boolean"},
    "responseContentType": {"enum": ["RESOURCE_NAME_ONLY", "MUTABLE_RESOURCE"]}
  }
}
$json$, p_name => resource.name)
from (
  values ('campaigns', 'Create or change campaigns'), ('campaignBudgets', 'Create or change budgets'), ('adGroups', 'Create or change ad groups')
) as resource (slug, name);

select marketplace.register_action('google_ads', 'campaigns.setStatus', 'POST', '/customers/{customerId}/campaigns:mutate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["customerId", "campaignId", "status"],
  "properties": {
    "customerId": {"type": "string", "pattern": "^[0-9]{10}$"},
    "campaignId": {"type": "string", "pattern": "^[0-9]+$"},
    "status": {"enum": ["ENABLED", "PAUSED"]}
  }
}
$json$,
p_request_transform => $jsonata$
  {"operations": [{
    "updateMask": "status",
    "update": {"resourceName": "customers/" & customerId & "/campaigns/" & campaignId, "status": status}
  }]}
$jsonata$,
p_is_idempotent => true, p_name => 'Pause or resume a campaign');

select marketplace.register_action('google_ads', 'customers.uploadClickConversions', 'POST', '/customers/{customerId}:uploadClickConversions', $json$
{
  "type": "object", "additionalProperties": false, "required": ["customerId", "conversions"],
  "properties": {
    "customerId": {"type": "string", "pattern": "^[0-9]{10}$"},
    "conversions": {
      "type": "array", "minItems": 1, "maxItems": 2000,
      "items": {"type": "object", "required": ["conversionAction", "conversionDateTime"], "properties": {"conversionAction": {"type": "string"}, "conversionDateTime": {"type": "string"}}}
    },
    "partialFailure": {"type": "boolean", "default": true, "description": "Google requires true"},
    "validateOnly": {"type": "boolean"}
  }
}
$json$, p_name => 'Upload offline conversions');

-- Meta ----------------------------------------------------------------------------------------

select marketplace.register_provider(
  'meta',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://www.facebook.com/v26.0/dialog/oauth",
    "token_url": "https://graph.facebook.com/v26.0/oauth/access_token",
    "scopes": ["ads_read", "ads_management"],
    "scope_separator": ",",
    "token_auth_method": "client_secret_post",
    "pkce": "none",
    "grant_types": ["authorization_code"],
    "token_lifetime_seconds": 5184000,
    "alternatives": {"bearer": {"secrets": {"api_token": {"title": "System user token"}}}}
  }
  $json$,
  p_rate_limit => $json$
  {
    "name": "ad account percent", "usage_header": "x-ad-account-usage", "usage_format": "json_percent", "usage_pointer": "/acc_id_util_pct",
    "quota": {"limit": 200, "window_seconds": 3600}
  }
  $json$,
  p_health_action => 'me.get'
);

select marketplace.register_action('meta', 'me.get', 'GET', '/v26.0/me', $json$
{"type": "object", "additionalProperties": false, "properties": {"fields": {"type": "array", "items": {"type": "string"}, "default": ["id", "name"], "x-style": "comma"}}}
$json$, p_name => 'Get the user');

select marketplace.register_action('meta', 'me.adaccounts', 'GET', '/v26.0/me/adaccounts', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "fields": {"type": "array", "items": {"type": "string"}, "default": ["id", "name", "account_status", "currency"], "x-style": "comma"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500},
    "after": {"type": "string"}
  }
}
$json$, p_name => 'List ad accounts', p_scopes => '{ads_read}',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/paging/cursors/after", "more": "/paging/next", "items": "/data"}');

select marketplace.register_action('meta', 'adaccount.' || list.slug, 'GET', format('/v26.0/{ad_account_id}/%s', list.slug), jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'required', '["ad_account_id"]'::jsonb, 'properties', $json$
  {
    "ad_account_id": {"type": "string", "pattern": "^act_[0-9]+$"},
    "effective_status": {"type": "array", "items": {"type": "string"}, "x-style": "json"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500},
    "after": {"type": "string"}
  }
  $json$::jsonb || jsonb_build_object(
    'fields', jsonb_build_object('type', 'array', 'items', '{"type": "string"}'::jsonb, 'x-style', 'comma', 'default', list.fields)
  )
), p_name => list.name, p_scopes => '{ads_read}',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/paging/cursors/after", "more": "/paging/next", "items": "/data"}')
from (
  values
  ('campaigns', 'List campaigns', '["id", "name", "objective", "status", "effective_status", "daily_budget"]'::jsonb),
  ('adsets', 'List ad sets', '["id", "name", "campaign_id", "status", "effective_status", "daily_budget", "optimization_goal"]'),
  ('ads', 'List ads', '["id", "name", "adset_id", "status", "effective_status", "creative"]')
) as list (slug, name, fields);

select marketplace.register_action('meta', 'campaigns.create', 'POST', '/v26.0/{ad_account_id}/campaigns', $json$
{
  "type": "object", "additionalProperties": false, "required": ["ad_account_id", "name", "objective", "special_ad_categories"],
  "properties": {
    "ad_account_id": {"type": "string", "pattern": "^act_[0-9]+$"},
    "name": {"type": "string", "minLength": 1},
    "objective": {"enum": ["OUTCOME_AWARENESS", "OUTCOME_TRAFFIC", "OUTCOME_ENGAGEMENT", "OUTCOME_LEADS", "OUTCOME_APP_PROMOTION", "OUTCOME_SALES"]},
    "status": {"enum": ["ACTIVE", "PAUSED"], "default": "PAUSED"},
    "special_ad_categories": {"type": "array", "items": {"type": "string"}, "x-style": "json", "description": "[] when none applies"},
    "buying_type": {"enum": ["AUCTION", "RESERVED"]},
    "bid_strategy": {"type": "string"},
    "daily_budget": {"type": "integer", "minimum": 1, "description": "In the currency's smallest unit"},
    "lifetime_budget": {"type": "integer", "minimum": 1}
  }
}
$json$, p_body_type => 'form', p_name => 'Create a campaign', p_scopes => '{ads_management}');

select marketplace.register_action('meta', 'adsets.create', 'POST', '/v26.0/{ad_account_id}/adsets', $json$
{
  "type": "object", "additionalProperties": false,
  "required": ["ad_account_id", "name", "campaign_id", "billing_event", "optimization_goal", "targeting"],
  "properties": {
    "ad_account_id": {"type": "string", "pattern": "^act_[0-9]+$"},
    "name": {"type": "string", "minLength": 1},
    "campaign_id": {"type": "string", "minLength": 1},
    "billing_event": {"type": "string", "description": "Such as IMPRESSIONS"},
    "optimization_goal": {"type": "string", "description": "Such as REACH"},
    "targeting": {"type": "object", "x-style": "json"},
    "promoted_object": {"type": "object", "x-style": "json"},
    "bid_amount": {"type": "integer", "minimum": 1},
    "daily_budget": {"type": "integer", "minimum": 1},
    "lifetime_budget": {"type": "integer", "minimum": 1},
    "start_time": {"type": "string"},
    "end_time": {"type": "string"},
    "status": {"enum": ["ACTIVE", "PAUSED"], "default": "PAUSED"}
  }
}
$json$, p_body_type => 'form', p_name => 'Create an ad set', p_scopes => '{ads_management}');

select marketplace.register_action('meta', 'objects.update', 'POST', '/v26.0/{object_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["object_id"],
  "properties": {
    "object_id": {"type": "string", "pattern": "^[0-9]+$", "description": "A campaign, ad set or ad"},
    "name": {"type": "string"},
    "status": {"enum": ["ACTIVE", "PAUSED", "ARCHIVED", "DELETED"]},
    "daily_budget": {"type": "integer", "minimum": 1},
    "lifetime_budget": {"type": "integer", "minimum": 1},
    "bid_amount": {"type": "integer", "minimum": 1}
  }
}
$json$, p_body_type => 'form', p_is_idempotent => true, p_name => 'Pause, resume or change a campaign, ad set or ad', p_scopes => '{ads_management}');

select marketplace.register_action('meta', 'insights.get', 'GET', '/v26.0/{object_id}/insights', $json$
{
  "type": "object", "additionalProperties": false, "required": ["object_id"],
  "properties": {
    "object_id": {"type": "string", "pattern": "^(act_)?[0-9]+$", "description": "An ad account, campaign, ad set or ad"},
    "level": {"enum": ["account", "campaign", "adset", "ad"]},
    "fields": {"type": "array", "items": {"type": "string"}, "default": ["impressions", "clicks", "spend"], "x-style": "comma"},
    "breakdowns": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "date_preset": {"type": "string", "description": "Such as last_7d"},
    "time_range": {
      "type": "object", "additionalProperties": false, "required": ["since", "until"], "x-style": "json",
      "properties": {"since": {"type": "string", "format": "date"}, "until": {"type": "string", "format": "date"}}
    },
    "time_increment": {"type": ["integer", "string"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500},
    "after": {"type": "string"}
  }
}
$json$, p_name => 'Get figures', p_scopes => '{ads_read}',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/paging/cursors/after", "more": "/paging/next", "items": "/data"}');

select marketplace.register_action('meta', 'events.create', 'POST', '/v26.0/{pixel_id}/events', $json$
{
  "type": "object", "additionalProperties": false, "required": ["pixel_id", "data"],
  "properties": {
    "pixel_id": {"type": "string", "pattern": "^[0-9]+$"},
    "data": {
      "type": "array", "minItems": 1, "maxItems": 1000,
      "items": {"type": "object", "required": ["event_name", "event_time", "user_data"], "properties": {"event_name": {"type": "string"}, "event_time": {"type": "integer"}, "user_data": {"type": "object"}}}
    },
    "test_event_code": {"type": "string"}
  }
}
$json$, p_name => 'Send conversion events', p_sensitive_paths => '{/data/*/user_data}');
