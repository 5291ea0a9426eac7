-- Gmail and Google Calendar. Gmail counts quota units, not requests: quota_cost is what Google charges.
-- https://developers.google.com/workspace/gmail/api/reference/quota

-- Gmail: messages -----------------------------------------------------------------------------

select marketplace.register_action('gmail', 'users.getProfile', 'GET', '/users/{userId}/profile', $json$
{"type": "object", "additionalProperties": false, "properties": {"userId": {"type": "string", "default": "me"}}}
$json$, p_name => 'Get the mailbox''s address', p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'messages.list', 'GET', '/users/{userId}/messages', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "q": {"type": "string", "description": "As in Gmail's search box: from:someone@example.com is:unread"},
    "labelIds": {"type": "array", "items": {"type": "string"}},
    "includeSpamTrash": {"type": "boolean"},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 500},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List or search messages', p_quota_cost => 5,
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/messages"}',
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'messages.get', 'GET', '/users/{userId}/messages/{id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "id": {"type": "string", "minLength": 1},
    "format": {"enum": ["minimal", "full", "raw", "metadata"]},
    "metadataHeaders": {"type": "array", "items": {"type": "string"}}
  }
}
$json$, p_name => 'Get a message', p_quota_cost => 5, p_sensitive_paths => '{/payload,/raw,/snippet}',
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'messages.attachments.get', 'GET', '/users/{userId}/messages/{messageId}/attachments/{id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["messageId", "id"],
  "properties": {
    "userId": {"type": "string", "default": "me"}, "messageId": {"type": "string", "minLength": 1}, "id": {"type": "string", "minLength": 1}
  }
}
$json$, p_name => 'Get an attachment', p_quota_cost => 5, p_sensitive_paths => '{/data}',
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}', p_description => 'Its bytes come as base64url in data.');

-- Sending and drafting take the same message; the handler writes it as RFC 2822.
select marketplace.register_action(
  'gmail', mail.slug, 'POST', mail.path, $json$
{
  "type": "object", "additionalProperties": false, "required": ["to", "subject"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "to": {"$ref": "#/$defs/addresses"},
    "cc": {"$ref": "#/$defs/addresses"},
    "bcc": {"$ref": "#/$defs/addresses"},
    "from": {"type": "string", "description": "One of the account's send-as addresses"},
    "reply_to": {"$ref": "#/$defs/addresses"},
    "subject": {"type": "string", "maxLength": 998},
    "text": {"type": "string"},
    "html": {"type": "string"},
    "attachments": {
      "type": "array", "maxItems": 50,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["filename"],
        "properties": {
          "filename": {"type": "string", "minLength": 1},
          "content_type": {"type": "string"},
          "content_id": {"type": "string", "description": "For images inside the HTML: <img src=\"cid:…\">"},
          "data": {"type": "string", "format": "base64"},
          "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
        }
      }
    },
    "thread_id": {"type": "string", "description": "Thread to answer in"},
    "in_reply_to": {"type": "string", "description": "Message-ID that is answered"},
    "references": {"type": "array", "items": {"type": "string"}}
  },
  "$defs": {
    "addresses": {
      "description": "Address, with or without a name: Ada Lovelace <ada@example.com>",
      "anyOf": [
        {"type": "string", "minLength": 3},
        {"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": 1, "maxItems": 500}
      ]
    }
  }
}
$json$, p_handler => 'gmail_send', p_name => mail.name, p_quota_cost => mail.cost, p_timeout_ms => 60000,
p_sensitive_paths => '{/text,/html,/attachments/*/data}', p_scopes => mail.scopes)
from (
  values
  ('messages.send', '/users/{userId}/messages/send', 'Send a mail', 100, array['https://www.googleapis.com/auth/gmail.send']),
  ('drafts.create', '/users/{userId}/drafts', 'Write a draft', 10, array['https://www.googleapis.com/auth/gmail.compose'])
) as mail (slug, path, name, cost, scopes);

select marketplace.register_action('gmail', 'drafts.send', 'POST', '/users/{userId}/drafts/send', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"userId": {"type": "string", "default": "me"}, "id": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Send a draft', p_quota_cost => 100, p_scopes => '{https://www.googleapis.com/auth/gmail.compose}');

select marketplace.register_action('gmail', 'messages.modify', 'POST', '/users/{userId}/messages/{id}/modify', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "id": {"type": "string", "minLength": 1},
    "addLabelIds": {"type": "array", "items": {"type": "string"}, "maxItems": 100},
    "removeLabelIds": {"type": "array", "items": {"type": "string"}, "maxItems": 100, "description": "UNREAD marks as read, INBOX archives"}
  }
}
$json$, p_is_idempotent => true, p_name => 'Label, archive or mark a message', p_quota_cost => 5,
p_scopes => '{https://www.googleapis.com/auth/gmail.modify}');

select marketplace.register_action('gmail', 'messages.batchModify', 'POST', '/users/{userId}/messages/batchModify', $json$
{
  "type": "object", "additionalProperties": false, "required": ["ids"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1000},
    "addLabelIds": {"type": "array", "items": {"type": "string"}},
    "removeLabelIds": {"type": "array", "items": {"type": "string"}}
  }
}
$json$, p_response_type => 'none', p_is_idempotent => true, p_name => 'Label many messages', p_quota_cost => 50,
p_scopes => '{https://www.googleapis.com/auth/gmail.modify}');

select marketplace.register_action('gmail', bin.slug, 'POST', bin.path, $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"userId": {"type": "string", "default": "me"}, "id": {"type": "string", "minLength": 1}}
}
$json$, p_body_type => 'none', p_is_idempotent => true, p_name => bin.name, p_quota_cost => 5,
p_scopes => '{https://www.googleapis.com/auth/gmail.modify}')
from (
  values
  ('messages.trash', '/users/{userId}/messages/{id}/trash', 'Move a message to the trash'),
  ('messages.untrash', '/users/{userId}/messages/{id}/untrash', 'Take a message out of the trash')
) as bin (slug, path, name);

-- Gmail: threads, labels, history -------------------------------------------------------------

select marketplace.register_action('gmail', 'threads.list', 'GET', '/users/{userId}/threads', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "q": {"type": "string"},
    "labelIds": {"type": "array", "items": {"type": "string"}},
    "includeSpamTrash": {"type": "boolean"},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 500},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List or search threads', p_quota_cost => 10,
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/threads"}',
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'threads.get', 'GET', '/users/{userId}/threads/{id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "id": {"type": "string", "minLength": 1},
    "format": {"enum": ["full", "metadata", "minimal"]},
    "metadataHeaders": {"type": "array", "items": {"type": "string"}}
  }
}
$json$, p_name => 'Get a thread', p_quota_cost => 10, p_sensitive_paths => '{/messages/*/payload,/messages/*/snippet}',
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'labels.list', 'GET', '/users/{userId}/labels', $json$
{"type": "object", "additionalProperties": false, "properties": {"userId": {"type": "string", "default": "me"}}}
$json$, p_name => 'List labels', p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'labels.create', 'POST', '/users/{userId}/labels', $json$
{
  "type": "object", "additionalProperties": false, "required": ["name"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "name": {"type": "string", "minLength": 1, "description": "Nested with slashes: Clients/Acme"},
    "messageListVisibility": {"enum": ["show", "hide"]},
    "labelListVisibility": {"enum": ["labelShow", "labelShowIfUnread", "labelHide"]}
  }
}
$json$, p_name => 'Create a label', p_quota_cost => 5, p_scopes => '{https://www.googleapis.com/auth/gmail.labels}');

select marketplace.register_action('gmail', 'history.list', 'GET', '/users/{userId}/history', $json$
{
  "type": "object", "additionalProperties": false, "required": ["startHistoryId"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "startHistoryId": {"type": "string", "pattern": "^[0-9]+$"},
    "labelId": {"type": "string"},
    "historyTypes": {"type": "array", "items": {"enum": ["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"]}},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 500},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List what changed', p_quota_cost => 2,
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/history"}',
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

select marketplace.register_action('gmail', 'users.watch', 'POST', '/users/{userId}/watch', $json$
{
  "type": "object", "additionalProperties": false, "required": ["topicName"],
  "properties": {
    "userId": {"type": "string", "default": "me"},
    "topicName": {"type": "string", "pattern": "^projects/[^/]+/topics/[^/]+$"},
    "labelIds": {"type": "array", "items": {"type": "string"}},
    "labelFilterBehavior": {"enum": ["include", "exclude"]}
  }
}
$json$, p_is_idempotent => true, p_name => 'Push notifications on', p_quota_cost => 100,
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}', p_description => 'Ends after seven days: renew it daily.');

select marketplace.register_action('gmail', 'users.stop', 'POST', '/users/{userId}/stop', $json$
{"type": "object", "additionalProperties": false, "properties": {"userId": {"type": "string", "default": "me"}}}
$json$, p_body_type => 'none', p_response_type => 'none', p_is_idempotent => true, p_name => 'Push notifications off', p_quota_cost => 50,
p_scopes => '{https://www.googleapis.com/auth/gmail.readonly}');

-- Calendar ------------------------------------------------------------------------------------

select marketplace.register_action('google_calendar', 'calendarList.list', 'GET', '/users/me/calendarList', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "minAccessRole": {"enum": ["freeBusyReader", "reader", "writer", "owner"]},
    "showHidden": {"type": "boolean"},
    "showDeleted": {"type": "boolean"},
    "syncToken": {"type": "string"},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 250},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List calendars',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/items"}',
p_scopes => '{https://www.googleapis.com/auth/calendar.readonly}');

select marketplace.register_action('google_calendar', 'events.list', 'GET', '/calendars/{calendarId}/events', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "calendarId": {"type": "string", "default": "primary"},
    "timeMin": {"type": "string", "format": "date-time"},
    "timeMax": {"type": "string", "format": "date-time"},
    "updatedMin": {"type": "string", "format": "date-time"},
    "q": {"type": "string"},
    "singleEvents": {"type": "boolean", "description": "True expands recurring events"},
    "orderBy": {"enum": ["startTime", "updated"]},
    "showDeleted": {"type": "boolean"},
    "timeZone": {"type": "string"},
    "syncToken": {"type": "string"},
    "fields": {"type": "string", "description": "Such as: nextPageToken, items(id, status, updated)"},
    "maxResults": {"type": "integer", "minimum": 1, "maximum": 2500},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List events',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/items"}',
p_scopes => '{https://www.googleapis.com/auth/calendar.events.readonly}');

select marketplace.register_action('google_calendar', 'events.get', 'GET', '/calendars/{calendarId}/events/{eventId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["eventId"],
  "properties": {
    "calendarId": {"type": "string", "default": "primary"}, "eventId": {"type": "string", "minLength": 1}, "timeZone": {"type": "string"}
  }
}
$json$, p_name => 'Get an event', p_scopes => '{https://www.googleapis.com/auth/calendar.events.readonly}');

-- Making and changing an event take the same fields.
select marketplace.register_action(
  'google_calendar', event.slug, event.method, event.path, jsonb_set($json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "calendarId": {"type": "string", "default": "primary"},
    "eventId": {"type": "string", "minLength": 1},
    "sendUpdates": {"enum": ["all", "externalOnly", "none"]},
    "conferenceDataVersion": {"enum": [0, 1]},
    "supportsAttachments": {"type": "boolean"},
    "summary": {"type": "string"},
    "description": {"type": "string"},
    "location": {"type": "string"},
    "start": {"$ref": "#/$defs/moment"},
    "end": {"$ref": "#/$defs/moment"},
    "attendees": {
      "type": "array",
      "items": {
        "type": "object", "additionalProperties": false, "required": ["email"],
        "properties": {"email": {"type": "string", "format": "email"}, "displayName": {"type": "string"}, "optional": {"type": "boolean"}}
      }
    },
    "recurrence": {"type": "array", "items": {"type": "string"}, "description": "Such as RRULE:FREQ=WEEKLY;COUNT=4"},
    "reminders": {"type": "object"},
    "conferenceData": {"type": "object"},
    "attachments": {"type": "array", "items": {"type": "object"}},
    "visibility": {"enum": ["default", "public", "private", "confidential"]},
    "transparency": {"enum": ["opaque", "transparent"]},
    "status": {"enum": ["confirmed", "tentative", "cancelled"]},
    "colorId": {"type": "string"},
    "extendedProperties": {"type": "object"}
  },
  "$defs": {
    "moment": {
      "type": "object", "additionalProperties": false,
      "properties": {
        "date": {"type": "string", "format": "date", "description": "For whole days"},
        "dateTime": {"type": "string", "format": "date-time"},
        "timeZone": {"type": "string"}
      }
    }
  }
}
$json$, '{required}', event.required) #- event.without,
p_query_parameters => '{sendUpdates,conferenceDataVersion,supportsAttachments}', p_is_idempotent => event.is_idempotent, p_name => event.name,
p_scopes => '{https://www.googleapis.com/auth/calendar.events}')
from (
  values
  ('events.insert', 'POST', '/calendars/{calendarId}/events', 'Create an event', '["start", "end"]'::jsonb, '{properties,eventId}'::text[], false),
  ('events.patch', 'PATCH', '/calendars/{calendarId}/events/{eventId}', 'Change an event', '["eventId"]', '{properties,none}', true)
) as event (slug, method, path, name, required, without, is_idempotent);

select marketplace.register_action('google_calendar', 'events.quickAdd', 'POST', '/calendars/{calendarId}/events/quickAdd', $json$
{
  "type": "object", "additionalProperties": false, "required": ["text"],
  "properties": {
    "calendarId": {"type": "string", "default": "primary"},
    "text": {"type": "string", "minLength": 1, "description": "Lunch with Ada on Friday 12:30"},
    "sendUpdates": {"enum": ["all", "externalOnly", "none"]}
  }
}
$json$, p_body_type => 'none', p_name => 'Create an event from a sentence', p_scopes => '{https://www.googleapis.com/auth/calendar.events}');

select marketplace.register_action('google_calendar', 'events.delete', 'DELETE', '/calendars/{calendarId}/events/{eventId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["eventId"],
  "properties": {
    "calendarId": {"type": "string", "default": "primary"},
    "eventId": {"type": "string", "minLength": 1},
    "sendUpdates": {"enum": ["all", "externalOnly", "none"]}
  }
}
$json$, p_response_type => 'none', p_name => 'Delete an event', p_scopes => '{https://www.googleapis.com/auth/calendar.events}');

select marketplace.register_action('google_calendar', 'freebusy.query', 'POST', '/freeBusy', $json$
{
  "type": "object", "additionalProperties": false, "required": ["timeMin", "timeMax", "items"],
  "properties": {
    "timeMin": {"type": "string", "format": "date-time"},
    "timeMax": {"type": "string", "format": "date-time"},
    "timeZone": {"type": "string"},
    "items": {
      "type": "array", "minItems": 1, "maxItems": 50,
      "items": {"type": "object", "additionalProperties": false, "required": ["id"], "properties": {"id": {"type": "string", "minLength": 1}}}
    }
  }
}
$json$, p_is_read_only => true, p_name => 'Ask when people are busy', p_scopes => '{https://www.googleapis.com/auth/calendar.readonly}');

select marketplace.register_action('google_calendar', 'events.watch', 'POST', '/calendars/{calendarId}/events/watch', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id", "address"],
  "properties": {
    "calendarId": {"type": "string", "default": "primary"},
    "id": {"type": "string", "pattern": "^[A-Za-z0-9+/=_-]{1,64}$", "description": "Id of the channel, chosen by the caller"},
    "address": {"type": "string", "format": "uri"},
    "token": {"type": "string", "maxLength": 256},
    "type": {"const": "web_hook", "default": "web_hook"},
    "params": {"type": "object", "additionalProperties": false, "properties": {"ttl": {"type": "string", "pattern": "^[0-9]+$", "description": "Seconds"}}}
  }
}
$json$, p_name => 'Watch a calendar', p_sensitive_paths => '{/token}', p_scopes => '{https://www.googleapis.com/auth/calendar.events.readonly}');

select marketplace.register_action('google_calendar', 'channels.stop', 'POST', '/channels/stop', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id", "resourceId"],
  "properties": {"id": {"type": "string", "minLength": 1}, "resourceId": {"type": "string", "minLength": 1}}
}
$json$, p_response_type => 'none', p_is_idempotent => true, p_name => 'Stop watching', p_scopes => '{https://www.googleapis.com/auth/calendar.readonly}');
