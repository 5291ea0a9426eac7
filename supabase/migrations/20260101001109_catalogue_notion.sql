-- Notion. A page's title is a property of type title whose id is always "title": the transforms write it.

select marketplace.register_provider(
  'notion',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://api.notion.com/v1/oauth/authorize",
    "token_url": "https://api.notion.com/v1/oauth/token",
    "revoke_url": "https://api.notion.com/v1/oauth/revoke",
    "authorize_params": {"owner": "user"},
    "token_auth_method": "client_secret_basic",
    "token_body": "json",
    "token_headers": {"notion-version": "2025-09-03"},
    "pkce": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": true,
    "token_lifetime_seconds": null,
    "token_settings": {"workspace_id": "/workspace_id", "bot_id": "/bot_id"},
    "alternatives": {"bearer": {"secrets": {"api_token": {"title": "Integration secret", "description": "Begins with ntn_"}}}}
  }
  $json$,
  p_request_headers => '{"notion-version": "2025-09-03"}',
  p_rate_limit => '{"retry_after_header": "retry-after", "quota": {"limit": 180, "window_seconds": 60}}',
  p_health_action => 'users.me'
);

select marketplace.register_action('notion', 'users.me', 'GET', '/users/me', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the bot''s user');

select marketplace.register_action('notion', 'users.list', 'GET', '/users', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {"page_size": {"type": "integer", "minimum": 1, "maximum": 100}, "start_cursor": {"type": "string"}}
}
$json$, p_name => 'List people',
p_pagination => '{"style": "cursor", "parameter": "start_cursor", "next": "/next_cursor", "more": "/has_more", "items": "/results"}');

select marketplace.register_action('notion', 'search', 'POST', '/search', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "query": {"type": "string", "description": "Words in titles; everything shared when absent"},
    "filter": {
      "type": "object", "additionalProperties": false, "required": ["property", "value"],
      "properties": {"property": {"const": "object"}, "value": {"enum": ["page", "data_source"]}}
    },
    "sort": {
      "type": "object", "additionalProperties": false, "required": ["timestamp", "direction"],
      "properties": {"timestamp": {"const": "last_edited_time"}, "direction": {"enum": ["ascending", "descending"]}}
    },
    "page_size": {"type": "integer", "minimum": 1, "maximum": 100},
    "start_cursor": {"type": "string"}
  }
}
$json$, p_is_read_only => true, p_name => 'Search by title',
p_pagination => '{"style": "cursor", "parameter": "start_cursor", "next": "/next_cursor", "more": "/has_more", "items": "/results"}');

-- Pages ---------------------------------------------------------------------------------------

select marketplace.register_action('notion', 'pages.retrieve', 'GET', '/pages/{page_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["page_id"],
  "properties": {
    "page_id": {"type": "string", "minLength": 32},
    "filter_properties": {"type": "array", "items": {"type": "string"}, "description": "Ids of properties"}
  }
}
$json$, p_name => 'Get a page''s properties');

select marketplace.register_action('notion', 'pages.properties.retrieve', 'GET', '/pages/{page_id}/properties/{property_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["page_id", "property_id"],
  "properties": {
    "page_id": {"type": "string", "minLength": 32}, "property_id": {"type": "string", "minLength": 1},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 100}, "start_cursor": {"type": "string"}
  }
}
$json$, p_name => 'Get one property of a page',
p_pagination => '{"style": "cursor", "parameter": "start_cursor", "next": "/next_cursor", "more": "/has_more", "items": "/results"}');

select marketplace.register_action('notion', 'pages.create', 'POST', '/pages', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "page_id": {"type": "string", "minLength": 32, "description": "Page it becomes a child of; or pass data_source_id"},
    "data_source_id": {"type": "string", "minLength": 32, "description": "Data source it becomes a row of"},
    "title": {"type": "string"},
    "properties": {"type": "object", "description": "As Notion writes them, by name or id"},
    "children": {"type": "array", "items": {"type": "object"}, "maxItems": 100, "description": "Blocks"},
    "icon": {"type": "object"},
    "cover": {"type": "object"}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    {
      "parent": data_source_id ? {"type": "data_source_id", "data_source_id": data_source_id}
        : page_id ? {"type": "page_id", "page_id": page_id}
        : $error("pass page_id or data_source_id"),
      "properties": $merge([properties, $exists(title) ? {"title": {"title": [{"text": {"content": title}}]}} : {}])
    },
    $exists(children) ? {"children": [children]} : {},
    $exists(icon) ? {"icon": icon} : {},
    $exists(cover) ? {"cover": cover} : {}
  ])
$jsonata$,
p_name => 'Create a page or row');

select marketplace.register_action('notion', 'pages.update', 'PATCH', '/pages/{page_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["page_id"],
  "properties": {
    "page_id": {"type": "string", "minLength": 32},
    "title": {"type": "string"},
    "properties": {"type": "object", "description": "As Notion writes them, by name or id"},
    "in_trash": {"type": "boolean"},
    "is_locked": {"type": "boolean"},
    "icon": {"type": ["object", "null"]},
    "cover": {"type": ["object", "null"]}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    $sift($body, function($v, $k) { $not($k in ["title", "properties"]) }),
    $exists(title) or $exists(properties)
      ? {"properties": $merge([properties, $exists(title) ? {"title": {"title": [{"text": {"content": title}}]}} : {}])}
      : {}
  ])
$jsonata$,
p_is_idempotent => true, p_name => 'Change or trash a page');

-- Blocks --------------------------------------------------------------------------------------

select marketplace.register_action('notion', 'blocks.retrieve', 'GET', '/blocks/{block_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["block_id"],
  "properties": {"block_id": {"type": "string", "minLength": 32}}
}
$json$, p_name => 'Get a block');

select marketplace.register_action('notion', 'blocks.children.list', 'GET', '/blocks/{block_id}/children', $json$
{
  "type": "object", "additionalProperties": false, "required": ["block_id"],
  "properties": {
    "block_id": {"type": "string", "minLength": 32, "description": "A block's or page's id"},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 100},
    "start_cursor": {"type": "string"}
  }
}
$json$, p_name => 'Read a page''s content',
p_pagination => '{"style": "cursor", "parameter": "start_cursor", "next": "/next_cursor", "more": "/has_more", "items": "/results"}');

select marketplace.register_action('notion', 'blocks.children.append', 'PATCH', '/blocks/{block_id}/children', $json$
{
  "type": "object", "additionalProperties": false, "required": ["block_id"],
  "properties": {
    "block_id": {"type": "string", "minLength": 32},
    "text": {"type": "string", "description": "Paragraphs, one a line; or pass children"},
    "children": {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": 100},
    "after": {"type": "string", "description": "Block to append after; at the end when absent"}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    {"children": $exists(text)
      ? [$split(text, "\n").{"type": "paragraph", "paragraph": {"rich_text": [{"text": {"content": $}}]}}]
      : $exists(children) ? [children] : $error("pass text or children")},
    $exists(after) ? {"after": after} : {}
  ])
$jsonata$,
p_name => 'Append to a page');

select marketplace.register_action('notion', 'blocks.update', 'PATCH', '/blocks/{block_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["block_id", "block"],
  "properties": {
    "block_id": {"type": "string", "minLength": 32},
    "block": {"type": "object", "minProperties": 1, "description": "By type: {\"to_do\": {\"checked\": true}}"}
  }
}
$json$, p_request_transform => 'block', p_is_idempotent => true, p_name => 'Change a block');

select marketplace.register_action('notion', 'blocks.delete', 'DELETE', '/blocks/{block_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["block_id"],
  "properties": {"block_id": {"type": "string", "minLength": 32}}
}
$json$, p_name => 'Trash a block');

-- Databases -----------------------------------------------------------------------------------

select marketplace.register_action('notion', 'databases.retrieve', 'GET', '/databases/{database_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["database_id"],
  "properties": {"database_id": {"type": "string", "minLength": 32}}
}
$json$, p_name => 'Get a database and its data sources');

select marketplace.register_action('notion', 'databases.create', 'POST', '/databases', $json$
{
  "type": "object", "additionalProperties": false, "required": ["page_id", "title", "properties"],
  "properties": {
    "page_id": {"type": "string", "minLength": 32, "description": "Page it stands on"},
    "title": {"type": "string", "minLength": 1},
    "properties": {"type": "object", "minProperties": 1, "description": "Columns: {\"Name\": {\"title\": {}}, \"Done\": {\"checkbox\": {}}}"},
    "is_inline": {"type": "boolean"}
  }
}
$json$,
p_request_transform => $jsonata$
  {
    "parent": {"type": "page_id", "page_id": page_id},
    "title": [{"text": {"content": title}}],
    "is_inline": is_inline,
    "initial_data_source": {"properties": properties}
  }
$jsonata$,
p_name => 'Create a database');

select marketplace.register_action('notion', 'data_sources.retrieve', 'GET', '/data_sources/{data_source_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["data_source_id"],
  "properties": {"data_source_id": {"type": "string", "minLength": 32}}
}
$json$, p_name => 'Get a data source and its columns');

select marketplace.register_action('notion', 'data_sources.query', 'POST', '/data_sources/{data_source_id}/query', $json$
{
  "type": "object", "additionalProperties": false, "required": ["data_source_id"],
  "properties": {
    "data_source_id": {"type": "string", "minLength": 32},
    "filter_properties": {"type": "array", "items": {"type": "string"}},
    "filter": {"type": "object", "description": "{\"property\": \"Done\", \"checkbox\": {\"equals\": false}}"},
    "sorts": {"type": "array", "items": {"type": "object"}},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 100},
    "start_cursor": {"type": "string"}
  }
}
$json$, p_query_parameters => '{filter_properties}', p_is_read_only => true, p_name => 'Query rows',
p_pagination => '{"style": "cursor", "parameter": "start_cursor", "next": "/next_cursor", "more": "/has_more", "items": "/results"}');

-- Comments ------------------------------------------------------------------------------------

select marketplace.register_action('notion', 'comments.list', 'GET', '/comments', $json$
{
  "type": "object", "additionalProperties": false, "required": ["block_id"],
  "properties": {
    "block_id": {"type": "string", "minLength": 32, "description": "A block's or page's id"},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 100},
    "start_cursor": {"type": "string"}
  }
}
$json$, p_name => 'List comments',
p_pagination => '{"style": "cursor", "parameter": "start_cursor", "next": "/next_cursor", "more": "/has_more", "items": "/results"}');

select marketplace.register_action('notion', 'comments.create', 'POST', '/comments', $json$
{
  "type": "object", "additionalProperties": false, "required": ["text"],
  "properties": {
    "page_id": {"type": "string", "minLength": 32, "description": "Page to comment on; or pass discussion_id"},
    "discussion_id": {"type": "string", "minLength": 32, "description": "Thread to answer in"},
    "text": {"type": "string", "minLength": 1}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    discussion_id ? {"discussion_id": discussion_id}
      : page_id ? {"parent": {"page_id": page_id}} : $error("pass page_id or discussion_id"),
    {"rich_text": [{"text": {"content": text}}]}
  ])
$jsonata$,
p_name => 'Comment');
