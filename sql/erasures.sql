-- What is known of one address, to be handed out or to be forgotten. Ids, times and counts stay: they are nobody's without the address.

-- name: hold_lead
SELECT l.id FROM leads l WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text FOR UPDATE;

-- name: on_its_way
-- Whether a mail to the lead is inside an SMTP transaction at this very moment.
SELECT EXISTS (SELECT FROM campaign_leads cl JOIN deliveries d USING (campaign_id, lead_id)
               WHERE cl.lead_id = %(lead_id)s::bigint AND d.state = 'sending') AS sending;

-- name: keep_hash
INSERT INTO erased (workspace_id, hash, note, user_id)
VALUES (%(workspace_id)s::bigint, erased_hash(%(email)s::text), %(note)s::text, %(user_id)s::bigint)
ON CONFLICT (workspace_id, hash) DO NOTHING;

-- name: forget_suppression
DELETE FROM suppressions WHERE workspace_id = %(workspace_id)s::bigint AND kind = 'address' AND value = %(email)s::text;

-- name: forget_lead
UPDATE leads SET email = 'erased-' || id || '@erased.invalid', first_name = '', last_name = '', company = '', fields = '{}', source = '', tags = '{}', status = 'unsubscribed',
                 validation = 'invalid', validation_reasons = '["erased"]', updated_at = clock_timestamp()
WHERE id = %(lead_id)s::bigint;

-- name: forget_lists
DELETE FROM list_leads WHERE lead_id = %(lead_id)s::bigint;

-- name: forget_hits
DELETE FROM hits h USING campaign_leads cl, deliveries d
WHERE cl.lead_id = %(lead_id)s::bigint AND d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND h.delivery_id = d.id;

-- name: forget_attempts
UPDATE attempts a SET text = '' FROM campaign_leads cl, deliveries d
WHERE cl.lead_id = %(lead_id)s::bigint AND d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND a.delivery_id = d.id;

-- name: forget_bytes
-- The row stays where the ledger counts on it; what was in it goes.
UPDATE mails m SET raw = '' FROM campaign_leads cl, deliveries d
WHERE cl.lead_id = %(lead_id)s::bigint AND d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id AND m.delivery_id = d.id;

-- name: forget_deliveries
UPDATE deliveries d SET subject = NULL, links = NULL, reply_text = NULL FROM campaign_leads cl
WHERE cl.lead_id = %(lead_id)s::bigint AND d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id;

-- name: forget_events
-- Of what an event says stays what statistics are made of.
UPDATE events SET data = (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(data)
                          WHERE key IN ('step', 'verdict', 'was', 'failure', 'code', 'reason', 'kind', 'list_id'))
WHERE lead_id = %(lead_id)s::bigint;

-- name: forget_conversations
-- What the lead wrote, what was answered and noted. What was counted of it are events.
DELETE FROM threads WHERE lead_id = %(lead_id)s::bigint;

-- name: forget_messages
-- What came from the address, or about the lead, outside of a conversation; that it was seen stays, so that it is not read again.
UPDATE inbox_messages
SET state = 'ignored', meaning = '{}', evidence = '{}', message_id = NULL, from_address = '', from_name = '', subject = '', body = '', reply = '', html = '',
    attachments = '[]', refs = '{}', reply_to = NULL, lead_id = NULL, delivery_id = NULL, campaign_id = NULL, thread_id = NULL
WHERE workspace_id = %(workspace_id)s::bigint
  AND (lead_id = %(lead_id)s::bigint OR from_address = %(email)s::text OR reply_to = %(email)s::text
       OR (state = 'review' AND strpos(lower(meaning::text || body), %(email)s::text) > 0));

-- name: forget_outlets
-- What receivers of events answered: it may repeat what they were told.
UPDATE outlet_attempts a SET answer = '', error = NULL
FROM outlet_messages m WHERE m.workspace_id = %(workspace_id)s::bigint AND m.thread = %(lead_id)s::bigint AND a.message_id = m.id;

-- name: forget_answers
-- What a model said of the lead.
DELETE FROM ai_answers WHERE lead_id = %(lead_id)s::bigint;

-- name: forget_rejects
UPDATE import_rejects r SET raw = '', reason = '' FROM imports i
WHERE i.id = r.import_id AND i.workspace_id = %(workspace_id)s::bigint AND strpos(lower(r.raw), %(email)s::text) > 0;

-- name: forget_set_aside
-- What could not be handled may be his; its place in the mailbox stays, so that it is not read again.
UPDATE messages_set_aside SET raw = NULL, reason = 'erased', again = false
WHERE workspace_id = %(workspace_id)s::bigint AND raw IS NOT NULL AND position(convert_to(%(email)s::text, 'UTF8') IN raw) > 0;

-- name: known
-- Everything, as one document.
SELECT jsonb_build_object(
    'email', %(email)s::text,
    'erased', EXISTS (SELECT FROM erased WHERE workspace_id = %(workspace_id)s::bigint AND hash = erased_hash(%(email)s::text)),
    'lead', (SELECT to_jsonb(l) - 'workspace_id' - 'arriving' FROM leads l WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'lists', (SELECT coalesce(jsonb_agg(jsonb_build_object('list', s.name, 'added_at', ll.added_at) ORDER BY ll.added_at), '[]')
              FROM leads l JOIN list_leads ll ON ll.lead_id = l.id JOIN lists s ON s.id = ll.list_id
              WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'suppressions', (SELECT coalesce(jsonb_agg(to_jsonb(s) - 'workspace_id' ORDER BY s.id), '[]') FROM suppressions s
                     WHERE s.workspace_id = %(workspace_id)s::bigint
                       AND ((s.kind = 'address' AND s.value = %(email)s::text) OR (s.kind = 'domain' AND s.value = split_part(%(email)s::text, '@', -1)))),
    'campaigns', (SELECT coalesce(jsonb_agg(jsonb_build_object('campaign', c.name, 'state', cl.state, 'step', cl.step, 'outcome', cl.outcome,
                                                               'enrolled_at', cl.enrolled_at, 'ended_at', cl.ended_at) ORDER BY cl.enrolled_at), '[]')
                  FROM leads l JOIN campaign_leads cl ON cl.lead_id = l.id JOIN campaigns c ON c.id = cl.campaign_id
                  WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'mails', (SELECT coalesce(jsonb_agg(jsonb_build_object('campaign', c.name, 'step', d.step, 'state', d.state, 'subject', d.subject, 'message_id', d.message_id,
                                                           'sent_at', d.sending_at, 'answer', d.reply_text, 'opened_at', d.opened_at,
                                                           'clicked_at', d.clicked_at, 'replied_at', d.replied_at) ORDER BY d.id), '[]')
              FROM leads l JOIN campaign_leads cl ON cl.lead_id = l.id JOIN deliveries d USING (campaign_id, lead_id) JOIN campaigns c ON c.id = d.campaign_id
              WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'hits', (SELECT coalesce(jsonb_agg(to_jsonb(h) - 'workspace_id' ORDER BY h.id), '[]')
             FROM leads l JOIN campaign_leads cl ON cl.lead_id = l.id JOIN deliveries d USING (campaign_id, lead_id) JOIN hits h ON h.delivery_id = d.id
             WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'generated', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.campaign_id, a.step), '[]')
                  FROM leads l JOIN ai_answers a ON a.lead_id = l.id
                  WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'messages', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', m.settled_at, 'kind', m.kind, 'from', m.from_address, 'subject', m.subject, 'text', m.body,
                                                              'attachments', m.attachments) ORDER BY m.id), '[]')
                 FROM inbox_messages m
                 WHERE m.workspace_id = %(workspace_id)s::bigint
                   AND (m.from_address = %(email)s::text
                        OR m.lead_id IN (SELECT l.id FROM leads l WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text))),
    'answers', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', a.created_at, 'to', a.to_address, 'subject', a.subject, 'text', a.body) ORDER BY a.id), '[]')
                FROM leads l JOIN threads t ON t.lead_id = l.id JOIN answers a ON a.thread_id = t.id
                WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'notes', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', n.created_at, 'text', n.text) ORDER BY n.id), '[]')
              FROM leads l JOIN threads t ON t.lead_id = l.id JOIN notes n ON n.thread_id = t.id
              WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text),
    'events', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', e.at, 'type', e.type, 'data', e.data) ORDER BY e.id), '[]')
               FROM leads l JOIN events e ON e.lead_id = l.id
               WHERE l.workspace_id = %(workspace_id)s::bigint AND l.email = %(email)s::text)
) AS document;
