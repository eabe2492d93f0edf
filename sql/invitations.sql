-- Invitations: how people come in once there is a first owner. Found by the hash of the token in the link.

-- name: insert_invitation
INSERT INTO invitations (workspace_id, email, role, token_hash, invited_by, created_at, expires_at)
VALUES (%(workspace_id)s::bigint, %(email)s::text, %(role)s::text, %(token_hash)s::bytea, %(invited_by)s::bigint, %(now)s::timestamptz, %(expires_at)s::timestamptz)
RETURNING id, email, role, created_at, expires_at, accepted_at, revoked_at;

-- name: list_invitations
SELECT id, email, role, created_at, expires_at, accepted_at, revoked_at
FROM invitations
WHERE workspace_id = %(workspace_id)s::bigint AND id > coalesce(%(after)s::bigint, 0)
ORDER BY id
LIMIT %(limit)s::integer;

-- name: revoke_invitation
UPDATE invitations SET revoked_at = coalesce(revoked_at, %(now)s::timestamptz)
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint AND accepted_at IS NULL
RETURNING id;

-- name: read_invitation
SELECT i.id, i.workspace_id, i.email, i.role, w.name AS workspace
FROM invitations i JOIN workspaces w ON w.id = i.workspace_id AND w.archived_at IS NULL
WHERE i.token_hash = %(token_hash)s::bytea AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > %(now)s::timestamptz
FOR NO KEY UPDATE OF i;

-- name: accept_invitation
UPDATE invitations SET accepted_at = %(now)s::timestamptz WHERE id = %(id)s::bigint;
