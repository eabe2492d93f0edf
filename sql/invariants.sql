-- What must be true of the ledger at every moment. Each statement returns the rows that say otherwise, `limit` of them at most, and so none.
-- Each sees one moment: no transaction of ours leaves any of them broken for another one to see.

-- name: walks_add_up
-- The states of a campaign's walks, as every page counts them, add up to its enrolled.
SELECT campaign_id, count(*) AS enrolled,
       count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'in_flight') AS in_flight,
       count(*) FILTER (WHERE state = 'held') AS held, count(*) FILTER (WHERE state = 'ended') AS ended
FROM campaign_leads
GROUP BY campaign_id
HAVING count(*) <> count(*) FILTER (WHERE state IN ('waiting', 'in_flight', 'held', 'ended'))
LIMIT %(limit)s::integer;

-- name: one_delivery
-- One delivery for each step to each lead.
SELECT campaign_id, lead_id, step, count(*) AS deliveries
FROM deliveries
GROUP BY campaign_id, lead_id, step
HAVING count(*) > 1
LIMIT %(limit)s::integer;

-- name: one_acceptance
-- No delivery was accepted twice.
SELECT delivery_id, count(*) AS acceptances
FROM attempts WHERE outcome = 'accepted'
GROUP BY delivery_id
HAVING count(*) > 1
LIMIT %(limit)s::integer;

-- name: sent_is_proven
-- What counts as sent was accepted by a server, or has evidence; what was accepted counts as sent, or has bounced since.
SELECT d.id AS delivery_id, d.state, a.delivery_id IS NOT NULL AS accepted
FROM deliveries d LEFT JOIN attempts a ON a.delivery_id = d.id AND a.outcome = 'accepted'
WHERE CASE WHEN a.delivery_id IS NULL THEN d.state = 'sent' AND d.evidence IS NULL ELSE d.state NOT IN ('sent', 'bounced') END
LIMIT %(limit)s::integer;

-- name: in_flight_has_its_mail
-- A walk in flight has exactly one mail on its way, that of its step.
SELECT cl.campaign_id, cl.lead_id, cl.step, count(d.id) AS on_their_way
FROM campaign_leads cl
LEFT JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.step = cl.step AND d.state IN ('planned', 'rendered', 'sending')
WHERE cl.state = 'in_flight'
GROUP BY cl.campaign_id, cl.lead_id
HAVING count(d.id) <> 1
LIMIT %(limit)s::integer;

-- name: held_has_its_cause
-- A walk that is held for an unknown mail, or for one that could not be made, has that mail.
SELECT cl.campaign_id, cl.lead_id, cl.step, cl.hold_reason
FROM campaign_leads cl
WHERE cl.state = 'held' AND cl.hold_reason IN ('unknown', 'missing_field')
  AND NOT EXISTS (SELECT FROM deliveries d WHERE d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.step = cl.step
                  AND d.state = CASE cl.hold_reason WHEN 'unknown' THEN 'unknown' ELSE 'held' END)
LIMIT %(limit)s::integer;

-- name: unsettled_fits_its_walk
-- A mail that is not settled has a walk that waits for it. Only one that may be out already (`sending`, `unknown`) outlives its walk.
SELECT d.id AS delivery_id, d.campaign_id, d.lead_id, d.step, d.state, cl.state AS walk_state, cl.step AS walk_step, cl.hold_reason
FROM deliveries d JOIN campaign_leads cl USING (campaign_id, lead_id)
WHERE d.state IN ('planned', 'rendered', 'sending', 'deferred', 'held', 'unknown')
  AND NOT (d.state IN ('sending', 'unknown') AND cl.state = 'ended')
  AND NOT (d.step = cl.step AND CASE d.state WHEN 'unknown' THEN cl.state = 'held' AND cl.hold_reason = 'unknown'
                                             WHEN 'held' THEN cl.state = 'waiting' OR (cl.state = 'held' AND cl.hold_reason = 'missing_field')
                                             WHEN 'deferred' THEN cl.state = 'waiting'
                                             ELSE cl.state = 'in_flight' END)
LIMIT %(limit)s::integer;

-- name: days_are_counted
-- A sender's day holds what was accepted, may have been, or is between its mark and the answer, and what people answered: nothing else, and no less.
WITH marked AS (
    SELECT sender_id, (marked_at AT TIME ZONE 'UTC')::date AS day FROM attempts WHERE outcome IN ('accepted', 'unknown')
    UNION ALL
    SELECT sender_id, (sending_at AT TIME ZONE 'UTC')::date FROM deliveries WHERE state = 'sending'
), counted AS (
    SELECT sender_id, day, count(*) AS n FROM marked GROUP BY sender_id, day
)
SELECT sender_id, day, coalesce(u.used - u.answers, 0) AS used, coalesce(c.n, 0) AS in_the_ledger
FROM sender_days u FULL JOIN counted c USING (sender_id, day)
WHERE coalesce(u.used - u.answers, 0) <> coalesce(c.n, 0)
LIMIT %(limit)s::integer;

-- name: runs_are_counted
-- The runs of a campaign, on which it is judged, add up to its mails that were sent or bounced; who has started has a run.
SELECT c.id AS campaign_id, c.run, r.sent, r.bounced, d.sent AS sent_in_the_ledger, d.bounced AS bounced_in_the_ledger
FROM campaigns c
LEFT JOIN (SELECT campaign_id, sum(sent) AS sent, sum(bounced) AS bounced, max(run) AS run FROM campaign_runs GROUP BY campaign_id) r
       ON r.campaign_id = c.id
LEFT JOIN (SELECT campaign_id, count(*) AS sent, count(*) FILTER (WHERE state = 'bounced') AS bounced
           FROM deliveries WHERE state IN ('sent', 'bounced') GROUP BY campaign_id) d
       ON d.campaign_id = c.id
WHERE coalesce(r.sent, 0) <> coalesce(d.sent, 0) OR coalesce(r.bounced, 0) <> coalesce(d.bounced, 0) OR c.run <> coalesce(r.run, 0)
LIMIT %(limit)s::integer;

-- name: completed_is_over
-- A campaign is completed when every walk has ended: nobody is left behind in it.
SELECT c.id AS campaign_id, count(*) AS open_walks
FROM campaigns c JOIN campaign_leads cl ON cl.campaign_id = c.id AND cl.state <> 'ended'
WHERE c.status = 'completed'
GROUP BY c.id
LIMIT %(limit)s::integer;

-- name: nothing_after_a_stop
-- No mail was marked after its walk had ended, or after its address or domain was suppressed.
SELECT d.id AS delivery_id, d.campaign_id, d.lead_id, d.sending_at, cl.outcome AS stop, cl.ended_at AS stopped_at
FROM deliveries d JOIN campaign_leads cl USING (campaign_id, lead_id)
WHERE d.sending_at > cl.ended_at
UNION ALL
SELECT d.id, d.campaign_id, d.lead_id, d.sending_at, s.reason, s.created_at
FROM suppressions s
JOIN leads l ON l.workspace_id = s.workspace_id AND ((s.kind = 'address' AND l.email = s.value) OR (s.kind = 'domain' AND l.domain = s.value))
JOIN campaign_leads cl ON cl.lead_id = l.id
JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = l.id AND d.sending_at > s.created_at
LIMIT %(limit)s::integer;

-- name: unknown_is_explained
-- Of every mail that may have been accepted it is known why nobody knows, and which attempt it was.
SELECT d.id AS delivery_id, d.reason
FROM deliveries d
WHERE d.state = 'unknown'
  AND (coalesce(d.reason, '') = '' OR NOT EXISTS (SELECT FROM attempts a WHERE a.delivery_id = d.id AND a.token = d.token AND a.outcome = 'unknown'))
LIMIT %(limit)s::integer;

-- name: attempts_are_counted
-- A delivery counts its attempts as they were written down.
SELECT d.id AS delivery_id, d.attempts, count(a.token) AS written_down
FROM deliveries d LEFT JOIN attempts a ON a.delivery_id = d.id
GROUP BY d.id
HAVING d.attempts <> count(a.token)
LIMIT %(limit)s::integer;

-- name: bytes_are_kept
-- The bytes of a mail are kept from its rendering until it is settled, because every attempt sends the same; and no longer.
SELECT d.id AS delivery_id, d.state, m.delivery_id IS NOT NULL AS kept
FROM deliveries d LEFT JOIN mails m ON m.delivery_id = d.id
WHERE CASE WHEN m.delivery_id IS NULL THEN d.state IN ('rendered', 'sending', 'unknown') OR (d.state = 'deferred' AND d.attempts > 0 AND d.hash IS NOT NULL)
           ELSE d.state IN ('sent', 'failed', 'bounced', 'skipped', 'cancelled') END
LIMIT %(limit)s::integer;

-- name: mails_have_walks
-- Every delivery is of a walk, and bytes and attempts are of a delivery. No foreign keys hold this: each mail would pay for three checks.
SELECT d.id AS delivery_id, 'no walk' AS missing
FROM deliveries d LEFT JOIN campaign_leads cl USING (campaign_id, lead_id)
WHERE cl.lead_id IS NULL
UNION ALL
SELECT m.delivery_id, 'no delivery of the bytes' FROM mails m LEFT JOIN deliveries d ON d.id = m.delivery_id WHERE d.id IS NULL
UNION ALL
SELECT a.delivery_id, 'no delivery of the attempt' FROM attempts a LEFT JOIN deliveries d ON d.id = a.delivery_id WHERE d.id IS NULL
LIMIT %(limit)s::integer;

-- name: lists_hold_leads
-- Whoever is on a list is a lead, and of the list's workspace. No foreign keys hold this: they were a third of what an import costs.
SELECT ll.list_id, ll.lead_id
FROM list_leads ll LEFT JOIN lists s ON s.id = ll.list_id LEFT JOIN leads l ON l.id = ll.lead_id
WHERE s.id IS NULL OR l.id IS NULL OR s.workspace_id <> l.workspace_id
LIMIT %(limit)s::integer;
