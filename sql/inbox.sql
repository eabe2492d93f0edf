-- What comes back: whose it is, and what is kept of it. A message is taken first (`take`), which orders two who read the same one; then walks are locked.

-- name: mailbox
-- The mailbox that was read, and whether who writes is one of our own, or was erased and is nobody any more.
SELECT s.id, s.workspace_id, s.address,
       EXISTS (SELECT FROM senders o WHERE o.workspace_id = s.workspace_id AND o.address = %(from_address)s::text) AS own,
       EXISTS (SELECT FROM erased e WHERE e.workspace_id = s.workspace_id AND e.hash = erased_hash(%(from_address)s::text)) AS erased
FROM senders s WHERE s.id = %(sender_id)s::bigint;

-- name: take
-- A message that was never seen in this mailbox; no row if it was.
INSERT INTO inbox_messages (workspace_id, sender_id, digest, folder, uid, kind, meaning, from_address, settled_at)
VALUES (%(workspace_id)s::bigint, %(sender_id)s::bigint, %(digest)s::bytea, %(folder)s::text, %(uid)s::bigint, %(kind)s::text, '{}', '', %(now)s::timestamptz)
ON CONFLICT (sender_id, digest) DO NOTHING
RETURNING id;

-- name: seen
SELECT id, state, kind, delivery_id, thread_id FROM inbox_messages WHERE sender_id = %(sender_id)s::bigint AND digest = %(digest)s::bytea;

-- name: by_message_id
-- Mails of ours that a message names, directly or as an answer to what came back from them before; `named` is the Message-ID that it names.
SELECT d.id, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.state, d.failure, d.message_id, d.subject, d.sending_at, l.email, l.domain, l.company,
       c.check_reply, c.stop_company_on_reply, n.named
FROM (
    SELECT o.id, o.message_id AS named FROM deliveries o WHERE o.message_id = ANY (%(ids)s::text[]) AND o.workspace_id = %(workspace_id)s::bigint
    UNION ALL
    SELECT m.delivery_id, m.message_id FROM inbox_messages m
    WHERE m.message_id = ANY (%(ids)s::text[]) AND m.workspace_id = %(workspace_id)s::bigint AND m.state = 'settled' AND m.delivery_id IS NOT NULL
    UNION ALL
    SELECT (SELECT m.delivery_id FROM inbox_messages m WHERE m.thread_id = a.thread_id AND m.delivery_id IS NOT NULL ORDER BY m.id DESC LIMIT 1), a.message_id
    FROM answers a WHERE a.message_id = ANY (%(ids)s::text[]) AND a.workspace_id = %(workspace_id)s::bigint
) n
JOIN deliveries d ON d.id = n.id
JOIN leads l ON l.id = d.lead_id
JOIN campaigns c ON c.id = d.campaign_id
WHERE d.state IN ('sending', 'sent', 'unknown', 'bounced') AND l.email NOT LIKE 'erased-%%@erased.invalid'
ORDER BY array_position(%(ids)s::text[], n.named), d.id DESC;

-- name: by_address
-- The last mail of each walk that went to one of these addresses from this mailbox, newest first.
SELECT DISTINCT ON (d.campaign_id, d.lead_id)
       d.id, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.state, d.failure, d.message_id, d.subject, d.sending_at, l.email, l.domain, l.company,
       c.check_reply, c.stop_company_on_reply, '' AS named
FROM leads l
JOIN campaign_leads cl ON cl.lead_id = l.id
JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = l.id AND d.sender_id = %(sender_id)s::bigint AND d.state IN ('sent', 'unknown', 'bounced')
JOIN campaigns c ON c.id = d.campaign_id
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = ANY (%(addresses)s::text[])
  AND (%(until)s::timestamptz IS NULL OR d.sending_at <= %(until)s::timestamptz)
ORDER BY d.campaign_id, d.lead_id, d.step DESC
LIMIT 50;

-- name: by_id
-- One mail, for a person who said whose a message is.
SELECT d.id, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.state, d.failure, d.message_id, d.subject, d.sending_at, l.email, l.domain, l.company,
       c.check_reply, c.stop_company_on_reply, '' AS named
FROM deliveries d
JOIN leads l ON l.id = d.lead_id
JOIN campaigns c ON c.id = d.campaign_id
WHERE d.id = %(id)s::bigint AND d.workspace_id = %(workspace_id)s::bigint AND d.state IN ('sending', 'sent', 'unknown', 'bounced')
  AND l.email NOT LIKE 'erased-%%@erased.invalid';

-- name: colleagues
-- Leads who walk through a campaign and are of the same company: of its domain, unless everybody may have an address there, or of its name.
SELECT l.id FROM campaign_leads cl JOIN leads l ON l.id = cl.lead_id
WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.state <> 'ended' AND cl.lead_id <> %(lead_id)s::bigint
  AND ((NOT %(public)s::boolean AND l.domain = %(domain)s::text) OR (%(company)s::text <> '' AND lower(btrim(l.company)) = lower(btrim(%(company)s::text))))
ORDER BY l.id;

-- name: lock_delivery
-- The mail as it stands now, its walk being locked.
SELECT id, state, failure FROM deliveries WHERE id = %(id)s::bigint FOR NO KEY UPDATE;

-- name: write_replied
UPDATE deliveries SET replied_at = coalesce(replied_at, %(now)s::timestamptz) WHERE id = %(id)s::bigint;

-- name: write_bounced
-- It came back for good: the address is bad.
UPDATE deliveries
SET state = 'bounced', settled_at = %(now)s::timestamptz, failure = %(failure)s::text, reason = %(reason)s::text, reply_code = %(code)s::smallint,
    reply_text = %(said)s::text
WHERE id = %(id)s::bigint AND state = 'sent';

-- name: write_returned
-- It came back, and the address is not to blame: it stays sent, because what was sent is never sent again.
UPDATE deliveries SET failure = %(failure)s::text, reason = %(reason)s::text, reply_code = %(code)s::smallint, reply_text = %(said)s::text
WHERE id = %(id)s::bigint AND state = 'sent' AND failure IS NULL;

-- name: waiting_walks
-- In which campaigns a lead waits for a mail.
SELECT campaign_id FROM campaign_leads
WHERE workspace_id = %(workspace_id)s::bigint AND lead_id = %(lead_id)s::bigint AND state = 'waiting'
ORDER BY campaign_id;

-- name: postpone
-- Who is away is not mailed before he is back.
UPDATE campaign_leads cl SET due_at = greatest(cl.due_at, t.due_at)
FROM unnest(%(campaigns)s::bigint[], %(due)s::timestamptz[]) AS t (campaign_id, due_at)
WHERE cl.campaign_id = t.campaign_id AND cl.lead_id = %(lead_id)s::bigint AND cl.state = 'waiting';

-- name: keep_thread
-- The conversation with a lead in a campaign, moved to the top of the list by a new message. What an absence was labelled is not what its end is.
INSERT INTO threads AS t (workspace_id, campaign_id, lead_id, sender_id, subject, snippet, label, unread, last_kind, last_at, last_message_id)
VALUES (%(workspace_id)s::bigint, %(campaign_id)s::bigint, %(lead_id)s::bigint, %(sender_id)s::bigint, %(subject)s::text, %(snippet)s::text,
        %(label)s::text, %(unread)s::boolean, %(kind)s::text, %(at)s::timestamptz, %(message_id)s::bigint)
ON CONFLICT (campaign_id, lead_id) DO UPDATE
SET snippet = EXCLUDED.snippet, unread = t.unread OR EXCLUDED.unread, last_kind = EXCLUDED.last_kind, last_at = EXCLUDED.last_at,
    last_message_id = EXCLUDED.last_message_id,
    label = CASE WHEN EXCLUDED.label IS NOT NULL THEN coalesce(t.label, EXCLUDED.label)
                 WHEN t.label = 'out_of_office' AND EXCLUDED.last_kind = 'reply' THEN NULL ELSE t.label END
RETURNING t.id;

-- name: find_thread
SELECT id FROM threads WHERE campaign_id = %(campaign_id)s::bigint AND lead_id = %(lead_id)s::bigint;

-- name: has_complained
-- Whether a complaint of this lead was counted before.
SELECT EXISTS (
    SELECT FROM inbox_messages WHERE lead_id = %(lead_id)s::bigint AND kind = 'feedback' AND evidence @> '{"new": true}'
) AS complained;

-- name: write_message
-- What is kept of a message, once it is known whose it is, or that a person has to say so.
UPDATE inbox_messages
SET state = %(state)s::text, kind = %(kind)s::text, meaning = %(meaning)s::jsonb, thread_id = %(thread_id)s::bigint, campaign_id = %(campaign_id)s::bigint,
    lead_id = %(lead_id)s::bigint, delivery_id = %(delivery_id)s::bigint, evidence = %(evidence)s::jsonb, message_id = %(message_id)s::text,
    from_address = %(from_address)s::text, from_name = %(from_name)s::text, subject = %(subject)s::text, body = %(body)s::text, reply = %(reply)s::text,
    html = %(html)s::text, attachments = %(attachments)s::jsonb, refs = %(refs)s::text[], sent_at = %(sent_at)s::timestamptz, reply_to = %(reply_to)s::text
WHERE id = %(id)s::bigint;

-- name: ignore_message
-- Of what is nothing of ours only its digest is kept: a mailbox is a person's.
UPDATE inbox_messages SET state = 'ignored', kind = %(kind)s::text, evidence = %(evidence)s::jsonb WHERE id = %(id)s::bigint;

-- name: take_review
-- A message that waits for a person to say whose it is.
SELECT digest, message_id, refs, from_address, from_name, subject, sent_at, reply_to, body, reply, html, attachments, meaning
FROM inbox_messages WHERE id = %(id)s::bigint AND workspace_id = %(workspace_id)s::bigint AND state = 'review'
FOR UPDATE;

-- name: settle_answer
-- A copy in Sent, or a reply to it, proves that an answer from here went out; `mine`: the message is that answer.
UPDATE answers SET state = 'sent', settled_at = coalesce(settled_at, %(now)s::timestamptz)
WHERE message_id = ANY (%(ids)s::text[]) AND workspace_id = %(workspace_id)s::bigint
RETURNING id;
