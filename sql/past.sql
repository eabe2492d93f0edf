-- A history that is brought along whole, as the demonstration's is: rows with their ids and times, table by table. Nothing here looks at what it is told;
-- the constraints and `cleanmails doctor` do.

-- name: take_ids
SELECT nextval(pg_get_serial_sequence(%(noun)s::text, 'id')::regclass) AS id FROM generate_series(1, %(n)s::integer);

-- name: make_months
SELECT make_past_event_months(%(since)s::timestamptz) AS made;

-- name: know_domains
-- Who receives the mail of these domains: looked up just now.
INSERT INTO recipient_domains (name, provider, mx, accepts_mail, checked_at)
SELECT t.name, t.provider, ARRAY[t.mx], true, now() FROM unnest(%(names)s::text[], %(providers)s::text[], %(mx)s::text[]) AS t (name, provider, mx)
ON CONFLICT (name) DO NOTHING;

-- name: dress_senders
-- How these mailboxes stand, and since when they are here.
UPDATE senders s
SET status = t.status, status_reason = t.reason, health = t.health, cooldown_until = t.cooldown, cooldown_reason = CASE WHEN t.cooldown IS NOT NULL THEN t.error END,
    last_error = t.error, last_error_at = t.error_at, created_at = t.created
FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(reasons)s::text[], %(healths)s::integer[], %(cooldowns)s::timestamptz[], %(errors)s::text[],
            %(error_ats)s::timestamptz[], %(createds)s::timestamptz[])
     AS t (id, status, reason, health, cooldown, error, error_at, created)
WHERE s.id = t.id AND s.workspace_id = %(workspace_id)s::bigint;

-- name: health_days
-- How these mailboxes came to stand as they do, over the last month: from full health twelve days ago, with ups and downs.
INSERT INTO sender_health (sender_id, day, health, lowest, errors, last_error)
SELECT s.id, (now() AT TIME ZONE 'UTC')::date - n, level, greatest(0, level - 5), 1 + mod(s.id + n, 3), s.last_error
FROM senders s
CROSS JOIN generate_series(0, 29) n
CROSS JOIN LATERAL (SELECT CASE n WHEN 0 THEN s.health ELSE greatest(0, s.health + (100 - s.health) * least(n, 12) / 12 - mod(s.id * 7 + n * 5, 6))::integer END AS level) l
WHERE s.id = ANY (%(ids)s::bigint[]) AND s.workspace_id = %(workspace_id)s::bigint AND s.last_error IS NOT NULL;

-- name: break_webhook
-- A receiver that has answered errors until it was switched off.
UPDATE outlets
SET state = 'off', off_at = %(at)s::timestamptz, off_reason = %(reason)s::text, failures_in_row = %(failures)s::integer, failed_at = %(at)s::timestamptz,
    delivered_at = %(delivered_at)s::timestamptz, created_at = %(created_at)s::timestamptz
WHERE id = %(id)s::bigint AND workspace_id = %(workspace_id)s::bigint;

-- name: log_messages
-- What an outlet was told of this campaign's latest replies: the older half arrived, the others wait.
INSERT INTO outlet_messages (workspace_id, outlet_id, event_id, event_at, type, thread, lane, state, attempts, first_at, due_at, done_at)
SELECT e.workspace_id, %(id)s::bigint, e.id, e.at, e.type, e.lead_id, mod(e.lead_id, 4), CASE WHEN arrived THEN 'delivered' ELSE 'pending' END,
       CASE WHEN arrived THEN 1 ELSE 5 END, e.at, CASE WHEN NOT arrived THEN %(until)s::timestamptz + interval '2 hours' END,
       CASE WHEN arrived THEN e.at + interval '2 seconds' END
FROM (SELECT r.*, row_number() OVER (ORDER BY r.id DESC) > %(waiting)s::integer AS arrived
      FROM (SELECT * FROM events WHERE workspace_id = %(workspace_id)s::bigint AND type = 'email.replied' AND at < %(until)s::timestamptz ORDER BY id DESC LIMIT %(limit)s::integer) r) e
ORDER BY e.id;

-- name: log_attempts
-- Each attempt at them.
INSERT INTO outlet_attempts (outlet_id, message_id, at, outcome, status, ms, error, answer)
SELECT m.outlet_id, m.id, m.event_at + n * n * interval '3 minutes', CASE m.state WHEN 'delivered' THEN 'delivered' ELSE 'failed' END,
       CASE m.state WHEN 'delivered' THEN 200 ELSE 503 END, 40 + mod(m.id * 37 + n * 11, 180),
       CASE WHEN m.state <> 'delivered' THEN 'The receiver answered 503.' END,
       CASE m.state WHEN 'delivered' THEN 'ok' ELSE 'upstream connect error or disconnect/reset before headers' END
FROM outlet_messages m CROSS JOIN LATERAL generate_series(1, m.attempts) n
WHERE m.outlet_id = %(id)s::bigint
ORDER BY 3;

-- name: copy_lists
COPY lists (id, workspace_id, name, created_at, updated_at) FROM STDIN;

-- name: copy_leads
COPY leads (id, workspace_id, email, first_name, last_name, company, fields, status, validation, validation_reasons, created_at, updated_at) FROM STDIN;

-- name: copy_list_leads
COPY list_leads (list_id, lead_id, added_at) FROM STDIN;

-- name: copy_campaigns
COPY campaigns (id, workspace_id, name, status, track_opens, track_clicks, schedule, launch_at, max_new_leads_per_day, pause_reason, run, started_at,
                completed_at, created_at, updated_at) FROM STDIN;

-- name: copy_steps
COPY steps (campaign_id, position, subjects, body, wait_days, trigger_condition, subjects_at) FROM STDIN;

-- name: copy_campaign_lists
COPY campaign_lists (workspace_id, campaign_id, list_id) FROM STDIN;

-- name: copy_campaign_senders
COPY campaign_senders (workspace_id, campaign_id, sender_id) FROM STDIN;

-- name: copy_campaign_runs
COPY campaign_runs (campaign_id, run, started_at, sent, bounced) FROM STDIN;

-- name: copy_campaign_days
COPY campaign_days (campaign_id, day, started) FROM STDIN;

-- name: copy_campaign_leads
COPY campaign_leads (campaign_id, lead_id, workspace_id, state, step, due_at, sender_id, settled_at, last_delivery_id, hold_reason, outcome, enrolled_at,
                     ended_at) FROM STDIN;

-- name: copy_deliveries
COPY deliveries (id, workspace_id, campaign_id, lead_id, step, sender_id, provider, state, attempts, tries, token, planned_at, rendered_at, sending_at,
                 settled_at, message_id, mail_date, subject, subject_index, starts_thread, hash, reason, evidence, failure, reply_code, reply_text, opened_at,
                 clicked_at, replied_at, links) FROM STDIN;

-- name: copy_mails
COPY mails (delivery_id, raw) FROM STDIN;

-- name: copy_attempts
COPY attempts (delivery_id, token, workspace_id, sender_id, outcome, stage, code, enhanced, text, failure, rule, marked_at, started_at, finished_at) FROM STDIN;

-- name: copy_hits
COPY hits (id, workspace_id, delivery_id, kind, link, at, method, remote, user_agent, verdict, reasons) FROM STDIN;

-- name: copy_suppressions
COPY suppressions (workspace_id, kind, value, reason, source, note, created_at) FROM STDIN;

-- name: copy_threads
COPY threads (id, workspace_id, campaign_id, lead_id, sender_id, subject, snippet, label, unread, last_kind, last_at, last_message_id, created_at) FROM STDIN;

-- name: copy_inbox_messages
COPY inbox_messages (id, workspace_id, sender_id, digest, folder, uid, state, kind, meaning, thread_id, campaign_id, lead_id, delivery_id, evidence, message_id,
                     from_address, from_name, subject, body, reply, sent_at, settled_at) FROM STDIN;

-- name: copy_sender_days
COPY sender_days (sender_id, day, used) FROM STDIN;

-- name: copy_events
COPY events (at, workspace_id, type, campaign_id, lead_id, delivery_id, sender_id, data) FROM STDIN;
