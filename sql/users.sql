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
SELECT id, email, name, password_hash, totp_sealed, totp_confirmed_at, totp_step FROM users WHERE email = %(email)s AND disabled_at IS NULL;

-- name: read_user
SELECT id, email, name, password_hash, totp_sealed, totp_confirmed_at, totp_step FROM users WHERE id = %(id)s;

-- name: home_workspace
-- Where a sign-in leads: the oldest membership in a workspace that is in use.
SELECT m.workspace_id, m.role
FROM memberships m
JOIN workspaces w ON w.id = m.workspace_id AND w.archived_at IS NULL
WHERE m.user_id = %(user_id)s
ORDER BY m.created_at, m.workspace_id
LIMIT 1;

-- name: set_password
-- A link that was asked for before does not count any more: whoever changes a password may do so because of it.
WITH gone AS (DELETE FROM password_resets WHERE user_id = %(id)s)
UPDATE users SET password_hash = %(password_hash)s WHERE id = %(id)s;

-- name: set_totp
-- A new secret counts once a code of it was shown.
UPDATE users SET totp_sealed = %(sealed)s::bytea, totp_confirmed_at = NULL, totp_step = 0 WHERE id = %(id)s::bigint;

-- name: use_totp_step
-- Each step's code works once: whoever comes second with it finds no row.
UPDATE users SET totp_step = %(step)s::bigint, totp_confirmed_at = coalesce(totp_confirmed_at, %(now)s::timestamptz)
WHERE id = %(id)s::bigint AND totp_step < %(step)s::bigint
RETURNING id;

-- name: clear_totp
UPDATE users SET totp_sealed = NULL, totp_confirmed_at = NULL, totp_step = 0 WHERE id = %(id)s::bigint;

-- name: clear_recovery_codes
DELETE FROM recovery_codes WHERE user_id = %(user_id)s::bigint;

-- name: insert_recovery_codes
INSERT INTO recovery_codes (user_id, code_hash) SELECT %(user_id)s::bigint, unnest(%(hashes)s::bytea[]);

-- name: use_recovery_code
DELETE FROM recovery_codes WHERE user_id = %(user_id)s::bigint AND code_hash = %(code_hash)s::bytea RETURNING user_id;

-- name: insert_reset
INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES (%(token_hash)s::bytea, %(user_id)s::bigint, %(expires_at)s::timestamptz);

-- name: clear_resets
-- Whatever was asked for before does not count any more, and what has expired goes with it.
DELETE FROM password_resets WHERE user_id = %(user_id)s::bigint OR expires_at <= %(now)s::timestamptz;

-- name: take_reset
DELETE FROM password_resets r USING users u
WHERE r.token_hash = %(token_hash)s::bytea AND r.expires_at > %(now)s::timestamptz AND u.id = r.user_id AND u.disabled_at IS NULL
RETURNING r.user_id;

-- name: list_members
SELECT u.id, u.email, u.name, m.role, m.created_at AS joined_at, u.totp_confirmed_at IS NOT NULL AS second_factor,
       (SELECT max(s.seen_at) FROM sessions s WHERE s.user_id = u.id AND s.workspace_id = m.workspace_id) AS seen_at
FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.workspace_id = %(workspace_id)s::bigint AND u.id > coalesce(%(after)s::bigint, 0)
ORDER BY u.id
LIMIT %(limit)s::integer;

-- name: lock_members
-- The owners of a workspace are counted and changed by one at a time: the last one stays.
SELECT user_id, role FROM memberships WHERE workspace_id = %(workspace_id)s::bigint ORDER BY user_id FOR UPDATE;

-- name: set_role
UPDATE memberships SET role = %(role)s::text WHERE workspace_id = %(workspace_id)s::bigint AND user_id = %(user_id)s::bigint;

-- name: leave_workspace
DELETE FROM memberships WHERE workspace_id = %(workspace_id)s::bigint AND user_id = %(user_id)s::bigint;

-- name: membership
SELECT m.workspace_id, m.role FROM memberships m JOIN workspaces w ON w.id = m.workspace_id AND w.archived_at IS NULL
WHERE m.user_id = %(user_id)s::bigint AND m.workspace_id = %(workspace_id)s::bigint;

-- name: workspaces_of
SELECT w.id, w.name, m.role FROM memberships m JOIN workspaces w ON w.id = m.workspace_id AND w.archived_at IS NULL
WHERE m.user_id = %(user_id)s::bigint
ORDER BY lower(w.name), w.id
LIMIT 1000;
