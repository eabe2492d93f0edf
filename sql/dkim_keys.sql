-- A domain's signing keys while one takes the place of another: waiting, active, retired. See also `domains` and `deliveries.dkim_key`.

-- name: insert_waiting
INSERT INTO dkim_keys (id, workspace_id, domain_id, selector, state, private_sealed, public_key)
OVERRIDING SYSTEM VALUE
VALUES (%(id)s::bigint, %(workspace_id)s::bigint, %(domain_id)s::bigint, %(selector)s::text, 'waiting', %(private_sealed)b::bytea, %(public_key)s::text)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: keys
-- In the order in which they were made.
SELECT k.id, d.name AS domain, k.selector, k.state, k.public_key, k.created_at, k.published_at, k.activated_at, k.retired_at
FROM dkim_keys k JOIN domains d ON d.id = k.domain_id
WHERE k.workspace_id = %(workspace_id)s::bigint AND k.domain_id = %(domain_id)s::bigint
ORDER BY k.id;

-- name: hold
-- Whoever changes a domain's keys does so alone.
SELECT id FROM domains WHERE workspace_id = %(workspace_id)s::bigint AND id = %(domain_id)s::bigint FOR NO KEY UPDATE;

-- name: published
-- Whether DNS shows the key: since when, or not any more.
UPDATE dkim_keys SET published_at = CASE WHEN %(found)s::boolean THEN coalesce(published_at, %(now)s::timestamptz) END
WHERE workspace_id = %(workspace_id)s::bigint AND domain_id = %(domain_id)s::bigint AND id = %(id)s::bigint;

-- name: retire
UPDATE dkim_keys SET state = 'retired', retired_at = %(now)s::timestamptz
WHERE workspace_id = %(workspace_id)s::bigint AND domain_id = %(domain_id)s::bigint AND state = 'active';

-- name: activate
UPDATE dkim_keys SET state = 'active', activated_at = %(now)s::timestamptz
WHERE workspace_id = %(workspace_id)s::bigint AND domain_id = %(domain_id)s::bigint AND id = %(id)s::bigint AND state = 'waiting';

-- name: delete
DELETE FROM dkim_keys
WHERE workspace_id = %(workspace_id)s::bigint AND domain_id = %(domain_id)s::bigint AND id = %(id)s::bigint AND state <> 'active';
