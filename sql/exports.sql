-- What a campaign sent, and what it did not and why: for each person and step one row, read in portions of people.

-- name: portion
-- People on the campaign's lists and people who walk or walked in it, in order of their ids after `after`; each with every step, and with steps that are gone
-- if there was a delivery of them. `why` is for people: what the ledger holds against the mail, or what it waits for.
WITH people AS MATERIALIZED (
    (SELECT lead_id FROM campaign_leads WHERE campaign_id = %(campaign_id)s::bigint AND lead_id > %(after)s::bigint ORDER BY lead_id LIMIT %(limit)s::integer)
    UNION
    (SELECT near.lead_id FROM campaign_lists a
     CROSS JOIN LATERAL (SELECT ll.lead_id FROM list_leads ll WHERE ll.list_id = a.list_id AND ll.lead_id > %(after)s::bigint
                         ORDER BY ll.lead_id LIMIT %(limit)s::integer) near
     WHERE a.campaign_id = %(campaign_id)s::bigint)
    ORDER BY lead_id LIMIT %(limit)s::integer
)
SELECT p.lead_id, l.email, s.step,
       CASE WHEN d.state = 'unknown' THEN 'unknown' WHEN d.sending_at IS NOT NULL AND d.state IN ('sent', 'bounced') THEN 'yes' ELSE 'no' END AS sent,
       d.id AS delivery_id, d.state, x.address AS sender, d.message_id, encode(d.hash, 'hex') AS hash, d.subject, d.mail_date, d.sending_at AS sent_at,
       d.settled_at, d.attempts, d.reply_code, d.reply_text, d.evidence,
       CASE WHEN d.state = 'sent' THEN ''
            WHEN d.state IN ('planned', 'rendered', 'sending') THEN 'on its way'
            WHEN d.id IS NOT NULL AND coalesce(d.reason, '') <> '' THEN d.reason
            WHEN cl.state = 'ended' THEN 'ended: ' || cl.outcome
            WHEN cl.state = 'held' THEN 'held: ' || cl.hold_reason
            WHEN cl.state IS NOT NULL AND s.step > cl.step THEN 'its turn has not come'
            WHEN cl.state = 'waiting' THEN 'due'
            WHEN cl.state = 'in_flight' THEN 'on its way'
            WHEN l.status <> 'active' THEN 'not enrolled: ' || l.status
            WHEN EXISTS (SELECT FROM suppressions u WHERE u.workspace_id = l.workspace_id
                         AND ((u.kind = 'address' AND u.value = l.email) OR (u.kind = 'domain' AND u.value = l.domain))) THEN 'not enrolled: suppressed'
            WHEN l.validation = 'invalid' THEN 'not enrolled: invalid'
            WHEN l.validation IN (SELECT unnest(c.skip_validation) FROM campaigns c WHERE c.id = %(campaign_id)s::bigint) THEN 'not enrolled: ' || l.validation
            ELSE 'not enrolled' END AS why,
       CASE WHEN s.step = cl.step THEN cl.due_at END AS due_at
FROM people p
JOIN leads l ON l.id = p.lead_id
LEFT JOIN campaign_leads cl ON cl.campaign_id = %(campaign_id)s::bigint AND cl.lead_id = p.lead_id
CROSS JOIN LATERAL (
    SELECT st.position AS step FROM steps st WHERE st.campaign_id = %(campaign_id)s::bigint
    UNION
    SELECT g.step FROM deliveries g WHERE g.campaign_id = %(campaign_id)s::bigint AND g.lead_id = p.lead_id
) s
LEFT JOIN deliveries d ON d.campaign_id = %(campaign_id)s::bigint AND d.lead_id = p.lead_id AND d.step = s.step
LEFT JOIN senders x ON x.id = d.sender_id
ORDER BY p.lead_id, s.step;
