-- The catalogue's providers: files, documents, mailboxes and plans. Settings that an integration adds in
-- config.webhook: gmail audience, push_service_account, subscription; aws_s3 topic_arns (a list).

insert into marketplace.providers
  (slug, name, category, base_url, docs_url, secret_env, default_workflow_slug, max_body_bytes, webhook_config)
values
(
  'google_drive', 'Google Drive', 'storage', 'https://www.googleapis.com/drive/v3',
  'https://developers.google.com/workspace/drive/api/guides/push', null, 'workspace-events-handler', 65536,
  $json$
  {
    "verify": {"family": "token", "header": "x-goog-channel-token"},
    "watch_channel": true,
    "body": {
      "format": "none",
      "from_headers": {
        "channel_id": "x-goog-channel-id", "channel_expiration": "x-goog-channel-expiration",
        "message_number": "x-goog-message-number", "resource_id": "x-goog-resource-id",
        "resource_uri": "x-goog-resource-uri", "resource_state": "x-goog-resource-state", "changed": "x-goog-changed"
      }
    },
    "handshakes": [{"kind": "respond", "if": {"header:x-goog-resource-state": "sync"}, "json": {"received": true}}],
    "event": {
      "dedupe": "{header:x-goog-channel-id}:{header:x-goog-message-number}",
      "type": [
        {"if": {"header:x-goog-resource-state": ["change", "changed"]}, "then": "drive.change"},
        "drive.{header:x-goog-resource-state}"
      ],
      "path": ["files/{header:x-goog-resource-uri|segment:files|percent_decode}", "files/"],
      "account": "{header:x-goog-channel-id}"
    }
  }
  $json$
),
(
  'google_docs', 'Google Docs', 'documents', 'https://docs.googleapis.com/v1',
  'https://developers.google.com/workspace/drive/api/guides/push', null, 'workspace-events-handler', 65536,
  $json$
  {
    "verify": {"family": "token", "header": "x-goog-channel-token"},
    "watch_channel": true,
    "body": {
      "format": "none",
      "from_headers": {
        "channel_id": "x-goog-channel-id", "channel_expiration": "x-goog-channel-expiration",
        "message_number": "x-goog-message-number", "resource_id": "x-goog-resource-id",
        "resource_uri": "x-goog-resource-uri", "resource_state": "x-goog-resource-state", "changed": "x-goog-changed"
      }
    },
    "handshakes": [{"kind": "respond", "if": {"header:x-goog-resource-state": "sync"}, "json": {"received": true}}],
    "event": {
      "dedupe": "{header:x-goog-channel-id}:{header:x-goog-message-number}",
      "type": [
        {"if": {"header:x-goog-resource-state": ["change", "changed"]}, "then": "docs.change"},
        "docs.{header:x-goog-resource-state}"
      ],
      "path": ["files/{header:x-goog-resource-uri|segment:files|percent_decode}", "files/"],
      "account": "{header:x-goog-channel-id}"
    }
  }
  $json$
),
(
  'google_sheets', 'Google Sheets', 'documents', 'https://sheets.googleapis.com/v4',
  'https://developers.google.com/workspace/drive/api/guides/push', null, 'workspace-events-handler', 65536,
  $json$
  {
    "verify": {"family": "token", "header": "x-goog-channel-token"},
    "watch_channel": true,
    "body": {
      "format": "none",
      "from_headers": {
        "channel_id": "x-goog-channel-id", "channel_expiration": "x-goog-channel-expiration",
        "message_number": "x-goog-message-number", "resource_id": "x-goog-resource-id",
        "resource_uri": "x-goog-resource-uri", "resource_state": "x-goog-resource-state", "changed": "x-goog-changed"
      }
    },
    "handshakes": [{"kind": "respond", "if": {"header:x-goog-resource-state": "sync"}, "json": {"received": true}}],
    "event": {
      "dedupe": "{header:x-goog-channel-id}:{header:x-goog-message-number}",
      "type": [
        {"if": {"header:x-goog-resource-state": ["change", "changed"]}, "then": "sheets.change"},
        "sheets.{header:x-goog-resource-state}"
      ],
      "path": ["files/{header:x-goog-resource-uri|segment:files|percent_decode}", "files/"],
      "account": "{header:x-goog-channel-id}"
    }
  }
  $json$
),
(
  'google_calendar', 'Google Calendar', 'calendar', 'https://www.googleapis.com/calendar/v3',
  'https://developers.google.com/workspace/calendar/api/guides/push', null, 'workspace-events-handler', 65536,
  $json$
  {
    "verify": {"family": "token", "header": "x-goog-channel-token"},
    "watch_channel": true,
    "body": {
      "format": "none",
      "from_headers": {
        "channel_id": "x-goog-channel-id", "channel_expiration": "x-goog-channel-expiration",
        "message_number": "x-goog-message-number", "resource_id": "x-goog-resource-id",
        "resource_uri": "x-goog-resource-uri", "resource_state": "x-goog-resource-state", "changed": "x-goog-changed"
      }
    },
    "handshakes": [{"kind": "respond", "if": {"header:x-goog-resource-state": "sync"}, "json": {"received": true}}],
    "event": {
      "dedupe": "{header:x-goog-channel-id}:{header:x-goog-message-number}",
      "type": [
        {"if": {"header:x-goog-resource-state": ["change", "changed"]}, "then": "calendar.change"},
        "calendar.{header:x-goog-resource-state}"
      ],
      "path": ["calendars/{header:x-goog-resource-uri|segment:calendars|percent_decode}/events/", "calendars/"],
      "account": "{header:x-goog-channel-id}"
    }
  }
  $json$
),
(
  'gmail', 'Gmail', 'communication', 'https://gmail.googleapis.com/gmail/v1',
  'https://developers.google.com/workspace/gmail/api/guides/push', null, 'workspace-events-handler', 65536,
  $json$
  {
    "verify": {
      "family": "jwt", "jwks_url": "https://www.googleapis.com/oauth2/v3/certs",
      "issuers": ["https://accounts.google.com"], "algorithms": ["RS256"], "audience": "{setting:audience}",
      "claims": {"/email": "{setting:push_service_account}", "/email_verified": "true"}
    },
    "require": {"body:/subscription": "subscription"},
    "watch_account": "data:/emailAddress",
    "body": {"format": "json", "decode": {"pointer": "/message/data", "encoding": "base64_json"}},
    "event": {
      "dedupe": "{body:/message/messageId}",
      "type": "gmail.history",
      "path": ["mailboxes/{data:/emailAddress}", "mailboxes/"],
      "account": "{data:/emailAddress}",
      "occurred_at": ["body:/message/publishTime"]
    }
  }
  $json$
),
(
  'aws_s3', 'AWS S3', 'storage', null, -- regional; with api_base an integration reaches R2, B2, MinIO
  'https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html', null, null, 1048576,
  $json$
  {
    "verify": [{"family": "sns"}, {"family": "token", "header": "x-api-key"}],
    "body": {
      "format": "json",
      "decode": {"pointer": "/Message", "encoding": "json"},
      "items": ["/Message/Records", "/Records"],
      "omit": ["/Signature", "/SigningCertURL", "/UnsubscribeURL", "/SubscribeURL", "/Token"]
    },
    "handshakes": [
      {"kind": "sns_confirm", "if": {"body:/Type": "SubscriptionConfirmation"}},
      {"kind": "respond", "if": {"body:/Type": "UnsubscribeConfirmation"}, "json": {"received": true}}
    ],
    "event": {
      "dedupe": ["{body:/MessageId}[:{index}]", "{body:/id}"],
      "type": [
        "s3.{item:/eventName}",
        "s3.{data:/Event|after::}",
        {"if": {"data:/source": "aws.s3", "data:/detail/reason": "PutObject"}, "then": "s3.ObjectCreated:Put"},
        {"if": {"data:/source": "aws.s3", "data:/detail/reason": "POST Object"}, "then": "s3.ObjectCreated:Post"},
        {"if": {"data:/source": "aws.s3", "data:/detail/reason": "CopyObject"}, "then": "s3.ObjectCreated:Copy"},
        {"if": {"data:/source": "aws.s3", "data:/detail/reason": "CompleteMultipartUpload"}, "then": "s3.ObjectCreated:CompleteMultipartUpload"},
        {"if": {"data:/detail/reason": "DeleteObject", "data:/detail/deletion-type": "Permanently Deleted"}, "then": "s3.ObjectRemoved:Delete"},
        {"if": {"data:/detail/reason": "DeleteObject"}, "then": "s3.ObjectRemoved:DeleteMarkerCreated"},
        {"if": {"data:/detail/deletion-type": "Permanently Deleted"}, "then": "s3.LifecycleExpiration:Delete"},
        {"if": {"data:/detail/deletion-type": true}, "then": "s3.LifecycleExpiration:DeleteMarkerCreated"},
        {"if": {"data:/source": "aws.s3"}, "then": "s3.{data:/detail-type}"},
        "sns.{body:/Type}"
      ],
      "path": [
        "objects/{item:/s3/object/key|url_decode}",
        "objects/{data:/detail/object/key}",
        {"if": {"data:/Event": true}, "then": "buckets/{data:/Bucket}"},
        "messages/"
      ],
      "account": [
        "{item:/s3/bucket/name}", "{data:/detail/bucket/name}", "{data:/Bucket}", "{body:/TopicArn|after::}"
      ],
      "occurred_at": ["item:/eventTime", "data:/time", "data:/Time", "body:/Timestamp"]
    }
  }
  $json$
),
(
  'dropbox', 'Dropbox', 'storage', 'https://api.dropboxapi.com/2',
  'https://www.dropbox.com/developers/reference/webhooks', 'DROPBOX_APP_SECRET', null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-dropbox-signature"},
    "body": {"format": "json", "items": ["/list_folder/accounts"]},
    "handshakes": [{"kind": "query_challenge", "challenge": "challenge"}],
    "event": {
      "dedupe": "{random}",
      "type": "files.changed",
      "path": "files/",
      "account": "{item:}"
    }
  }
  $json$
),
(
  'notion', 'Notion', 'documents', 'https://api.notion.com/v1',
  'https://developers.notion.com/reference/webhooks', 'NOTION_VERIFICATION_TOKEN', null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-notion-signature", "prefix": "sha256="},
    "handshakes": [{"kind": "offered_secret", "pointer": "/verification_token"}],
    "event": {
      "dedupe": "{body:/id}",
      "type": "{body:/type}",
      "path": ["{body:/entity/type}s/{body:/entity/id}", "{body:/type|before:.}s/"],
      "account": "{body:/workspace_id}",
      "occurred_at": ["body:/timestamp"]
    }
  }
  $json$
),
(
  'asana', 'Asana', 'project_management', 'https://app.asana.com/api/1.0',
  'https://developers.asana.com/docs/webhooks-guide', null, null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-hook-signature"},
    "body": {"format": "json", "items": ["/events"]},
    "handshakes": [{"kind": "hook_secret", "header": "x-hook-secret"}],
    "event": {
      "type": "{item:/resource/resource_type}.{item:/action}",
      "path": ["{item:/resource/resource_type}/{item:/resource/gid}", "events/"],
      "account": ["{item:/parent/gid}", "{item:/user/gid}"],
      "occurred_at": ["item:/created_at"]
    }
  }
  $json$
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
