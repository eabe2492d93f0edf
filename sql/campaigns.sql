-- Campaigns as people make and change them. What runs them stands in `planning` and `deliveries`.

-- name: insert_campaign
-- A draft; everything else is written in the same transaction, and that is its version 1.
INSERT INTO campaigns (workspace_id, name, version) VALUES (%(workspace_id)s::bigint, %(name)s::text, 0)
RETURNING id;

-- name: read_campaigns
SELECT c.id, c.name, c.status, c.check_reply, c.stop_company_on_reply, c.track_opens, c.track_clicks, c.schedule, c.launch_at, c.max_new_leads_per_day, c.on_sender_loss,
       c.missing_field, c.promote_winner, c.pause_reason, c.run, c.started_at, c.completed_at, c.created_at, c.updated_at, c.archived_at, c.version,
       c.missing_field, c.promote_winner, c.skip_validation, c.pause_reason, c.run, c.started_at, c.completed_at, c.created_at, c.updated_at, c.version,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'name', l.name) ORDER BY l.id), '[]')
        FROM campaign_lists a JOIN lists l ON l.id = a.list_id WHERE a.campaign_id = c.id) AS lists,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'address', s.address) ORDER BY s.id), '[]')
        FROM campaign_senders a JOIN senders s ON s.id = a.sender_id WHERE a.campaign_id = c.id) AS senders,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('position', t.position, 'subjects', t.subjects, 'body', t.body, 'wait_days', t.wait_days,
                        'wait_hours', t.wait_hours, 'trigger_condition', t.trigger_condition) ORDER BY t.position), '[]')
        FROM steps t WHERE t.campaign_id = c.id) AS steps
FROM campaigns c
WHERE c.workspace_id = %(workspace_id)s::bigint AND c.id = ANY (%(ids)s::bigint[])
ORDER BY c.id;

-- name: page
-- Ids of campaigns in order, of one status or all, with a text in their name; those that were put away, or the others. Since a time: both, as they changed.
SELECT id FROM campaigns
WHERE workspace_id = %(workspace_id)s::bigint AND (%(status)s::text IS NULL OR status = %(status)s::text)
  AND (%(since)s::timestamptz IS NOT NULL OR (archived_at IS NOT NULL) = %(archived)s::boolean) AND (%(q)s::text IS NULL OR name ILIKE %(q)s::text)
  AND CASE WHEN %(since)s::timestamptz IS NULL THEN id > coalesce(%(after)s::bigint, 0)
           ELSE (updated_at, id) > (%(since)s::timestamptz, coalesce(%(after)s::bigint, 0)) AND updated_at < %(until)s::timestamptz END
ORDER BY CASE WHEN %(since)s::timestamptz IS NOT NULL THEN updated_at END, id LIMIT %(limit)s::integer;

-- name: hold_campaign
-- The row, so that changes to one campaign come one after the other. Not FOR UPDATE: walks that are begun meanwhile refer to the row.
SELECT id, status FROM campaigns
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
FOR NO KEY UPDATE;

-- name: list_ids
SELECT list_id AS id FROM campaign_lists WHERE campaign_id = %(id)s::bigint;

-- name: write_settings
UPDATE campaigns
SET name = %(name)s::text, check_reply = %(check_reply)s::boolean, stop_company_on_reply = %(stop_company_on_reply)s::boolean, track_opens = %(track_opens)s::boolean, track_clicks = %(track_clicks)s::boolean,
    schedule = %(schedule)s::jsonb, launch_at = %(launch_at)s::timestamptz, max_new_leads_per_day = %(max_new_leads_per_day)s::integer,
    on_sender_loss = %(on_sender_loss)s::text, missing_field = %(missing_field)s::text, promote_winner = %(promote_winner)s::text,
    skip_validation = %(skip_validation)s::text[],
    updated_at = now(), version = version + 1
WHERE id = %(id)s::bigint;

-- name: put_steps
-- The sequence as it is to be. A step that changes takes the campaign's new version as its own, which no text at its place has had before:
-- whoever keeps a prepared step by its version never takes an old one for it.
WITH wanted AS (
    SELECT t.position, ARRAY(SELECT jsonb_array_elements_text(t.subjects)) AS subjects, t.body, t.wait_days, t.wait_hours, t.trigger_condition
    FROM jsonb_to_recordset(%(steps)s::jsonb)
         AS t (position smallint, subjects jsonb, body text, wait_days integer, wait_hours integer, trigger_condition text)
), gone AS (
    DELETE FROM steps WHERE campaign_id = %(id)s::bigint AND position NOT IN (SELECT position FROM wanted)
)
INSERT INTO steps AS s (campaign_id, position, subjects, body, wait_days, wait_hours, trigger_condition, version)
SELECT c.id, w.position, w.subjects, w.body, w.wait_days, w.wait_hours, w.trigger_condition, c.version
FROM wanted w CROSS JOIN campaigns c WHERE c.id = %(id)s::bigint
ON CONFLICT (campaign_id, position) DO UPDATE
SET subjects = EXCLUDED.subjects, body = EXCLUDED.body, wait_days = EXCLUDED.wait_days, wait_hours = EXCLUDED.wait_hours,
    trigger_condition = EXCLUDED.trigger_condition, version = EXCLUDED.version,
    subjects_at = CASE WHEN s.subjects = EXCLUDED.subjects THEN s.subjects_at ELSE now() END,
    winner = CASE WHEN s.subjects = EXCLUDED.subjects THEN s.winner END,
    winner_at = CASE WHEN s.subjects = EXCLUDED.subjects THEN s.winner_at END
WHERE (s.subjects, s.body, s.wait_days, s.wait_hours, s.trigger_condition)
      IS DISTINCT FROM (EXCLUDED.subjects, EXCLUDED.body, EXCLUDED.wait_days, EXCLUDED.wait_hours, EXCLUDED.trigger_condition);

-- name: known_campaigns
-- Which of these ids are campaigns of the workspace.
SELECT id FROM campaigns WHERE workspace_id = %(workspace_id)s::bigint AND id = ANY (%(ids)s::bigint[]);

-- name: known_lists
-- Which of these lists the workspace has and uses.
SELECT id FROM lists WHERE workspace_id = %(workspace_id)s::bigint AND id = ANY (%(ids)s::bigint[]) AND archived_at IS NULL;

-- name: known_senders
SELECT id FROM senders WHERE workspace_id = %(workspace_id)s::bigint AND id = ANY (%(ids)s::bigint[]) AND deleted_at IS NULL;

-- name: detach_lists
-- All but these.
DELETE FROM campaign_lists WHERE campaign_id = %(id)s::bigint AND list_id <> ALL (%(ids)s::bigint[]);

-- name: attach_lists
INSERT INTO campaign_lists (workspace_id, campaign_id, list_id)
SELECT %(workspace_id)s::bigint, %(id)s::bigint, unnest(%(ids)s::bigint[])
ON CONFLICT DO NOTHING;

-- name: detach_senders
-- All but these.
DELETE FROM campaign_senders WHERE campaign_id = %(id)s::bigint AND sender_id <> ALL (%(ids)s::bigint[]);

-- name: attach_senders
INSERT INTO campaign_senders (workspace_id, campaign_id, sender_id)
SELECT %(workspace_id)s::bigint, %(id)s::bigint, unnest(%(ids)s::bigint[])
ON CONFLICT DO NOTHING;

-- name: begin_run
-- Draft or paused to running. Each run has counts of its own, on which the campaign is judged.
WITH begun AS (
    UPDATE campaigns
    SET status = 'running', run = run + 1, started_at = coalesce(started_at, now()), pause_reason = NULL, updated_at = now(), version = version + 1
    WHERE id = %(id)s::bigint AND status IN ('draft', 'paused')
    RETURNING id, run
)
INSERT INTO campaign_runs (campaign_id, run) SELECT id, run FROM begun
RETURNING run;

-- name: audience
-- Who on the campaign's lists may be mailed: how many they are, and how many of them have a value in each of the fields asked for.
WITH audience AS MATERIALIZED (
    SELECT l.first_name, l.last_name, l.company, l.fields
    FROM leads l JOIN campaigns c ON c.id = %(id)s::bigint
    WHERE l.workspace_id = %(workspace_id)s::bigint AND l.status = 'active' AND l.validation <> 'invalid' AND l.validation <> ALL (c.skip_validation)
      AND l.id IN (SELECT ll.lead_id FROM campaign_lists a JOIN list_leads ll ON ll.list_id = a.list_id WHERE a.campaign_id = %(id)s::bigint)
      AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'address' AND s.value = l.email)
      AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'domain' AND s.value = l.domain)
)
SELECT count(*) AS leads, count(*) FILTER (WHERE btrim(first_name) <> '') AS first_name, count(*) FILTER (WHERE btrim(last_name) <> '') AS last_name,
       count(*) FILTER (WHERE btrim(company) <> '') AS company,
       (SELECT coalesce(jsonb_object_agg(f.name, f.filled), '{}')
        FROM (SELECT n.name, count(*) FILTER (WHERE btrim(b.fields ->> n.name) <> '') AS filled
              FROM audience b CROSS JOIN unnest(%(fields)s::text[]) AS n (name) GROUP BY n.name) f) AS fields
FROM audience;

-- name: was_mailed
-- Whether a mail of the campaign may have left us: its links lead to its deliveries, so these are kept.
SELECT EXISTS (SELECT FROM deliveries WHERE campaign_id = %(id)s::bigint AND sending_at IS NOT NULL) AS mailed;

-- name: delete_campaign
DELETE FROM campaigns WHERE id = %(id)s::bigint AND status <> 'running'
RETURNING id;

-- name: forget_deliveries
-- Of a campaign that is gone.
DELETE FROM deliveries WHERE campaign_id = %(id)s::bigint RETURNING id;

-- name: deliveries
-- What was, is and will be sent, by lead and step; `cursor` orders it as the unique key of the ledger does.
SELECT d.lead_id * 32768 + d.step AS cursor, d.id, d.lead_id, l.email, d.step, d.state, d.attempts, d.sender_id, s.address AS sender, d.provider,
       d.subject, d.subject_index, d.starts_thread, d.message_id, d.mail_date, encode(d.hash, 'hex') AS hash, d.planned_at, d.not_after, d.rendered_at,
       d.sending_at, d.settled_at, d.reason, d.failure, d.reply_code, d.reply_text, d.opened_at, d.clicked_at, d.replied_at
FROM deliveries d
JOIN leads l ON l.id = d.lead_id
LEFT JOIN senders s ON s.id = d.sender_id
WHERE d.campaign_id = %(id)s::bigint AND d.workspace_id = %(workspace_id)s::bigint
  AND (d.lead_id, d.step) > (%(after_lead)s::bigint, %(after_step)s::smallint) AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
ORDER BY d.lead_id, d.step LIMIT %(limit)s::integer;

-- name: put_away
-- Which is no change of what it does; whoever edits it meanwhile is told all the same.
UPDATE campaigns SET archived_at = CASE WHEN %(away)s::boolean THEN coalesce(archived_at, now()) END, updated_at = now(), version = version + 1
WHERE id = %(id)s::bigint AND (archived_at IS NULL) = %(away)s::boolean;
