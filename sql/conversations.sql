-- Conversations as people read them.

-- name: page
-- Newest first. `search` is part of the lead's address, name or company, or words of a message or the subject. The page is found first, by its index as far as it
-- goes, and then told who is in it: joined all at once, every conversation of a label would be.
WITH page AS MATERIALIZED (
    SELECT t.* FROM threads t
    WHERE t.workspace_id = %(workspace_id)s::bigint
      AND (%(before)s::bigint IS NULL OR t.last_message_id < %(before)s::bigint)
      AND (%(id)s::bigint IS NULL OR t.id = %(id)s::bigint)
      AND (%(label)s::text IS NULL OR coalesce(t.label, 'none') = %(label)s::text)
      AND (%(unread)s::boolean IS NULL OR t.unread = %(unread)s::boolean)
      AND (%(kind)s::text IS NULL OR t.last_kind = %(kind)s::text)
      AND (%(assigned_to)s::bigint IS NULL OR coalesce(t.assigned_to, 0) = %(assigned_to)s::bigint)
      AND (%(campaign_id)s::bigint IS NULL OR t.campaign_id = %(campaign_id)s::bigint)
      AND (%(sender_id)s::bigint IS NULL OR t.sender_id = %(sender_id)s::bigint)
      AND (%(lead_id)s::bigint IS NULL OR t.lead_id = %(lead_id)s::bigint)
      AND (%(search)s::text IS NULL
           OR EXISTS (SELECT FROM leads l WHERE l.id = t.lead_id
                      AND strpos(lower(concat_ws(' ', l.email, l.first_name, l.last_name, l.company, t.subject)), lower(%(search)s::text)) > 0)
           OR EXISTS (SELECT FROM inbox_messages m WHERE m.thread_id = t.id AND m.search @@ websearch_to_tsquery('simple', %(search)s::text)))
    ORDER BY t.last_message_id DESC
    LIMIT %(limit)s::integer
)
SELECT t.id, t.last_message_id, t.subject, t.snippet, t.label, t.unread, t.last_kind, t.last_at, t.lead_id, l.email, l.first_name, l.last_name, l.company,
       t.campaign_id, c.name AS campaign_name, t.sender_id, s.address AS sender_address, t.assigned_to, u.name AS assigned_name, u.email AS assigned_email,
       cl.state AS walk_state, cl.outcome AS walk_outcome
FROM page t
JOIN leads l ON l.id = t.lead_id
JOIN campaigns c ON c.id = t.campaign_id
JOIN senders s ON s.id = t.sender_id
JOIN campaign_leads cl ON cl.campaign_id = t.campaign_id AND cl.lead_id = t.lead_id
LEFT JOIN users u ON u.id = t.assigned_to
ORDER BY t.last_message_id DESC;

-- name: counts
-- How many conversations there are, by label, and how many of them nobody has read; and messages that wait in review.
SELECT count(*)::integer AS total, count(*) FILTER (WHERE unread)::integer AS unread, count(*) FILTER (WHERE label = 'interested')::integer AS interested,
       count(*) FILTER (WHERE label = 'not_interested')::integer AS not_interested, count(*) FILTER (WHERE label = 'meeting_booked')::integer AS meeting_booked,
       count(*) FILTER (WHERE label = 'wrong_person')::integer AS wrong_person, count(*) FILTER (WHERE label = 'out_of_office')::integer AS out_of_office,
       (SELECT count(*)::integer FROM inbox_messages m WHERE m.workspace_id = %(workspace_id)s::bigint AND m.state = 'review') AS review
FROM threads WHERE workspace_id = %(workspace_id)s::bigint;

-- name: messages
-- What came in (and what was written by hand), oldest first.
SELECT m.id, m.kind, m.from_address, m.from_name, m.subject, m.body, m.reply, m.html, m.attachments, m.meaning, m.sent_at, m.settled_at
FROM inbox_messages m WHERE m.thread_id = %(thread_id)s::bigint AND m.state = 'settled'
ORDER BY m.id LIMIT 500;

-- name: mails
-- What the campaign sent to the lead.
SELECT d.id, d.step, d.state, d.subject, d.sending_at, d.opened_at, d.clicked_at, s.address AS sender_address
FROM deliveries d JOIN senders s ON s.id = d.sender_id
WHERE d.campaign_id = %(campaign_id)s::bigint AND d.lead_id = %(lead_id)s::bigint AND d.state IN ('sending', 'sent', 'unknown', 'bounced') AND d.sending_at IS NOT NULL
ORDER BY d.step;

-- name: answers
-- What was answered from here. One that has been on its way for minutes is lost to us: it may be out.
SELECT a.id, CASE WHEN a.state = 'sending' AND a.created_at < %(lost)s::timestamptz THEN 'unknown' ELSE a.state END AS state, a.to_address, a.subject, a.body,
       a.reply, a.created_at, s.address AS sender_address, u.name AS user_name
FROM answers a JOIN senders s ON s.id = a.sender_id LEFT JOIN users u ON u.id = a.user_id
WHERE a.thread_id = %(thread_id)s::bigint
ORDER BY a.id LIMIT 500;

-- name: notes
SELECT n.id, n.text, n.created_at, n.user_id, u.name AS user_name
FROM notes n LEFT JOIN users u ON u.id = n.user_id
WHERE n.thread_id = %(thread_id)s::bigint
ORDER BY n.id LIMIT 500;

-- name: lock
SELECT id, lead_id, campaign_id, sender_id, label, unread, assigned_to FROM threads
WHERE id = %(id)s::bigint AND workspace_id = %(workspace_id)s::bigint
FOR NO KEY UPDATE;

-- name: update
UPDATE threads SET label = %(label)s::text, unread = %(unread)s::boolean, assigned_to = %(assigned_to)s::bigint WHERE id = %(id)s::bigint;

-- name: is_member
SELECT EXISTS (SELECT FROM memberships WHERE workspace_id = %(workspace_id)s::bigint AND user_id = %(user_id)s::bigint) AS member;

-- name: add_note
INSERT INTO notes (workspace_id, thread_id, user_id, text, created_at)
VALUES (%(workspace_id)s::bigint, %(thread_id)s::bigint, %(user_id)s::bigint, %(text)s::text, %(now)s::timestamptz)
RETURNING id, text, created_at, user_id, (SELECT name FROM users WHERE id = %(user_id)s::bigint) AS user_name;

-- name: delete_note
DELETE FROM notes WHERE id = %(id)s::bigint AND thread_id = %(thread_id)s::bigint AND workspace_id = %(workspace_id)s::bigint;

-- name: answer_facts
-- All that an answer is made of: who is answered, by which mailbox, to what, and whether he may be written to at all.
SELECT t.id AS thread_id, t.workspace_id, t.subject AS thread_subject, t.sender_id, s.address AS sender_address, s.name AS sender_name, s.reply_to AS sender_reply_to,
       s.signature, s.deleted_at, s.status AS sender_status, l.email, l.first_name, l.last_name,
       m.message_id AS in_reply_to, m.refs, m.subject AS last_subject, m.reply AS last_text, m.sent_at AS last_at, coalesce(m.reply_to, m.from_address, l.email) AS to_address,
       coalesce(m.from_name, '') AS to_name,
       k.id AS key_id, k.created_at AS key_made_at, k.selector, dom.name AS domain_name
FROM threads t
JOIN senders s ON s.id = t.sender_id
JOIN leads l ON l.id = t.lead_id
LEFT JOIN domains dom ON dom.id = s.domain_id
LEFT JOIN dkim_keys k ON k.domain_id = s.domain_id AND k.state = 'active'
LEFT JOIN LATERAL (
    SELECT i.message_id, i.refs, i.subject, i.reply, i.sent_at, i.reply_to, i.from_address, i.from_name
    FROM inbox_messages i WHERE i.thread_id = t.id AND i.state = 'settled' AND i.kind <> 'own'
    ORDER BY i.id DESC LIMIT 1
) m ON true
WHERE t.id = %(id)s::bigint AND t.workspace_id = %(workspace_id)s::bigint
FOR NO KEY UPDATE OF t;

-- name: is_suppressed
SELECT EXISTS (SELECT FROM suppressions WHERE workspace_id = %(workspace_id)s::bigint
               AND ((kind = 'address' AND value = ANY (%(addresses)s::text[]))
                    OR (kind = 'domain' AND value IN (SELECT split_part(a, '@', -1) FROM unnest(%(addresses)s::text[]) a)))) AS suppressed;

-- name: answered_lately
-- The same words to the same conversation, just now: somebody pressed twice. What failed may be tried again.
SELECT EXISTS (SELECT FROM answers WHERE thread_id = %(thread_id)s::bigint AND body = %(body)s::text AND state <> 'failed'
               AND created_at > %(since)s::timestamptz) AS answered;

-- name: begin_answer
-- It counts against its sender's day, and no limit holds it up: a person waits for it.
WITH counted AS (
    INSERT INTO sender_days AS u (sender_id, day, used, answers) VALUES (%(sender_id)s::bigint, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date, 1, 1)
    ON CONFLICT (sender_id, day) DO UPDATE SET used = u.used + 1, answers = u.answers + 1
)
INSERT INTO answers (workspace_id, thread_id, sender_id, user_id, to_address, subject, body, message_id, created_at)
VALUES (%(workspace_id)s::bigint, %(thread_id)s::bigint, %(sender_id)s::bigint, %(user_id)s::bigint, %(to_address)s::text, %(subject)s::text, %(body)s::text,
        %(message_id)s::text, %(now)s::timestamptz)
RETURNING id;

-- name: end_answer
-- One that was refused does not count.
WITH ended AS (
    UPDATE answers SET state = %(state)s::text, reply = %(reply)s::text, settled_at = %(now)s::timestamptz
    WHERE id = %(id)s::bigint AND state = 'sending'
    RETURNING sender_id, state, (created_at AT TIME ZONE 'UTC')::date AS day
)
UPDATE sender_days u SET used = u.used - 1, answers = u.answers - 1
FROM ended WHERE ended.state = 'failed' AND u.sender_id = ended.sender_id AND u.day = ended.day AND u.answers > 0;

-- name: mark_read
UPDATE threads SET unread = false WHERE id = %(id)s::bigint AND unread;

-- name: reviews
-- Messages of which a person has to say whose they are, oldest first, with the mails that they may be about.
SELECT m.id, m.kind, m.from_address, m.from_name, m.subject, m.reply, m.body, m.html, m.attachments, m.meaning, m.evidence ->> 'why' AS why, m.sent_at, m.settled_at,
       m.sender_id, s.address AS sender_address,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('delivery_id', d.id, 'campaign_id', d.campaign_id, 'campaign_name', c.name, 'lead_id', d.lead_id, 'email', l.email,
                                                     'step', d.step, 'subject', coalesce(d.subject, ''), 'sent_at', d.sending_at) ORDER BY d.id DESC), '[]')
        FROM jsonb_array_elements(m.evidence -> 'candidates') e
        JOIN deliveries d ON d.id = e::text::bigint JOIN leads l ON l.id = d.lead_id JOIN campaigns c ON c.id = d.campaign_id) AS candidates
FROM inbox_messages m JOIN senders s ON s.id = m.sender_id
WHERE m.workspace_id = %(workspace_id)s::bigint AND m.state = 'review' AND m.id > %(after)s::bigint
ORDER BY m.id
LIMIT %(limit)s::integer;
