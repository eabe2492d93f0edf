-- Reports of campaigns for people without an account.

-- name: insert_share
INSERT INTO shares (workspace_id, campaign_id, name, token_hash, created_by, created_at, expires_at)
SELECT c.workspace_id, c.id, %(name)s::text, %(token_hash)s::bytea, %(created_by)s::bigint, %(now)s::timestamptz, %(expires_at)s::timestamptz
FROM campaigns c WHERE c.id = %(campaign_id)s::bigint AND c.workspace_id = %(workspace_id)s::bigint
RETURNING id, campaign_id, name, created_at, expires_at, revoked_at;

-- name: list_shares
SELECT id, campaign_id, name, created_at, expires_at, revoked_at
FROM shares
WHERE workspace_id = %(workspace_id)s::bigint AND campaign_id = %(campaign_id)s::bigint AND id > coalesce(%(after)s::bigint, 0)
ORDER BY id
LIMIT %(limit)s::integer;

-- name: revoke_share
UPDATE shares SET revoked_at = coalesce(revoked_at, %(now)s::timestamptz)
WHERE workspace_id = %(workspace_id)s::bigint AND campaign_id = %(campaign_id)s::bigint AND id = %(id)s::bigint
RETURNING id;

-- name: shared_campaign
-- What a token opens: the campaign, as long as the share holds and its workspace is in use.
SELECT s.workspace_id, s.campaign_id, s.expires_at, c.name, c.status, c.started_at, c.completed_at, w.name AS workspace
FROM shares s
JOIN campaigns c ON c.id = s.campaign_id
JOIN workspaces w ON w.id = s.workspace_id AND w.archived_at IS NULL
WHERE s.token_hash = %(token_hash)s::bytea AND s.revoked_at IS NULL AND s.expires_at > %(now)s::timestamptz;
