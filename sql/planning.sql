-- What the planner gathers and what it writes. It enters from the few running campaigns and the few senders with room, never from the many due.

-- part: standing
-- How a walk stands: what was tried of its step, `d`, and became of its last mail, `last`; how it must end because its lead, `l`, may not be mailed.
coalesce(d.tries, 0) AS attempt, d.id IS NOT NULL AS judged, last.id IS NOT NULL AS mailed, last.opened_at, last.clicked_at,
CASE WHEN l.status <> 'active' THEN l.status WHEN l.validation = 'invalid' THEN 'invalid'
     WHEN EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'address' AND s.value = l.email)
       OR EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'domain' AND s.value = l.domain)
     THEN 'suppressed' END AS stopped

-- name: try_lock
-- One planner at a time: a second one finds the lock taken and has nothing to do.
SELECT pg_try_advisory_xact_lock(4, 1) AS mine, now() AS now;

-- name: take_turn
-- The same, and when it was taken: a round of nothing is mostly the asking.
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(4, 1) AS mine),
noted AS (
    INSERT INTO duties (name, done_at) SELECT 'plan', clock_timestamp() FROM turn WHERE mine
    ON CONFLICT (name) DO UPDATE SET done_at = EXCLUDED.done_at
)
SELECT mine, now() AS now FROM turn;

-- name: campaigns
-- Running campaigns, or those asked for, each with its steps, its senders and the counts of its current run.
SELECT c.id, c.workspace_id, c.name, c.status, c.launch_at, c.schedule, c.track_opens, c.track_clicks, c.on_sender_loss,
       c.max_new_leads_per_day, c.pause_reason, c.missing_field, c.check_reply,
       coalesce(r.sent, 0) AS sent, coalesce(r.bounced, 0) AS bounced, r.last_planned_at,
       coalesce(n.started, 0) AS new_today,
       s.steps,
       ARRAY(SELECT cs.sender_id FROM campaign_senders cs WHERE cs.campaign_id = c.id) AS sender_ids
FROM campaigns c
LEFT JOIN campaign_runs r ON r.campaign_id = c.id AND r.run = c.run
LEFT JOIN campaign_days n ON n.campaign_id = c.id
     AND n.day = (%(now)s::timestamptz AT TIME ZONE coalesce(c.schedule->>'timezone', 'UTC'))::date
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(jsonb_build_object('position', position, 'subjects', subjects, 'body', body, 'wait_days', wait_days,
                    'wait_hours', wait_hours, 'trigger', trigger_condition) ORDER BY position), '[]') AS steps
    FROM steps WHERE campaign_id = c.id
) s
WHERE CASE WHEN %(ids)s::bigint[] IS NULL THEN c.status = 'running' ELSE c.id = ANY (%(ids)s::bigint[]) END
ORDER BY c.id;

-- name: pipe
-- How many mails of each sender and provider are on their way: planned and not settled.
SELECT sender_id, provider, count(*)::integer AS n
FROM deliveries WHERE (state IN ('planned', 'rendered', 'sending')) IS TRUE
GROUP BY sender_id, provider;

-- name: senders
-- The senders of these campaigns, with what the ledger counts of their UTC day.
SELECT s.id, s.workspace_id, s.address, s.status, s.health, s.min_gap_seconds AS min_gap, s.max_gap_seconds AS max_gap,
       day_limit(s, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date) AS daily_limit,
       CASE WHEN s.ramp_from IS NOT NULL THEN jsonb_build_object('step', s.ramp_step, 'most', least(s.daily_limit, s.ramp_ceiling)) END AS ramp,
       s.free_at, s.cooldown_until, s.last_error_at, d.status AS domain_status, s.deleted_at IS NOT NULL AS gone, coalesce(u.used, 0) AS used_today
FROM senders s
LEFT JOIN domains d ON d.id = s.domain_id
LEFT JOIN sender_days u ON u.sender_id = s.id AND u.day = (%(now)s::timestamptz AT TIME ZONE 'UTC')::date
WHERE s.id IN (SELECT cs.sender_id FROM campaign_senders cs WHERE cs.campaign_id = ANY (%(campaigns)s::bigint[]));

-- name: nothing_to_keep
-- A round that only noted its own time need not wait for the disk.
SELECT set_config('synchronous_commit', 'off', true);

-- name: due_pairs
-- Of these pairs those in which anybody is due: one index entry each. Nearly all rounds of nearly all pairs end here.
SELECT pair.campaign_id, pair.sender_id
FROM unnest(%(campaigns)s::bigint[], %(senders)s::bigint[]) AS pair (campaign_id, sender_id)
CROSS JOIN LATERAL (
    SELECT FROM campaign_leads cl
    WHERE cl.campaign_id = pair.campaign_id AND coalesce(cl.sender_id, 0) = pair.sender_id AND cl.state = 'waiting' AND cl.due_at <= %(now)s::timestamptz
    ORDER BY cl.due_at, cl.lead_id
    LIMIT 1
) head;

-- name: lost_pairs
-- Of these campaigns the senders that are gone and that walks still wait for. The senders are found by leaping through the index, an entry each.
WITH RECURSIVE lane AS (
    SELECT c.id AS campaign_id,
           (SELECT coalesce(cl.sender_id, 0) FROM campaign_leads cl WHERE cl.campaign_id = c.id AND cl.state = 'waiting'
            ORDER BY coalesce(cl.sender_id, 0) LIMIT 1) AS sender_id
    FROM unnest(%(campaigns)s::bigint[]) AS c (id)
    UNION ALL
    SELECT lane.campaign_id,
           (SELECT coalesce(cl.sender_id, 0) FROM campaign_leads cl
            WHERE cl.campaign_id = lane.campaign_id AND cl.state = 'waiting' AND coalesce(cl.sender_id, 0) > lane.sender_id
            ORDER BY coalesce(cl.sender_id, 0) LIMIT 1)
    FROM lane WHERE lane.sender_id IS NOT NULL
)
SELECT lane.campaign_id, lane.sender_id FROM lane
WHERE lane.sender_id > 0
  AND NOT EXISTS (SELECT FROM campaign_senders cs JOIN senders s ON s.id = cs.sender_id
                  WHERE cs.campaign_id = lane.campaign_id AND cs.sender_id = lane.sender_id AND s.deleted_at IS NULL);

-- name: due_walks
-- Per (campaign, sender with room): the oldest walks that are due and belong to this sender; sender 0 stands for walks that no sender has yet.
-- A LIMIT inside the LATERAL keeps this a few index entries a pair, whatever waits behind them. An empty provider: nobody has looked up the domain yet.
WITH due AS MATERIALIZED (
    SELECT w.*
    FROM unnest(%(campaigns)s::bigint[], %(senders)s::bigint[]) AS pair (campaign_id, sender_id)
    CROSS JOIN LATERAL (
        SELECT cl.campaign_id, cl.lead_id, cl.state, cl.step, cl.due_at, cl.settled_at, cl.sender_id, cl.last_delivery_id
        FROM campaign_leads cl
        WHERE cl.campaign_id = pair.campaign_id AND coalesce(cl.sender_id, 0) = pair.sender_id AND cl.state = 'waiting' AND cl.due_at <= %(now)s::timestamptz
        ORDER BY cl.due_at, cl.lead_id
        LIMIT %(limit)s::bigint
        FOR UPDATE SKIP LOCKED
    ) w
)
SELECT due.*, l.email, coalesce(rd.provider, '') AS provider,
       {{standing}}
FROM due
JOIN leads l ON l.id = due.lead_id
LEFT JOIN recipient_domains rd ON rd.name = l.domain
LEFT JOIN deliveries d ON d.campaign_id = due.campaign_id AND d.lead_id = due.lead_id AND d.step = due.step
LEFT JOIN deliveries last ON last.id = due.last_delivery_id
ORDER BY due.due_at, due.lead_id;

-- name: write_planned
-- The decisions become deliveries. A delivery that was put back (deferred, or held and now mended) is planned again in its own row: bytes that have been
-- tried go out again as they are, unless the sender changed: then their hash goes, or, were the new ones never made (a field is missing), the old ones would go
-- out by the new sender. One that was previewed has the id that its preview was made with.
WITH wanted AS (
    SELECT * FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[], %(steps)s::smallint[], %(senders)s::bigint[],
                         %(providers)s::text[], %(not_after)s::timestamptz[])
             AS t (campaign_id, lead_id, step, sender_id, provider, not_after)
), walked AS (
    UPDATE campaign_leads cl SET state = 'in_flight', due_at = NULL, sender_id = w.sender_id
    FROM wanted w
    WHERE cl.campaign_id = w.campaign_id AND cl.lead_id = w.lead_id AND cl.state = 'waiting' AND cl.step = w.step
    RETURNING cl.campaign_id, cl.lead_id, cl.workspace_id, w.step, w.sender_id, w.provider, w.not_after
)
INSERT INTO deliveries AS d (id, workspace_id, campaign_id, lead_id, step, sender_id, provider, state, planned_at, queued_at, not_after)
OVERRIDING SYSTEM VALUE
SELECT coalesce(p.delivery_id, nextval('deliveries_id_seq')), workspace_id, campaign_id, lead_id, step, sender_id, provider, 'planned',
       %(now)s::timestamptz, %(now)s::timestamptz, not_after
FROM walked LEFT JOIN previewed p USING (campaign_id, lead_id, step)
ON CONFLICT (campaign_id, lead_id, step) DO UPDATE
SET state = CASE WHEN d.attempts > 0 AND d.hash IS NOT NULL AND d.sender_id = EXCLUDED.sender_id THEN 'rendered' ELSE 'planned' END,
    hash = CASE WHEN d.sender_id = EXCLUDED.sender_id THEN d.hash END,
    sender_id = EXCLUDED.sender_id, provider = EXCLUDED.provider, planned_at = EXCLUDED.planned_at, queued_at = EXCLUDED.queued_at,
    not_after = EXCLUDED.not_after, token = NULL, worker_id = NULL, reason = NULL
WHERE d.state IN ('deferred', 'held')
RETURNING d.id, d.campaign_id, d.lead_id, d.sender_id, d.state, (xmax = 0) AS fresh;

-- name: count_new
-- First mails planned, by the campaign zone's day.
INSERT INTO campaign_days AS n (campaign_id, day, started)
SELECT t.campaign_id, (%(now)s::timestamptz AT TIME ZONE coalesce(c.schedule->>'timezone', 'UTC'))::date, t.started
FROM unnest(%(campaigns)s::bigint[], %(started)s::integer[]) AS t (campaign_id, started)
JOIN campaigns c ON c.id = t.campaign_id
ON CONFLICT (campaign_id, day) DO UPDATE SET started = n.started + EXCLUDED.started;

-- name: note_planned
-- Who was served last has the last turn next time.
UPDATE campaign_runs r SET last_planned_at = %(now)s::timestamptz
FROM campaigns c WHERE c.id = r.campaign_id AND c.run = r.run AND c.id = ANY (%(campaigns)s::bigint[]);

-- name: write_skipped
-- Steps that are not sent, for good; the walk moves on to its next step, or is finished.
WITH wanted AS (
    SELECT * FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[], %(steps)s::smallint[], %(reasons)s::text[],
                         %(next_steps)s::smallint[], %(due)s::timestamptz[])
             AS t (campaign_id, lead_id, step, reason, next_step, due_at)
), walked AS (
    UPDATE campaign_leads cl
    SET settled_at = %(now)s::timestamptz, step = coalesce(w.next_step, cl.step), due_at = CASE WHEN w.next_step IS NOT NULL THEN w.due_at END,
        state = CASE WHEN w.next_step IS NULL THEN 'ended' ELSE 'waiting' END,
        outcome = CASE WHEN w.next_step IS NULL THEN 'finished' END,
        ended_at = CASE WHEN w.next_step IS NULL THEN %(now)s::timestamptz END
    FROM wanted w
    WHERE cl.campaign_id = w.campaign_id AND cl.lead_id = w.lead_id AND cl.state = 'waiting' AND cl.step = w.step
    RETURNING cl.workspace_id, cl.campaign_id, cl.lead_id, w.step, w.reason
), skipped AS (
    INSERT INTO deliveries AS d (workspace_id, campaign_id, lead_id, step, state, settled_at, reason)
    SELECT workspace_id, campaign_id, lead_id, step, 'skipped', %(now)s::timestamptz, reason FROM walked
    ON CONFLICT (campaign_id, lead_id, step) DO UPDATE SET state = 'skipped', settled_at = EXCLUDED.settled_at, reason = EXCLUDED.reason
    WHERE d.state IN ('deferred', 'held')
    RETURNING d.id
)
DELETE FROM mails m USING skipped WHERE m.delivery_id = skipped.id;

-- name: step_aside
-- Walks that are due and cannot go before a known time (their provider is busy, their wait was made longer) let those behind them pass.
UPDATE campaign_leads cl SET due_at = t.due_at
FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[], %(due)s::timestamptz[]) AS t (campaign_id, lead_id, due_at)
WHERE cl.campaign_id = t.campaign_id AND cl.lead_id = t.lead_id AND cl.state = 'waiting';

-- name: write_ends
-- Walks that are over without another mail.
WITH ended AS (
    UPDATE campaign_leads cl SET state = 'ended', outcome = t.outcome, ended_at = %(now)s::timestamptz, due_at = NULL
    FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[], %(outcomes)s::text[]) AS t (campaign_id, lead_id, outcome)
    WHERE cl.campaign_id = t.campaign_id AND cl.lead_id = t.lead_id AND cl.state = 'waiting'
    RETURNING cl.campaign_id, cl.lead_id, cl.step, cl.outcome
), cancelled AS (
    UPDATE deliveries d SET state = 'cancelled', settled_at = %(now)s::timestamptz, reason = e.outcome
    FROM ended e
    WHERE d.campaign_id = e.campaign_id AND d.lead_id = e.lead_id AND d.step = e.step AND d.state IN ('deferred', 'held')
    RETURNING d.id
)
DELETE FROM mails m USING cancelled WHERE m.delivery_id = cancelled.id;

-- name: over
-- Running campaigns of which every walk seems to have ended; each condition reads one entry of an index. Who is at one of them has the first turn.
-- One that never had a walk waits for its lists to grow: it was started before its leads were there.
SELECT c.id FROM campaigns c
WHERE c.status = 'running' AND (c.launch_at IS NULL OR c.launch_at <= %(now)s::timestamptz)
  AND NOT EXISTS (SELECT FROM campaign_leads cl WHERE cl.campaign_id = c.id AND cl.state = 'waiting')
  AND NOT EXISTS (SELECT FROM campaign_leads cl WHERE cl.campaign_id = c.id AND cl.state IN ('in_flight', 'held'))
  AND EXISTS (SELECT FROM campaign_leads cl WHERE cl.campaign_id = c.id)
ORDER BY c.id
FOR NO KEY UPDATE SKIP LOCKED;

-- name: growing
-- Those to whose lists leads are being added now: whoever does it begins walks that cannot be seen yet. Of the others no list grows until this commits.
SELECT a.campaign_id AS id FROM campaign_lists a
WHERE a.campaign_id = ANY (%(ids)s::bigint[])
GROUP BY a.campaign_id HAVING NOT bool_and(pg_try_advisory_xact_lock(3, a.list_id::integer));

-- name: complete
-- Looked at once more, because a walk may have begun between the first look and the locks.
UPDATE campaigns c SET status = 'completed', completed_at = %(now)s::timestamptz, updated_at = %(now)s::timestamptz, version = version + 1
WHERE c.id = ANY (%(ids)s::bigint[]) AND c.status = 'running'
  AND NOT EXISTS (SELECT FROM campaign_leads cl WHERE cl.campaign_id = c.id AND cl.state <> 'ended')
RETURNING c.id, c.workspace_id;

-- name: walk
-- One walk as the planner would see it, whatever its state; without locks.
SELECT cl.campaign_id, cl.lead_id, cl.state, cl.step, cl.due_at, cl.settled_at, cl.sender_id, cl.outcome, cl.hold_reason,
       l.email, coalesce(rd.provider, '') AS provider,
       {{standing}}
FROM campaign_leads cl
JOIN leads l ON l.id = cl.lead_id
LEFT JOIN recipient_domains rd ON rd.name = l.domain
LEFT JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.step = cl.step
LEFT JOIN deliveries last ON last.id = cl.last_delivery_id
WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.lead_id = %(lead_id)s::bigint AND cl.workspace_id = %(workspace_id)s::bigint;

-- name: due_sample
-- A sample of campaigns' due walks as the planner would see them, the oldest few of each sender and of those that have none yet; without locks.
SELECT cl.campaign_id, cl.lead_id, cl.state, cl.step, cl.due_at, cl.settled_at, cl.sender_id, cl.outcome, cl.hold_reason,
       l.email, coalesce(rd.provider, '') AS provider,
       {{standing}}
FROM unnest(%(campaigns)s::bigint[]) AS c (id)
CROSS JOIN LATERAL (
    SELECT w.lead_id
    FROM (SELECT 0::bigint AS sender_id UNION SELECT sender_id FROM campaign_senders WHERE campaign_id = c.id) AS lane
    CROSS JOIN LATERAL (
        SELECT h.lead_id, h.due_at FROM campaign_leads h
        WHERE h.campaign_id = c.id AND coalesce(h.sender_id, 0) = lane.sender_id AND h.state = 'waiting' AND h.due_at <= %(now)s::timestamptz
        ORDER BY h.due_at, h.lead_id LIMIT 5
    ) w
    ORDER BY w.due_at, w.lead_id LIMIT %(most)s::integer
) sample
JOIN campaign_leads cl ON cl.campaign_id = c.id AND cl.lead_id = sample.lead_id
JOIN leads l ON l.id = cl.lead_id
LEFT JOIN recipient_domains rd ON rd.name = l.domain
LEFT JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND d.step = cl.step
LEFT JOIN deliveries last ON last.id = cl.last_delivery_id
ORDER BY cl.campaign_id, cl.due_at, cl.lead_id;
