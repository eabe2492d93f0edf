-- Walks: one lead's way through one campaign (`campaign_leads`). Locks are taken in one order everywhere: walks by (campaign_id, lead_id), then deliveries.

-- part: told
-- What is told of a walk: `delivery` and `reason` are of the step at which it stands.
cl.lead_id, l.email, l.first_name, l.last_name, l.company, cl.state, cl.step, cl.due_at, cl.sender_id, s.address AS sender, cl.settled_at,
cl.hold_reason, cl.outcome, d.state AS delivery, d.reason, cl.enrolled_at, cl.ended_at

-- name: enroll
-- All leads of a campaign's lists that may be mailed, each once, whichever lists it is on. Who walks or has walked already is left as he is.
INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at)
SELECT c.id, l.id, c.workspace_id, greatest(now(), c.launch_at)
FROM campaigns c JOIN leads l ON l.workspace_id = c.workspace_id
WHERE c.id = %(campaign_id)s::bigint AND l.status = 'active' AND l.validation <> 'invalid' AND l.validation <> ALL (c.skip_validation)
  AND l.id IN (SELECT ll.lead_id FROM campaign_lists a JOIN list_leads ll ON ll.list_id = a.list_id WHERE a.campaign_id = %(campaign_id)s::bigint)
  AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'address' AND s.value = l.email)
  AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'domain' AND s.value = l.domain)
ORDER BY l.id
ON CONFLICT (campaign_id, lead_id) DO NOTHING;

-- name: enroll_arrivals
-- Leads that join a list (`imports.make_taken`) into the running campaigns which that list feeds. A paused campaign takes them when it is resumed.
INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at)
SELECT c.id, l.id, c.workspace_id, greatest(now(), c.launch_at)
FROM campaign_lists a
JOIN campaigns c ON c.id = a.campaign_id AND c.status = 'running'
CROSS JOIN taken r
JOIN leads l ON l.id = r.lead_id AND l.status = 'active' AND l.validation <> 'invalid' AND l.validation <> ALL (c.skip_validation)
WHERE a.list_id = %(list_id)s::bigint
ORDER BY c.id, l.id
ON CONFLICT (campaign_id, lead_id) DO NOTHING;

-- name: enroll_members
-- The same for leads that were there before and have just been put on a list.
INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, due_at)
SELECT c.id, l.id, c.workspace_id, greatest(now(), c.launch_at)
FROM campaign_lists a
JOIN campaigns c ON c.id = a.campaign_id AND c.status = 'running'
JOIN leads l ON l.workspace_id = c.workspace_id AND l.id = ANY (%(lead_ids)s::bigint[]) AND l.status = 'active' AND l.validation <> 'invalid'
     AND l.validation <> ALL (c.skip_validation)
WHERE a.list_id = %(list_id)s::bigint
  AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'address' AND s.value = l.email)
  AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'domain' AND s.value = l.domain)
ORDER BY c.id, l.id
ON CONFLICT (campaign_id, lead_id) DO NOTHING;

-- name: end_walks
-- Every open walk of these leads. The send path takes the same row before it marks a mail as `sending`: once this has committed, no mail to them starts.
-- FOR UPDATE, so that it stands against every lock that anybody may have on the row. The time is that of the lock, not of the transaction: a mail that was
-- marked while this waited was marked before.
WITH open AS MATERIALIZED (
    SELECT campaign_id, lead_id FROM campaign_leads
    WHERE workspace_id = %(workspace_id)s::bigint AND lead_id = ANY (%(lead_ids)s::bigint[]) AND state <> 'ended'
    ORDER BY campaign_id, lead_id
    FOR UPDATE
)
UPDATE campaign_leads cl SET state = 'ended', outcome = %(outcome)s::text, ended_at = clock_timestamp(), due_at = NULL, hold_reason = NULL
FROM open WHERE cl.campaign_id = open.campaign_id AND cl.lead_id = open.lead_id
RETURNING cl.campaign_id, cl.lead_id;

-- name: end_strays
-- Open walks of leads that are on none of their campaign's lists any more: of all leads of these campaigns, or of those given.
WITH stray AS MATERIALIZED (
    SELECT cl.campaign_id, cl.lead_id FROM campaign_leads cl
    WHERE cl.campaign_id = ANY (%(campaign_ids)s::bigint[]) AND cl.state <> 'ended'
      AND (%(lead_ids)s::bigint[] IS NULL OR cl.lead_id = ANY (%(lead_ids)s::bigint[]))
      AND NOT EXISTS (SELECT FROM campaign_lists a JOIN list_leads ll ON ll.list_id = a.list_id
                      WHERE a.campaign_id = cl.campaign_id AND ll.lead_id = cl.lead_id)
    ORDER BY cl.campaign_id, cl.lead_id
    FOR UPDATE OF cl
)
UPDATE campaign_leads cl SET state = 'ended', outcome = 'removed', ended_at = clock_timestamp(), due_at = NULL, hold_reason = NULL
FROM stray WHERE cl.campaign_id = stray.campaign_id AND cl.lead_id = stray.lead_id
RETURNING cl.campaign_id, cl.lead_id;

-- name: cancel_deliveries
-- What was prepared for walks that ended. A statement of its own, after their rows are held: it sees what was planned while they were waited for.
-- What is `sending` or `unknown` is left alone: that mail may be out.
UPDATE deliveries d SET state = 'cancelled', settled_at = now(), reason = %(reason)s::text, worker_id = NULL
FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[]) AS t (campaign_id, lead_id)
WHERE d.campaign_id = t.campaign_id AND d.lead_id = t.lead_id AND d.state IN ('planned', 'rendered', 'deferred', 'held')
RETURNING d.id;

-- name: hold_walks
-- All walks of these leads, in the one order, before anything else of them is touched.
SELECT count(*) FROM (
    SELECT FROM campaign_leads
    WHERE workspace_id = %(workspace_id)s::bigint AND lead_id = ANY (%(lead_ids)s::bigint[])
    ORDER BY campaign_id, lead_id
    FOR UPDATE
) held;

-- name: free_of_senders
-- Waiting walks whose sender was taken from the campaign may go on with another one.
WITH orphan AS MATERIALIZED (
    SELECT cl.campaign_id, cl.lead_id FROM campaign_leads cl
    WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.state = 'waiting' AND cl.sender_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM campaign_senders cs WHERE cs.campaign_id = cl.campaign_id AND cs.sender_id = cl.sender_id)
    ORDER BY cl.lead_id
    FOR NO KEY UPDATE OF cl
)
UPDATE campaign_leads cl SET sender_id = NULL
FROM orphan WHERE cl.campaign_id = orphan.campaign_id AND cl.lead_id = orphan.lead_id;

-- name: free_held
-- Walks that were held because a field was missing go on: of these leads, of this campaign, or of the whole workspace. If it still is, the mail is held again.
WITH held AS MATERIALIZED (
    SELECT cl.campaign_id, cl.lead_id FROM campaign_leads cl
    WHERE cl.workspace_id = %(workspace_id)s::bigint AND cl.state = 'held' AND cl.hold_reason = 'missing_field'
      AND (%(campaign_id)s::bigint IS NULL OR cl.campaign_id = %(campaign_id)s::bigint)
      AND (%(lead_ids)s::bigint[] IS NULL OR cl.lead_id = ANY (%(lead_ids)s::bigint[]))
    ORDER BY cl.campaign_id, cl.lead_id
    FOR NO KEY UPDATE OF cl
)
UPDATE campaign_leads cl SET state = 'waiting', due_at = now(), hold_reason = NULL
FROM held WHERE cl.campaign_id = held.campaign_id AND cl.lead_id = held.lead_id;

-- name: page
-- A campaign's walks with their leads, in order of the leads' ids, of one state, with an address that begins so.
SELECT {{told}}
FROM campaign_leads cl
JOIN leads l ON l.id = cl.lead_id
LEFT JOIN senders s ON s.id = cl.sender_id
LEFT JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.step = cl.step
WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.workspace_id = %(workspace_id)s::bigint AND cl.lead_id > %(after)s::bigint
  AND (%(state)s::text IS NULL OR cl.state = %(state)s::text)
  AND (%(q)s::text IS NULL OR starts_with(l.email, %(q)s::text))
ORDER BY cl.lead_id LIMIT %(limit)s::integer;

-- name: page_ended
-- The same of walks that ended in one of these ways: the first of each, brought together, so that a way in which few of a million ended costs no more than others.
SELECT {{told}}
FROM unnest(%(outcomes)s::text[]) AS o (outcome)
CROSS JOIN LATERAL (
    SELECT e.* FROM campaign_leads e
    WHERE e.campaign_id = %(campaign_id)s::bigint AND e.workspace_id = %(workspace_id)s::bigint AND e.state = 'ended' AND e.outcome = o.outcome
      AND e.lead_id > %(after)s::bigint
      AND (%(q)s::text IS NULL OR EXISTS (SELECT FROM leads f WHERE f.id = e.lead_id AND starts_with(f.email, %(q)s::text)))
    ORDER BY e.lead_id LIMIT %(limit)s::integer
) cl
JOIN leads l ON l.id = cl.lead_id
LEFT JOIN senders s ON s.id = cl.sender_id
LEFT JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.step = cl.step
ORDER BY cl.lead_id LIMIT %(limit)s::integer;

-- name: move_launch
-- Walks that wait for a launch wait for the new one. `was` is the old time, at which exactly they are due.
WITH early AS MATERIALIZED (
    SELECT campaign_id, lead_id FROM campaign_leads
    WHERE campaign_id = %(campaign_id)s::bigint AND state = 'waiting' AND step = 0 AND due_at = %(was)s::timestamptz
    ORDER BY lead_id
    FOR NO KEY UPDATE
)
UPDATE campaign_leads cl SET due_at = greatest(now(), %(launch_at)s::timestamptz)
FROM early WHERE cl.campaign_id = early.campaign_id AND cl.lead_id = early.lead_id;

-- name: end_in_campaign
-- Open walks of these leads through one campaign, as `end_walks` does.
WITH open AS MATERIALIZED (
    SELECT campaign_id, lead_id FROM campaign_leads
    WHERE campaign_id = %(campaign_id)s::bigint AND lead_id = ANY (%(lead_ids)s::bigint[]) AND state <> 'ended'
    ORDER BY campaign_id, lead_id
    FOR UPDATE
)
UPDATE campaign_leads cl SET state = 'ended', outcome = %(outcome)s::text, ended_at = clock_timestamp(), due_at = NULL, hold_reason = NULL
FROM open WHERE cl.campaign_id = open.campaign_id AND cl.lead_id = open.lead_id
RETURNING cl.campaign_id, cl.lead_id;

-- name: tell_late_reply
-- Who answers after the last mail has replied all the same.
UPDATE campaign_leads SET outcome = 'replied' WHERE campaign_id = %(campaign_id)s::bigint AND lead_id = %(lead_id)s::bigint AND outcome = 'finished';
