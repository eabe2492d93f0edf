-- Who did what.

-- name: insert_entry
INSERT INTO audit (at, workspace_id, user_id, api_key_id, action, object_id, path, remote_address, user_agent)
VALUES (%(at)s::timestamptz, %(workspace_id)s::bigint, %(user_id)s::bigint, %(api_key_id)s::bigint, %(action)s::text, %(object_id)s::bigint, %(path)s::text,
        %(remote_address)s::text, %(user_agent)s::text);

-- name: list_entries
-- The newest first; a filter that is null asks for nothing.
SELECT a.id, a.at, a.user_id, u.email AS "user", a.api_key_id, k.name AS api_key, a.action, a.object_id, a.path, a.remote_address, a.user_agent
FROM audit a
LEFT JOIN users u ON u.id = a.user_id
LEFT JOIN api_keys k ON k.id = a.api_key_id
WHERE a.workspace_id = %(workspace_id)s::bigint AND a.id < coalesce(%(before)s::bigint, 9223372036854775807)
  AND (%(action)s::text IS NULL OR a.action = %(action)s::text OR a.action LIKE %(action)s::text || '.%%')
  AND (%(user_id)s::bigint IS NULL OR a.user_id = %(user_id)s::bigint)
  AND (%(since)s::timestamptz IS NULL OR a.at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR a.at < %(until)s::timestamptz)
ORDER BY a.id DESC
LIMIT %(limit)s::integer;
