-- Shopify (GraphQL Admin API) and HubSpot.

-- Shopify -------------------------------------------------------------------------------------
-- Actions bear the names of the GraphQL fields they ask for. A mutation reports a rejected input in userErrors.

select marketplace.register_provider(
  'shopify',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "base_url": "https://{connection.shop}.myshopify.com/admin/api/2026-10",
    "settings": {"shop": {"title": "Shop", "description": "acme, for acme.myshopify.com", "pattern": "[A-Za-z0-9-]+"}},
    "authorize_url": "https://{connection.shop}.myshopify.com/admin/oauth/authorize",
    "token_url": "https://{connection.shop}.myshopify.com/admin/oauth/access_token",
    "scopes": ["read_products", "write_products", "read_orders", "read_customers", "write_customers", "write_inventory"],
    "scope_separator": ",",
    "token_auth_method": "client_secret_post",
    "pkce": "none",
    "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
    "token_lifetime_seconds": null,
    "headers": {"x-shopify-access-token": "{secret.access_token}"},
    "alternatives": {
      "api_key": {
        "secrets": {"api_token": {"title": "Admin API access token", "description": "Begins with shpat_"}},
        "headers": {"x-shopify-access-token": "{secret.api_token}"}
      }
    }
  }
  $json$,
  p_rate_limit => $json$
  {
    "name": "points",
    "limit_pointer": "/extensions/cost/throttleStatus/maximumAvailable",
    "remaining_pointer": "/extensions/cost/throttleStatus/currentlyAvailable",
    "quota": {"limit": 1000, "window_seconds": 10}
  }
  $json$,
  p_health_action => 'shop',
  p_response_errors => '{"pointer": "/errors", "code": "/errors/0/extensions/code", "message": "/errors/0/message", "rate_limited": ["THROTTLED"], "unauthorized": ["ACCESS_DENIED"]}'
);

select marketplace.register_action('shopify', 'graphql', 'POST', '/graphql.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["query"],
  "properties": {"query": {"type": "string", "minLength": 1}, "variables": {"type": "object"}}
}
$json$, p_name => 'Run any query or mutation', p_quota_cost => 10);

select marketplace.register_action('shopify', 'shop', 'POST', '/graphql.json', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_request_transform => '{"query": "query { shop { id name email myshopifyDomain currencyCode ianaTimezone } }"}',
p_response_transform => 'data.shop', p_is_read_only => true, p_name => 'Get the shop');

select marketplace.register_action('shopify', list.slug, 'POST', '/graphql.json', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "query": {"type": "string", "description": "Shopify's search syntax: status:active tag:sale created_at:>2026-01-01"},
    "reverse": {"type": "boolean"},
    "first": {"type": "integer", "minimum": 1, "maximum": 250, "default": 50},
    "after": {"type": "string"}
  }
}
$json$,
p_request_transform => format(
  '{"query": "query ($first: Int, $after: String, $query: String, $reverse: Boolean) { %s(first: $first, after: $after, query: $query, reverse: $reverse) { nodes { %s } pageInfo { hasNextPage endCursor } } }", "variables": $}',
  list.slug, list.fields
),
p_response_transform => format('data.%s', list.slug),
p_pagination => jsonb_build_object(
  'style', 'cursor', 'parameter', 'after', 'next', format('/data/%s/pageInfo/endCursor', list.slug),
  'more', format('/data/%s/pageInfo/hasNextPage', list.slug), 'items', format('/data/%s/nodes', list.slug)
),
p_is_read_only => true, p_name => list.name, p_scopes => list.scopes, p_quota_cost => 50)
from (
  values
  ('products', 'id title handle status vendor productType totalInventory updatedAt', 'List or search products', '{read_products}'::text[]),
  (
    'orders',
    'id name createdAt displayFinancialStatus displayFulfillmentStatus totalPriceSet { shopMoney { amount currencyCode } } customer { id displayName }',
    'List or search orders', '{read_orders}'
  ),
  ('customers', 'id displayName defaultEmailAddress { emailAddress } numberOfOrders tags createdAt', 'List or search customers', '{read_customers}')
) as list (slug, fields, name, scopes);

select marketplace.register_action('shopify', thing.slug, 'POST', '/graphql.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"id": {"type": "string", "pattern": "^gid://shopify/[A-Za-z]+/[0-9]+$"}}
}
$json$,
p_request_transform => format('{"query": "query ($id: ID!) { %s(id: $id) { %s } }", "variables": {"id": id}}', thing.slug, thing.fields),
p_response_transform => format('data.%s', thing.slug), p_is_read_only => true, p_name => thing.name, p_scopes => thing.scopes, p_quota_cost => 10)
from (
  values
  (
    'product', 'id title handle descriptionHtml status vendor productType tags variants(first: 100) { nodes { id title sku price inventoryQuantity } }',
    'Get a product', '{read_products}'::text[]
  ),
  (
    'order',
    'id name email createdAt displayFinancialStatus displayFulfillmentStatus note tags totalPriceSet { shopMoney { amount currencyCode } } lineItems(first: 100) { nodes { id title quantity sku } } shippingAddress { name address1 address2 city zip countryCodeV2 }',
    'Get an order', '{read_orders}'
  )
) as thing (slug, fields, name, scopes);

select marketplace.register_action('shopify', product.slug, 'POST', '/graphql.json', jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'required', product.required,
  'properties', product.id || $json$
  {
    "title": {"type": "string", "minLength": 1},
    "descriptionHtml": {"type": "string"},
    "handle": {"type": "string"},
    "vendor": {"type": "string"},
    "productType": {"type": "string"},
    "status": {"enum": ["ACTIVE", "ARCHIVED", "DRAFT"]},
    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 250}
  }
  $json$::jsonb
),
p_request_transform => format(
  '{"query": "mutation ($product: %s!) { %s(product: $product) { product { id title handle status } userErrors { field message } } }", "variables": {"product": $}}',
  product.input, product.slug
),
p_response_transform => format(
  'data.%1$s.($count(userErrors) > 0 ? $error(userErrors[0].message) : product)', product.slug
),
p_is_idempotent => product.is_idempotent, p_name => product.name, p_scopes => '{write_products}', p_quota_cost => 10)
from (
  values
  ('productCreate', 'ProductCreateInput', 'Create a product', '["title"]'::jsonb, '{}'::jsonb, false),
  ('productUpdate', 'ProductUpdateInput', 'Change a product', '["id"]', '{"id": {"type": "string", "pattern": "^gid://shopify/Product/[0-9]+$"}}', true)
) as product (slug, input, name, required, id, is_idempotent);

select marketplace.register_action('shopify', 'customerCreate', 'POST', '/graphql.json', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "email": {"type": "string", "format": "email"},
    "phone": {"type": "string", "format": "e164"},
    "firstName": {"type": "string"},
    "lastName": {"type": "string"},
    "note": {"type": "string"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "addresses": {"type": "array", "items": {"type": "object"}}
  }
}
$json$,
p_request_transform => '{"query": "mutation ($input: CustomerInput!) { customerCreate(input: $input) { customer { id displayName } userErrors { field message } } }", "variables": {"input": $}}',
p_response_transform => 'data.customerCreate.($count(userErrors) > 0 ? $error(userErrors[0].message) : customer)',
p_name => 'Create a customer', p_scopes => '{write_customers}', p_quota_cost => 10);

select marketplace.register_action('shopify', 'tagsAdd', 'POST', '/graphql.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id", "tags"],
  "properties": {
    "id": {"type": "string", "pattern": "^gid://shopify/[A-Za-z]+/[0-9]+$"},
    "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1}
  }
}
$json$,
p_request_transform => '{"query": "mutation ($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) { node { id } userErrors { field message } } }", "variables": $}',
p_response_transform => 'data.tagsAdd.($count(userErrors) > 0 ? $error(userErrors[0].message) : node)',
p_is_idempotent => true, p_name => 'Tag a product, order or customer', p_scopes => '{write_products}', p_quota_cost => 10);

-- HubSpot -------------------------------------------------------------------------------------

select marketplace.register_provider(
  'hubspot',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://app.hubspot.com/oauth/authorize",
    "token_url": "https://api.hubapi.com/oauth/v1/token",
    "scopes": ["oauth", "crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.companies.read", "crm.objects.deals.read", "crm.objects.deals.write"],
    "token_auth_method": "client_secret_post",
    "pkce": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": false,
    "token_lifetime_seconds": 1800,
    "alternatives": {"bearer": {"secrets": {"api_token": {"title": "Private app token", "description": "Begins with pat-"}}}}
  }
  $json$,
  p_rate_limit => $json$
  {
    "limit_header": "x-hubspot-ratelimit-max", "remaining_header": "x-hubspot-ratelimit-remaining",
    "reset_header": "x-hubspot-ratelimit-interval-milliseconds", "reset_format": "delta_ms", "quota": {"limit": 100, "window_seconds": 10}
  }
  $json$,
  p_health_action => 'account.getDetails'
);

select marketplace.register_action('hubspot', 'account.getDetails', 'GET', '/account-info/v3/details', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the account', p_scopes => '{oauth}');

select marketplace.register_action('hubspot', 'crm.objects.list', 'GET', '/crm/v3/objects/{objectType}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType"],
  "properties": {
    "objectType": {"type": "string", "minLength": 1, "description": "contacts, companies, deals, tickets, notes, tasks, or a custom one"},
    "properties": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "associations": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "archived": {"type": "boolean"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "after": {"type": "string"}
  }
}
$json$, p_name => 'List records',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/paging/next/after", "items": "/results"}');

select marketplace.register_action('hubspot', 'crm.objects.get', 'GET', '/crm/v3/objects/{objectType}/{objectId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType", "objectId"],
  "properties": {
    "objectType": {"type": "string", "minLength": 1},
    "objectId": {"type": "string", "minLength": 1, "description": "Id, or the value of idProperty"},
    "idProperty": {"type": "string", "description": "Such as email"},
    "properties": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "associations": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "archived": {"type": "boolean"}
  }
}
$json$, p_name => 'Get a record');

select marketplace.register_action('hubspot', 'crm.objects.create', 'POST', '/crm/v3/objects/{objectType}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType", "properties"],
  "properties": {
    "objectType": {"type": "string", "minLength": 1},
    "properties": {"type": "object", "minProperties": 1, "additionalProperties": {"type": ["string", "number", "boolean", "null"]}},
    "associations": {"type": "array", "items": {"type": "object", "required": ["to", "types"], "properties": {"to": {"type": "object"}, "types": {"type": "array", "items": {"type": "object"}}}}}
  }
}
$json$, p_name => 'Create a record');

select marketplace.register_action('hubspot', 'crm.objects.update', 'PATCH', '/crm/v3/objects/{objectType}/{objectId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType", "objectId", "properties"],
  "properties": {
    "objectType": {"type": "string", "minLength": 1},
    "objectId": {"type": "string", "minLength": 1},
    "idProperty": {"type": "string"},
    "properties": {"type": "object", "minProperties": 1, "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
  }
}
$json$, p_query_parameters => '{idProperty}', p_is_idempotent => true, p_name => 'Change a record');

select marketplace.register_action('hubspot', 'crm.objects.archive', 'DELETE', '/crm/v3/objects/{objectType}/{objectId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType", "objectId"],
  "properties": {"objectType": {"type": "string", "minLength": 1}, "objectId": {"type": "string", "minLength": 1}}
}
$json$, p_response_type => 'none', p_name => 'Archive a record');

select marketplace.register_action('hubspot', 'crm.objects.search', 'POST', '/crm/v3/objects/{objectType}/search', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType"],
  "properties": {
    "objectType": {"type": "string", "minLength": 1},
    "query": {"type": "string"},
    "filterGroups": {
      "type": "array", "maxItems": 5,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["filters"],
        "properties": {"filters": {"type": "array", "maxItems": 6, "items": {"type": "object", "required": ["propertyName", "operator"], "properties": {"propertyName": {"type": "string"}, "operator": {"type": "string"}}}}}
      }
    },
    "sorts": {"type": "array", "items": {"type": ["string", "object"]}},
    "properties": {"type": "array", "items": {"type": "string"}},
    "limit": {"type": "integer", "minimum": 1, "maximum": 200},
    "after": {"type": "string"}
  }
}
$json$, p_is_read_only => true, p_name => 'Search records',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/paging/next/after", "items": "/results"}');

select marketplace.register_action('hubspot', 'crm.objects.batch.upsert', 'POST', '/crm/v3/objects/{objectType}/batch/upsert', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType", "inputs"],
  "properties": {
    "objectType": {"type": "string", "minLength": 1},
    "inputs": {
      "type": "array", "minItems": 1, "maxItems": 100,
      "items": {
        "type": "object", "required": ["id", "properties"],
        "properties": {"id": {"type": "string"}, "idProperty": {"type": "string"}, "properties": {"type": "object"}}
      }
    }
  }
}
$json$, p_is_idempotent => true, p_name => 'Create or change many records');

select marketplace.register_action('hubspot', 'crm.associations.createDefault', 'PUT',
'/crm/v4/objects/{fromObjectType}/{fromObjectId}/associations/default/{toObjectType}/{toObjectId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fromObjectType", "fromObjectId", "toObjectType", "toObjectId"],
  "properties": {
    "fromObjectType": {"type": "string", "minLength": 1}, "fromObjectId": {"type": "string", "minLength": 1},
    "toObjectType": {"type": "string", "minLength": 1}, "toObjectId": {"type": "string", "minLength": 1}
  }
}
$json$, p_body_type => 'none', p_name => 'Associate two records');

select marketplace.register_action('hubspot', 'crm.owners.list', 'GET', '/crm/v3/owners/', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "email": {"type": "string", "format": "email"}, "archived": {"type": "boolean"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500}, "after": {"type": "string"}
  }
}
$json$, p_name => 'List owners', p_scopes => '{crm.objects.owners.read}',
p_pagination => '{"style": "cursor", "parameter": "after", "next": "/paging/next/after", "items": "/results"}');

select marketplace.register_action('hubspot', 'crm.pipelines.list', 'GET', '/crm/v3/pipelines/{objectType}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["objectType"],
  "properties": {"objectType": {"enum": ["deals", "tickets", "contacts", "companies"]}}
}
$json$, p_name => 'List pipelines and their stages');
