-- What the first pages show: figures of campaigns, and their latest deliveries.

-- name: campaigns
-- The newest first, running ones before all others. Leads by where their walk stands, and mails by whether a server has taken them.
SELECT c.id, c.name, c.status, c.pause_reason, c.launch_at, c.started_at, c.completed_at, c.created_at, w.*, m.sent
FROM campaigns c
CROSS JOIN LATERAL (
    SELECT count(*) AS enrolled,
           count(*) FILTER (WHERE state = 'waiting') AS waiting,
           count(*) FILTER (WHERE state = 'in_flight') AS in_flight,
           count(*) FILTER (WHERE state = 'held') AS held,
           count(*) FILTER (WHERE state = 'ended') AS ended
    FROM campaign_leads WHERE campaign_id = c.id
) w
CROSS JOIN LATERAL (SELECT count(*) AS sent FROM deliveries WHERE campaign_id = c.id AND state = 'sent') m
WHERE c.workspace_id = %(workspace_id)s AND (%(id)s::bigint IS NULL OR c.id = %(id)s::bigint)
ORDER BY c.status = 'running' DESC, c.id DESC
LIMIT %(limit)s;

-- name: endings
SELECT outcome, count(*) AS leads
FROM campaign_leads
WHERE workspace_id = %(workspace_id)s AND campaign_id = %(id)s AND state = 'ended'
GROUP BY outcome
ORDER BY leads DESC, outcome;

-- name: deliveries
-- The latest of a campaign. What happened to a mail last is its time.
SELECT d.id, d.step, d.state, d.subject, d.reason, d.failure, d.reply_code, d.reply_text, l.email, s.address AS sender,
       coalesce(d.settled_at, d.sending_at, d.rendered_at, d.planned_at) AS at
FROM deliveries d
JOIN leads l ON l.id = d.lead_id
LEFT JOIN senders s ON s.id = d.sender_id
WHERE d.workspace_id = %(workspace_id)s AND d.campaign_id = %(id)s
ORDER BY d.id DESC
LIMIT %(limit)s;
