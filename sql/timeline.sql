-- One lead: its walks, and everything that happened to it.

-- name: walks
-- Its campaigns, the newest first, with where it stands in each and how many mails of each it got.
SELECT cl.campaign_id, c.name AS campaign_name, c.status AS campaign_status, cl.state, cl.step, cl.due_at, cl.sender_id, s.address AS sender_address,
       cl.hold_reason, cl.outcome, cl.enrolled_at, cl.ended_at,
       (SELECT count(*) FROM deliveries d WHERE d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.state = 'sent') AS sent,
       (SELECT count(*) FROM steps st WHERE st.campaign_id = cl.campaign_id) AS steps
FROM campaign_leads cl
JOIN campaigns c ON c.id = cl.campaign_id
LEFT JOIN senders s ON s.id = cl.sender_id
WHERE cl.lead_id = %(lead_id)s::bigint AND cl.workspace_id = %(workspace_id)s::bigint
ORDER BY cl.campaign_id DESC LIMIT %(limit)s::integer;

-- name: events
-- What happened, the newest first.
SELECT e.id, e.at, e.type, e.campaign_id, c.name AS campaign_name, e.delivery_id, e.sender_id, s.address AS sender_address, d.step, d.subject, e.data
FROM events e
LEFT JOIN campaigns c ON c.id = e.campaign_id
LEFT JOIN deliveries d ON d.id = e.delivery_id
LEFT JOIN senders s ON s.id = e.sender_id
WHERE e.lead_id = %(lead_id)s::bigint AND e.workspace_id = %(workspace_id)s::bigint AND e.id < %(before)s::bigint
ORDER BY e.id DESC LIMIT %(limit)s::integer;
