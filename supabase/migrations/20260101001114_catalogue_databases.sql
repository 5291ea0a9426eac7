-- NocoDB, Qdrant, Pinecone and Neo4j.

-- NocoDB --------------------------------------------------------------------------------------

select marketplace.register_provider(
  'nocodb', 'NocoDB', 'database', 'https://app.nocodb.com', -- self-hosted: api_base
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API token"}}, "headers": {"xc-token": "{secret.api_token}"}}',
  p_rate_limit => '{"quota": {"limit": 5, "window_seconds": 1}}',
  p_health_action => 'bases.list',
  p_docs_url => 'https://data-apis-v2.nocodb.com/'
);

select marketplace.register_action('nocodb', 'bases.list', 'GET', '/api/v2/meta/bases', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'List bases');

select marketplace.register_action('nocodb', 'tables.list', 'GET', '/api/v2/meta/bases/{baseId}/tables', $json$
{
  "type": "object", "additionalProperties": false, "required": ["baseId"],
  "properties": {"baseId": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'List tables');

select marketplace.register_action('nocodb', 'records.list', 'GET', '/api/v2/tables/{tableId}/records', $json$
{
  "type": "object", "additionalProperties": false, "required": ["tableId"],
  "properties": {
    "tableId": {"type": "string", "minLength": 1},
    "fields": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "sort": {"type": "array", "items": {"type": "string"}, "x-style": "comma", "description": "A minus reverses: -Created"},
    "where": {"type": "string", "description": "(Status,eq,Open)~and(Points,gt,3)"},
    "viewId": {"type": "string"},
    "offset": {"type": "integer", "minimum": 0},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000}
  }
}
$json$, p_name => 'List or search records',
p_pagination => '{"style": "offset", "parameter": "offset", "is_last": "/pageInfo/isLastPage", "items": "/list"}');

select marketplace.register_action('nocodb', 'records.get', 'GET', '/api/v2/tables/{tableId}/records/{recordId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["tableId", "recordId"],
  "properties": {
    "tableId": {"type": "string", "minLength": 1}, "recordId": {"type": ["string", "integer"]},
    "fields": {"type": "array", "items": {"type": "string"}, "x-style": "comma"}
  }
}
$json$, p_name => 'Get a record');

select marketplace.register_action('nocodb', 'records.count', 'GET', '/api/v2/tables/{tableId}/records/count', $json$
{
  "type": "object", "additionalProperties": false, "required": ["tableId"],
  "properties": {"tableId": {"type": "string", "minLength": 1}, "where": {"type": "string"}, "viewId": {"type": "string"}}
}
$json$, p_name => 'Count records');

select marketplace.register_action('nocodb', record.slug, record.method, '/api/v2/tables/{tableId}/records', jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'required', '["tableId", "records"]'::jsonb,
  'properties', jsonb_build_object(
    'tableId', '{"type": "string", "minLength": 1}'::jsonb,
    'records', '{"type": "array", "minItems": 1, "maxItems": 1000}'::jsonb || jsonb_build_object('items', record.items)
  )
), p_request_transform => '[records]', p_is_idempotent => record.is_idempotent, p_name => record.name)
from (
  values
  ('records.create', 'POST', 'Create records', '{"type": "object", "minProperties": 1}'::jsonb, false),
  (
    'records.update', 'PATCH', 'Change records',
    '{"type": "object", "required": ["Id"], "properties": {"Id": {"type": ["string", "integer"]}}}', true
  ),
  (
    'records.delete', 'DELETE', 'Delete records',
    '{"type": "object", "additionalProperties": false, "required": ["Id"], "properties": {"Id": {"type": ["string", "integer"]}}}', true
  )
) as record (slug, method, name, items, is_idempotent);

select marketplace.register_action('nocodb', 'links.create', 'POST', '/api/v2/tables/{tableId}/links/{linkFieldId}/records/{recordId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["tableId", "linkFieldId", "recordId", "ids"],
  "properties": {
    "tableId": {"type": "string", "minLength": 1}, "linkFieldId": {"type": "string", "minLength": 1}, "recordId": {"type": ["string", "integer"]},
    "ids": {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1, "description": "Records to link"}
  }
}
$json$, p_request_transform => '[ids.{"Id": $}]', p_is_idempotent => true, p_name => 'Link records');

-- Qdrant --------------------------------------------------------------------------------------

select marketplace.register_provider(
  'qdrant', 'Qdrant', 'database', -- every cluster has a URL of its own
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API key", "is_required": false}}, "headers": {"api-key": "{secret.api_token}"}}',
  p_rate_limit => '{"quota": {"limit": 1000, "window_seconds": 1}}',
  p_health_action => 'collections.list',
  p_docs_url => 'https://api.qdrant.tech/api-reference'
);

select marketplace.register_action('qdrant', 'collections.list', 'GET', '/collections', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_response_transform => 'result.collections', p_name => 'List collections');

select marketplace.register_action('qdrant', 'collections.get', 'GET', '/collections/{collection_name}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name"],
  "properties": {"collection_name": {"type": "string", "minLength": 1}}
}
$json$, p_response_transform => 'result', p_name => 'Get a collection');

select marketplace.register_action('qdrant', 'collections.create', 'PUT', '/collections/{collection_name}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name", "vectors"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "vectors": {"type": "object", "description": "{\"size\": 1536, \"distance\": \"Cosine\"}, or such by vector name"},
    "sparse_vectors": {"type": "object"},
    "on_disk_payload": {"type": "boolean"},
    "shard_number": {"type": "integer", "minimum": 1},
    "replication_factor": {"type": "integer", "minimum": 1},
    "hnsw_config": {"type": "object"},
    "quantization_config": {"type": "object"}
  }
}
$json$, p_name => 'Create a collection');

select marketplace.register_action('qdrant', 'collections.delete', 'DELETE', '/collections/{collection_name}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name"],
  "properties": {"collection_name": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Delete a collection');

select marketplace.register_action('qdrant', 'points.upsert', 'PUT', '/collections/{collection_name}/points', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name", "points"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "wait": {"type": "boolean", "default": true, "description": "True answers when the points can be found"},
    "ordering": {"enum": ["weak", "medium", "strong"]},
    "points": {
      "type": "array", "minItems": 1, "maxItems": 10000,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["id", "vector"],
        "properties": {
          "id": {"type": ["integer", "string"], "description": "Number or UUID"},
          "vector": {"type": ["array", "object"], "items": {}, "description": "Numbers, or vectors by name"},
          "payload": {"type": ["object", "null"]}
        }
      }
    }
  }
}
$json$, p_query_parameters => '{wait,ordering}', p_name => 'Insert or replace points', p_timeout_ms => 60000);

select marketplace.register_action('qdrant', 'points.query', 'POST', '/collections/{collection_name}/points/query', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "query": {"type": ["array", "object", "string", "integer"], "items": {}, "description": "A vector, a point's id, or a query object"},
    "prefetch": {"type": ["array", "object"], "items": {}},
    "using": {"type": "string", "description": "Name of the vector"},
    "filter": {"type": "object"},
    "params": {"type": "object"},
    "score_threshold": {"type": "number"},
    "limit": {"type": "integer", "minimum": 1},
    "offset": {"type": "integer", "minimum": 0},
    "with_payload": {"type": ["boolean", "array", "object"], "items": {"type": "string"}},
    "with_vector": {"type": ["boolean", "array"], "items": {"type": "string"}}
  }
}
$json$, p_response_transform => 'result', p_is_read_only => true, p_name => 'Search points');

select marketplace.register_action('qdrant', 'points.scroll', 'POST', '/collections/{collection_name}/points/scroll', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "filter": {"type": "object"},
    "limit": {"type": "integer", "minimum": 1},
    "offset": {"type": ["integer", "string"], "description": "Point to begin with"},
    "with_payload": {"type": ["boolean", "array", "object"], "items": {"type": "string"}},
    "with_vector": {"type": ["boolean", "array"], "items": {"type": "string"}},
    "order_by": {"type": ["string", "object"]}
  }
}
$json$, p_response_transform => 'result', p_is_read_only => true, p_name => 'Page through points',
p_pagination => '{"style": "cursor", "parameter": "offset", "next": "/result/next_page_offset", "items": "/result/points"}');

select marketplace.register_action('qdrant', 'points.retrieve', 'POST', '/collections/{collection_name}/points', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name", "ids"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "ids": {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1},
    "with_payload": {"type": ["boolean", "array", "object"], "items": {"type": "string"}},
    "with_vector": {"type": ["boolean", "array"], "items": {"type": "string"}}
  }
}
$json$, p_response_transform => '[result]', p_is_read_only => true, p_name => 'Get points by id');

select marketplace.register_action('qdrant', 'points.count', 'POST', '/collections/{collection_name}/points/count', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name"],
  "properties": {"collection_name": {"type": "string", "minLength": 1}, "filter": {"type": "object"}, "exact": {"type": "boolean"}}
}
$json$, p_response_transform => 'result', p_is_read_only => true, p_name => 'Count points');

select marketplace.register_action('qdrant', 'points.setPayload', 'POST', '/collections/{collection_name}/points/payload', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name", "payload"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "wait": {"type": "boolean", "default": true},
    "payload": {"type": "object", "minProperties": 1},
    "points": {"type": "array", "items": {"type": ["integer", "string"]}, "description": "Ids; or pass filter"},
    "filter": {"type": "object"}
  }
}
$json$, p_query_parameters => '{wait}', p_is_idempotent => true, p_name => 'Set payload values');

select marketplace.register_action('qdrant', 'points.delete', 'POST', '/collections/{collection_name}/points/delete', $json$
{
  "type": "object", "additionalProperties": false, "required": ["collection_name"],
  "properties": {
    "collection_name": {"type": "string", "minLength": 1},
    "wait": {"type": "boolean", "default": true},
    "points": {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1},
    "filter": {"type": "object", "minProperties": 1}
  },
  "anyOf": [
    {"type": "object", "required": ["points"], "properties": {"points": {"type": "array"}}},
    {"type": "object", "required": ["filter"], "properties": {"filter": {"type": "object"}}}
  ]
}
$json$, p_query_parameters => '{wait}', p_is_idempotent => true, p_name => 'Delete points');

-- Pinecone ------------------------------------------------------------------------------------
-- Indexes are managed at one host; each index answers at a host of its own, which is the integration's api_base.

select marketplace.register_provider(
  'pinecone_control', 'Pinecone (indexes)', 'database', 'https://api.pinecone.io',
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API key"}}, "headers": {"api-key": "{secret.api_token}"}}',
  p_request_headers => '{"x-pinecone-api-version": "2026-04"}',
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 60}}',
  p_health_action => 'list_indexes',
  p_docs_url => 'https://docs.pinecone.io/reference/api/2026-04/control-plane/list_indexes'
);

select marketplace.register_provider(
  'pinecone', 'Pinecone', 'database',
  p_auth_type => 'api_key',
  p_auth_config => '{"secrets": {"api_token": {"title": "API key"}}, "headers": {"api-key": "{secret.api_token}"}}',
  p_request_headers => '{"x-pinecone-api-version": "2026-04"}',
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'describe_index_stats',
  p_docs_url => 'https://docs.pinecone.io/reference/api/2026-04/data-plane/upsert'
);

select marketplace.register_action('pinecone_control', 'list_indexes', 'GET', '/indexes', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'List indexes');

select marketplace.register_action('pinecone_control', 'describe_index', 'GET', '/indexes/{index_name}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["index_name"],
  "properties": {"index_name": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Get an index', p_description => 'Its host is what an integration of provider pinecone needs as api_base.');

select marketplace.register_action('pinecone_control', 'create_index', 'POST', '/indexes', $json$
{
  "type": "object", "additionalProperties": false, "required": ["name", "spec"],
  "properties": {
    "name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?$"},
    "dimension": {"type": "integer", "minimum": 1, "maximum": 20000},
    "metric": {"enum": ["cosine", "euclidean", "dotproduct"]},
    "vector_type": {"enum": ["dense", "sparse"]},
    "spec": {"type": "object", "minProperties": 1, "description": "{\"serverless\": {\"cloud\": \"aws\", \"region\": \"us-east-1\"}}"},
    "deletion_protection": {"enum": ["disabled", "enabled"]},
    "tags": {"type": "object", "additionalProperties": {"type": "string"}}
  }
}
$json$, p_name => 'Create an index');

select marketplace.register_action('pinecone_control', 'delete_index', 'DELETE', '/indexes/{index_name}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["index_name"],
  "properties": {"index_name": {"type": "string", "minLength": 1}}
}
$json$, p_response_type => 'none', p_name => 'Delete an index');

select marketplace.register_action('pinecone', 'describe_index_stats', 'POST', '/describe_index_stats', $json$
{"type": "object", "additionalProperties": false, "properties": {"filter": {"type": "object"}}}
$json$, p_is_read_only => true, p_name => 'Get an index''s statistics');

select marketplace.register_action('pinecone', 'upsert_vectors', 'POST', '/vectors/upsert', $json$
{
  "type": "object", "additionalProperties": false, "required": ["vectors"],
  "properties": {
    "namespace": {"type": "string"},
    "vectors": {
      "type": "array", "minItems": 1, "maxItems": 1000,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["id"],
        "properties": {
          "id": {"type": "string", "minLength": 1, "maxLength": 512},
          "values": {"type": "array", "items": {"type": "number"}},
          "sparseValues": {"type": "object"},
          "metadata": {"type": "object"}
        }
      }
    }
  }
}
$json$, p_is_idempotent => true, p_name => 'Insert or replace vectors', p_timeout_ms => 60000);

select marketplace.register_action('pinecone', 'query_vectors', 'POST', '/query', $json$
{
  "type": "object", "additionalProperties": false, "required": ["topK"],
  "properties": {
    "namespace": {"type": "string"},
    "topK": {"type": "integer", "minimum": 1, "maximum": 10000},
    "vector": {"type": "array", "items": {"type": "number"}},
    "id": {"type": "string", "description": "Vector to search the neighbours of, instead of vector"},
    "sparseVector": {"type": "object"},
    "filter": {"type": "object"},
    "includeValues": {"type": "boolean"},
    "includeMetadata": {"type": "boolean"}
  }
}
$json$, p_is_read_only => true, p_name => 'Search vectors');

select marketplace.register_action('pinecone', 'fetch_vectors', 'GET', '/vectors/fetch', $json$
{
  "type": "object", "additionalProperties": false, "required": ["ids"],
  "properties": {"ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000}, "namespace": {"type": "string"}}
}
$json$, p_name => 'Get vectors by id');

select marketplace.register_action('pinecone', 'list_vectors', 'GET', '/vectors/list', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "prefix": {"type": "string"}, "namespace": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100}, "paginationToken": {"type": "string"}
  }
}
$json$, p_name => 'List vector ids',
p_pagination => '{"style": "cursor", "parameter": "paginationToken", "next": "/pagination/next", "items": "/vectors"}');

select marketplace.register_action('pinecone', 'update_vector', 'POST', '/vectors/update', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1}, "namespace": {"type": "string"},
    "values": {"type": "array", "items": {"type": "number"}}, "sparseValues": {"type": "object"}, "setMetadata": {"type": "object"}
  }
}
$json$, p_is_idempotent => true, p_name => 'Change a vector');

select marketplace.register_action('pinecone', 'delete_vectors', 'POST', '/vectors/delete', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000},
    "deleteAll": {"type": "boolean"}, "namespace": {"type": "string"}, "filter": {"type": "object"}
  }
}
$json$, p_is_idempotent => true, p_name => 'Delete vectors');

-- Neo4j ---------------------------------------------------------------------------------------

select marketplace.register_provider(
  'neo4j', 'Neo4j', 'database', -- every instance has a URL of its own
  p_auth_type => 'basic',
  p_auth_config => $json$
  {
    "settings": {"username": {"title": "User", "default": "neo4j"}, "database": {"title": "Database", "default": "neo4j"}},
    "secrets": {"password": {"title": "Password"}},
    "basic": {"username": "{connection.username}", "password": "{secret.password}"},
    "alternatives": {"bearer": {"secrets": {"api_token": {"title": "Token"}}}}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'ping',
  p_response_errors => '{"pointer": "/errors", "code": "/errors/0/code", "message": "/errors/0/message", "unauthorized": ["Neo.ClientError.Security.Unauthorized"]}',
  p_docs_url => 'https://neo4j.com/docs/query-api/current/query/'
);

select marketplace.register_action('neo4j', 'ping', 'POST', '/db/{connection.database}/query/v2', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_request_transform => '{"statement": "RETURN 1 AS ok", "accessMode": "READ"}', p_is_read_only => true, p_name => 'Ask for nothing');

select marketplace.register_action('neo4j', query.slug, 'POST', '/db/{connection.database}/query/v2', $json$
{
  "type": "object", "additionalProperties": false, "required": ["statement"],
  "properties": {
    "statement": {"type": "string", "minLength": 1, "description": "Cypher, with $name for parameters"},
    "parameters": {"type": "object"},
    "includeCounters": {"type": "boolean"},
    "bookmarks": {"type": "array", "items": {"type": "string"}, "description": "Of an earlier answer, to read what it wrote"},
    "maxExecutionTime": {"type": "integer", "minimum": 1, "description": "Seconds"},
    "impersonatedUser": {"type": "string"}
  }
}
$json$, p_request_transform => query.transform, p_is_read_only => query.is_read_only, p_name => query.name, p_timeout_ms => 60000)
from (
  values
  ('query.read', '$merge([$, {"accessMode": "READ"}])', true, 'Run a reading query'),
  ('query.run', null, false, 'Run a query')
) as query (slug, transform, is_read_only, name);
