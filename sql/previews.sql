-- One mail of a campaign to one lead, whether it was planned, sent, or neither yet.

-- name: reserve
-- The id that the delivery will have, unless it is there already: the planner takes it over (`planning.write_planned`).
INSERT INTO previewed (campaign_id, lead_id, step, delivery_id)
SELECT c.id, l.id, st.position, nextval('deliveries_id_seq')
FROM campaigns c
JOIN leads l ON l.workspace_id = c.workspace_id AND l.id = %(lead_id)s::bigint
JOIN steps st ON st.campaign_id = c.id AND st.position = %(step)s::smallint
WHERE c.workspace_id = %(workspace_id)s::bigint AND c.id = %(campaign_id)s::bigint
  AND NOT EXISTS (SELECT FROM deliveries d WHERE d.campaign_id = c.id AND d.lead_id = l.id AND d.step = st.position)
ON CONFLICT (campaign_id, lead_id, step) DO NOTHING;

-- name: facts
-- What `deliveries.render_facts` reads, with the same names (a test holds that), and how the ledger knows the mail. The sender is the delivery's, the
-- walk's, the one asked for, or the campaign's first.
SELECT coalesce(d.id, p.delivery_id) AS id, 0::bigint AS token, c.workspace_id, c.id AS campaign_id, l.id AS lead_id, st.position AS step,
       s.id AS sender_id, d.message_id,
       st.subjects, st.body, CASE WHEN c.promote_winner IS NOT NULL THEN st.winner END AS winner, d.subject_index,
       l.email, l.first_name, l.last_name, l.company, l.fields,
       s.address AS sender_address, s.name AS sender_name, s.reply_to, s.signature, s.imap_host IS NOT NULL AS has_imap,
       c.missing_field, c.track_opens, c.track_clicks,
       w.postal_address, CASE WHEN w.tracking_verified_at IS NOT NULL THEN w.tracking_domain END AS tracking_domain,
       k.id AS key_id, k.created_at AS key_made_at, k.selector, dom.name AS domain_name,
       (SELECT e.subjects FROM steps e WHERE e.campaign_id = c.id AND e.position < st.position AND cardinality(e.subjects) > 0
        ORDER BY e.position DESC LIMIT 1) AS earlier_subjects,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('message_id', e.message_id, 'subject', e.subject, 'starts_thread', e.starts_thread) ORDER BY e.step), '[]')
        FROM deliveries e WHERE e.campaign_id = c.id AND e.lead_id = l.id AND e.step < st.position AND e.state IN ('sent', 'unknown')) AS thread,
       d.state, d.mail_date, encode(d.hash, 'hex') AS ledger_hash
FROM campaigns c
JOIN workspaces w ON w.id = c.workspace_id
JOIN leads l ON l.workspace_id = c.workspace_id AND l.id = %(lead_id)s::bigint
JOIN steps st ON st.campaign_id = c.id AND st.position = %(step)s::smallint
LEFT JOIN deliveries d ON d.campaign_id = c.id AND d.lead_id = l.id AND d.step = st.position
LEFT JOIN previewed p ON p.campaign_id = c.id AND p.lead_id = l.id AND p.step = st.position
LEFT JOIN campaign_leads cl ON cl.campaign_id = c.id AND cl.lead_id = l.id
LEFT JOIN senders s ON s.workspace_id = c.workspace_id
     AND s.id = coalesce(d.sender_id, cl.sender_id, %(sender_id)s::bigint, (SELECT min(cs.sender_id) FROM campaign_senders cs WHERE cs.campaign_id = c.id))
LEFT JOIN domains dom ON dom.id = s.domain_id
LEFT JOIN dkim_keys k ON k.domain_id = s.domain_id AND k.state = 'active'
WHERE c.workspace_id = %(workspace_id)s::bigint AND c.id = %(campaign_id)s::bigint;

-- name: own_address
-- Whether an address belongs to the workspace's own people or mailboxes: a test goes nowhere else.
SELECT EXISTS (SELECT FROM senders s WHERE s.workspace_id = %(workspace_id)s::bigint AND s.address = %(address)s::text AND s.deleted_at IS NULL)
    OR EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = %(workspace_id)s::bigint AND u.email = %(address)s::text) AS own;
