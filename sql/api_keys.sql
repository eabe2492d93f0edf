-- API keys, found by the hash of the key.

-- name: insert_key
INSERT INTO api_keys (workspace_id, created_by, name, prefix, key_hash, role, scopes, created_at, expires_at)
VALUES (%(workspace_id)s, %(created_by)s, %(name)s, %(prefix)s, %(key_hash)s, %(role)s, %(scopes)s::text[], %(now)s, %(expires_at)s)
RETURNING id, name, prefix, role, scopes, created_at, expires_at, used_at, revoked_at;

-- name: read_by_hash
-- Only a key that holds, in a workspace that is in use.
SELECT k.id, k.workspace_id, k.role, k.scopes
FROM api_keys k
JOIN workspaces w ON w.id = k.workspace_id AND w.archived_at IS NULL
WHERE k.key_hash = %(key_hash)s AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > %(now)s);

-- name: touch_key
-- At most once a minute: programs call often.
UPDATE api_keys SET used_at = %(now)s
WHERE id = %(id)s AND (used_at IS NULL OR used_at < %(now)s::timestamptz - interval '1 minute');

-- name: list_keys
SELECT id, name, prefix, role, scopes, created_at, expires_at, used_at, revoked_at
FROM api_keys
WHERE workspace_id = %(workspace_id)s AND id > coalesce(%(after)s, 0)
ORDER BY id
LIMIT %(limit)s;

-- name: revoke_key
-- A key that is revoked stays in the list, as a trace; revoking it twice keeps the first time.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, %(now)s)
WHERE workspace_id = %(workspace_id)s AND id = %(id)s
RETURNING id;
