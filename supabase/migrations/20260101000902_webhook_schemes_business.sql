-- The catalogue's providers: talk, customers, commerce, and whoever follows a standard. Settings that an
-- integration adds in config.webhook: public_url for twilio, hubspot and square, when it is not the
-- functions' own; for generic anything, the scheme (verify) included. Meta's hub.verify_token is the
-- integration's secret of purpose verify_token.

insert into marketplace.providers
  (slug, name, category, base_url, docs_url, secret_env, default_workflow_slug, max_body_bytes, webhook_config)
values
(
  'slack', 'Slack', 'communication', 'https://slack.com/api',
  'https://docs.slack.dev/authentication/verifying-requests-from-slack', 'SLACK_SIGNING_SECRET', null, 1048576,
  $json$
  {
    "verify": {
      "family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-slack-signature", "prefix": "v0=",
      "signed": "v0:{timestamp}:{raw}", "timestamp": {"from": "header:x-slack-request-timestamp"}
    },
    "body": {"form_json_field": "payload", "omit": ["/token"]},
    "handshakes": [{"kind": "respond", "if": {"body:/type": "url_verification"}, "json": {"challenge": "{body:/challenge}"}}],
    "event": {
      "dedupe": ["{body:/event_id}", "{body:/trigger_id}"],
      "type": [
        {"if": {"body:/event/type": "message", "body:/event/channel_type": "channel"}, "then": "message.channels"},
        {"if": {"body:/event/type": "message", "body:/event/channel_type": "group"}, "then": "message.groups"},
        {"if": {"body:/event/type": "message", "body:/event/channel_type": true}, "then": "message.{body:/event/channel_type}"},
        "{body:/event/type}",
        "command.{body:/command|after:/}",
        "interaction.{body:/type}"
      ],
      "path": [
        "channels/{body:/event/channel}", "channels/{body:/event/channel/id}", "channels/{body:/event/item/channel}",
        "channels/{body:/event/channel_id}", "channels/{body:/channel_id}", "channels/{body:/channel/id}",
        "files/{body:/event/file_id}", "users/{body:/event/user}", "users/{body:/event/user/id}", "users/{body:/user/id}", "team/"
      ],
      "account": ["{body:/team_id}", "{body:/team/id}", "{body:/enterprise_id}"],
      "occurred_at": ["body:/event/event_ts", "body:/event_time"]
    },
    "ack": [{"status": 200, "content_type": "text/plain", "body": ""}]
  }
  $json$
),
(
  'discord', 'Discord', 'communication', 'https://discord.com/api/v10',
  'https://discord.com/developers/docs/events/webhook-events', 'DISCORD_PUBLIC_KEY', null, 1048576,
  $json$
  {
    "verify": {
      "family": "ed25519", "header": "x-signature-ed25519", "encoding": "hex", "key_encoding": "hex",
      "signed": "{timestamp}{raw}", "timestamp": {"from": "header:x-signature-timestamp"}
    },
    "handshakes": [
      {"kind": "respond", "if": {"body:/type": "1", "body:/event/type": false}, "json": {"type": 1}},
      {"kind": "respond", "if": {"body:/type": "0", "body:/event/type": false}, "status": 204}
    ],
    "event": {
      "dedupe": ["{body:/id}"],
      "type": [
        "{body:/event/type}",
        {"if": {"body:/type": "2"}, "then": "interaction.application_command"},
        {"if": {"body:/type": "3"}, "then": "interaction.message_component"},
        {"if": {"body:/type": "4"}, "then": "interaction.autocomplete"},
        {"if": {"body:/type": "5"}, "then": "interaction.modal_submit"}
      ],
      "path": ["channels/{body:/channel_id}", "guilds/{body:/guild_id}", "guilds/{body:/event/data/guild/id}", "events/"],
      "account": ["{body:/guild_id}", "{body:/event/data/guild/id}", "{body:/application_id}"],
      "occurred_at": ["body:/event/timestamp"]
    },
    "ack": [
      {"if": {"body:/type": ["2", "5"], "body:/token": true}, "content_type": "application/json", "body": "{\"type\":5}"},
      {"if": {"body:/type": "3", "body:/token": true}, "content_type": "application/json", "body": "{\"type\":6}"},
      {"if": {"body:/type": "4", "body:/token": true}, "content_type": "application/json", "body": "{\"type\":8,\"data\":{\"choices\":[]}}"},
      {"status": 204}
    ]
  }
  $json$
),
(
  'zoom', 'Zoom', 'communication', 'https://api.zoom.us/v2',
  'https://developers.zoom.us/docs/api/webhooks/', 'ZOOM_WEBHOOK_SECRET_TOKEN', null, 1048576,
  $json$
  {
    "verify": {
      "family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-zm-signature", "prefix": "v0=",
      "signed": "v0:{timestamp}:{raw}", "timestamp": {"from": "header:x-zm-request-timestamp"}
    },
    "handshakes": [{
      "kind": "hmac_challenge", "if": {"body:/event": "endpoint.url_validation"},
      "challenge": "body:/payload/plainToken", "plain_member": "plainToken", "hmac_member": "encryptedToken"
    }],
    "event": {
      "type": "{body:/event}",
      "path": ["{body:/event|before:.}/{body:/payload/object/id}", "{body:/event|before:.}/"],
      "account": "{body:/payload/account_id}",
      "occurred_at": ["body:/event_ts"]
    }
  }
  $json$
),
(
  'twilio', 'Twilio', 'communication', 'https://api.twilio.com/2010-04-01',
  'https://www.twilio.com/docs/usage/security#validating-requests', 'TWILIO_AUTH_TOKEN', null, 1048576,
  $json$
  {
    "verify": [
      {"family": "hmac", "algorithm": "sha1", "encoding": "base64", "header": "x-twilio-signature", "signed": "{url}{form}"},
      {
        "family": "hmac", "algorithm": "sha1", "encoding": "base64", "header": "x-twilio-signature", "signed": "{url}",
        "body_hash": {"from": "query:bodySHA256", "encoding": "hex"}
      }
    ],
    "event": {
      "dedupe": [
        "{header:i-twilio-idempotency-token}",
        "{body:/MessageSid}:{body:/MessageStatus}", "{body:/MessageSid}:{body:/SmsStatus}", "{body:/CallSid}:{body:/CallStatus}"
      ],
      "type": ["message.{body:/MessageStatus}", "message.{body:/SmsStatus}", "call.{body:/CallStatus}", "{body:/EventType}", "request"],
      "path": ["messages/{body:/MessageSid}", "calls/{body:/CallSid}", "conversations/{body:/ConversationSid}", "requests/"],
      "account": "{body:/AccountSid}"
    },
    "ack": [{"content_type": "text/xml", "body": "<Response/>"}]
  }
  $json$
),
(
  'sendgrid', 'SendGrid', 'communication', 'https://api.sendgrid.com/v3',
  'https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features', 'SENDGRID_WEBHOOK_PUBLIC_KEY', null, 4194304,
  $json$
  {
    "verify": {
      "family": "ecdsa", "header": "x-twilio-email-event-webhook-signature", "encoding": "base64", "signed": "{timestamp}{raw}",
      "timestamp": {"from": "header:x-twilio-email-event-webhook-timestamp", "tolerance_seconds": 86400}
    },
    "body": {"format": "json", "items": [""]},
    "event": {
      "dedupe": ["{item:/sg_event_id}"],
      "type": "{item:/event}",
      "path": ["messages/{item:/sg_message_id|before:.}", "messages/"],
      "occurred_at": ["item:/timestamp"]
    }
  }
  $json$
),
(
  'intercom', 'Intercom', 'crm', 'https://api.intercom.io',
  'https://developers.intercom.com/docs/webhooks/setting-up-webhooks', 'INTERCOM_CLIENT_SECRET', null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha1", "encoding": "hex", "header": "x-hub-signature", "prefix": "sha1="},
    "handshakes": [{"kind": "probe"}],
    "event": {
      "dedupe": "{body:/id}",
      "type": "{body:/topic}",
      "path": ["{body:/data/item/type}s/{body:/data/item/id}", "{body:/topic|before:.}s/"],
      "account": "{body:/app_id}",
      "occurred_at": ["body:/created_at"]
    }
  }
  $json$
),
(
  'hubspot', 'HubSpot', 'crm', 'https://api.hubapi.com',
  'https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests', 'HUBSPOT_CLIENT_SECRET', null, 1048576,
  $json$
  {
    "verify": {
      "family": "hmac", "algorithm": "sha256", "encoding": "base64", "header": "x-hubspot-signature-v3",
      "signed": "{method}{url_unescaped}{raw}{timestamp}",
      "timestamp": {"from": "header:x-hubspot-request-timestamp", "unit": "ms"}
    },
    "body": {"format": "json", "items": [""]},
    "event": {
      "dedupe": "{item:/portalId}:{item:/subscriptionId}:{item:/eventId}",
      "type": "{item:/subscriptionType}",
      "path": ["{item:/subscriptionType|before:.}/{item:/objectId}", "{item:/subscriptionType|before:.}/"],
      "account": "{item:/portalId}",
      "occurred_at": ["item:/occurredAt"]
    }
  }
  $json$
),
(
  'meta', 'Meta', 'marketing', 'https://graph.facebook.com',
  'https://developers.facebook.com/docs/graph-api/webhooks/getting-started', 'META_APP_SECRET', null, 4194304,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-hub-signature-256", "prefix": "sha256="},
    "body": {"format": "json", "items": ["/entry"]},
    "handshakes": [{"kind": "query_challenge", "if": {"query:hub.mode": "subscribe"}, "challenge": "hub.challenge", "token": "hub.verify_token"}],
    "event": {
      "type": [
        "{body:/object}.{item:/changes/0/field}",
        {"if": {"item:/messaging/0/timestamp": true}, "then": "{body:/object}.messaging"},
        "{body:/object}"
      ],
      "path": ["{body:/object}/{item:/id}", "{body:/object}/"],
      "account": "{item:/id}",
      "occurred_at": ["item:/time"]
    }
  }
  $json$
),
(
  'typeform', 'Typeform', 'forms', 'https://api.typeform.com',
  'https://www.typeform.com/developers/webhooks/secure-your-webhooks/', 'TYPEFORM_WEBHOOK_SECRET', null, 4194304,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "base64", "header": "typeform-signature", "prefix": "sha256="},
    "event": {
      "dedupe": "{body:/event_id}",
      "type": "{body:/event_type}",
      "path": ["forms/{body:/form_response/form_id}/responses/{body:/form_response/token}", "forms/"],
      "account": "{body:/form_response/form_id}",
      "occurred_at": ["body:/form_response/submitted_at"]
    }
  }
  $json$
),
(
  'calendly', 'Calendly', 'calendar', 'https://api.calendly.com',
  'https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures', 'CALENDLY_WEBHOOK_SIGNING_KEY', null, 1048576,
  $json$
  {
    "verify": {
      "family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "calendly-webhook-signature", "prefix": "v1=",
      "separator": ",", "signed": "{timestamp}.{raw}", "timestamp": {"from": "part:t"}
    },
    "event": {
      "dedupe": "{body:/event}:{body:/payload/uri|after:/}:{body:/created_at}",
      "type": "{body:/event}",
      "path": ["{body:/payload/uri|after:api.calendly.com/}", "{body:/event|before:.}/"],
      "account": "{body:/created_by|after:/}",
      "occurred_at": ["body:/created_at"]
    }
  }
  $json$
),
(
  'shopify', 'Shopify', 'commerce', null,
  'https://shopify.dev/docs/apps/build/webhooks/subscribe/https', 'SHOPIFY_CLIENT_SECRET', null, 8388608,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "base64", "header": "x-shopify-hmac-sha256"},
    "event": {
      "dedupe": "{header:x-shopify-webhook-id}",
      "type": "{header:x-shopify-topic}",
      "path": ["{header:x-shopify-topic|before:/}/{body:/id}", "{header:x-shopify-topic|before:/}/"],
      "account": "{header:x-shopify-shop-domain}",
      "occurred_at": ["header:x-shopify-triggered-at", "body:/updated_at"]
    }
  }
  $json$
),
(
  'stripe', 'Stripe', 'commerce', 'https://api.stripe.com',
  'https://docs.stripe.com/webhooks#verify-manually', 'STRIPE_WEBHOOK_SECRET', null, 4194304,
  $json$
  {
    "verify": {
      "family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "stripe-signature", "prefix": "v1=", "separator": ",",
      "signed": "{timestamp}.{raw}", "timestamp": {"from": "part:t"}
    },
    "event": {
      "dedupe": "{body:/id}",
      "type": "{body:/type}",
      "path": [
        "{body:/data/object/object}/{body:/data/object/id}",
        "{body:/related_object/type}/{body:/related_object/id}",
        "{body:/type|before:.}/"
      ],
      "account": ["{body:/account}", "{body:/context}"],
      "occurred_at": ["body:/created"]
    }
  }
  $json$
),
(
  'square', 'Square', 'commerce', 'https://connect.squareup.com/v2',
  'https://developer.squareup.com/docs/webhooks/step3validate', 'SQUARE_WEBHOOK_SIGNATURE_KEY', null, 1048576,
  $json$
  {
    "verify": {"family": "hmac", "algorithm": "sha256", "encoding": "base64", "header": "x-square-hmacsha256-signature", "signed": "{url}{raw}"},
    "event": {
      "dedupe": "{body:/event_id}",
      "type": "{body:/type}",
      "path": ["{body:/data/type}/{body:/data/id}", "{body:/type|before:.}/"],
      "account": "{body:/merchant_id}",
      "occurred_at": ["body:/created_at"]
    }
  }
  $json$
),
(
  'paypal', 'PayPal', 'commerce', 'https://api-m.paypal.com',
  'https://developer.paypal.com/api/rest/webhooks/rest/', null, null, 1048576,
  $json$
  {
    "verify": {
      "family": "rsa_certificate", "header": "paypal-transmission-sig",
      "certificate": {
        "header": "paypal-cert-url", "path_prefix": "/v1/notifications/certs/",
        "hosts": ["api.paypal.com", "api.sandbox.paypal.com"]
      },
      "signed": "{header:paypal-transmission-id}|{header:paypal-transmission-time}|{secret}|{crc32}",
      "timestamp": {"from": "header:paypal-transmission-time", "unit": "iso", "tolerance_seconds": 259200}
    },
    "event": {
      "dedupe": "{body:/id}",
      "type": "{body:/event_type}",
      "path": ["{body:/resource_type}/{body:/resource/id}", "{body:/resource_type}/", "events/"],
      "account": ["{body:/resource/payee/merchant_id}", "{body:/resource/merchant_id}"],
      "occurred_at": ["body:/create_time"]
    }
  }
  $json$
),
(
  'svix', 'Svix', 'automation', 'https://api.svix.com',
  'https://docs.svix.com/receiving/verifying-payloads/how-manual', 'SVIX_WEBHOOK_SECRET', null, 1048576,
  $json$
  {
    "verify": {"family": "standard_webhooks"},
    "event": {
      "dedupe": ["{header:webhook-id}", "{header:svix-id}"],
      "type": ["{body:/type}", "{body:/event_type}", "{body:/eventType}", "event"],
      "path": ["{body:/type|before:.}/{body:/data/id}", "events/"],
      "occurred_at": ["body:/timestamp", "header:webhook-timestamp", "header:svix-timestamp"]
    }
  }
  $json$
),
(
  'standard_webhooks', 'Standard Webhooks', 'automation', null,
  'https://www.standardwebhooks.com/', 'STANDARD_WEBHOOKS_SECRET', null, 1048576,
  $json$
  {
    "verify": {"family": "standard_webhooks"},
    "event": {
      "dedupe": ["{header:webhook-id}", "{header:svix-id}"],
      "type": ["{body:/type}", "{body:/event_type}", "{body:/eventType}", "event"],
      "path": ["{body:/type|before:.}/{body:/data/id}", "events/"],
      "occurred_at": ["body:/timestamp", "header:webhook-timestamp", "header:svix-timestamp"]
    }
  }
  $json$
),
(
  'generic', 'Generic webhook', 'automation', null,
  null, 'GENERIC_WEBHOOK_SECRET', null, 1048576,
  $json$
  {
    "verify": [
      {"family": "standard_webhooks"},
      {"family": "hmac", "algorithm": "sha256", "encoding": "hex", "header": "x-signature-256", "prefix": "sha256="},
      {"family": "token", "header": "authorization", "prefix": "Bearer "},
      {"family": "token", "header": "authorization", "prefix": "Basic ", "encoding": "basic"}
    ],
    "event": {
      "dedupe": ["{header:webhook-id}", "{header:x-delivery-id}", "{header:idempotency-key}"],
      "type": ["{body:/type}", "{body:/event_type}", "{body:/event}", "event"],
      "path": ["{body:/resource_path}", "events/"],
      "occurred_at": ["body:/timestamp", "body:/created_at"]
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
