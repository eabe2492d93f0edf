-- Deliveries of which nobody knows whether the server took them. Only evidence or a person leads out of here; never a timer.

-- name: lock
-- Those of these that are still unknown, for whoever brings evidence or a decision. Their walks must be locked first.
SELECT d.id, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.sending_at, d.message_id, d.subject, l.email
FROM deliveries d JOIN leads l ON l.id = d.lead_id
WHERE d.id = ANY (%(ids)s::bigint[]) AND d.workspace_id = %(workspace_id)s::bigint AND d.state = 'unknown'
ORDER BY d.id
FOR NO KEY UPDATE OF d;

-- name: walks
-- The walks behind these deliveries, to be locked.
SELECT campaign_id, lead_id FROM deliveries
WHERE id = ANY (%(ids)s::bigint[]) AND workspace_id = %(workspace_id)s::bigint AND state = 'unknown';

-- name: write_sent
-- The evidence says that the server took them.
UPDATE deliveries SET state = 'sent', settled_at = %(now)s::timestamptz, evidence = %(evidence)s::text
WHERE id = ANY (%(ids)s::bigint[]) AND state = 'unknown';

-- name: write_resend
-- A person decided that they go out again. Without their token a late answer to the old attempt finds nothing to settle.
UPDATE deliveries SET state = 'deferred', token = NULL, sending_at = NULL, evidence = %(evidence)s::text, reason = %(evidence)s::text
WHERE id = ANY (%(ids)s::bigint[]) AND state = 'unknown';

-- name: page
-- Those of a workspace, oldest first.
SELECT d.id, d.campaign_id, c.name AS campaign_name, d.lead_id, l.email, d.step, d.sender_id, s.address AS sender_address, d.subject, d.message_id,
       d.sending_at, d.reason
FROM deliveries d
JOIN campaigns c ON c.id = d.campaign_id
JOIN leads l ON l.id = d.lead_id
JOIN senders s ON s.id = d.sender_id
WHERE d.workspace_id = %(workspace_id)s::bigint AND d.state = 'unknown' AND d.id > %(after)s::bigint
  AND (%(campaign_id)s::bigint IS NULL OR d.campaign_id = %(campaign_id)s::bigint)
ORDER BY d.id
LIMIT %(limit)s::integer;
