-- The counts of a campaign's current run, on which it is paused to protect its senders.

-- name: count
-- The counts that auto-pause is judged on, of the campaign's current run.
UPDATE campaign_runs r SET sent = r.sent + t.sent, bounced = r.bounced + t.bounced
FROM unnest(%(campaigns)s::bigint[], %(sent)s::integer[], %(bounced)s::integer[]) AS t (campaign_id, sent, bounced)
JOIN campaigns c ON c.id = t.campaign_id
WHERE r.campaign_id = t.campaign_id AND r.run = c.run
RETURNING r.campaign_id, r.sent, r.bounced;

-- name: hold_marks
-- Exclusively what every mark holds shared: once this is ours, no mail of the campaign is between its mark's reading and its commit.
SELECT pg_advisory_xact_lock(1, %(campaign_id)s::integer);

-- name: read
-- The current run of a running campaign.
SELECT c.workspace_id, r.sent, r.bounced
FROM campaigns c JOIN campaign_runs r ON r.campaign_id = c.id AND r.run = c.run
WHERE c.id = %(campaign_id)s::bigint AND c.status = 'running'
FOR NO KEY UPDATE OF c;

-- name: pause
-- By the system, with its reason.
UPDATE campaigns SET status = 'paused', pause_reason = %(reason)s::text, updated_at = now(), version = version + 1
WHERE id = %(campaign_id)s::bigint AND status = 'running'
RETURNING id;
