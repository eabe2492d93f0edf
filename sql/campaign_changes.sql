-- Who changed what of a campaign.

-- name: append
-- At the version that the campaign has now. Two changes of one transaction are one.
INSERT INTO campaign_changes AS h (campaign_id, version, user_id, api_key_id, fields)
SELECT id, version, %(user_id)s::bigint, %(api_key_id)s::bigint, %(fields)s::text[] FROM campaigns WHERE id = %(campaign_id)s::bigint
ON CONFLICT (campaign_id, version) DO UPDATE SET fields = h.fields || EXCLUDED.fields;

-- name: list_changes
-- The newest first: all behind a version, or a page of all before one.
SELECT h.version, h.at, h.fields, h.user_id, h.api_key_id, coalesce(nullif(u.name, ''), u.email, 'API key ' || k.name) AS who
FROM campaigns c
JOIN campaign_changes h ON h.campaign_id = c.id
LEFT JOIN users u ON u.id = h.user_id
LEFT JOIN api_keys k ON k.id = h.api_key_id
WHERE c.workspace_id = %(workspace_id)s::bigint AND c.id = %(campaign_id)s::bigint AND h.version > %(since)s::integer
  AND (%(before)s::bigint IS NULL OR h.version < %(before)s::bigint)
ORDER BY h.version DESC LIMIT %(limit)s::integer;
