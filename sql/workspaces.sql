-- Tenants.

-- name: insert_workspace
INSERT INTO workspaces (name) VALUES (%(name)s) RETURNING id;

-- name: read_workspace
SELECT id, name, postal_address, tracking_domain, tracking_verified_at, created_at
FROM workspaces
WHERE id = %(id)s AND archived_at IS NULL;

-- name: update_workspace
-- Another tracking domain has yet to be verified.
UPDATE workspaces
SET name = coalesce(%(name)s, name),
    postal_address = coalesce(%(postal_address)s, postal_address),
    tracking_domain = CASE WHEN %(set_tracking)s THEN %(tracking_domain)s ELSE tracking_domain END,
    tracking_verified_at = CASE
        WHEN %(set_tracking)s AND tracking_domain IS DISTINCT FROM %(tracking_domain)s THEN NULL
        ELSE tracking_verified_at
    END
WHERE id = %(id)s AND archived_at IS NULL;

-- name: verify_tracking
-- Only for the name that was looked up: it may have been changed meanwhile.
UPDATE workspaces
SET tracking_verified_at = CASE WHEN %(found)s THEN coalesce(tracking_verified_at, %(now)s) END
WHERE id = %(id)s AND tracking_domain = %(tracking_domain)s;

-- name: tracking_domains
-- The names that mails lead to, of all workspaces.
SELECT DISTINCT tracking_domain FROM workspaces WHERE tracking_verified_at IS NOT NULL AND tracking_domain IS NOT NULL AND archived_at IS NULL;

-- name: archive_workspace
-- Not while anything of it is running: an archived workspace sends nothing.
UPDATE workspaces w SET archived_at = %(now)s::timestamptz
WHERE w.id = %(id)s::bigint AND w.archived_at IS NULL
  AND NOT EXISTS (SELECT FROM campaigns c WHERE c.workspace_id = w.id AND c.status = 'running')
RETURNING w.id;
