-- People, and what they are in which workspace.

-- name: lock_first
-- Two first starts at once take turns, and the second finds the first one's owner. The key is any number that nothing else locks.
SELECT pg_advisory_xact_lock(3, 1);

-- name: any_user
SELECT EXISTS (SELECT FROM users) AS found;

-- name: insert_user
INSERT INTO users (email, name, password_hash) VALUES (%(email)s, %(name)s, %(password_hash)s)
RETURNING id;

-- name: insert_membership
INSERT INTO memberships (workspace_id, user_id, role) VALUES (%(workspace_id)s, %(user_id)s, %(role)s);

-- name: read_by_email
SELECT id, email, name, password_hash FROM users WHERE email = %(email)s AND disabled_at IS NULL;

-- name: read_user
SELECT id, email, name FROM users WHERE id = %(id)s;

-- name: home_workspace
-- Where a sign-in leads: the oldest membership in a workspace that is in use.
SELECT m.workspace_id, m.role
FROM memberships m
JOIN workspaces w ON w.id = m.workspace_id AND w.archived_at IS NULL
WHERE m.user_id = %(user_id)s
ORDER BY m.created_at, m.workspace_id
LIMIT 1;

-- name: set_password
UPDATE users SET password_hash = %(password_hash)s WHERE id = %(id)s;
