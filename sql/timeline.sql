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

-- name: beside
-- What is no event but happened to it too, the newest first: lists that it stands on since, what people changed, wrote and noted, and mails of its own that no event
-- tells of. From the time of the event `since` (NULL: from the beginning) to just before that of the event `until` (NULL: to the end), both of them its own.
WITH span AS (
    SELECT coalesce((SELECT e.at FROM events e WHERE e.lead_id = %(lead_id)s::bigint AND e.id = %(since)s::bigint), '-infinity') AS since,
           coalesce((SELECT e.at FROM events e WHERE e.lead_id = %(lead_id)s::bigint AND e.id = %(until)s::bigint), 'infinity') AS until
), found AS (
    SELECT m.added_at AS at, 'list.joined' AS type, NULL::bigint AS campaign_id, NULL::bigint AS sender_id,
           jsonb_build_object('list_id', m.list_id, 'list', s.name) AS data
    FROM list_leads m JOIN lists s ON s.id = m.list_id WHERE m.lead_id = %(lead_id)s::bigint
    UNION ALL
    SELECT a.at, 'lead.changed', NULL, NULL, jsonb_build_object('by', coalesce(u.email, k.name))
    FROM audit a LEFT JOIN users u ON u.id = a.user_id LEFT JOIN api_keys k ON k.id = a.api_key_id
    WHERE a.object_id = %(lead_id)s::bigint AND a.action = 'leads.change' AND a.workspace_id = %(workspace_id)s::bigint
    UNION ALL
    SELECT m.settled_at, 'message.received', m.campaign_id, m.sender_id,
           jsonb_build_object('message_id', m.id, 'kind', m.kind, 'subject', m.subject, 'from', m.from_address)
    FROM inbox_messages m
    WHERE m.lead_id = %(lead_id)s::bigint AND m.state IN ('settled', 'review') AND m.kind IN ('auto_reply', 'feedback')
    UNION ALL
    SELECT n.created_at, 'note.written', t.campaign_id, NULL, jsonb_build_object('by', u.email, 'text', n.text)
    FROM threads t JOIN notes n ON n.thread_id = t.id LEFT JOIN users u ON u.id = n.user_id WHERE t.lead_id = %(lead_id)s::bigint
    UNION ALL
    SELECT a.created_at, 'answer.written', t.campaign_id, a.sender_id, jsonb_build_object('by', u.email, 'subject', a.subject, 'state', a.state)
    FROM threads t JOIN answers a ON a.thread_id = t.id LEFT JOIN users u ON u.id = a.user_id WHERE t.lead_id = %(lead_id)s::bigint
)
SELECT f.at, f.type, f.campaign_id, c.name AS campaign_name, f.sender_id, s.address AS sender_address, f.data
FROM span CROSS JOIN found f
LEFT JOIN campaigns c ON c.id = f.campaign_id
LEFT JOIN senders s ON s.id = f.sender_id
WHERE f.at >= span.since AND f.at < span.until
ORDER BY f.at DESC LIMIT %(limit)s::integer;
