-- Mailboxes that campaigns send by.

-- part: seen
-- Senders as people see them, each with its domain, its inbox and its grant, and what it has used up of its UTC day.
SELECT s.*, d.name AS domain_name, d.status AS domain_status, coalesce(u.used, 0) AS used_today, coalesce(u.answers, 0) AS answers_today,
       b.checked_at AS inbox_checked_at, b.idle AS inbox_idle, b.error_code AS inbox_error_code, b.error AS inbox_error, b.failed_at AS inbox_failed_at,
       b.due_at AS inbox_due_at, (SELECT count(*) FROM messages_set_aside a WHERE a.sender_id = s.id) AS inbox_set_aside,
       g.provider AS oauth_provider, g.account AS oauth_account, g.granted_at AS oauth_granted_at, g.error AS oauth_error, g.refused_at AS oauth_refused_at,
       day_limit(s, %(today)s) AS limit_today
FROM senders s
LEFT JOIN domains d ON d.id = s.domain_id
LEFT JOIN mailboxes b ON b.sender_id = s.id
LEFT JOIN oauth_grants g ON g.sender_id = s.id
LEFT JOIN sender_days u ON u.sender_id = s.id AND u.day = %(today)s

-- name: next_id
-- A password is sealed for the row that it will stand in, so the row's id is drawn first.
SELECT nextval(pg_get_serial_sequence('senders', 'id')) AS id;

-- name: insert_sender
INSERT INTO senders (id, workspace_id, domain_id, address, name, reply_to, signature,
                     smtp_host, smtp_port, smtp_security, smtp_username, smtp_sealed,
                     imap_host, imap_port, imap_security, imap_username, imap_sealed,
                     daily_limit, min_gap_seconds, max_gap_seconds, ramp_from, ramp_start, ramp_step, ramp_ceiling,
                     status, status_reason, tested_at, created_at, updated_at)
VALUES (%(id)s, %(workspace_id)s, %(domain_id)s, %(address)s, %(name)s, %(reply_to)s, %(signature)s,
        %(smtp_host)s, %(smtp_port)s, %(smtp_security)s, %(smtp_username)s, %(smtp_sealed)s,
        %(imap_host)s, %(imap_port)s, %(imap_security)s, %(imap_username)s, %(imap_sealed)s,
        %(daily_limit)s, %(min_gap_seconds)s, %(max_gap_seconds)s, %(ramp_from)s, %(ramp_start)s, %(ramp_step)s, %(ramp_ceiling)s,
        %(status)s, %(status_reason)s, %(tested_at)s, %(now)s, %(now)s)
ON CONFLICT (workspace_id, address) WHERE deleted_at IS NULL DO NOTHING
RETURNING id;

-- name: read_sender
-- With its domain, and what it has used up of its UTC day.
{{seen}}
WHERE s.workspace_id = %(workspace_id)s AND s.id = %(id)s AND s.deleted_at IS NULL;

-- name: list_senders
-- A page of them. `q` is a part of the address or the name; `standing` is the status as people see it: one that is ready and rests is cooling down.
{{seen}}
WHERE s.workspace_id = %(workspace_id)s AND s.deleted_at IS NULL
  AND CASE WHEN %(since)s::timestamptz IS NULL THEN s.id > coalesce(%(after)s::bigint, 0)
           ELSE (s.updated_at, s.id) > (%(since)s::timestamptz, coalesce(%(after)s::bigint, 0)) AND s.updated_at < %(until)s::timestamptz END
  AND (%(q)s::text = '' OR strpos(lower(s.address || ' ' || s.name), lower(%(q)s::text)) > 0)
  AND (%(standing)s::text IS NULL
       OR CASE WHEN s.status = 'ready' AND s.cooldown_until > %(now)s::timestamptz THEN 'cooling_down' ELSE s.status END = %(standing)s::text)
ORDER BY CASE WHEN %(since)s::timestamptz IS NOT NULL THEN s.updated_at END, s.id
LIMIT %(limit)s;

-- name: health_days
-- Day by day; on a day without a row of its own nothing changed, so the health is that of the last day that has one, or the 100 that all begin with.
SELECT d.day::date AS day, coalesce(u.used, 0) AS used, coalesce(h.health, before.health, 100) AS health,
       coalesce(h.lowest, before.health, 100) AS lowest, coalesce(h.errors, 0) AS errors, h.last_error
FROM senders s
CROSS JOIN generate_series(greatest(%(first)s::date, (s.created_at AT TIME ZONE 'UTC')::date), %(today)s::date, interval '1 day') AS d (day)
LEFT JOIN sender_days u ON u.sender_id = s.id AND u.day = d.day::date
LEFT JOIN sender_health h ON h.sender_id = s.id AND h.day = d.day::date
LEFT JOIN LATERAL (SELECT b.health FROM sender_health b WHERE b.sender_id = s.id AND b.day < d.day::date ORDER BY b.day DESC LIMIT 1) before ON true
WHERE s.workspace_id = %(workspace_id)s AND s.id = %(id)s AND s.deleted_at IS NULL
ORDER BY d.day;

-- name: lock_sender
SELECT * FROM senders WHERE workspace_id = %(workspace_id)s AND id = %(id)s AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: stop_sending
-- The send path holds the shared form of this lock while it commits that a mail may be accepted. Taken before the row is changed: when the change
-- has committed, every mail that was about to go by this sender has either gone or will see the change.
SELECT pg_advisory_xact_lock(2, %(id)s::integer);

-- name: update_sender
UPDATE senders
SET name = %(name)s, reply_to = %(reply_to)s, signature = %(signature)s,
    smtp_host = %(smtp_host)s, smtp_port = %(smtp_port)s, smtp_security = %(smtp_security)s,
    smtp_username = %(smtp_username)s, smtp_sealed = %(smtp_sealed)s,
    imap_host = %(imap_host)s, imap_port = %(imap_port)s, imap_security = %(imap_security)s,
    imap_username = %(imap_username)s, imap_sealed = %(imap_sealed)s,
    daily_limit = %(daily_limit)s, min_gap_seconds = %(min_gap_seconds)s, max_gap_seconds = %(max_gap_seconds)s,
    ramp_from = %(ramp_from)s, ramp_start = %(ramp_start)s, ramp_step = %(ramp_step)s, ramp_ceiling = %(ramp_ceiling)s,
    status = %(status)s, status_reason = %(status_reason)s, tested_at = %(tested_at)s, updated_at = %(now)s
WHERE workspace_id = %(workspace_id)s AND id = %(id)s;

-- name: record_pass
-- A passed test lifts what failed sign-ins brought about; a pause is a person's word and stays.
UPDATE senders
SET tested_at = %(now)s, updated_at = %(now)s, errors_in_row = 0, cooldown_until = NULL, cooldown_reason = NULL,
    status = CASE WHEN status = 'restricted' THEN 'ready' ELSE status END,
    status_reason = CASE WHEN status = 'restricted' THEN NULL ELSE status_reason END
WHERE workspace_id = %(workspace_id)s AND id = %(id)s AND deleted_at IS NULL
RETURNING id;

-- name: delete_sender
-- The row stays as the trace of what was sent by it; its credentials do not.
UPDATE senders
SET deleted_at = %(now)s, updated_at = %(now)s, smtp_sealed = NULL, imap_sealed = NULL
WHERE workspace_id = %(workspace_id)s AND id = %(id)s AND deleted_at IS NULL
RETURNING id;

-- name: find_sender
SELECT id FROM senders WHERE workspace_id = %(workspace_id)s AND address = %(address)s AND deleted_at IS NULL;
