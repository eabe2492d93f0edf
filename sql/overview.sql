-- What the first pages show: figures of campaigns, and their latest deliveries.

-- name: campaigns
-- A page of campaigns, the newest first, or one: what it is, and its figures over all days. Where its walks stand is `walk_states`.
SELECT c.id, c.name, c.status, c.pause_reason, c.launch_at, c.schedule, c.started_at, c.completed_at, c.created_at, c.updated_at, c.archived_at, c.version,
       c.track_opens, c.track_clicks, coalesce(st.steps, 0) AS steps,
       coalesce(f.sent, 0)::bigint AS sent, coalesce(f.bounced, 0)::bigint AS bounced, coalesce(f.opened, 0)::bigint AS opened,
       coalesce(f.clicked, 0)::bigint AS clicked, coalesce(f.replied, 0)::bigint AS replied, coalesce(f.unsubscribed, 0)::bigint AS unsubscribed
FROM campaigns c
LEFT JOIN LATERAL (SELECT count(*) AS steps FROM steps WHERE campaign_id = c.id) st ON true
LEFT JOIN LATERAL (
    SELECT sum(sent) AS sent, sum(bounced) AS bounced, sum(opened) AS opened, sum(clicked) AS clicked, sum(replied) AS replied, sum(unsubscribed) AS unsubscribed
    FROM figures WHERE campaign_id = c.id AND scope = 'day'
) f ON true
WHERE c.workspace_id = %(workspace_id)s::bigint AND (%(id)s::bigint IS NULL OR c.id = %(id)s::bigint)
  AND (%(status)s::text IS NULL OR c.status = %(status)s::text) AND (%(q)s::text IS NULL OR c.name ILIKE %(q)s::text)
  AND (%(archived)s::boolean IS NULL OR (c.archived_at IS NOT NULL) = %(archived)s::boolean)
  AND (%(before)s::bigint IS NULL OR c.id < %(before)s::bigint)
ORDER BY c.id DESC
LIMIT %(limit)s::integer;

-- name: statuses
-- How many campaigns there are of each status; those that were put away stand apart.
SELECT CASE WHEN archived_at IS NULL THEN status ELSE 'archived' END AS status, count(*) AS campaigns
FROM campaigns WHERE workspace_id = %(workspace_id)s::bigint GROUP BY 1;

-- name: running
-- The campaigns that run, the newest first.
SELECT id FROM campaigns WHERE workspace_id = %(workspace_id)s::bigint AND status = 'running' ORDER BY id DESC LIMIT %(limit)s::integer;

-- name: walk_states
-- Where the walks of one campaign stand, and how many ended which way. Counts every one of them: whoever shows many campaigns keeps what it said for a moment.
SELECT state, outcome, count(*) AS leads FROM campaign_leads WHERE campaign_id = %(campaign_id)s::bigint
GROUP BY state, outcome ORDER BY leads DESC, outcome;

-- name: walk_signs
-- What `rules/explain.py` asks of the walks of campaigns, without counting those that wait: whether any is due, when the next will be, how many are in flight
-- or held. Lanes (senders, and nobody yet) are found by leaping through the index, and the first of each is enough: a million leads cost no more than ten.
WITH RECURSIVE lane AS (
    SELECT c.id AS campaign_id,
           (SELECT coalesce(cl.sender_id, 0) FROM campaign_leads cl WHERE cl.campaign_id = c.id AND cl.state = 'waiting'
            ORDER BY coalesce(cl.sender_id, 0) LIMIT 1) AS sender_id
    FROM campaigns c WHERE c.workspace_id = %(workspace_id)s::bigint AND c.id = ANY (%(ids)s::bigint[])
    UNION ALL
    SELECT lane.campaign_id,
           (SELECT coalesce(cl.sender_id, 0) FROM campaign_leads cl
            WHERE cl.campaign_id = lane.campaign_id AND cl.state = 'waiting' AND coalesce(cl.sender_id, 0) > lane.sender_id
            ORDER BY coalesce(cl.sender_id, 0) LIMIT 1)
    FROM lane WHERE lane.sender_id IS NOT NULL
), head AS (
    SELECT lane.campaign_id, min(w.due_at) AS first_due_at
    FROM lane
    LEFT JOIN LATERAL (
        SELECT cl.due_at FROM campaign_leads cl
        WHERE cl.campaign_id = lane.campaign_id AND coalesce(cl.sender_id, 0) = lane.sender_id AND cl.state = 'waiting'
        ORDER BY cl.due_at, cl.lead_id LIMIT 1
    ) w ON true
    GROUP BY lane.campaign_id
)
SELECT head.campaign_id, (head.first_due_at IS NOT NULL)::integer AS waiting, coalesce(head.first_due_at <= %(now)s::timestamptz, false)::integer AS due,
       open.in_flight::integer AS in_flight, open.held::integer AS held,
       (head.first_due_at IS NULL AND EXISTS (SELECT FROM campaign_leads WHERE campaign_id = head.campaign_id AND state = 'ended'))::integer AS ended,
       CASE WHEN head.first_due_at > %(now)s::timestamptz THEN head.first_due_at END AS next_due_at
FROM head
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'in_flight') AS in_flight, count(*) FILTER (WHERE state = 'held') AS held
    FROM campaign_leads WHERE campaign_id = head.campaign_id AND state IN ('in_flight', 'held')
) open;

-- name: attention
-- What waits for a person, the gravest first, each with what it is about: `kind` says which.
(SELECT 1 AS rank, 'unknown' AS kind, NULL::bigint AS id, NULL AS name, NULL AS detail, count(*) AS many, min(d.sending_at) AS since
 FROM campaigns c JOIN deliveries d ON d.campaign_id = c.id AND d.state = 'unknown' WHERE c.workspace_id = %(workspace_id)s::bigint HAVING count(*) > 0)
UNION ALL
(SELECT 2, 'sender_restricted', id, address, coalesce(last_error, status_reason), 1, coalesce(last_error_at, updated_at)
 FROM senders WHERE workspace_id = %(workspace_id)s::bigint AND status = 'restricted' AND deleted_at IS NULL ORDER BY id LIMIT %(limit)s::integer)
UNION ALL
(SELECT 3, 'campaign_paused', id, name, pause_reason, 1, updated_at
 FROM campaigns WHERE workspace_id = %(workspace_id)s::bigint AND status = 'paused' AND pause_reason IS NOT NULL AND archived_at IS NULL
 ORDER BY id DESC LIMIT %(limit)s::integer)
UNION ALL
(SELECT 4, 'domain_faulty', id, name, NULL, 1, checked_at
 FROM domains WHERE workspace_id = %(workspace_id)s::bigint AND status = 'faulty' ORDER BY id LIMIT %(limit)s::integer)
UNION ALL
(SELECT 5, CASE kind WHEN 'webhook' THEN 'webhook' ELSE 'integration' END, id, coalesce(nullif(name, ''), url), coalesce(off_reason, failures_in_row || ' deliveries in a row failed'), failures_in_row, coalesce(off_at, failed_at)
 FROM outlets WHERE workspace_id = %(workspace_id)s::bigint AND (state = 'off' AND off_reason IS NOT NULL OR state = 'on' AND failures_in_row >= 3)
 ORDER BY id LIMIT %(limit)s::integer)
UNION ALL
(SELECT 6, 'leads_held', c.id, c.name, h.reason, h.held, h.since
 FROM campaigns c
 CROSS JOIN LATERAL (SELECT count(*) AS held, min(hold_reason) AS reason, min(coalesce(settled_at, enrolled_at)) AS since
                     FROM campaign_leads cl WHERE cl.campaign_id = c.id AND cl.state = 'held' AND cl.hold_reason <> 'unknown') h
 WHERE c.workspace_id = %(workspace_id)s::bigint AND c.status = 'running' AND h.held > 0 ORDER BY c.id DESC LIMIT %(limit)s::integer)
ORDER BY rank, since DESC NULLS LAST;

-- name: lists
-- A page of lists by their ids (all of them without a `limit`), without counting who is on them; `q` is a part of the name.
SELECT id, name, created_at, updated_at, archived_at FROM lists
WHERE workspace_id = %(workspace_id)s::bigint AND id > %(after)s::bigint AND (%(archived)s::boolean OR archived_at IS NULL)
  AND (%(q)s::text = '' OR strpos(lower(name), lower(%(q)s::text)) > 0)
ORDER BY id LIMIT %(limit)s::integer;

-- name: list
SELECT id, name, created_at, updated_at, archived_at FROM lists WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint;

-- name: list_size
SELECT count(*) AS leads FROM list_leads WHERE list_id = %(list_id)s::bigint;

-- name: started
-- Campaigns that were launched, to choose from: ids and names.
SELECT id, name FROM campaigns WHERE workspace_id = %(workspace_id)s::bigint AND started_at IS NOT NULL AND archived_at IS NULL ORDER BY id;

-- name: beginnings
-- What of the prerequisites of a first campaign is there.
SELECT EXISTS (SELECT FROM domains WHERE workspace_id = %(workspace_id)s::bigint AND status = 'verified') AS domain,
       EXISTS (SELECT FROM senders WHERE workspace_id = %(workspace_id)s::bigint AND deleted_at IS NULL) AS sender,
       EXISTS (SELECT FROM leads WHERE workspace_id = %(workspace_id)s::bigint) AS lead,
       EXISTS (SELECT FROM campaigns WHERE workspace_id = %(workspace_id)s::bigint AND status <> 'draft') AS campaign,
       (SELECT postal_address <> '' FROM workspaces WHERE id = %(workspace_id)s::bigint) AS postal_address;

-- name: room
-- What the senders may still send today: limits and use of those that can send, of which those with a health at the `floor` or on a domain that is not verified are none.
SELECT count(*) AS senders, count(*) FILTER (WHERE able) AS able, coalesce(sum(daily_limit) FILTER (WHERE able), 0)::bigint AS limits,
       coalesce(sum(used), 0)::bigint AS used
FROM (
    SELECT s.daily_limit, d.used,
           s.status IN ('ready', 'warmup') AND s.health > %(floor)s::integer AND (s.domain_id IS NULL OR o.status = 'verified') AS able
    FROM senders s
    LEFT JOIN domains o ON o.id = s.domain_id
    LEFT JOIN sender_days d ON d.sender_id = s.id AND d.day = %(today)s::date
    WHERE s.workspace_id = %(workspace_id)s::bigint AND s.deleted_at IS NULL) each;

-- name: latest
-- The latest events of the workspace with what people call the things they are about; opens and clicks of machines are left out.
SELECT e.id, e.at, e.type, e.data, e.campaign_id, c.name AS campaign, e.lead_id, l.email, e.sender_id, s.address AS sender
FROM (SELECT * FROM events WHERE workspace_id = %(workspace_id)s::bigint AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
      ORDER BY id DESC LIMIT %(limit)s::integer) e
LEFT JOIN campaigns c ON c.id = e.campaign_id
LEFT JOIN leads l ON l.id = e.lead_id
LEFT JOIN senders s ON s.id = e.sender_id
ORDER BY e.id DESC;

-- name: latest_of_campaign
-- The same of one campaign.
SELECT e.id, e.at, e.type, e.data, e.campaign_id, NULL AS campaign, e.lead_id, l.email, e.sender_id, s.address AS sender
FROM (SELECT * FROM events WHERE campaign_id = %(campaign_id)s::bigint AND workspace_id = %(workspace_id)s::bigint
        AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint)
      ORDER BY id DESC LIMIT %(limit)s::integer) e
LEFT JOIN leads l ON l.id = e.lead_id
LEFT JOIN senders s ON s.id = e.sender_id
ORDER BY e.id DESC;

-- name: in_smtp
-- Mails past the mark whose answer is not settled yet: all that a pause cannot hold back.
SELECT count(*) AS mails FROM deliveries WHERE campaign_id = %(campaign_id)s::bigint AND state = 'sending';

-- name: sample_leads
SELECT l.id, l.email, l.first_name, l.company
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint
  AND (NOT EXISTS (SELECT FROM campaign_lists WHERE campaign_id = %(campaign_id)s::bigint)
       OR l.id IN (SELECT s.lead_id FROM campaign_lists a
                   CROSS JOIN LATERAL (SELECT lead_id FROM list_leads WHERE list_id = a.list_id ORDER BY lead_id LIMIT 50) s
                   WHERE a.campaign_id = %(campaign_id)s::bigint))
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: extra_fields
-- Of the first five hundred leads of each list.
SELECT DISTINCT lower(k.name) AS name
FROM campaign_lists a
CROSS JOIN LATERAL (SELECT lead_id FROM list_leads WHERE list_id = a.list_id ORDER BY lead_id LIMIT 500) s
JOIN leads l ON l.id = s.lead_id AND l.workspace_id = %(workspace_id)s::bigint
CROSS JOIN LATERAL jsonb_object_keys(l.fields) AS k (name)
WHERE a.campaign_id = %(campaign_id)s::bigint
ORDER BY name LIMIT 12;

-- name: walk
SELECT cl.lead_id, l.email, cl.state, cl.outcome
FROM campaign_leads cl JOIN leads l ON l.id = cl.lead_id
WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.lead_id = %(lead_id)s::bigint AND cl.workspace_id = %(workspace_id)s::bigint;

-- name: mails_of_lead
-- What happened to a mail last is its time.
SELECT d.id, d.step, d.state, d.subject, d.reason, d.failure, d.reply_code, d.reply_text, d.opened_at, d.clicked_at, d.replied_at,
       coalesce(d.settled_at, d.sending_at, d.rendered_at, d.planned_at) AS at
FROM deliveries d WHERE d.campaign_id = %(campaign_id)s::bigint AND d.lead_id = %(lead_id)s::bigint
ORDER BY d.step;
