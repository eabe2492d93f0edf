-- name: of_delivery
-- A delivery's attempts, oldest first; one row of nulls if it had none yet.
SELECT a.sender_id, s.address AS sender, a.outcome, a.stage, a.code, a.enhanced, a.text, a.failure, a.rule, a.marked_at, a.started_at, a.finished_at
FROM deliveries d
LEFT JOIN attempts a ON a.delivery_id = d.id
LEFT JOIN senders s ON s.id = a.sender_id
WHERE d.id = %(delivery_id)s::bigint AND d.workspace_id = %(workspace_id)s::bigint
ORDER BY a.started_at, a.token;
