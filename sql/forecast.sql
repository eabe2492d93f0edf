-- What a forecast is made of: who walks, who would, and who shares the senders.

-- name: sharing
-- Running campaigns that use one of these senders: they take their part of its day.
SELECT DISTINCT c.id
FROM campaign_senders cs JOIN campaigns c ON c.id = cs.campaign_id AND c.status = 'running'
WHERE cs.sender_id = ANY (%(senders)s::bigint[]) AND c.workspace_id = %(workspace_id)s::bigint
ORDER BY c.id;

-- name: senders
-- Senders by their ids as the planner sees them, whichever campaigns they are attached to.
SELECT s.id, s.workspace_id, s.address, s.status, s.health, s.min_gap_seconds AS min_gap, s.max_gap_seconds AS max_gap,
       day_limit(s, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date) AS daily_limit,
       CASE WHEN s.ramp_from IS NOT NULL THEN jsonb_build_object('step', s.ramp_step, 'most', least(s.daily_limit, s.ramp_ceiling)) END AS ramp,
       s.free_at, s.cooldown_until, s.last_error_at, d.status AS domain_status, s.deleted_at IS NOT NULL AS gone, coalesce(u.used, 0) AS used_today
FROM senders s
LEFT JOIN domains d ON d.id = s.domain_id
LEFT JOIN sender_days u ON u.sender_id = s.id AND u.day = (%(now)s::timestamptz AT TIME ZONE 'UTC')::date
WHERE s.id = ANY (%(ids)s::bigint[]) AND s.workspace_id = %(workspace_id)s::bigint;

-- name: cohorts
-- Leads that stand alike, with their number: the open walks of these campaigns, and whoever is on the lists and would begin to walk in `campaign_id`.
-- Without `lists` they are the campaign's own; with `lists` walks of leads on none of them are left out. Times are cut to the minute, and domains of few
-- leads that are nobody's provider are put together as `other`, so that very many leads become few rows. `needs`: the fields that a step cannot go without.
WITH listed AS MATERIALIZED (
    SELECT DISTINCT ll.lead_id FROM list_leads ll
    WHERE ll.list_id = ANY (coalesce(%(lists)s::bigint[],
                                     ARRAY(SELECT a.list_id FROM campaign_lists a WHERE a.campaign_id = %(campaign_id)s::bigint)))
), standing AS (
    SELECT cl.campaign_id, cl.lead_id, cl.state, cl.step, cl.settled_at, cl.sender_id, cl.hold_reason, cl.last_delivery_id,
           CASE WHEN cl.campaign_id = %(campaign_id)s::bigint AND cl.step = 0 AND cl.due_at = %(was)s::timestamptz THEN %(begin)s::timestamptz
                ELSE cl.due_at END AS due_at
    FROM campaign_leads cl
    WHERE cl.campaign_id = ANY (%(ids)s::bigint[]) AND cl.state <> 'ended'
      AND (%(lists)s::bigint[] IS NULL OR cl.campaign_id <> %(campaign_id)s::bigint OR cl.lead_id IN (SELECT lead_id FROM listed))
    UNION ALL
    SELECT %(campaign_id)s::bigint, n.lead_id, 'waiting', 0, NULL, NULL, NULL, NULL, %(begin)s::timestamptz
    FROM listed n
    WHERE NOT EXISTS (SELECT FROM campaign_leads cl WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.lead_id = n.lead_id)
      AND NOT EXISTS (SELECT FROM leads x WHERE x.id = n.lead_id AND x.validation = ANY (%(skip_validation)s::text[]))
), known AS (
    SELECT s.campaign_id, s.lead_id, s.step, s.sender_id, date_trunc('minute', s.due_at) AS due_at, date_trunc('minute', s.settled_at) AS settled_at,
           coalesce(rd.provider, l.domain) AS provider, coalesce(d.tries, 0) AS attempt, d.id IS NOT NULL AS judged, last.id IS NOT NULL AS mailed,
           date_trunc('day', last.opened_at) AS opened_at, date_trunc('day', last.clicked_at) AS clicked_at,
           CASE WHEN l.status <> 'active' THEN l.status WHEN l.validation = 'invalid' THEN 'invalid'
                WHEN EXISTS (SELECT FROM suppressions p WHERE p.workspace_id = l.workspace_id AND p.kind = 'address' AND p.value = l.email)
                  OR EXISTS (SELECT FROM suppressions p WHERE p.workspace_id = l.workspace_id AND p.kind = 'domain' AND p.value = l.domain)
                THEN 'suppressed' END AS stopped,
           s.state, s.hold_reason,
           s.campaign_id = %(campaign_id)s::bigint AND s.state = 'waiting' AND EXISTS (
               SELECT FROM unnest(%(need_steps)s::smallint[], %(needs)s::text[]) AS n (step, field)
               WHERE n.step = s.step
                 AND coalesce(btrim(CASE n.field WHEN 'FIRST_NAME' THEN l.first_name WHEN 'LAST_NAME' THEN l.last_name WHEN 'COMPANY' THEN l.company
                                                 WHEN 'EMAIL' THEN l.email ELSE l.fields ->> lower(n.field) END), '') = '') AS lacks
    FROM standing s
    JOIN leads l ON l.id = s.lead_id AND l.workspace_id = %(workspace_id)s::bigint
    LEFT JOIN recipient_domains rd ON rd.name = l.domain
    LEFT JOIN deliveries d ON d.campaign_id = s.campaign_id AND d.lead_id = s.lead_id AND d.step = s.step
    LEFT JOIN deliveries last ON last.id = s.last_delivery_id
), sized AS (
    SELECT known.*, count(*) OVER (PARTITION BY provider) AS at_provider FROM known
)
SELECT campaign_id, min(lead_id) AS lead_id, step, sender_id, CASE WHEN NOT lacks THEN due_at END AS due_at, settled_at, attempt, judged, mailed,
       opened_at, clicked_at, stopped, CASE WHEN lacks THEN 'held' ELSE state END AS state,
       CASE WHEN lacks THEN 'missing_field' ELSE hold_reason END AS hold_reason,
       CASE WHEN at_provider < %(few)s::integer AND strpos(provider, '.') > 0 THEN 'other' ELSE provider END AS provider, count(*)::integer AS count
FROM sized
GROUP BY 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
ORDER BY 1, 2;
