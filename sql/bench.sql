-- Leads in any number, for the planner's benchmark and for the tests that look at how statements are carried out. They go into an empty database.

-- name: unchecked
-- Rows made by these statements need no look at what they refer to.
SELECT set_config('session_replication_role', 'replica', true);

-- name: make_workspace
INSERT INTO workspaces (name, postal_address) VALUES ('Bench', 'Example Ltd, 1 Main Street') RETURNING id;

-- name: make_senders
INSERT INTO senders (workspace_id, address, name, smtp_host, smtp_port, smtp_security, daily_limit, min_gap_seconds, max_gap_seconds)
SELECT %(workspace_id)s::bigint, 'ann' || n || '@sender.example', 'Ann', 'localhost', 25, 'plain', 50, 0, 0
FROM generate_series(1, %(senders)s::integer) AS n
RETURNING id;

-- name: make_campaigns
WITH made AS (
    INSERT INTO campaigns (workspace_id, name, status, started_at, run)
    SELECT %(workspace_id)s::bigint, 'Campaign ' || n, 'running', now(), 1 FROM generate_series(1, %(campaigns)s::integer) AS n
    RETURNING id
), runs AS (
    INSERT INTO campaign_runs (campaign_id, run) SELECT id, 1 FROM made
), steps AS (
    INSERT INTO steps (campaign_id, position, subjects, body) SELECT id, 0, '{Hello}', '<p>Hello</p>' FROM made
), attached AS (
    INSERT INTO campaign_senders (workspace_id, campaign_id, sender_id)
    SELECT %(workspace_id)s::bigint, made.id, senders.id FROM made CROSS JOIN unnest(%(senders)s::bigint[]) AS senders (id)
)
SELECT id FROM made ORDER BY id;

-- name: make_leads
-- Spread over five hundred domains, each of them looked up.
WITH domains AS (
    INSERT INTO recipient_domains (name, provider, accepts_mail, checked_at)
    SELECT 'd' || n || '.example', 'd' || n || '.example', true, now() FROM generate_series(0, 499) AS n
)
INSERT INTO leads (workspace_id, email, first_name)
SELECT %(workspace_id)s::bigint, 'p' || n || '@d' || mod(n, 500) || '.example', 'Ada' FROM generate_series(1, %(leads)s::integer) AS n;

-- name: make_walks
-- Every lead in one of the campaigns, due from the given time on: a third at its first mail, the others at their second with one of the senders.
INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, step, sender_id, due_at, settled_at)
SELECT (%(campaigns)s::bigint[])[1 + mod(l.id, cardinality(%(campaigns)s::bigint[]))], l.id, l.workspace_id, 0,
       CASE WHEN mod(l.id, 3) > 0 THEN (%(senders)s::bigint[])[1 + mod(l.id / 3, cardinality(%(senders)s::bigint[]))] END,
       %(due_at)s::timestamptz + l.id * interval '1 millisecond', CASE WHEN mod(l.id, 3) > 0 THEN %(due_at)s::timestamptz END
FROM leads l;

-- name: make_walked
-- Every lead in one of the campaigns, as they stand after a year: of a hundred 86 finished, 3 answered, 2 bounced, 1 left, 1 held, 7 that wait.
INSERT INTO campaign_leads (campaign_id, lead_id, workspace_id, step, sender_id, state, due_at, settled_at, hold_reason, outcome, ended_at)
SELECT (%(campaigns)s::bigint[])[1 + mod(l.id, cardinality(%(campaigns)s::bigint[]))], l.id, l.workspace_id, 0,
       (%(senders)s::bigint[])[1 + mod(l.id / 3, cardinality(%(senders)s::bigint[]))], s.state,
       CASE WHEN s.state = 'waiting' THEN %(due_at)s::timestamptz + l.id * interval '1 millisecond' END, %(due_at)s::timestamptz,
       CASE WHEN s.state = 'held' THEN 'missing_field' END,
       CASE WHEN s.state = 'ended' THEN CASE WHEN s.n < 86 THEN 'finished' WHEN s.n < 89 THEN 'replied' WHEN s.n < 91 THEN 'bounced' ELSE 'unsubscribed' END END,
       CASE WHEN s.state = 'ended' THEN %(due_at)s::timestamptz END
FROM leads l
CROSS JOIN LATERAL (SELECT n, CASE WHEN n < 92 THEN 'ended' WHEN n = 92 THEN 'held' ELSE 'waiting' END AS state
                    FROM (SELECT mod(l.id / 10, 100) AS n) t) s;

-- name: make_list
-- One list of all leads, each tenth of which has a tag.
WITH made AS (
    INSERT INTO lists (workspace_id, name) VALUES (%(workspace_id)s::bigint, 'Everybody') RETURNING id
)
INSERT INTO list_leads (list_id, lead_id) SELECT made.id, l.id FROM made CROSS JOIN leads l;

-- name: make_tags
UPDATE leads SET tags = '{fair}' WHERE mod(id, 10) = 0;

-- name: make_threads
-- A conversation with each fiftieth lead, of one message.
WITH made AS (
    INSERT INTO threads (workspace_id, campaign_id, lead_id, sender_id, subject, snippet, label, unread, last_kind, last_at, last_message_id)
    SELECT workspace_id, campaign_id, lead_id, sender_id, 'Hello', 'Tell me more.', CASE WHEN mod(lead_id, 100) = 0 THEN 'interested' END,
           mod(lead_id, 150) = 0, 'reply', now(), lead_id
    FROM campaign_leads WHERE mod(lead_id, 50) = 0 AND sender_id IS NOT NULL
    RETURNING id, workspace_id, campaign_id, lead_id, sender_id
)
INSERT INTO inbox_messages (workspace_id, sender_id, digest, folder, uid, state, kind, meaning, thread_id, campaign_id, lead_id, delivery_id, from_address, subject,
                            body, reply, sent_at, settled_at)
SELECT m.workspace_id, m.sender_id, sha256(m.id::text::bytea), 'INBOX', m.id, 'settled', 'reply', '{}', m.id, m.campaign_id, m.lead_id, d.id, 'x@d.example', 'Re: Hello',
       'Tell me more.', 'Tell me more.', now(), now()
FROM made m JOIN deliveries d ON d.campaign_id = m.campaign_id AND d.lead_id = m.lead_id;

-- name: use_up
-- Every sender has sent what it may today.
INSERT INTO sender_days (sender_id, day, used)
SELECT s.id, (clock_timestamp() AT TIME ZONE 'UTC')::date + n, s.daily_limit FROM senders s CROSS JOIN generate_series(0, 1) AS n;

-- name: rest
-- These campaigns are not asked.
UPDATE campaigns SET status = 'paused' WHERE id = ANY (%(campaigns)s::bigint[]);

-- name: analyze
ANALYZE;

-- name: vacuum
VACUUM (ANALYZE);

-- name: checkpoint
CHECKPOINT;

-- name: make_sent
-- The mail of each walk, sent an hour ago, with five links.
INSERT INTO deliveries (workspace_id, campaign_id, lead_id, step, sender_id, provider, state, attempts, token, planned_at, queued_at, rendered_at, sending_at,
                        settled_at, message_id, subject, subject_index, starts_thread, hash, links)
SELECT cl.workspace_id, cl.campaign_id, cl.lead_id, 0, 1 + mod(cl.lead_id, %(senders)s::integer), 'other', 'sent', 1, 1, at, at, at, at, at,
       '<' || cl.campaign_id || '.' || cl.lead_id || '@sender.example>', 'Hello', 0, true, '', ARRAY(SELECT 'https://sender.example/page/' || n FROM generate_series(1, 5) n)
FROM campaign_leads cl CROSS JOIN (SELECT now() - interval '1 hour' AS at) t;

-- name: sent_ids
SELECT id FROM deliveries ORDER BY id;

-- name: make_events
-- So many events about these mails: of ten, four sent, three opened by people, two by machines, one clicked; over twenty days.
INSERT INTO events (at, workspace_id, type, campaign_id, lead_id, delivery_id, data)
SELECT now() - mod(n, 20) * interval '1 day', d.workspace_id, (ARRAY['email.sent', 'email.sent', 'email.sent', 'email.sent', 'email.opened', 'email.opened',
       'email.opened', 'email.opened', 'email.opened', 'email.clicked'])[1 + mod(n, 10)], d.campaign_id, d.lead_id, d.id,
       CASE WHEN mod(n, 10) IN (7, 8) THEN '{"verdict": "machine"}' WHEN mod(n, 10) > 3 THEN '{"verdict": "human"}' ELSE '{}' END::jsonb
FROM generate_series(%(first)s::integer, %(last)s::integer) n
JOIN deliveries d ON d.id = %(base)s::bigint + mod(n, %(mails)s::integer);

-- name: count_hits
SELECT coalesce(sum(1 + repeats), 0)::bigint AS n FROM hits;

-- name: count_left
SELECT count(*) AS n FROM suppressions s JOIN leads l ON l.workspace_id = s.workspace_id AND l.email = s.value AND l.status = 'unsubscribed'
JOIN campaign_leads cl ON cl.lead_id = l.id
JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = l.id
WHERE s.kind = 'address' AND d.id = ANY (%(ids)s::bigint[]);

-- name: sent_mails
-- What was sent, to whom and by whom.
SELECT d.message_id, l.email, s.address FROM deliveries d JOIN leads l ON l.id = d.lead_id JOIN senders s ON s.id = d.sender_id ORDER BY d.id;

-- name: make_mailboxes
-- More senders, who only have a mailbox.
INSERT INTO senders (workspace_id, address, smtp_host, smtp_port, smtp_security)
SELECT (SELECT min(id) FROM workspaces), 'box' || n || '@sender.example', 'localhost', 25, 'plain' FROM generate_series(1, %(mailboxes)s::integer) AS n;

-- name: open_mailboxes
-- Every sender's mailbox is at the server on this port.
UPDATE senders SET imap_host = 'localhost', imap_port = %(port)s::integer, imap_security = 'tls';

-- name: count_read
SELECT coalesce(sum(uid), 0)::bigint AS n FROM mailbox_folders WHERE role = 'inbox';

-- name: read_upto
-- How far each of these mailboxes was read and settled.
SELECT s.address, f.uid FROM mailbox_folders f JOIN senders s ON s.id = f.sender_id WHERE f.role = 'inbox' AND s.address = ANY (%(addresses)s::text[]);

-- name: count_settled
-- Messages that belong to a mail of ours, and were made facts.
SELECT count(*) AS n FROM inbox_messages WHERE state = 'settled';

-- name: make_addresses
-- A list of leads spread over so many domains, of which none was looked up.
WITH made AS (
    INSERT INTO lists (workspace_id, name) VALUES (%(workspace_id)s::bigint, 'Addresses') RETURNING id
), people AS (
    INSERT INTO leads (workspace_id, email, first_name)
    SELECT %(workspace_id)s::bigint, 'person' || n || '@firm' || mod(n, %(domains)s::integer) || '.example', 'Ada'
    FROM generate_series(1, %(leads)s::integer) AS n
    RETURNING id
), listed AS (
    INSERT INTO list_leads (list_id, lead_id) SELECT made.id, people.id FROM made CROSS JOIN people
)
SELECT id FROM made;

-- name: sending_time
-- Seconds from the moment a campaign's first mail was planned to that at which the ledger had its last mail as sent.
SELECT extract(epoch FROM max(settled_at) - min(planned_at))::float8 AS seconds FROM deliveries WHERE campaign_id = %(campaign_id)s::bigint AND state = 'sent';
