-- Slack and Discord. Slack's reading methods take no JSON: they are asked with GET.

select marketplace.register_provider(
  'slack',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://slack.com/oauth/v2/authorize",
    "token_url": "https://slack.com/api/oauth.v2.access",
    "scopes": ["chat:write", "channels:read", "channels:history", "users:read"],
    "scope_separator": ",",
    "token_auth_method": "client_secret_post",
    "pkce": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": true,
    "token_lifetime_seconds": null,
    "token_settings": {"team_id": "/team/id", "bot_user_id": "/bot_user_id"},
    "alternatives": {"bearer": {"secrets": {"api_token": {"title": "Bot token", "description": "Begins with xoxb-"}}}}
  }
  $json$,
  p_request_headers => '{"content-type": "application/json; charset=utf-8"}',
  p_rate_limit => '{"retry_after_header": "retry-after", "quota": {"limit": 50, "window_seconds": 60}}',
  p_health_action => 'auth.test',
  p_response_errors => $json$
  {
    "pointer": "/ok", "success": true, "code": "/error",
    "rate_limited": ["ratelimited", "rate_limited"],
    "unauthorized": ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"]
  }
  $json$
);

select marketplace.register_action('slack', 'auth.test', 'POST', '/auth.test', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_is_read_only => true, p_name => 'Test the token');

-- Messages ------------------------------------------------------------------------------------

select marketplace.register_action('slack', 'chat.postMessage', 'POST', '/chat.postMessage', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel"],
  "properties": {
    "channel": {"type": "string", "minLength": 1, "description": "Id, or name such as #ci-artifacts"},
    "text": {"type": "string", "maxLength": 40000, "description": "Message, or fallback for blocks"},
    "blocks": {"type": "array", "items": {"type": "object"}, "maxItems": 50},
    "attachments": {"type": "array", "items": {"type": "object"}, "maxItems": 100},
    "thread_ts": {"type": "string", "description": "Message to answer to"},
    "reply_broadcast": {"type": "boolean"},
    "mrkdwn": {"type": "boolean"},
    "username": {"type": "string"},
    "icon_emoji": {"type": "string"},
    "icon_url": {"type": "string"},
    "metadata": {"type": "object"},
    "unfurl_links": {"type": "boolean"},
    "unfurl_media": {"type": "boolean"}
  }
}
$json$, p_name => 'Send a message', p_scopes => '{chat:write}',
p_description => 'Posts to a channel: https://docs.slack.dev/reference/methods/chat.postMessage');

select marketplace.register_action('slack', 'chat.postEphemeral', 'POST', '/chat.postEphemeral', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "user"],
  "properties": {
    "channel": {"type": "string", "minLength": 1},
    "user": {"type": "string", "minLength": 1, "description": "Who alone sees it"},
    "text": {"type": "string", "maxLength": 40000},
    "blocks": {"type": "array", "items": {"type": "object"}, "maxItems": 50},
    "thread_ts": {"type": "string"}
  }
}
$json$, p_name => 'Send a message to one person in a channel', p_scopes => '{chat:write}');

select marketplace.register_action('slack', 'chat.scheduleMessage', 'POST', '/chat.scheduleMessage', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "post_at"],
  "properties": {
    "channel": {"type": "string", "minLength": 1},
    "post_at": {"type": "integer", "minimum": 1, "description": "Unix seconds, at most 120 days ahead"},
    "text": {"type": "string", "maxLength": 40000},
    "blocks": {"type": "array", "items": {"type": "object"}, "maxItems": 50},
    "thread_ts": {"type": "string"}
  }
}
$json$, p_name => 'Send a message later', p_scopes => '{chat:write}');

select marketplace.register_action('slack', 'chat.update', 'POST', '/chat.update', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "ts"],
  "properties": {
    "channel": {"type": "string", "minLength": 1, "description": "The channel's id; a name will not do here"},
    "ts": {"type": "string", "minLength": 1},
    "text": {"type": "string", "maxLength": 40000},
    "blocks": {"type": "array", "items": {"type": "object"}, "maxItems": 50},
    "attachments": {"type": "array", "items": {"type": "object"}, "maxItems": 100},
    "reply_broadcast": {"type": "boolean"}
  }
}
$json$, p_is_idempotent => true, p_name => 'Change a message', p_scopes => '{chat:write}');

select marketplace.register_action('slack', 'chat.delete', 'POST', '/chat.delete', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "ts"],
  "properties": {"channel": {"type": "string", "minLength": 1}, "ts": {"type": "string", "minLength": 1}}
}
$json$, p_is_idempotent => true, p_name => 'Delete a message', p_scopes => '{chat:write}');

select marketplace.register_action('slack', 'chat.getPermalink', 'GET', '/chat.getPermalink', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "message_ts"],
  "properties": {"channel": {"type": "string", "minLength": 1}, "message_ts": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Get a message''s link');

select marketplace.register_action('slack', 'reactions.add', 'POST', '/reactions.add', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "timestamp", "name"],
  "properties": {
    "channel": {"type": "string", "minLength": 1}, "timestamp": {"type": "string", "minLength": 1},
    "name": {"type": "string", "minLength": 1, "description": "Emoji without colons, such as thumbsup"}
  }
}
$json$, p_is_idempotent => true, p_name => 'React to a message', p_scopes => '{reactions:write}');

select marketplace.register_action('slack', 'pins.add', 'POST', '/pins.add', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "timestamp"],
  "properties": {"channel": {"type": "string", "minLength": 1}, "timestamp": {"type": "string", "minLength": 1}}
}
$json$, p_is_idempotent => true, p_name => 'Pin a message', p_scopes => '{pins:write}');

-- Conversations -------------------------------------------------------------------------------

select marketplace.register_action('slack', 'conversations.list', 'GET', '/conversations.list', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "types": {"type": "array", "items": {"enum": ["public_channel", "private_channel", "mpim", "im"]}, "x-style": "comma"},
    "exclude_archived": {"type": "boolean"},
    "team_id": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    "cursor": {"type": "string"}
  }
}
$json$, p_name => 'List conversations', p_scopes => '{channels:read}',
p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/response_metadata/next_cursor", "items": "/channels"}');

select marketplace.register_action('slack', 'conversations.info', 'GET', '/conversations.info', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel"],
  "properties": {"channel": {"type": "string", "minLength": 1}, "include_locale": {"type": "boolean"}, "include_num_members": {"type": "boolean"}}
}
$json$, p_name => 'Get a conversation', p_scopes => '{channels:read}');

select marketplace.register_action('slack', 'conversations.history', 'GET', '/conversations.history', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel"],
  "properties": {
    "channel": {"type": "string", "minLength": 1},
    "oldest": {"type": "string", "description": "Message timestamp"},
    "latest": {"type": "string", "description": "Message timestamp"},
    "inclusive": {"type": "boolean"},
    "include_all_metadata": {"type": "boolean"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 999},
    "cursor": {"type": "string"}
  }
}
$json$, p_name => 'Read a conversation', p_scopes => '{channels:history}',
p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/response_metadata/next_cursor", "items": "/messages"}');

select marketplace.register_action('slack', 'conversations.replies', 'GET', '/conversations.replies', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "ts"],
  "properties": {
    "channel": {"type": "string", "minLength": 1},
    "ts": {"type": "string", "minLength": 1},
    "oldest": {"type": "string"},
    "latest": {"type": "string"},
    "inclusive": {"type": "boolean"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
    "cursor": {"type": "string"}
  }
}
$json$, p_name => 'Read a thread', p_scopes => '{channels:history}',
p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/response_metadata/next_cursor", "items": "/messages"}');

select marketplace.register_action('slack', 'conversations.members', 'GET', '/conversations.members', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel"],
  "properties": {
    "channel": {"type": "string", "minLength": 1}, "limit": {"type": "integer", "minimum": 1, "maximum": 1000}, "cursor": {"type": "string"}
  }
}
$json$, p_name => 'List a conversation''s members', p_scopes => '{channels:read}',
p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/response_metadata/next_cursor", "items": "/members"}');

select marketplace.register_action('slack', 'conversations.create', 'POST', '/conversations.create', $json$
{
  "type": "object", "additionalProperties": false, "required": ["name"],
  "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 80, "description": "Lower case, no spaces"},
    "is_private": {"type": "boolean"},
    "team_id": {"type": "string"}
  }
}
$json$, p_name => 'Create a channel', p_scopes => '{channels:manage}');

select marketplace.register_action('slack', 'conversations.join', 'POST', '/conversations.join', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel"],
  "properties": {"channel": {"type": "string", "minLength": 1}}
}
$json$, p_is_idempotent => true, p_name => 'Join a channel', p_scopes => '{channels:join}');

select marketplace.register_action('slack', 'conversations.invite', 'POST', '/conversations.invite', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel", "users"],
  "properties": {
    "channel": {"type": "string", "minLength": 1},
    "users": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100}
  }
}
$json$, p_request_transform => '{"channel": channel, "users": $join(users, ",")}', p_is_idempotent => true, p_name => 'Invite people to a channel',
p_scopes => '{channels:write.invites}');

select marketplace.register_action('slack', 'conversations.open', 'POST', '/conversations.open', $json$
{
  "type": "object", "additionalProperties": false, "required": ["users"],
  "properties": {"users": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 8}, "return_im": {"type": "boolean"}}
}
$json$, p_request_transform => '{"users": $join(users, ","), "return_im": return_im}', p_is_idempotent => true, p_name => 'Open a direct message',
p_scopes => '{im:write}');

-- People and files ----------------------------------------------------------------------------

select marketplace.register_action('slack', 'users.list', 'GET', '/users.list', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "include_locale": {"type": "boolean"}, "team_id": {"type": "string"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000}, "cursor": {"type": "string"}
  }
}
$json$, p_name => 'List people', p_scopes => '{users:read}',
p_pagination => '{"style": "cursor", "parameter": "cursor", "next": "/response_metadata/next_cursor", "items": "/members"}');

select marketplace.register_action('slack', 'users.info', 'GET', '/users.info', $json$
{
  "type": "object", "additionalProperties": false, "required": ["user"],
  "properties": {"user": {"type": "string", "minLength": 1}, "include_locale": {"type": "boolean"}}
}
$json$, p_name => 'Get a person', p_scopes => '{users:read}');

select marketplace.register_action('slack', 'users.lookupByEmail', 'GET', '/users.lookupByEmail', $json$
{
  "type": "object", "additionalProperties": false, "required": ["email"],
  "properties": {"email": {"type": "string", "format": "email"}}
}
$json$, p_name => 'Find a person by mail address', p_scopes => '{users:read.email}');

select marketplace.register_action('slack', 'files.upload', 'POST', '/files.completeUploadExternal', $json$
{
  "type": "object", "additionalProperties": false, "required": ["file"],
  "properties": {
    "file": {
      "type": "object", "additionalProperties": false, "required": ["filename"],
      "properties": {
        "filename": {"type": "string", "minLength": 1},
        "content_type": {"type": "string"},
        "data": {"type": "string", "format": "base64"},
        "url": {"type": "string", "format": "uri", "description": "Where to get the bytes, instead of data"}
      }
    },
    "title": {"type": "string"},
    "channel_id": {"type": "string"},
    "initial_comment": {"type": "string"},
    "thread_ts": {"type": "string"}
  }
}
$json$, p_handler => 'slack_upload', p_name => 'Upload a file', p_scopes => '{files:write}', p_quota_cost => 2, p_timeout_ms => 120000,
p_sensitive_paths => '{/file/data}', p_description => 'files.getUploadURLExternal, the bytes, files.completeUploadExternal.');

select marketplace.register_action('slack', 'files.list', 'GET', '/files.list', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "channel": {"type": "string"},
    "user": {"type": "string"},
    "types": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "ts_from": {"type": "string"},
    "ts_to": {"type": "string"},
    "count": {"type": "integer", "minimum": 1, "maximum": 200},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List files', p_scopes => '{files:read}',
p_pagination => '{"style": "page", "parameter": "page", "size_parameter": "count", "default_size": 100, "items": "/files"}');

-- Discord -------------------------------------------------------------------------------------
-- Operation names are those of Discord's OpenAPI description.

select marketplace.register_provider(
  'discord',
  p_auth_type => 'api_key',
  p_auth_config => $json$
  {
    "secrets": {"api_token": {"title": "Bot token"}},
    "headers": {"authorization": "Bot {secret.api_token}"},
    "alternatives": {
      "oauth2": {
        "authorize_url": "https://discord.com/oauth2/authorize",
        "token_url": "https://discord.com/api/oauth2/token",
        "revoke_url": "https://discord.com/api/oauth2/token/revoke",
        "scopes": ["identify", "guilds"],
        "token_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "rotates_refresh_token": true,
        "secrets": {},
        "headers": {"authorization": "Bearer {secret.access_token}"}
      }
    }
  }
  $json$,
  p_request_headers => '{"user-agent": "DiscordBot (marketplace, 1.0)"}',
  p_rate_limit => $json$
  {
    "name_header": "x-ratelimit-bucket", "limit_header": "x-ratelimit-limit", "remaining_header": "x-ratelimit-remaining",
    "reset_header": "x-ratelimit-reset-after", "reset_format": "delta_s", "quota": {"limit": 50, "window_seconds": 1}
  }
  $json$,
  p_health_action => 'get_my_user'
);

select marketplace.register_action('discord', 'get_my_user', 'GET', '/users/@me', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the bot''s user');

select marketplace.register_action('discord', 'list_my_guilds', 'GET', '/users/@me/guilds', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "after": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": 200}, "with_counts": {"type": "boolean"}
  }
}
$json$, p_name => 'List servers', p_scopes => '{guilds}',
p_pagination => '{"style": "cursor", "parameter": "after", "next_of_last_item": "/id", "items": ""}');

select marketplace.register_action('discord', 'list_guild_channels', 'GET', '/guilds/{guild_id}/channels', $json$
{
  "type": "object", "additionalProperties": false, "required": ["guild_id"],
  "properties": {"guild_id": {"type": "string", "pattern": "^[0-9]+$"}}
}
$json$, p_name => 'List a server''s channels');

select marketplace.register_action('discord', 'list_messages', 'GET', '/channels/{channel_id}/messages', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id"],
  "properties": {
    "channel_id": {"type": "string", "pattern": "^[0-9]+$"},
    "before": {"type": "string", "pattern": "^[0-9]+$"},
    "after": {"type": "string", "pattern": "^[0-9]+$"},
    "around": {"type": "string", "pattern": "^[0-9]+$"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100}
  }
}
$json$, p_name => 'Read a channel, newest first',
p_pagination => '{"style": "cursor", "parameter": "before", "next_of_last_item": "/id", "items": ""}');

select marketplace.register_action('discord', 'get_message', 'GET', '/channels/{channel_id}/messages/{message_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id", "message_id"],
  "properties": {"channel_id": {"type": "string", "pattern": "^[0-9]+$"}, "message_id": {"type": "string", "pattern": "^[0-9]+$"}}
}
$json$, p_name => 'Get a message');

select marketplace.register_action('discord', 'create_message', 'POST', '/channels/{channel_id}/messages', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id"],
  "properties": {
    "channel_id": {"type": "string", "pattern": "^[0-9]+$"},
    "content": {"type": "string", "maxLength": 2000},
    "embeds": {"type": "array", "items": {"type": "object"}, "maxItems": 10},
    "components": {"type": "array", "items": {"type": "object"}},
    "allowed_mentions": {"type": "object"},
    "message_reference": {"type": "object", "required": ["message_id"], "properties": {"message_id": {"type": "string"}}},
    "flags": {"type": "integer"},
    "tts": {"type": "boolean"},
    "nonce": {"type": "string", "maxLength": 25, "description": "With enforce_nonce a repeated message is sent once"},
    "enforce_nonce": {"type": "boolean"}
  }
}
$json$, p_name => 'Send a message');

select marketplace.register_action('discord', 'update_message', 'PATCH', '/channels/{channel_id}/messages/{message_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id", "message_id"],
  "properties": {
    "channel_id": {"type": "string", "pattern": "^[0-9]+$"}, "message_id": {"type": "string", "pattern": "^[0-9]+$"},
    "content": {"type": ["string", "null"], "maxLength": 2000},
    "embeds": {"type": "array", "items": {"type": "object"}, "maxItems": 10},
    "components": {"type": "array", "items": {"type": "object"}},
    "flags": {"type": "integer"}
  }
}
$json$, p_is_idempotent => true, p_name => 'Change a message');

select marketplace.register_action('discord', 'delete_message', 'DELETE', '/channels/{channel_id}/messages/{message_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id", "message_id"],
  "properties": {"channel_id": {"type": "string", "pattern": "^[0-9]+$"}, "message_id": {"type": "string", "pattern": "^[0-9]+$"}}
}
$json$, p_response_type => 'none', p_name => 'Delete a message');

select marketplace.register_action('discord', 'add_my_message_reaction', 'PUT',
'/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id", "message_id", "emoji"],
  "properties": {
    "channel_id": {"type": "string", "pattern": "^[0-9]+$"}, "message_id": {"type": "string", "pattern": "^[0-9]+$"},
    "emoji": {"type": "string", "minLength": 1, "description": "An emoji, or name:id of the server's own"}
  }
}
$json$, p_body_type => 'none', p_response_type => 'none', p_name => 'React to a message');

select marketplace.register_action('discord', 'create_thread_from_message', 'POST', '/channels/{channel_id}/messages/{message_id}/threads', $json$
{
  "type": "object", "additionalProperties": false, "required": ["channel_id", "message_id", "name"],
  "properties": {
    "channel_id": {"type": "string", "pattern": "^[0-9]+$"}, "message_id": {"type": "string", "pattern": "^[0-9]+$"},
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
    "auto_archive_duration": {"enum": [60, 1440, 4320, 10080], "description": "Minutes"},
    "rate_limit_per_user": {"type": "integer", "minimum": 0, "maximum": 21600}
  }
}
$json$, p_name => 'Start a thread');

select marketplace.register_action('discord', 'execute_webhook', 'POST', '/webhooks/{webhook_id}/{webhook_token}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["webhook_id", "webhook_token"],
  "properties": {
    "webhook_id": {"type": "string", "pattern": "^[0-9]+$"},
    "webhook_token": {"type": "string", "minLength": 1},
    "wait": {"type": "boolean", "default": true, "description": "True answers with the message"},
    "thread_id": {"type": "string"},
    "content": {"type": "string", "maxLength": 2000},
    "username": {"type": "string"},
    "avatar_url": {"type": "string"},
    "embeds": {"type": "array", "items": {"type": "object"}, "maxItems": 10},
    "allowed_mentions": {"type": "object"}
  }
}
$json$, p_query_parameters => '{wait,thread_id}', p_name => 'Send through a webhook', p_sensitive_paths => '{/webhook_token}');
