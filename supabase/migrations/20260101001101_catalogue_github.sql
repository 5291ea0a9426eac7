-- GitHub's REST API. Operation names are those of its OpenAPI description, as Octokit spells them.

select marketplace.register_provider(
  'github',
  p_auth_type => 'oauth2',
  p_auth_config => $json$
  {
    "authorize_url": "https://github.com/login/oauth/authorize",
    "token_url": "https://github.com/login/oauth/access_token",
    "token_headers": {"accept": "application/json"},
    "token_auth_method": "client_secret_post",
    "scopes": ["repo", "read:user"],
    "grant_types": ["authorization_code", "refresh_token"],
    "rotates_refresh_token": true,
    "token_lifetime_seconds": null,
    "alternatives": {
      "bearer": {"secrets": {"api_token": {"title": "Personal access token"}}},
      "github_app": {
        "token_url": "https://api.github.com/app/installations/{connection.installation_id}/access_tokens",
        "settings": {
          "app_id": {"title": "App ID or client ID", "pattern": "[A-Za-z0-9.]+"},
          "installation_id": {"title": "Installation ID", "pattern": "[0-9]+"}
        },
        "secrets": {"private_key": {"title": "Private key", "description": "PEM, as downloaded from the app's settings"}}
      }
    }
  }
  $json$,
  p_request_headers => '{"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28", "user-agent": "marketplace"}',
  p_rate_limit => $json$
  {
    "name_header": "x-ratelimit-resource", "limit_header": "x-ratelimit-limit", "remaining_header": "x-ratelimit-remaining",
    "reset_header": "x-ratelimit-reset", "reset_format": "epoch_s", "quota": {"limit": 5000, "window_seconds": 3600}
  }
  $json$,
  p_health_action => 'rateLimit.get'
);

-- The account ---------------------------------------------------------------------------------

select marketplace.register_action('github', 'rateLimit.get', 'GET', '/rate_limit', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get rate limit status', p_quota_cost => 0, p_description => 'Works with every kind of token, and costs nothing.');

select marketplace.register_action('github', 'users.getAuthenticated', 'GET', '/user', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the authenticated user', p_scopes => '{read:user}');

-- Repositories --------------------------------------------------------------------------------

select marketplace.register_action('github', 'repos.listForAuthenticatedUser', 'GET', '/user/repos', $json$
{
  "type": "object", "additionalProperties": false,
  "properties": {
    "visibility": {"enum": ["all", "public", "private"]},
    "affiliation": {"type": "array", "items": {"enum": ["owner", "collaborator", "organization_member"]}, "x-style": "comma"},
    "sort": {"enum": ["created", "updated", "pushed", "full_name"]},
    "direction": {"enum": ["asc", "desc"]},
    "since": {"type": "string", "format": "date-time"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List your repositories', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.get', 'GET', '/repos/{owner}/{repo}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {"owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Get a repository', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.listBranches', 'GET', '/repos/{owner}/{repo}/branches', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "protected": {"type": "boolean", "description": "Only protected, or only unprotected branches"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List branches', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.listCommits', 'GET', '/repos/{owner}/{repo}/commits', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "sha": {"type": "string", "description": "Branch or commit to start from; the default branch when absent"},
    "path": {"type": "string", "description": "Only commits that touch this path"},
    "author": {"type": "string"},
    "since": {"type": "string", "format": "date-time"},
    "until": {"type": "string", "format": "date-time"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List commits', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.getContent', 'GET', '/repos/{owner}/{repo}/contents/{+path}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "path"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1, "description": "File or folder, such as docs/README.md"},
    "ref": {"type": "string", "description": "Branch, tag or commit; the default branch when absent"}
  }
}
$json$, p_name => 'Get a file or folder', p_scopes => '{repo}', p_description => 'A file''s content comes in base64.');

select marketplace.register_action('github', 'repos.createOrUpdateFileContents', 'PUT', '/repos/{owner}/{repo}/contents/{+path}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "path", "message"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1},
    "message": {"type": "string", "minLength": 1, "description": "Commit message"},
    "text": {"type": "string", "description": "The file's text; or pass content"},
    "content": {"type": "string", "format": "base64", "description": "The file's bytes in base64"},
    "sha": {"type": "string", "description": "Blob SHA of the file that is replaced; not for a new file"},
    "branch": {"type": "string"},
    "committer": {"$ref": "#/$defs/person"},
    "author": {"$ref": "#/$defs/person"}
  },
  "$defs": {
    "person": {
      "type": "object", "additionalProperties": false, "required": ["name", "email"],
      "properties": {
        "name": {"type": "string"}, "email": {"type": "string"}, "date": {"type": "string", "format": "date-time"}
      }
    }
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    $sift($body, function($v, $k) { $k != "text" }),
    $exists(text) ? {"content": $toBase64(text)} : $exists(content) ? {} : $error("pass text or content")
  ])
$jsonata$,
p_name => 'Create or update a file', p_scopes => '{repo}', p_sensitive_paths => '{/text,/content}');

select marketplace.register_action('github', 'repos.deleteFile', 'DELETE', '/repos/{owner}/{repo}/contents/{+path}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "path", "message", "sha"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1},
    "message": {"type": "string", "minLength": 1, "description": "Commit message"},
    "sha": {"type": "string", "minLength": 1, "description": "Blob SHA of the file"},
    "branch": {"type": "string"}
  }
}
$json$, p_request_transform => '$body', p_name => 'Delete a file', p_scopes => '{repo}');

select marketplace.register_action('github', 'git.commitFiles', 'POST', '/repos/{owner}/{repo}/git/commits', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "branch", "message", "files"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "branch": {"type": "string", "minLength": 1, "description": "Branch to commit to; made from base_branch when it does not exist"},
    "base_branch": {"type": "string", "description": "The default branch when absent"},
    "message": {"type": "string", "minLength": 1},
    "files": {
      "type": "array", "minItems": 1, "maxItems": 500,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["path"],
        "properties": {
          "path": {"type": "string", "minLength": 1},
          "text": {"type": "string"},
          "content": {"type": "string", "format": "base64"},
          "is_executable": {"type": "boolean"},
          "is_deleted": {"type": "boolean"}
        }
      }
    }
  }
}
$json$, p_handler => 'github_commit', p_name => 'Commit several files at once', p_scopes => '{repo}', p_quota_cost => 5,
p_timeout_ms => 60000, p_sensitive_paths => '{/files/*/text,/files/*/content}',
p_description => 'Blobs, one tree, one commit, then the branch is moved; nothing of it shows when a step fails.');

select marketplace.register_action('github', 'git.createRef', 'POST', '/repos/{owner}/{repo}/git/refs', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "ref", "sha"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "ref": {"type": "string", "pattern": "^refs/.+/.+", "description": "refs/heads/<branch> or refs/tags/<tag>"},
    "sha": {"type": "string", "minLength": 40}
  }
}
$json$, p_name => 'Create a branch or tag', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.listReleases', 'GET', '/repos/{owner}/{repo}/releases', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List releases', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.createRelease', 'POST', '/repos/{owner}/{repo}/releases', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "tag_name"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "tag_name": {"type": "string", "minLength": 1},
    "target_commitish": {"type": "string", "description": "Branch or commit the tag is made from"},
    "name": {"type": "string"},
    "body": {"type": "string", "description": "Markdown"},
    "draft": {"type": "boolean"},
    "prerelease": {"type": "boolean"},
    "generate_release_notes": {"type": "boolean"},
    "make_latest": {"enum": ["true", "false", "legacy"]}
  }
}
$json$, p_name => 'Create a release', p_scopes => '{repo}');

select marketplace.register_action('github', 'repos.createDispatchEvent', 'POST', '/repos/{owner}/{repo}/dispatches', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "event_type"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "event_type": {"type": "string", "minLength": 1, "maxLength": 100},
    "client_payload": {"type": "object", "maxProperties": 10}
  }
}
$json$, p_response_type => 'none', p_name => 'Trigger a repository_dispatch event', p_scopes => '{repo}');

-- Issues --------------------------------------------------------------------------------------

select marketplace.register_action('github', 'issues.listForRepo', 'GET', '/repos/{owner}/{repo}/issues', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "state": {"enum": ["open", "closed", "all"]},
    "labels": {"type": "array", "items": {"type": "string"}, "x-style": "comma"},
    "assignee": {"type": "string", "description": "A login, none, or *"},
    "creator": {"type": "string"},
    "milestone": {"type": "string", "description": "A milestone's number, none, or *"},
    "sort": {"enum": ["created", "updated", "comments"]},
    "direction": {"enum": ["asc", "desc"]},
    "since": {"type": "string", "format": "date-time"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List issues', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}',
p_description => 'Pull requests are issues too: they carry the member pull_request.');

select marketplace.register_action('github', 'issues.get', 'GET', '/repos/{owner}/{repo}/issues/{issue_number}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "issue_number"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "issue_number": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'Get an issue', p_scopes => '{repo}');

select marketplace.register_action('github', 'issues.create', 'POST', '/repos/{owner}/{repo}/issues', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "title"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "title": {"type": "string", "minLength": 1},
    "body": {"type": "string", "description": "Markdown"},
    "labels": {"type": "array", "items": {"type": "string"}},
    "assignees": {"type": "array", "items": {"type": "string"}, "description": "Logins"},
    "milestone": {"type": ["integer", "null"]}
  }
}
$json$, p_name => 'Create an issue', p_scopes => '{repo}');

select marketplace.register_action('github', 'issues.update', 'PATCH', '/repos/{owner}/{repo}/issues/{issue_number}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "issue_number"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "issue_number": {"type": "integer", "minimum": 1},
    "title": {"type": "string", "minLength": 1},
    "body": {"type": ["string", "null"]},
    "state": {"enum": ["open", "closed"]},
    "state_reason": {"enum": ["completed", "not_planned", "duplicate", "reopened", null]},
    "labels": {"type": "array", "items": {"type": "string"}, "description": "Replaces the labels"},
    "assignees": {"type": "array", "items": {"type": "string"}, "description": "Replaces the assignees"},
    "milestone": {"type": ["integer", "null"]}
  }
}
$json$, p_is_idempotent => true, p_name => 'Update an issue', p_scopes => '{repo}');

select marketplace.register_action('github', 'issues.listComments', 'GET', '/repos/{owner}/{repo}/issues/{issue_number}/comments', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "issue_number"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "issue_number": {"type": "integer", "minimum": 1},
    "since": {"type": "string", "format": "date-time"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List comments', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

select marketplace.register_action('github', 'issues.createComment', 'POST', '/repos/{owner}/{repo}/issues/{issue_number}/comments', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "issue_number", "body"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "issue_number": {"type": "integer", "minimum": 1},
    "body": {"type": "string", "minLength": 1, "description": "Markdown"}
  }
}
$json$, p_name => 'Comment on an issue or pull request', p_scopes => '{repo}');

select marketplace.register_action('github', 'issues.addLabels', 'POST', '/repos/{owner}/{repo}/issues/{issue_number}/labels', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "issue_number", "labels"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "issue_number": {"type": "integer", "minimum": 1},
    "labels": {"type": "array", "items": {"type": "string"}, "minItems": 1}
  }
}
$json$, p_is_idempotent => true, p_name => 'Add labels', p_scopes => '{repo}');
