-- Object storage: AWS S3, with the SNS through which its buckets tell, and Cloudflare R2 and Backblaze B2, which speak the same API.
-- Requests are signed (SigV4) and answers are XML, so each action has a handler; paths are those of the path style.

select marketplace.register_provider(
  'aws_s3',
  p_auth_type => 'aws_sigv4',
  p_auth_config => $json$
  {
    "base_url": "https://s3.{connection.region}.amazonaws.com",
    "settings": {"region": {"title": "Region", "pattern": "[a-z0-9-]+", "default": "us-east-1"}},
    "secrets": {
      "access_key_id": {"title": "Access key ID"},
      "secret_access_key": {"title": "Secret access key"},
      "session_token": {"title": "Session token", "is_required": false}
    }
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 3500, "window_seconds": 1}}',
  p_health_action => 'ListBuckets'
);

select marketplace.register_provider(
  'cloudflare_r2', 'Cloudflare R2', 'storage', 'https://{connection.account_id}.r2.cloudflarestorage.com',
  p_auth_type => 'aws_sigv4',
  p_auth_config => $json$
  {
    "settings": {
      "account_id": {"title": "Account ID", "pattern": "[0-9a-f]{32}"},
      "region": {"title": "Region", "pattern": "[a-z0-9-]+", "default": "auto"}
    },
    "secrets": {"access_key_id": {"title": "Access key ID"}, "secret_access_key": {"title": "Secret access key"}}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 1000, "window_seconds": 1}}',
  p_health_action => 'ListBuckets',
  p_docs_url => 'https://developers.cloudflare.com/r2/api/s3/api/'
);

select marketplace.register_provider(
  'backblaze_b2', 'Backblaze B2', 'storage', 'https://s3.{connection.region}.backblazeb2.com',
  p_auth_type => 'aws_sigv4',
  p_auth_config => $json$
  {
    "settings": {"region": {"title": "Region", "pattern": "[a-z0-9-]+", "description": "Such as us-west-004"}},
    "secrets": {"access_key_id": {"title": "Key ID"}, "secret_access_key": {"title": "Application key"}}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'ListBuckets',
  p_docs_url => 'https://www.backblaze.com/docs/cloud-storage-s3-compatible-api'
);

select marketplace.register_action(storage.provider, 'ListBuckets', 'GET', '/', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_handler => 's3', p_name => 'List buckets', p_scopes => '{s3:ListAllMyBuckets}')
from (values ('aws_s3'), ('cloudflare_r2'), ('backblaze_b2')) as storage (provider);

select marketplace.register_action(storage.provider, 'ListObjectsV2', 'GET', '/{bucket}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "list-type": {"const": 2, "default": 2},
    "prefix": {"type": "string"},
    "delimiter": {"type": "string", "description": "A slash lists one folder"},
    "start-after": {"type": "string"},
    "max-keys": {"type": "integer", "minimum": 1, "maximum": 1000},
    "continuation-token": {"type": "string"}
  }
}
$json$, p_query_parameters => '{list-type,prefix,delimiter,start-after,max-keys,continuation-token}', p_handler => 's3', p_name => 'List objects',
p_pagination => '{"style": "cursor", "parameter": "continuation-token", "next": "/NextContinuationToken", "items": "/Contents"}',
p_scopes => '{s3:ListBucket}')
from (values ('aws_s3'), ('cloudflare_r2'), ('backblaze_b2')) as storage (provider);

select marketplace.register_action(storage.provider, object.slug, object.method, '/{bucket}/{+key}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket", "key"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "key": {"type": "string", "minLength": 1, "maxLength": 1024},
    "versionId": {"type": "string"}
  }
}
$json$, p_query_parameters => '{versionId}', p_response_type => object.response_type, p_handler => 's3', p_name => object.name,
p_timeout_ms => object.timeout_ms, p_scopes => object.scopes)
from (values ('aws_s3'), ('cloudflare_r2'), ('backblaze_b2')) as storage (provider)
cross join (
  values
  ('HeadObject', 'HEAD', 'json', 'Get an object''s metadata', 30000, '{s3:GetObject}'::text[]),
  ('GetObject', 'GET', 'binary', 'Download an object', 120000, '{s3:GetObject}'),
  ('DeleteObject', 'DELETE', 'none', 'Delete an object', 30000, '{s3:DeleteObject}')
) as object (slug, method, response_type, name, timeout_ms, scopes);

select marketplace.register_action(storage.provider, 'PutObject', 'PUT', '/{bucket}/{+key}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket", "key", "file"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "key": {"type": "string", "minLength": 1, "maxLength": 1024},
    "file": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "filename": {"type": "string"},
        "content_type": {"type": "string"},
        "data": {"type": "string", "format": "base64"},
        "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
      }
    },
    "cache_control": {"type": "string"},
    "metadata": {"type": "object", "additionalProperties": {"type": "string"}}
  }
}
$json$, p_body_type => 'binary', p_handler => 's3', p_name => 'Upload an object', p_timeout_ms => 120000, p_sensitive_paths => '{/file/data}',
p_scopes => '{s3:PutObject}')
from (values ('aws_s3'), ('cloudflare_r2'), ('backblaze_b2')) as storage (provider);

select marketplace.register_action(storage.provider, 'CopyObject', 'PUT', '/{bucket}/{+key}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket", "key", "copy_source"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "key": {"type": "string", "minLength": 1, "maxLength": 1024},
    "copy_source": {"type": "string", "pattern": "^/?[^/]+/.+", "description": "bucket/key"},
    "metadata_directive": {"enum": ["COPY", "REPLACE"]}
  }
}
$json$, p_header_parameters => '{"copy_source": "x-amz-copy-source", "metadata_directive": "x-amz-metadata-directive"}', p_body_type => 'none',
p_handler => 's3', p_name => 'Copy an object', p_timeout_ms => 60000, p_scopes => '{s3:GetObject,s3:PutObject}')
from (values ('aws_s3'), ('cloudflare_r2'), ('backblaze_b2')) as storage (provider);

select marketplace.register_action(storage.provider, object.slug, object.method, '/{bucket}/{+key}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket", "key"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "key": {"type": "string", "minLength": 1, "maxLength": 1024},
    "expires_in": {"type": "integer", "minimum": 1, "maximum": 604800, "default": 900, "description": "Seconds"},
    "content_type": {"type": "string", "description": "What the upload must say it is"}
  }
}
$json$, p_body_type => 'none', p_handler => 's3_presign', p_is_read_only => object.is_read_only, p_is_idempotent => true, p_name => object.name,
p_quota_cost => 0, p_sensitive_paths => '{/url}', p_scopes => object.scopes)
from (values ('aws_s3'), ('cloudflare_r2'), ('backblaze_b2')) as storage (provider)
cross join (
  values
  ('PresignGetObject', 'GET', true, 'Make a download link', '{s3:GetObject}'::text[]),
  ('PresignPutObject', 'PUT', false, 'Make an upload link', '{s3:PutObject}')
) as object (slug, method, is_read_only, name, scopes);

-- What a bucket tells, and through which topic; the other two know neither.

select marketplace.register_action('aws_s3', 'GetBucketNotificationConfiguration', 'GET', '/{bucket}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "notification": {"const": "", "default": ""}
  }
}
$json$, p_query_parameters => '{notification}', p_handler => 's3', p_name => 'Get a bucket''s notifications',
p_description => 'Whom the bucket tells of its objects: TopicConfiguration, QueueConfiguration, CloudFunctionConfiguration, EventBridgeConfiguration, as in the XML of S3.',
p_scopes => '{s3:GetBucketNotification}');

select marketplace.register_action('aws_s3', 'PutBucketNotificationConfiguration', 'PUT', '/{bucket}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["bucket", "configuration"],
  "properties": {
    "bucket": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"},
    "notification": {"const": "", "default": ""},
    "configuration": {"type": "object", "description": "All of it, as GetBucketNotificationConfiguration tells it: what is left out is dropped"}
  }
}
$json$, p_query_parameters => '{notification}', p_handler => 's3', p_name => 'Replace a bucket''s notifications', p_is_idempotent => true,
p_scopes => '{s3:PutBucketNotification}');

select marketplace.register_action('aws_s3', 'sns.' || operation.name, 'POST', '/', operation.schema::jsonb, p_body_type => 'form', p_handler => 'sns',
p_name => operation.title, p_is_read_only => operation.is_read_only, p_is_idempotent => true, p_pagination => operation.pagination::jsonb,
p_scopes => array['sns:' || operation.name])
from (
  values
  ('CreateTopic', 'Make a topic', false, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["Name"],
    "properties": {"Name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,256}$", "description": "One that exists is given back"}}
  }
  $json$),
  ('GetTopicAttributes', 'Get a topic''s settings', true, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["TopicArn"],
    "properties": {"TopicArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"}}
  }
  $json$),
  ('SetTopicAttributes', 'Change a setting of a topic', false, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["TopicArn", "AttributeName"],
    "properties": {
      "TopicArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"},
      "AttributeName": {"type": "string", "description": "Policy, DisplayName, DeliveryPolicy, …"},
      "AttributeValue": {"type": "string"}
    }
  }
  $json$),
  ('Subscribe', 'Subscribe to a topic', false, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["TopicArn", "Protocol"],
    "properties": {
      "TopicArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"},
      "Protocol": {"enum": ["https", "http", "email", "email-json", "sqs", "lambda", "firehose", "sms", "application"]},
      "Endpoint": {"type": "string"},
      "ReturnSubscriptionArn": {"type": "boolean", "description": "Also while it waits for confirmation"},
      "Attributes": {"type": "object", "additionalProperties": {"type": "string"}}
    }
  }
  $json$),
  ('ListSubscriptionsByTopic', 'List a topic''s subscriptions', true,
  '{"style": "cursor", "parameter": "NextToken", "next": "/NextToken", "items": "/Subscriptions"}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["TopicArn"],
    "properties": {"TopicArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"}, "NextToken": {"type": "string"}}
  }
  $json$),
  ('GetSubscriptionAttributes', 'Get a subscription''s settings', true, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["SubscriptionArn"],
    "properties": {"SubscriptionArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"}}
  }
  $json$),
  ('SetSubscriptionAttributes', 'Change a setting of a subscription', false, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["SubscriptionArn", "AttributeName"],
    "properties": {
      "SubscriptionArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"},
      "AttributeName": {"type": "string", "description": "RawMessageDelivery, FilterPolicy, …"},
      "AttributeValue": {"type": "string"}
    }
  }
  $json$),
  ('Unsubscribe', 'End a subscription', false, '{}', $json$
  {
    "type": "object", "additionalProperties": false, "required": ["SubscriptionArn"],
    "properties": {"SubscriptionArn": {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:"}}
  }
  $json$)
) as operation (name, title, is_read_only, pagination, schema);
