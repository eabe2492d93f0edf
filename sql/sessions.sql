-- Server-side sessions, found by the hash of their token.

-- name: insert_session
INSERT INTO sessions (token_hash, user_id, workspace_id, created_at, seen_at, expires_at, ends_at, user_agent, remote_address)
VALUES (%(token_hash)s, %(user_id)s, %(workspace_id)s, %(now)s, %(now)s, %(expires_at)s, %(ends_at)s, %(user_agent)s, %(remote_address)s);

-- name: read_session
-- Only while everything it stands on still stands: the session, the user, the membership (whose role counts now) and the workspace.
SELECT s.user_id, s.workspace_id, m.role, s.expires_at, s.ends_at
FROM sessions s
JOIN users u ON u.id = s.user_id AND u.disabled_at IS NULL
JOIN memberships m ON m.user_id = s.user_id AND m.workspace_id = s.workspace_id
JOIN workspaces w ON w.id = s.workspace_id AND w.archived_at IS NULL
WHERE s.token_hash = %(token_hash)s AND s.expires_at > %(now)s;

-- name: touch_session
-- At most once a minute: a busy page must not write a row with every request.
UPDATE sessions SET seen_at = %(now)s, expires_at = least(%(expires_at)s, ends_at)
WHERE token_hash = %(token_hash)s AND seen_at < %(now)s::timestamptz - interval '1 minute';

-- name: delete_session
DELETE FROM sessions WHERE token_hash = %(token_hash)s;

-- name: delete_of_user
DELETE FROM sessions WHERE user_id = %(user_id)s;

-- name: delete_expired
DELETE FROM sessions WHERE expires_at <= %(now)s;

-- name: list_sessions
-- A user's sessions that hold, the one used last first.
SELECT s.id, s.token_hash, s.workspace_id, w.name AS workspace, s.created_at, s.seen_at, s.expires_at, s.user_agent, s.remote_address
FROM sessions s JOIN workspaces w ON w.id = s.workspace_id
WHERE s.user_id = %(user_id)s::bigint AND s.expires_at > %(now)s::timestamptz
ORDER BY s.seen_at DESC, s.id DESC
LIMIT 200;

-- name: end_session
DELETE FROM sessions WHERE user_id = %(user_id)s::bigint AND id = %(id)s::bigint RETURNING id;

-- name: end_others
DELETE FROM sessions WHERE user_id = %(user_id)s::bigint AND token_hash <> %(token_hash)s::bytea;

-- name: end_of_member
-- Who leaves a workspace leaves it everywhere at once.
DELETE FROM sessions WHERE user_id = %(user_id)s::bigint AND workspace_id = %(workspace_id)s::bigint;
