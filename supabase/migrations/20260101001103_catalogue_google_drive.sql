-- How Google's APIs are entered, and Google Drive. Operation names are those of Google's discovery documents.

select marketplace.register_provider(
  google.slug,
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://accounts.google.com/o/oauth2/v2/auth",
    "token_url": "https://oauth2.googleapis.com/token",
    "revoke_url": "https://oauth2.googleapis.com/revoke",
    "authorize_params": {"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"},
    "token_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": false,
    "alternatives": {
      "service_account": {
        "settings": {
          "subject": {"title": "User to act for", "description": "Needs domain-wide delegation", "is_required": false}
        },
        "secrets": {"service_account_key": {"title": "Service account key", "description": "The JSON file, whole"}}
      }
    }
  }
  $json$::jsonb || jsonb_build_object('scopes', google.scopes),
  p_rate_limit => google.rate_limit,
  p_health_action => google.health_action
)
from (
  values
  (
    'google_drive', array['https://www.googleapis.com/auth/drive'], 'about.get',
    '{"quota": {"limit": 12000, "window_seconds": 60}}'::jsonb
  ),
  (
    'google_docs', array['https://www.googleapis.com/auth/documents', 'https://www.googleapis.com/auth/drive.readonly'], null,
    '{"quota": {"limit": 300, "window_seconds": 60}}'
  ),
  (
    'google_sheets', array['https://www.googleapis.com/auth/spreadsheets', 'https://www.googleapis.com/auth/drive.readonly'], null,
    '{"quota": {"limit": 60, "window_seconds": 60}}'
  ),
  (
    'gmail', array['https://www.googleapis.com/auth/gmail.modify'], 'users.getProfile',
    '{"name": "quota units", "quota": {"limit": 15000, "window_seconds": 60}}'
  ),
  (
    'google_calendar', array['https://www.googleapis.com/auth/calendar'], 'calendarList.list',
    '{"quota": {"limit": 600, "window_seconds": 60}}'
  )
) as google (slug, scopes, health_action, rate_limit);

-- Files ---------------------------------------------------------------------------------------

select marketplace.register_action('google_drive', 'about.get', 'GET', '/about', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {"fields": {"type": "string", "default": "user,storageQuota", "description": "Google requires it here"}}
}
$json$, p_name => 'Get the user and the storage quota');

select marketplace.register_action('google_drive', 'files.list', 'GET', '/files', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "q": {"type": "string", "description": "Such as: name contains 'report' and trashed = false and '<folder id>' in parents"},
    "orderBy": {"type": "string", "description": "Such as: folder,modifiedTime desc"},
    "fields": {"type": "string", "description": "Such as: nextPageToken, files(id, name, mimeType)"},
    "spaces": {"type": "string", "description": "drive, appDataFolder"},
    "corpora": {"enum": ["user", "domain", "drive", "allDrives"]},
    "driveId": {"type": "string"},
    "includeItemsFromAllDrives": {"type": "boolean"},
    "supportsAllDrives": {"type": "boolean", "description": "True to see shared drives"},
    "pageSize": {"type": "integer", "minimum": 1, "maximum": 1000},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List or search files',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/files"}',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'files.get', 'GET', '/files/{fileId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "fields": {"type": "string", "description": "Such as: id, name, size, md5Checksum, parents"},
    "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_name => 'Get a file''s metadata', p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'files.getContent', 'GET', '/files/{fileId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "alt": {"const": "media", "default": "media"},
    "supportsAllDrives": {"type": "boolean"},
    "acknowledgeAbuse": {"type": "boolean"}
  }
}
$json$, p_response_type => 'binary', p_timeout_ms => 120000, p_name => 'Download a file',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'files.export', 'GET', '/files/{fileId}/export', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId", "mimeType"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "mimeType": {"type": "string", "minLength": 1, "description": "Such as application/pdf or text/csv"}
  }
}
$json$, p_response_type => 'binary', p_timeout_ms => 120000, p_name => 'Export a Google document',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}', p_description => 'At most 10 MB.');

select marketplace.register_action('google_drive', 'files.exportMarkdown', 'GET', '/files/{fileId}/export', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "mimeType": {"const": "text/markdown", "default": "text/markdown"}
  }
}
$json$, p_response_type => 'text', p_timeout_ms => 60000, p_name => 'Export a Google Doc as Markdown',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'files.create', 'POST', '/files', $json$
{
  "type": "object", "additionalProperties": false, "required": ["name"],
  "properties": {
    "name": {"type": "string", "minLength": 1},
    "mimeType": {"type": "string", "description": "application/vnd.google-apps.folder for a folder"},
    "parents": {"type": "array", "items": {"type": "string"}, "maxItems": 1, "description": "Id of the folder"},
    "description": {"type": "string"},
    "starred": {"type": "boolean"},
    "properties": {"type": "object", "additionalProperties": {"type": "string"}},
    "appProperties": {"type": "object", "additionalProperties": {"type": "string"}},
    "shortcutDetails": {"type": "object", "additionalProperties": false, "required": ["targetId"], "properties": {"targetId": {"type": "string"}}},
    "id": {"type": "string", "description": "One of files.generateIds: makes the call safe to repeat"},
    "fields": {"type": "string"},
    "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_query_parameters => '{fields,supportsAllDrives}', p_name => 'Create a folder, shortcut or empty file',
p_scopes => '{https://www.googleapis.com/auth/drive.file}', p_description => 'To upload content use files.upload.');

select marketplace.register_action('google_drive', 'files.upload', 'POST', '/files', $json$
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
    "fileId": {"type": "string", "description": "File to give new content, instead of making one"},
    "name": {"type": "string", "description": "The file's name in Drive; its filename when absent"},
    "mimeType": {"type": "string", "description": "A Google type, such as application/vnd.google-apps.document, converts"},
    "parents": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
    "description": {"type": "string"},
    "fields": {"type": "string"},
    "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_query_parameters => '{fields,supportsAllDrives}', p_body_type => 'binary', p_handler => 'drive_upload', p_name => 'Upload a file',
p_timeout_ms => 120000, p_sensitive_paths => '{/file/data}', p_scopes => '{https://www.googleapis.com/auth/drive.file}');

select marketplace.register_action('google_drive', 'files.update', 'PATCH', '/files/{fileId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "addParents": {"type": "array", "items": {"type": "string"}, "x-style": "comma", "description": "Moves the file, with removeParents"},
    "removeParents": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "name": {"type": "string", "minLength": 1},
    "mimeType": {"type": "string"},
    "description": {"type": "string"},
    "starred": {"type": "boolean"},
    "trashed": {"type": "boolean"},
    "properties": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "fields": {"type": "string"},
    "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_query_parameters => '{addParents,removeParents,fields,supportsAllDrives}', p_is_idempotent => true, p_name => 'Rename, move or trash a file',
p_scopes => '{https://www.googleapis.com/auth/drive}');

select marketplace.register_action('google_drive', 'files.copy', 'POST', '/files/{fileId}/copy', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "name": {"type": "string"},
    "parents": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
    "mimeType": {"type": "string"},
    "fields": {"type": "string"},
    "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_query_parameters => '{fields,supportsAllDrives}', p_name => 'Copy a file', p_scopes => '{https://www.googleapis.com/auth/drive}');

select marketplace.register_action('google_drive', 'files.delete', 'DELETE', '/files/{fileId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {"fileId": {"type": "string", "minLength": 1}, "supportsAllDrives": {"type": "boolean"}}
}
$json$, p_response_type => 'none', p_name => 'Delete a file for ever', p_scopes => '{https://www.googleapis.com/auth/drive}',
p_description => 'Skips the trash; files.update with trashed is kinder.');

select marketplace.register_action('google_drive', 'files.generateIds', 'GET', '/files/generateIds', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "count": {"type": "integer", "minimum": 1, "maximum": 1000},
    "space": {"enum": ["drive", "appDataFolder"]},
    "type": {"enum": ["files", "shortcuts"]}
  }
}
$json$, p_name => 'Generate file ids', p_scopes => '{https://www.googleapis.com/auth/drive.file}');

-- Sharing and comments ------------------------------------------------------------------------

select marketplace.register_action('google_drive', 'permissions.list', 'GET', '/files/{fileId}/permissions', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "fields": {"type": "string"},
    "supportsAllDrives": {"type": "boolean"},
    "pageSize": {"type": "integer", "minimum": 1, "maximum": 100},
    "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List who may see a file',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/permissions"}',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'permissions.create', 'POST', '/files/{fileId}/permissions', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId", "role", "type"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "role": {"enum": ["owner", "organizer", "fileOrganizer", "writer", "commenter", "reader"]},
    "type": {"enum": ["user", "group", "domain", "anyone"]},
    "emailAddress": {"type": "string", "format": "email", "description": "For user and group"},
    "domain": {"type": "string", "description": "For domain"},
    "allowFileDiscovery": {"type": "boolean"},
    "expirationTime": {"type": "string", "format": "date-time"},
    "sendNotificationEmail": {"type": "boolean"},
    "emailMessage": {"type": "string"},
    "transferOwnership": {"type": "boolean"},
    "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_query_parameters => '{sendNotificationEmail,emailMessage,transferOwnership,supportsAllDrives}', p_name => 'Share a file',
p_scopes => '{https://www.googleapis.com/auth/drive}');

select marketplace.register_action('google_drive', 'permissions.delete', 'DELETE', '/files/{fileId}/permissions/{permissionId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId", "permissionId"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1}, "permissionId": {"type": "string", "minLength": 1}, "supportsAllDrives": {"type": "boolean"}
  }
}
$json$, p_response_type => 'none', p_name => 'Stop sharing a file', p_scopes => '{https://www.googleapis.com/auth/drive}');

select marketplace.register_action('google_drive', 'comments.create', 'POST', '/files/{fileId}/comments', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId", "content"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "content": {"type": "string", "minLength": 1},
    "anchor": {"type": "string"},
    "fields": {"type": "string", "default": "id,content,createdTime", "description": "Google requires it here"}
  }
}
$json$, p_query_parameters => '{fields}', p_name => 'Comment on a file', p_scopes => '{https://www.googleapis.com/auth/drive}');

select marketplace.register_action('google_drive', 'drives.list', 'GET', '/drives', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "q": {"type": "string"}, "pageSize": {"type": "integer", "minimum": 1, "maximum": 100}, "pageToken": {"type": "string"}
  }
}
$json$, p_name => 'List shared drives',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/drives"}',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

-- Changes -------------------------------------------------------------------------------------

select marketplace.register_action('google_drive', 'changes.getStartPageToken', 'GET', '/changes/startPageToken', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {"driveId": {"type": "string"}, "supportsAllDrives": {"type": "boolean"}}
}
$json$, p_name => 'Get where changes begin', p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'changes.list', 'GET', '/changes', $json$
{
  "type": "object", "additionalProperties": false, "required": ["pageToken"],
  "properties": {
    "pageToken": {"type": "string", "minLength": 1, "description": "Of changes.getStartPageToken, or the last newStartPageToken"},
    "fields": {"type": "string"},
    "includeRemoved": {"type": "boolean"},
    "restrictToMyDrive": {"type": "boolean"},
    "driveId": {"type": "string"},
    "includeItemsFromAllDrives": {"type": "boolean"},
    "supportsAllDrives": {"type": "boolean"},
    "pageSize": {"type": "integer", "minimum": 1, "maximum": 1000}
  }
}
$json$, p_name => 'List changes',
p_pagination => '{"style": "cursor", "parameter": "pageToken", "next": "/nextPageToken", "items": "/changes"}',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'changes.watch', 'POST', '/changes/watch', $json$
{
  "type": "object", "additionalProperties": false, "required": ["pageToken", "id", "address"],
  "properties": {
    "pageToken": {"type": "string", "minLength": 1},
    "driveId": {"type": "string"},
    "includeItemsFromAllDrives": {"type": "boolean"},
    "supportsAllDrives": {"type": "boolean"},
    "id": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Id of the channel, chosen by the caller"},
    "address": {"type": "string", "format": "uri"},
    "token": {"type": "string", "maxLength": 256, "description": "Comes back with every notification"},
    "type": {"const": "web_hook", "default": "web_hook"},
    "expiration": {"type": "string", "pattern": "^[0-9]+$", "description": "Unix milliseconds"}
  }
}
$json$, p_query_parameters => '{pageToken,driveId,includeItemsFromAllDrives,supportsAllDrives}', p_name => 'Watch for changes',
p_sensitive_paths => '{/token}', p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'files.watch', 'POST', '/files/{fileId}/watch', $json$
{
  "type": "object", "additionalProperties": false, "required": ["fileId", "id", "address"],
  "properties": {
    "fileId": {"type": "string", "minLength": 1},
    "supportsAllDrives": {"type": "boolean"},
    "id": {"type": "string", "minLength": 1, "maxLength": 64, "description": "Id of the channel, chosen by the caller"},
    "address": {"type": "string", "format": "uri"},
    "token": {"type": "string", "maxLength": 256},
    "type": {"const": "web_hook", "default": "web_hook"},
    "expiration": {"type": "string", "pattern": "^[0-9]+$", "description": "Unix milliseconds"}
  }
}
$json$, p_query_parameters => '{supportsAllDrives}', p_name => 'Watch a file', p_sensitive_paths => '{/token}',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');

select marketplace.register_action('google_drive', 'channels.stop', 'POST', '/channels/stop', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id", "resourceId"],
  "properties": {"id": {"type": "string", "minLength": 1}, "resourceId": {"type": "string", "minLength": 1}}
}
$json$, p_response_type => 'none', p_is_idempotent => true, p_name => 'Stop watching', p_scopes => '{https://www.googleapis.com/auth/drive.readonly}');
