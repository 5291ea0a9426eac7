-- SendGrid, Mailgun and Twilio.

-- SendGrid ------------------------------------------------------------------------------------

select marketplace.register_provider(
  'sendgrid',
  p_auth_type => 'bearer',
  p_auth_config => '{"secrets": {"api_token": {"title": "API key", "description": "Begins with SG."}}}',
  p_rate_limit => $json$
  {
    "limit_header": "x-ratelimit-limit", "remaining_header": "x-ratelimit-remaining",
    "reset_header": "x-ratelimit-reset", "reset_format": "epoch_s", "quota": {"limit": 600, "window_seconds": 60}
  }
  $json$,
  p_health_action => 'scopes.list'
);

select marketplace.register_action('sendgrid', 'scopes.list', 'GET', '/scopes', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'List the key''s scopes');

select marketplace.register_action('sendgrid', 'mail.send', 'POST', '/mail/send', $json$
{
  "type": "object", "additionalProperties": false, "required": ["personalizations", "from"],
  "properties": {
    "personalizations": {
      "type": "array", "minItems": 1, "maxItems": 1000,
      "items": {
        "type": "object", "required": ["to"],
        "properties": {"to": {"type": "array", "items": {"$ref": "#/$defs/address"}, "minItems": 1}}
      }
    },
    "from": {"$ref": "#/$defs/address"},
    "reply_to": {"$ref": "#/$defs/address"},
    "subject": {"type": "string"},
    "content": {
      "type": "array", "minItems": 1,
      "items": {"type": "object", "required": ["type", "value"], "properties": {"type": {"type": "string"}, "value": {"type": "string"}}}
    },
    "attachments": {
      "type": "array",
      "items": {
        "type": "object", "required": ["content", "filename"],
        "properties": {
          "content": {"type": "string", "format": "base64"}, "filename": {"type": "string"}, "type": {"type": "string"},
          "disposition": {"enum": ["inline", "attachment"]}, "content_id": {"type": "string"}
        }
      }
    },
    "template_id": {"type": "string"},
    "headers": {"type": "object", "additionalProperties": {"type": "string"}},
    "categories": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
    "custom_args": {"type": "object"},
    "send_at": {"type": "integer", "description": "Unix seconds"},
    "batch_id": {"type": "string"},
    "asm": {"type": "object"},
    "ip_pool_name": {"type": "string"},
    "mail_settings": {"type": "object"},
    "tracking_settings": {"type": "object"}
  },
  "$defs": {
    "address": {
      "type": "object", "additionalProperties": false, "required": ["email"],
      "properties": {"email": {"type": "string", "format": "email"}, "name": {"type": "string"}}
    }
  }
}
$json$, p_response_type => 'none', p_name => 'Send mails', p_sensitive_paths => '{/content,/attachments/*/content}', p_scopes => '{mail.send}');

select marketplace.register_action('sendgrid', 'mail.sendOne', 'POST', '/mail/send', $json$
{
  "type": "object", "additionalProperties": false, "required": ["to", "from"],
  "properties": {
    "to": {"type": "array", "items": {"type": "string", "format": "email"}, "minItems": 1},
    "cc": {"type": "array", "items": {"type": "string", "format": "email"}},
    "bcc": {"type": "array", "items": {"type": "string", "format": "email"}},
    "from": {"type": "string", "format": "email"},
    "from_name": {"type": "string"},
    "reply_to": {"type": "string", "format": "email"},
    "subject": {"type": "string"},
    "text": {"type": "string"},
    "html": {"type": "string"},
    "template_id": {"type": "string"},
    "template_data": {"type": "object", "description": "Values of a dynamic template"}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    {
      "personalizations": [$merge([
        {"to": [to.{"email": $}]},
        cc ? {"cc": [cc.{"email": $}]} : {},
        bcc ? {"bcc": [bcc.{"email": $}]} : {},
        {"dynamic_template_data": template_data}
      ])],
      "from": {"email": from, "name": from_name},
      "subject": subject,
      "template_id": template_id
    },
    reply_to ? {"reply_to": {"email": reply_to}} : {},
    text or html
      ? {"content": [
          text ? {"type": "text/plain", "value": text},
          html ? {"type": "text/html", "value": html}
        ]}
      : template_id ? {} : $error("pass text, html or template_id")
  ])
$jsonata$,
p_response_type => 'none', p_name => 'Send a mail', p_sensitive_paths => '{/text,/html,/template_data}', p_scopes => '{mail.send}');

select marketplace.register_action('sendgrid', 'marketing.contacts.upsert', 'PUT', '/marketing/contacts', $json$
{
  "type": "object", "additionalProperties": false, "required": ["contacts"],
  "properties": {
    "list_ids": {"type": "array", "items": {"type": "string"}},
    "contacts": {
      "type": "array", "minItems": 1, "maxItems": 30000,
      "items": {"type": "object", "required": ["email"], "properties": {"email": {"type": "string", "format": "email"}}}
    }
  }
}
$json$, p_name => 'Add or update contacts', p_scopes => '{marketing.read}');

select marketplace.register_action('sendgrid', 'templates.list', 'GET', '/templates', $json$
{
  "type": "object", "additionalProperties": false, "required": ["page_size"],
  "properties": {
    "generations": {"type": "array", "items": {"enum": ["legacy", "dynamic"]}, "x-style": "comma"},
    "page_size": {"type": "integer", "minimum": 1, "maximum": 200},
    "page_token": {"type": "string"}
  }
}
$json$, p_name => 'List templates', p_pagination => '{"style": "link", "next": "/_metadata/next", "items": "/result"}', p_scopes => '{templates.read}');

select marketplace.register_action('sendgrid', 'suppression.bounces.list', 'GET', '/suppression/bounces', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "start_time": {"type": "integer", "description": "Unix seconds"}, "end_time": {"type": "integer", "description": "Unix seconds"},
    "email": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500}, "offset": {"type": "integer", "minimum": 0}
  }
}
$json$, p_name => 'List bounces', p_scopes => '{suppression.read}',
p_pagination => '{"style": "offset", "parameter": "offset", "size_parameter": "limit", "default_size": 500, "items": ""}');

select marketplace.register_action('sendgrid', 'suppression.bounces.delete', 'DELETE', '/suppression/bounces/{email}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["email"],
  "properties": {"email": {"type": "string", "format": "email"}}
}
$json$, p_response_type => 'none', p_name => 'Forget a bounce', p_scopes => '{suppression.delete}');

select marketplace.register_action('sendgrid', 'stats.get', 'GET', '/stats', $json$
{
  "type": "object", "additionalProperties": false, "required": ["start_date"],
  "properties": {
    "start_date": {"type": "string", "format": "date"}, "end_date": {"type": "string", "format": "date"},
    "aggregated_by": {"enum": ["day", "week", "month"]}
  }
}
$json$, p_name => 'Get statistics', p_scopes => '{stats.read}');

-- Mailgun -------------------------------------------------------------------------------------

select marketplace.register_provider(
  'mailgun', 'Mailgun', 'communication', 'https://api.mailgun.net', -- the EU's is api_base https://api.eu.mailgun.net
  p_auth_type => 'basic',
  p_auth_config => $json$
  {
    "settings": {"domain": {"title": "Sending domain", "pattern": "[A-Za-z0-9.-]+"}},
    "secrets": {"api_token": {"title": "API key"}},
    "basic": {"username": "api", "password": "{secret.api_token}"}
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 300, "window_seconds": 60}}',
  p_health_action => 'domains.get',
  p_docs_url => 'https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun'
);

select marketplace.register_action('mailgun', 'domains.get', 'GET', '/v4/domains/{connection.domain}', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the sending domain');

select marketplace.register_action('mailgun', 'messages.send', 'POST', '/v3/{connection.domain}/messages', $json$
{
  "type": "object", "additionalProperties": false, "required": ["from", "to", "subject"],
  "properties": {
    "from": {"type": "string", "minLength": 3},
    "to": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000},
    "cc": {"type": "array", "items": {"type": "string"}},
    "bcc": {"type": "array", "items": {"type": "string"}},
    "subject": {"type": "string"},
    "text": {"type": "string"},
    "html": {"type": "string"},
    "template": {"type": "string"},
    "attachment": {"type": "array", "items": {"$ref": "#/$defs/file"}},
    "inline": {"type": "array", "items": {"$ref": "#/$defs/file"}},
    "recipient-variables": {"type": "object", "description": "Values by recipient"}
  },
  "patternProperties": {
    "^o:tag$": {"type": "array", "items": {"type": "string"}, "maxItems": 10},
    "^o:(testmode|tracking|tracking-clicks|tracking-opens|dkim|deliverytime|require-tls)$": {"type": "string"},
    "^[htv]:": {"type": ["string", "object"]}
  },
  "$defs": {
    "file": {
      "type": "object", "additionalProperties": false, "required": ["filename"],
      "properties": {
        "filename": {"type": "string", "minLength": 1},
        "content_type": {"type": "string"},
        "data": {"type": "string", "format": "base64"},
        "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
      }
    }
  }
}
$json$, p_body_type => 'multipart', p_name => 'Send a mail', p_timeout_ms => 60000,
p_sensitive_paths => '{/text,/html,/attachment/*/data,/inline/*/data,/recipient-variables}');

select marketplace.register_action('mailgun', 'events.list', 'GET', '/v3/{connection.domain}/events', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "begin": {"type": "string", "description": "RFC 2822 date or Unix seconds"},
    "end": {"type": "string"},
    "ascending": {"enum": ["yes", "no"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": 300},
    "event": {"type": "string", "description": "Such as delivered, or rejected OR failed"},
    "recipient": {"type": "string"},
    "from": {"type": "string"},
    "subject": {"type": "string"},
    "tags": {"type": "string"}
  }
}
$json$, p_name => 'List events');

select marketplace.register_action('mailgun', 'bounces.list', 'GET', '/v3/{connection.domain}/bounces', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    "page": {"enum": ["next", "previous", "last"]},
    "address": {"type": "string"},
    "term": {"type": "string"}
  }
}
$json$, p_name => 'List bounces', p_pagination => '{"style": "link", "next": "/paging/next", "items": "/items"}');

select marketplace.register_action('mailgun', 'bounces.delete', 'DELETE', '/v3/{connection.domain}/bounces/{address}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["address"],
  "properties": {"address": {"type": "string", "format": "email"}}
}
$json$, p_name => 'Forget a bounce');

select marketplace.register_action('mailgun', 'lists.members.create', 'POST', '/v3/lists/{list_address}/members', $json$
{
  "type": "object", "additionalProperties": false, "required": ["list_address", "address"],
  "properties": {
    "list_address": {"type": "string", "format": "email"},
    "address": {"type": "string", "format": "email"},
    "name": {"type": "string"},
    "vars": {"type": "object", "x-style": "json"},
    "subscribed": {"type": "boolean"},
    "upsert": {"type": "boolean"}
  }
}
$json$, p_body_type => 'form', p_name => 'Add a mailing list member');

-- Twilio --------------------------------------------------------------------------------------
-- Operation names are those of Twilio's OpenAPI description.

select marketplace.register_provider(
  'twilio',
  p_auth_type => 'basic',
  p_auth_config => $json$
  {
    "settings": {"account_sid": {"title": "Account SID", "pattern": "AC[0-9a-fA-F]{32}"}},
    "secrets": {"auth_token": {"title": "Auth token"}},
    "basic": {"username": "{connection.account_sid}", "password": "{secret.auth_token}"},
    "alternatives": {
      "api_key": {
        "settings": {
          "account_sid": {"title": "Account SID", "pattern": "AC[0-9a-fA-F]{32}"},
          "api_key_sid": {"title": "API key SID", "pattern": "SK[0-9a-fA-F]{32}"}
        },
        "secrets": {"api_key_secret": {"title": "API key secret"}},
        "basic": {"username": "{connection.api_key_sid}", "password": "{secret.api_key_secret}"}
      }
    }
  }
  $json$,
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'FetchAccount'
);

select marketplace.register_action('twilio', 'FetchAccount', 'GET', '/Accounts/{connection.account_sid}.json', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the account', p_sensitive_paths => '{/auth_token}');

select marketplace.register_action('twilio', 'CreateMessage', 'POST', '/Accounts/{connection.account_sid}/Messages.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["To"],
  "properties": {
    "To": {"type": "string", "minLength": 1, "description": "+15558675310, or whatsapp:+15558675310"},
    "From": {"type": "string", "description": "One of the account's numbers; or pass MessagingServiceSid"},
    "MessagingServiceSid": {"type": "string"},
    "Body": {"type": "string", "maxLength": 1600},
    "MediaUrl": {"type": "array", "items": {"type": "string", "format": "uri"}, "maxItems": 10},
    "ContentSid": {"type": "string"},
    "ContentVariables": {"type": "object", "x-style": "json"},
    "StatusCallback": {"type": "string", "format": "uri"},
    "SendAt": {"type": "string", "format": "date-time"},
    "ScheduleType": {"enum": ["fixed"]},
    "ValidityPeriod": {"type": "integer", "minimum": 1, "maximum": 36000, "description": "Seconds"}
  }
}
$json$, p_body_type => 'form', p_name => 'Send a message', p_sensitive_paths => '{/Body,/body}');

select marketplace.register_action('twilio', 'ListMessage', 'GET', '/Accounts/{connection.account_sid}/Messages.json', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "To": {"type": "string"},
    "From": {"type": "string"},
    "DateSent": {"type": "string"},
    "DateSent<": {"type": "string"},
    "DateSent>": {"type": "string"},
    "PageSize": {"type": "integer", "minimum": 1, "maximum": 1000},
    "Page": {"type": "integer", "minimum": 0},
    "PageToken": {"type": "string"}
  }
}
$json$, p_name => 'List messages', p_pagination => '{"style": "link", "next": "/next_page_uri", "items": "/messages"}', p_sensitive_paths => '{/messages/*/body}');

select marketplace.register_action('twilio', 'FetchMessage', 'GET', '/Accounts/{connection.account_sid}/Messages/{Sid}.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["Sid"],
  "properties": {"Sid": {"type": "string", "pattern": "^(SM|MM)[0-9a-fA-F]{32}$"}}
}
$json$, p_name => 'Get a message', p_sensitive_paths => '{/body}');

select marketplace.register_action('twilio', 'DeleteMessage', 'DELETE', '/Accounts/{connection.account_sid}/Messages/{Sid}.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["Sid"],
  "properties": {"Sid": {"type": "string", "pattern": "^(SM|MM)[0-9a-fA-F]{32}$"}}
}
$json$, p_response_type => 'none', p_name => 'Delete a message');

select marketplace.register_action('twilio', 'CreateCall', 'POST', '/Accounts/{connection.account_sid}/Calls.json', $json$
{
  "type": "object", "additionalProperties": false, "required": ["To", "From"],
  "properties": {
    "To": {"type": "string", "minLength": 1},
    "From": {"type": "string", "minLength": 1},
    "Url": {"type": "string", "format": "uri", "description": "Where Twilio gets its TwiML; or pass Twiml"},
    "Twiml": {"type": "string"},
    "Method": {"enum": ["GET", "POST"]},
    "StatusCallback": {"type": "string", "format": "uri"},
    "StatusCallbackEvent": {"type": "array", "items": {"enum": ["initiated", "ringing", "answered", "completed"]}},
    "Timeout": {"type": "integer", "minimum": 1, "maximum": 600},
    "Record": {"type": "boolean"},
    "MachineDetection": {"enum": ["Enable", "DetectMessageEnd"]}
  }
}
$json$, p_body_type => 'form', p_name => 'Make a call');

select marketplace.register_action('twilio', 'ListCall', 'GET', '/Accounts/{connection.account_sid}/Calls.json', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "To": {"type": "string"},
    "From": {"type": "string"},
    "Status": {"enum": ["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"]},
    "StartTime": {"type": "string"},
    "PageSize": {"type": "integer", "minimum": 1, "maximum": 1000},
    "Page": {"type": "integer", "minimum": 0},
    "PageToken": {"type": "string"}
  }
}
$json$, p_name => 'List calls', p_pagination => '{"style": "link", "next": "/next_page_uri", "items": "/calls"}');

select marketplace.register_action('twilio', 'ListIncomingPhoneNumber', 'GET', '/Accounts/{connection.account_sid}/IncomingPhoneNumbers.json', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "PhoneNumber": {"type": "string"},
    "PageSize": {"type": "integer", "minimum": 1, "maximum": 1000},
    "Page": {"type": "integer", "minimum": 0},
    "PageToken": {"type": "string"}
  }
}
$json$, p_name => 'List phone numbers', p_pagination => '{"style": "link", "next": "/next_page_uri", "items": "/incoming_phone_numbers"}');
