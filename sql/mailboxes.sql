-- Mailboxes that are read: shared out over the inbox workers, with how far each folder is read.

-- name: enrol
-- Senders whose mailbox is to be read and has no row yet.
INSERT INTO mailboxes (sender_id)
SELECT s.id FROM senders s
WHERE s.imap_host IS NOT NULL AND s.deleted_at IS NULL AND NOT EXISTS (SELECT FROM mailboxes m WHERE m.sender_id = s.id)
ON CONFLICT DO NOTHING;

-- name: dismiss
-- Mailboxes that are not to be read any more. How far they were read stays, should they come back.
DELETE FROM mailboxes m USING senders s WHERE s.id = m.sender_id AND (s.imap_host IS NULL OR s.deleted_at IS NOT NULL);

-- name: share
-- How many mailboxes are each worker's, when all that live have as many.
SELECT ceil((SELECT count(*) FROM mailboxes)::numeric / greatest(1, count(*)))::integer AS share
FROM workers WHERE kind = 'inbox' AND (id = %(worker_id)s::bigint OR seen_at > clock_timestamp() - make_interval(secs => %(lease)s::float8));

-- name: give_back
-- What a worker holds beyond its share is free for others.
UPDATE mailboxes SET worker_id = NULL
WHERE sender_id IN (SELECT sender_id FROM mailboxes WHERE worker_id = %(worker_id)s::bigint ORDER BY sender_id OFFSET %(share)s::integer);

-- name: take
-- Free mailboxes, and those of workers that are gone, up to the share. Two that take at once do not wait for each other.
UPDATE mailboxes SET worker_id = %(worker_id)s::bigint
WHERE sender_id IN (
    SELECT m.sender_id FROM mailboxes m
    WHERE NOT EXISTS (SELECT FROM workers w WHERE w.id = m.worker_id AND w.seen_at > clock_timestamp() - make_interval(secs => %(lease)s::float8))
    ORDER BY m.due_at NULLS FIRST, m.sender_id
    LIMIT greatest(0, %(share)s::integer - (SELECT count(*) FROM mailboxes WHERE worker_id = %(worker_id)s::bigint))
    FOR UPDATE OF m SKIP LOCKED);

-- name: held
-- What a worker holds, with all that is needed to open it.
SELECT m.sender_id AS id, s.workspace_id, s.address, s.imap_host, s.imap_port, s.imap_security, s.imap_username, s.imap_sealed, s.created_at,
       m.failures, m.due_at, m.checked_at, (SELECT g.granted_at FROM oauth_grants g WHERE g.sender_id = m.sender_id) AS granted_at,
       EXISTS (SELECT FROM messages_set_aside a WHERE a.sender_id = m.sender_id AND a.again) AS again
FROM mailboxes m JOIN senders s ON s.id = m.sender_id
WHERE m.worker_id = %(worker_id)s::bigint;

-- name: let_go
-- A worker that stops leaves everything free.
UPDATE mailboxes SET worker_id = NULL WHERE worker_id = %(worker_id)s::bigint;

-- name: unknowns
-- Deliveries of a worker's mailboxes whose fate nobody knows. After two weeks no copy is waited for.
SELECT d.id, d.workspace_id, d.sender_id, d.message_id, extract(epoch FROM clock_timestamp() - d.sending_at)::float8 AS age
FROM mailboxes m JOIN deliveries d ON d.sender_id = m.sender_id
WHERE m.worker_id = %(worker_id)s::bigint AND d.state = 'unknown' AND d.sending_at > clock_timestamp() - interval '14 days'
ORDER BY d.id
LIMIT 1000;

-- name: write_checked
-- Mailboxes that were looked at without error.
UPDATE mailboxes m
SET checked_at = q.at, idle = q.idle, failures = 0, error_code = NULL, error = NULL, failed_at = NULL, due_at = NULL
FROM unnest(%(ids)s::bigint[], %(ats)s::timestamptz[], %(idles)s::boolean[]) AS q (id, at, idle)
WHERE m.sender_id = q.id AND m.worker_id = %(worker_id)s::bigint;

-- name: write_failed
-- Mailboxes that could not be looked at, why, and when they are tried again.
UPDATE mailboxes m
SET idle = false, failures = q.failures, error_code = q.code, error = q.error, failed_at = q.at, due_at = q.due
FROM unnest(%(ids)s::bigint[], %(ats)s::timestamptz[], %(dues)s::timestamptz[], %(failures)s::integer[], %(codes)s::text[], %(errors)s::text[])
     AS q (id, at, due, failures, code, error)
WHERE m.sender_id = q.id AND m.worker_id = %(worker_id)s::bigint;

-- name: folders
-- How far each folder of a mailbox is read.
SELECT role, account, name, validity, uid, read_at FROM mailbox_folders WHERE sender_id = %(sender_id)s::bigint;

-- name: move
-- Everything up to `uid` is settled. No row back: the mailbox is another worker's by now.
INSERT INTO mailbox_folders (sender_id, role, account, name, validity, uid, read_at)
SELECT m.sender_id, %(role)s::text, %(account)s::text, %(name)s::text, %(validity)s::bigint, %(uid)s::bigint, %(now)s::timestamptz
FROM mailboxes m WHERE m.sender_id = %(sender_id)s::bigint AND m.worker_id = %(worker_id)s::bigint
ON CONFLICT (sender_id, role) DO UPDATE
SET account = EXCLUDED.account, name = EXCLUDED.name, validity = EXCLUDED.validity, uid = EXCLUDED.uid, read_at = EXCLUDED.read_at
RETURNING sender_id;

-- name: set_aside
-- A message that could not be handled, so that the next ones can be.
INSERT INTO messages_set_aside (workspace_id, sender_id, role, validity, uid, reason, raw, set_aside_at)
VALUES (%(workspace_id)s::bigint, %(sender_id)s::bigint, %(role)s::text, %(validity)s::bigint, %(uid)s::bigint, %(reason)s::text, %(raw)s::bytea,
        %(now)s::timestamptz)
ON CONFLICT (sender_id, role, validity, uid) DO UPDATE
SET reason = EXCLUDED.reason, raw = coalesce(EXCLUDED.raw, messages_set_aside.raw), again = false, set_aside_at = EXCLUDED.set_aside_at;

-- name: wanted_again
-- Messages of a mailbox that a person wants tried again.
SELECT id, role, validity, uid, raw FROM messages_set_aside WHERE sender_id = %(sender_id)s::bigint AND again ORDER BY id LIMIT 100;

-- name: handled
-- A message that was set aside is settled now.
DELETE FROM messages_set_aside WHERE id = %(id)s::bigint;

-- name: list_set_aside
-- A sender's messages that could not be handled, oldest first.
SELECT id, role, uid, reason, raw IS NOT NULL AS kept, again, set_aside_at FROM messages_set_aside
WHERE workspace_id = %(workspace_id)s::bigint AND sender_id = %(sender_id)s::bigint AND id > %(after)s::bigint
ORDER BY id LIMIT %(limit)s::integer;

-- name: try_again
UPDATE messages_set_aside SET again = true
WHERE workspace_id = %(workspace_id)s::bigint AND sender_id = %(sender_id)s::bigint AND id = %(id)s::bigint
RETURNING id, role, uid, reason, raw IS NOT NULL AS kept, again, set_aside_at;

-- name: campaign_mails
-- Which of these Message-IDs are those of our mails, and whether it is unknown if they were sent.
SELECT d.id, d.message_id, d.state = 'unknown' AS unknown FROM deliveries d
WHERE d.workspace_id = %(workspace_id)s::bigint AND d.message_id = ANY (%(ids)s::text[]);

-- name: forget_set_aside
-- Messages that nobody wanted tried again for a long time.
DELETE FROM messages_set_aside WHERE set_aside_at < %(before)s::timestamptz;
