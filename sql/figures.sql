-- Statistics: events are added to figures in batches, apart from what makes the events. What an event changes is said by the view `event_changes` alone.

-- name: try_count
-- One counts at a time; the second key stands for this duty.
SELECT pg_try_advisory_xact_lock(4, 4) AS mine;

-- name: hold_count
SELECT pg_advisory_xact_lock(4, 4);

-- name: by_index
-- Until this transaction ends. What is new is a narrow range of a table of millions, which its statistics cannot tell: it would be read whole, every two seconds.
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);

-- name: count
-- What came in every workspace since it was last counted, `limit` events of each at most. Only what no open transaction can get in front of.
WITH next AS MATERIALIZED (
    SELECT w.id AS workspace_id, coalesce(p.xact, '0') AS from_xact, coalesce(p.id, 0) AS from_id, upto.xact, upto.id, upto.n
    FROM workspaces w
    LEFT JOIN figures_places p ON p.workspace_id = w.id
    CROSS JOIN LATERAL (
        SELECT e.xact, e.id, count(*) OVER () AS n
        FROM (SELECT e.xact, e.id FROM events e
              WHERE e.workspace_id = w.id AND (e.xact, e.id) > (coalesce(p.xact, '0'), coalesce(p.id, 0)) AND e.xact < pg_snapshot_xmin(pg_current_snapshot())
              ORDER BY e.xact, e.id LIMIT %(limit)s::integer) e
        ORDER BY e.xact DESC, e.id DESC LIMIT 1
    ) upto
), added AS (
    INSERT INTO figures AS f (workspace_id, campaign_id, scope, step, subject, sender_id, day, sent, bounced, opened, opened_machine, opened_unknown,
                              clicked, clicked_machine, clicked_unknown, replied, unsubscribed)
    SELECT c.workspace_id, c.campaign_id,
           CASE WHEN grouping(c.day) = 0 THEN 'day' WHEN grouping(c.sender_id) = 0 THEN 'sender' ELSE 'subject' END AS scope,
           coalesce(c.step, -1), coalesce(c.subject, -1), coalesce(c.sender_id, 0), coalesce(c.day, '0001-01-01'),
           sum(c.sent), sum(c.bounced), sum(c.opened), sum(c.opened_machine), sum(c.opened_unknown), sum(c.clicked), sum(c.clicked_machine),
           sum(c.clicked_unknown), sum(c.replied), sum(c.unsubscribed)
    FROM next
    CROSS JOIN LATERAL (
        SELECT * FROM event_changes e
        WHERE e.workspace_id = next.workspace_id AND (e.xact, e.id) > (next.from_xact, next.from_id) AND (e.xact, e.id) <= (next.xact, next.id)
        ORDER BY e.xact, e.id LIMIT %(limit)s::integer
    ) c
    GROUP BY GROUPING SETS ((c.workspace_id, c.campaign_id, c.day), (c.workspace_id, c.campaign_id, c.step, c.subject),
                            (c.workspace_id, c.campaign_id, c.sender_id))
    ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (campaign_id, scope, step, subject, sender_id, day) DO UPDATE
    SET sent = f.sent + EXCLUDED.sent, bounced = f.bounced + EXCLUDED.bounced, opened = f.opened + EXCLUDED.opened,
        opened_machine = f.opened_machine + EXCLUDED.opened_machine, opened_unknown = f.opened_unknown + EXCLUDED.opened_unknown,
        clicked = f.clicked + EXCLUDED.clicked, clicked_machine = f.clicked_machine + EXCLUDED.clicked_machine,
        clicked_unknown = f.clicked_unknown + EXCLUDED.clicked_unknown, replied = f.replied + EXCLUDED.replied,
        unsubscribed = f.unsubscribed + EXCLUDED.unsubscribed
), placed AS (
    INSERT INTO figures_places (workspace_id, xact, id) SELECT workspace_id, xact, id FROM next
    ON CONFLICT (workspace_id) DO UPDATE SET xact = EXCLUDED.xact, id = EXCLUDED.id
)
SELECT coalesce(sum(n), 0)::bigint AS events, coalesce(max(n), 0)::bigint AS most FROM next;

-- name: forget
-- Everything that was counted, to be counted anew from the events that are kept.
WITH places AS (DELETE FROM figures_places)
DELETE FROM figures;

-- name: of_campaign
-- One campaign's figures in all three ways; what a row is called, where somebody gave it a name.
SELECT f.*, s.address, st.subjects[f.subject + 1] AS subject_text
FROM figures f
LEFT JOIN senders s ON f.scope = 'sender' AND s.id = f.sender_id
LEFT JOIN steps st ON f.scope = 'subject' AND st.campaign_id = f.campaign_id AND st.position = f.step
WHERE f.campaign_id = %(campaign_id)s::bigint AND f.workspace_id = %(workspace_id)s::bigint
ORDER BY f.scope, f.step, f.subject, f.sender_id, f.day;

-- name: by_day
-- A workspace's figures of all campaigns, by day (UTC), both ends included.
SELECT day, sum(sent)::bigint AS sent, sum(bounced)::bigint AS bounced, sum(opened)::bigint AS opened, sum(opened_machine)::bigint AS opened_machine,
       sum(opened_unknown)::bigint AS opened_unknown, sum(clicked)::bigint AS clicked, sum(clicked_machine)::bigint AS clicked_machine,
       sum(clicked_unknown)::bigint AS clicked_unknown, sum(replied)::bigint AS replied, sum(unsubscribed)::bigint AS unsubscribed
FROM figures
WHERE workspace_id = %(workspace_id)s::bigint AND scope = 'day' AND day BETWEEN %(since)s::date AND %(until)s::date
GROUP BY day ORDER BY day;

-- name: by_sender
-- A workspace's figures of all campaigns, by sender; those that never sent are there with nothing.
SELECT s.id AS sender_id, s.address, s.deleted_at IS NOT NULL AS gone,
       coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(bounced), 0)::bigint AS bounced, coalesce(sum(opened), 0)::bigint AS opened,
       coalesce(sum(opened_machine), 0)::bigint AS opened_machine, coalesce(sum(opened_unknown), 0)::bigint AS opened_unknown,
       coalesce(sum(clicked), 0)::bigint AS clicked, coalesce(sum(clicked_machine), 0)::bigint AS clicked_machine,
       coalesce(sum(clicked_unknown), 0)::bigint AS clicked_unknown, coalesce(sum(replied), 0)::bigint AS replied,
       coalesce(sum(unsubscribed), 0)::bigint AS unsubscribed
FROM senders s
LEFT JOIN figures f ON f.workspace_id = s.workspace_id AND f.scope = 'sender' AND f.sender_id = s.id
WHERE s.workspace_id = %(workspace_id)s::bigint AND s.id > %(after)s::bigint
GROUP BY s.id ORDER BY s.id LIMIT %(limit)s::integer;

-- name: add_up
-- Where figures are not what the events up to their place add up to, by campaign and day; of days whose events are all still kept.
WITH kept AS MATERIALIZED (
    SELECT coalesce((min(at) AT TIME ZONE 'UTC')::date, 'infinity') AS since FROM events
), counted AS (
    SELECT c.campaign_id, c.day, sum(c.sent) AS sent, sum(c.bounced) AS bounced, sum(c.opened) AS opened, sum(c.opened_machine) AS opened_machine,
           sum(c.opened_unknown) AS opened_unknown, sum(c.clicked) AS clicked, sum(c.clicked_machine) AS clicked_machine,
           sum(c.clicked_unknown) AS clicked_unknown, sum(c.replied) AS replied, sum(c.unsubscribed) AS unsubscribed
    FROM figures_places p JOIN event_changes c ON c.workspace_id = p.workspace_id AND (c.xact, c.id) <= (p.xact, p.id)
    GROUP BY c.campaign_id, c.day
), told AS (
    SELECT campaign_id, day, sent, bounced, opened, opened_machine, opened_unknown, clicked, clicked_machine, clicked_unknown, replied, unsubscribed
    FROM figures WHERE scope = 'day'
)
SELECT campaign_id, day, 'day' AS scope, f.sent, e.sent AS sent_by_events, f.opened, e.opened AS opened_by_events
FROM told f FULL JOIN counted e USING (campaign_id, day)
WHERE day >= (SELECT since FROM kept)
  AND (f.sent, f.bounced, f.opened, f.opened_machine, f.opened_unknown, f.clicked, f.clicked_machine, f.clicked_unknown, f.replied, f.unsubscribed)
      IS DISTINCT FROM
      (e.sent, e.bounced, e.opened, e.opened_machine, e.opened_unknown, e.clicked, e.clicked_machine, e.clicked_unknown, e.replied, e.unsubscribed)
UNION ALL
SELECT campaign_id, NULL, s.scope, s.sent, d.sent, s.opened, d.opened
FROM (SELECT campaign_id, scope, sum(sent) AS sent, sum(bounced) AS bounced, sum(opened) AS opened, sum(clicked) AS clicked, sum(replied) AS replied
      FROM figures WHERE scope <> 'day' GROUP BY campaign_id, scope) s
JOIN (SELECT campaign_id, sum(sent) AS sent, sum(bounced) AS bounced, sum(opened) AS opened, sum(clicked) AS clicked, sum(replied) AS replied
      FROM figures WHERE scope = 'day' GROUP BY campaign_id) d USING (campaign_id)
WHERE (s.sent, s.bounced, s.opened, s.clicked, s.replied) IS DISTINCT FROM (d.sent, d.bounced, d.opened, d.clicked, d.replied)
LIMIT %(limit)s::integer;
