-- GitHub: pull requests, Actions and search.

-- Pull requests -------------------------------------------------------------------------------

select marketplace.register_action('github', 'pulls.list', 'GET', '/repos/{owner}/{repo}/pulls', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "state": {"enum": ["open", "closed", "all"]},
    "head": {"type": "string", "description": "user:branch"},
    "base": {"type": "string", "description": "Target branch"},
    "sort": {"enum": ["created", "updated", "popularity", "long-running"]},
    "direction": {"enum": ["asc", "desc"]},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List pull requests', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

select marketplace.register_action('github', 'pulls.get', 'GET', '/repos/{owner}/{repo}/pulls/{pull_number}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "pull_number"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "pull_number": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'Get a pull request', p_scopes => '{repo}');

select marketplace.register_action('github', 'pulls.create', 'POST', '/repos/{owner}/{repo}/pulls', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "head", "base"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "title": {"type": "string"},
    "head": {"type": "string", "minLength": 1, "description": "Branch with the changes; user:branch across forks"},
    "base": {"type": "string", "minLength": 1, "description": "Branch to merge into"},
    "body": {"type": "string", "description": "Markdown"},
    "draft": {"type": "boolean"},
    "maintainer_can_modify": {"type": "boolean"},
    "issue": {"type": "integer", "minimum": 1, "description": "Issue to turn into a pull request, instead of a title"}
  }
}
$json$, p_name => 'Create a pull request', p_scopes => '{repo}');

select marketplace.register_action('github', 'pulls.merge', 'PUT', '/repos/{owner}/{repo}/pulls/{pull_number}/merge', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "pull_number"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "pull_number": {"type": "integer", "minimum": 1},
    "commit_title": {"type": "string"},
    "commit_message": {"type": "string"},
    "sha": {"type": "string", "description": "Head the pull request must still have"},
    "merge_method": {"enum": ["merge", "squash", "rebase"]}
  }
}
$json$, p_name => 'Merge a pull request', p_scopes => '{repo}');

select marketplace.register_action('github', 'pulls.listFiles', 'GET', '/repos/{owner}/{repo}/pulls/{pull_number}/files', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "pull_number"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "pull_number": {"type": "integer", "minimum": 1},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List a pull request''s files', p_pagination => '{"style": "link", "items": ""}', p_scopes => '{repo}');

-- Actions -------------------------------------------------------------------------------------

select marketplace.register_action('github', 'actions.listWorkflowRunsForRepo', 'GET', '/repos/{owner}/{repo}/actions/runs', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "actor": {"type": "string"},
    "branch": {"type": "string"},
    "event": {"type": "string", "description": "Such as push or pull_request"},
    "status": {"enum": ["completed", "action_required", "cancelled", "failure", "neutral", "skipped", "stale", "success",
      "timed_out", "in_progress", "queued", "requested", "waiting", "pending"]},
    "created": {"type": "string", "description": "A date or range, such as >=2026-01-01"},
    "head_sha": {"type": "string"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List workflow runs', p_pagination => '{"style": "link", "items": "/workflow_runs"}', p_scopes => '{repo}');

select marketplace.register_action('github', 'actions.getWorkflowRun', 'GET', '/repos/{owner}/{repo}/actions/runs/{run_id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "run_id"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "run_id": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'Get a workflow run', p_scopes => '{repo}');

select marketplace.register_action('github', 'actions.reRunWorkflow', 'POST', '/repos/{owner}/{repo}/actions/runs/{run_id}/rerun', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "run_id"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "run_id": {"type": "integer", "minimum": 1},
    "enable_debug_logging": {"type": "boolean"}
  }
}
$json$, p_name => 'Re-run a workflow', p_scopes => '{repo}');

select marketplace.register_action('github', 'actions.createWorkflowDispatch', 'POST',
'/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "workflow_id", "ref"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "workflow_id": {"type": ["integer", "string"], "description": "Id, or file name such as main.yml"},
    "ref": {"type": "string", "minLength": 1, "description": "Branch or tag"},
    "inputs": {"type": "object", "maxProperties": 25}
  }
}
$json$, p_response_type => 'none', p_name => 'Start a workflow', p_scopes => '{repo}');

select marketplace.register_action('github', 'actions.listWorkflowRunArtifacts', 'GET',
'/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "run_id"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "run_id": {"type": "integer", "minimum": 1},
    "name": {"type": "string"},
    "direction": {"enum": ["asc", "desc"]},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'List a workflow run''s artifacts', p_pagination => '{"style": "link", "items": "/artifacts"}', p_scopes => '{repo}',
p_description => 'https://docs.github.com/en/rest/actions/artifacts#list-workflow-run-artifacts');

select marketplace.register_action('github', 'actions.downloadArtifact', 'GET',
'/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["owner", "repo", "artifact_id"],
  "properties": {
    "owner": {"type": "string", "minLength": 1}, "repo": {"type": "string", "minLength": 1},
    "artifact_id": {"type": "integer", "minimum": 1},
    "archive_format": {"enum": ["zip"], "default": "zip"}
  }
}
$json$, p_response_type => 'binary', p_handler => 'redirect_download', p_name => 'Download an artifact', p_scopes => '{repo}',
p_timeout_ms => 120000);

-- Search --------------------------------------------------------------------------------------

select marketplace.register_action('github', 'search.issuesAndPullRequests', 'GET', '/search/issues', $json$
{
  "type": "object", "additionalProperties": false, "required": ["q"],
  "properties": {
    "q": {"type": "string", "minLength": 1, "description": "GitHub's search syntax: repo:octo/app is:open label:bug"},
    "sort": {"enum": ["comments", "reactions", "interactions", "created", "updated"]},
    "order": {"enum": ["asc", "desc"]},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'Search issues and pull requests', p_pagination => '{"style": "link", "items": "/items"}', p_scopes => '{repo}');

select marketplace.register_action('github', 'search.code', 'GET', '/search/code', $json$
{
  "type": "object", "additionalProperties": false, "required": ["q"],
  "properties": {
    "q": {"type": "string", "minLength": 1, "description": "GitHub's search syntax: addClass in:file repo:octo/app"},
    "per_page": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "integer", "minimum": 1}
  }
}
$json$, p_name => 'Search code', p_pagination => '{"style": "link", "items": "/items"}', p_scopes => '{repo}');
