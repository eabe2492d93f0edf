-- The ledger's moves. Each names the state it leaves and the token it was taken with; no row back means "somebody else was first": stop silently.
-- Locks are taken in one order everywhere: campaign_leads, then deliveries, then senders, then sender_days.

-- name: take_planned
-- A render worker takes a chunk: lease and fencing token. Rows that another worker holds, or that have moved on, are not there.
WITH mine AS MATERIALIZED (
    SELECT id FROM deliveries
    WHERE id = ANY (%(ids)s::bigint[]) AND state = 'planned' AND worker_id IS NULL
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE deliveries d SET token = nextval('fences'), worker_id = %(worker_id)s::bigint
FROM mine WHERE d.id = mine.id
RETURNING d.id, d.token, d.campaign_id, d.lead_id, d.step;

-- name: render_facts
-- All that a chunk of mails is made of, but the words of their steps. `thread` lists what the lead really got of this campaign, oldest first.
SELECT d.id, d.token, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.message_id, d.subject_index,
       l.email, l.first_name, l.last_name, l.company, l.fields,
       s.address AS sender_address, s.name AS sender_name, s.reply_to, s.signature, s.imap_host IS NOT NULL AS has_imap,
       c.missing_field, c.track_opens, c.track_clicks,
       w.postal_address, CASE WHEN w.tracking_verified_at IS NOT NULL THEN w.tracking_domain END AS tracking_domain,
       k.id AS key_id, k.created_at AS key_made_at, k.selector, dom.name AS domain_name,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('message_id', p.message_id, 'subject', p.subject, 'starts_thread', p.starts_thread) ORDER BY p.step), '[]')
        FROM deliveries p WHERE p.campaign_id = d.campaign_id AND p.lead_id = d.lead_id AND p.step < d.step AND p.state IN ('sent', 'unknown')) AS thread
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS mine (id, token)
JOIN deliveries d ON d.id = mine.id AND d.token = mine.token AND d.state = 'planned'
JOIN campaigns c ON c.id = d.campaign_id
JOIN workspaces w ON w.id = d.workspace_id
JOIN leads l ON l.id = d.lead_id
JOIN senders s ON s.id = d.sender_id
LEFT JOIN domains dom ON dom.id = s.domain_id
LEFT JOIN dkim_keys k ON k.domain_id = s.domain_id AND k.state = 'active'
ORDER BY d.id;

-- name: render_words
-- The words of steps, once however many mails of a chunk are made of them. A step that was removed has none.
SELECT t.campaign_id, t.step, st.subjects, st.body, CASE WHEN c.promote_winner IS NOT NULL THEN st.winner END AS winner,
       (SELECT p.subjects FROM steps p WHERE p.campaign_id = t.campaign_id AND p.position < t.step AND cardinality(p.subjects) > 0
        ORDER BY p.position DESC LIMIT 1) AS earlier_subjects
FROM unnest(%(campaigns)s::bigint[], %(steps)s::smallint[]) AS t (campaign_id, step)
JOIN campaigns c ON c.id = t.campaign_id
LEFT JOIN steps st ON st.campaign_id = t.campaign_id AND st.position = t.step;

-- name: dkim_key
-- The sealed private key, asked for once per process.
SELECT private_sealed FROM dkim_keys WHERE id = %(id)s::bigint;

-- name: write_rendered
-- Bytes, hash and Message-ID, at once; the Message-ID stays what it was if the delivery was rendered before.
WITH made AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(raws)b::bytea[], %(hashes)b::bytea[], %(message_ids)s::text[], %(dates)s::timestamptz[],
                         %(subjects)s::text[], %(indexes)s::smallint[], %(starts)s::boolean[], %(links)s::text[])
             AS t (id, token, raw, hash, message_id, mail_date, subject, subject_index, starts_thread, links)
), written AS (
    UPDATE deliveries d
    SET state = 'rendered', worker_id = NULL, queued_at = %(now)s::timestamptz, rendered_at = %(now)s::timestamptz, hash = m.hash,
        message_id = m.message_id, mail_date = m.mail_date, subject = m.subject, subject_index = m.subject_index, starts_thread = m.starts_thread,
        links = CASE WHEN m.links IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(m.links::jsonb)) END
    FROM made m WHERE d.id = m.id AND d.token = m.token AND d.state = 'planned'
    RETURNING d.id, d.sender_id, m.raw
), kept AS (
    INSERT INTO mails (delivery_id, raw) SELECT id, raw FROM written
    ON CONFLICT (delivery_id) DO UPDATE SET raw = EXCLUDED.raw
)
SELECT id, sender_id FROM written ORDER BY id;

-- name: lock_walks
-- First of the lock order: the walks of these deliveries.
SELECT cl.campaign_id, cl.lead_id, cl.state, cl.step
FROM campaign_leads cl
JOIN unnest(%(campaigns)s::bigint[], %(leads)s::bigint[]) AS t (campaign_id, lead_id) USING (campaign_id, lead_id)
ORDER BY cl.campaign_id, cl.lead_id
FOR NO KEY UPDATE OF cl;

-- name: lock_walks_and_all_of
-- The same, and with them every walk of the leads whose address will be suppressed in this transaction: taken later, they would be out of order.
SELECT cl.campaign_id, cl.lead_id, cl.state, cl.step
FROM campaign_leads cl
WHERE (cl.campaign_id, cl.lead_id) IN (SELECT * FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[])) OR cl.lead_id = ANY (%(all_of)s::bigint[])
ORDER BY cl.campaign_id, cl.lead_id
FOR UPDATE OF cl;

-- name: write_held
-- Mails that cannot be made (a field is missing): the delivery and its walk wait for a person.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(reasons)s::text[]) AS t (id, token, reason)
), held AS (
    UPDATE deliveries d SET state = 'held', worker_id = NULL, reason = w.reason
    FROM wanted w WHERE d.id = w.id AND d.token = w.token AND d.state = 'planned'
    RETURNING d.campaign_id, d.lead_id, w.reason
)
UPDATE campaign_leads cl SET state = 'held', hold_reason = 'missing_field'
FROM held WHERE cl.campaign_id = held.campaign_id AND cl.lead_id = held.lead_id AND cl.state = 'in_flight';

-- name: put_back
-- Deliveries that leave the pipe without an attempt (paused, window over, limit met, step gone): `deferred`, and the walk waits to be planned again.
-- From `sending` only a living worker puts one back, that knows it never wrote the dot: its mark was committed and the answer to that was lost.
WITH wanted AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(reasons)s::text[]) AS t (id, token, reason)
), back AS (
    UPDATE deliveries d SET state = 'deferred', token = NULL, worker_id = NULL, sending_at = NULL, reason = w.reason
    FROM wanted w WHERE d.id = w.id AND d.token = w.token AND d.state IN ('planned', 'rendered', 'sending')
    RETURNING d.id, d.campaign_id, d.lead_id, d.sender_id, d.planned_at
), walked AS (
    UPDATE campaign_leads cl SET state = 'waiting', due_at = %(now)s::timestamptz
    FROM back WHERE cl.campaign_id = back.campaign_id AND cl.lead_id = back.lead_id AND cl.state = 'in_flight'
)
SELECT sender_id, (planned_at AT TIME ZONE 'UTC')::date AS day, count(*)::integer AS n FROM back GROUP BY 1, 2;

-- name: cancel_stranded
-- Of deliveries that were just put back: those whose walk ended while they were inside an SMTP transaction. Nobody will come for them.
WITH stranded AS (
    UPDATE deliveries d SET state = 'cancelled', settled_at = %(now)s::timestamptz, reason = cl.outcome
    FROM campaign_leads cl
    WHERE d.id = ANY (%(ids)s::bigint[]) AND d.state = 'deferred' AND cl.campaign_id = d.campaign_id AND cl.lead_id = d.lead_id AND cl.state = 'ended'
    RETURNING d.id
)
DELETE FROM mails m USING stranded WHERE m.delivery_id = stranded.id;

-- name: release
-- What a message took and could not finish, because something broke that is not the mail's fault: it belongs to nobody, and the sweep finds it. Their tokens
-- stay, so that an answer in a journal still settles what is `sending`.
UPDATE deliveries SET worker_id = NULL, queued_at = clock_timestamp()
WHERE id = ANY (%(ids)s::bigint[]) AND worker_id = %(worker_id)s::bigint AND state IN ('planned', 'rendered', 'sending');

-- name: release_sender
-- The same for the mails of one sender, of whom a process sends one chunk at a time.
UPDATE deliveries SET worker_id = NULL, queued_at = clock_timestamp()
WHERE sender_id = %(sender_id)s::bigint AND worker_id = %(worker_id)s::bigint AND (state IN ('planned', 'rendered', 'sending')) IS TRUE AND state <> 'planned';

-- name: let_go
-- A worker that cannot send these now (a provider's rate) gives them back to the queue untouched.
UPDATE deliveries d SET worker_id = NULL, token = NULL, queued_at = %(now)s::timestamptz
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS t (id, token)
WHERE d.id = t.id AND d.token = t.token AND d.state = 'rendered';

-- name: set_aside
-- Planned mails that wait for answers of a model. The message that asks may be lost: then the sweep finds them after two minutes.
UPDATE deliveries d SET worker_id = NULL, token = NULL, queued_at = clock_timestamp() + interval '2 minutes'
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS t (id, token)
WHERE d.id = t.id AND d.token = t.token AND d.state = 'planned';

-- name: take_rendered
-- A send worker takes what is ready of one sender, the oldest first, and learns in the same read what may stand against each mail.
WITH mine AS MATERIALIZED (
    SELECT id FROM deliveries
    WHERE sender_id = %(sender_id)s::bigint AND (state IN ('planned', 'rendered', 'sending')) IS TRUE AND state = 'rendered' AND worker_id IS NULL
    ORDER BY id LIMIT %(limit)s::integer FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE deliveries d SET token = nextval('fences'), worker_id = %(worker_id)s::bigint
    FROM mine WHERE d.id = mine.id
    RETURNING d.id, d.token, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.provider, d.tries, d.message_id, d.not_after
)
SELECT t.*, m.raw, l.email,
       CASE WHEN c.status <> 'running' THEN 'campaign_paused'
            WHEN t.not_after <= clock_timestamp() THEN 'out_of_schedule'
            WHEN m.raw IS NULL THEN 'bytes_missing' END AS against
FROM taken t
JOIN campaigns c ON c.id = t.campaign_id
JOIN leads l ON l.id = t.lead_id
LEFT JOIN mails m ON m.delivery_id = t.id
ORDER BY t.id;

-- name: sender
-- Whom a chunk is sent by: where to connect, and whether he may send now at all.
SELECT s.id, s.workspace_id, s.address, s.smtp_host, s.smtp_port, s.smtp_security, s.smtp_username, s.smtp_sealed, s.min_gap_seconds, s.max_gap_seconds,
       s.status, s.health, s.errors_in_row, s.cooldown_until, s.deleted_at, EXISTS (SELECT FROM oauth_grants g WHERE g.sender_id = s.id) AS oauth,
       CASE WHEN s.deleted_at IS NOT NULL THEN 'sender_gone'
            WHEN s.status <> 'ready' THEN 'sender_' || s.status
            WHEN s.cooldown_until > clock_timestamp() THEN 'sender_cooling_down'
            WHEN d.status IS NOT NULL AND d.status <> 'verified' THEN 'domain_not_verified' END AS against
FROM senders s LEFT JOIN domains d ON d.id = s.domain_id
WHERE s.id = %(id)s::bigint;

-- name: mark_sending
-- The last word before the final dot (`sql/functions/mark_sending.sql`): the mails whose claim is committed. In autocommit: one round trip does it all.
SELECT mark_sending(%(ids)s::bigint[], %(tokens)s::bigint[], %(campaigns)s::bigint[], %(leads)s::bigint[], %(senders)s::bigint[], %(workers)s::bigint[],
                    %(gaps)s::float8[], %(lease)s::float8) AS id;

-- name: why_not
-- After a mark that was refused: what stands against the mail now.
SELECT CASE WHEN d.token IS DISTINCT FROM %(token)s::bigint OR d.state <> 'rendered' OR cl.state <> 'in_flight' THEN 'fenced'
            WHEN c.status <> 'running' THEN 'campaign_paused'
            WHEN d.not_after <= clock_timestamp() THEN 'out_of_schedule'
            WHEN s.deleted_at IS NOT NULL THEN 'sender_gone'
            WHEN s.status <> 'ready' THEN 'sender_' || s.status
            WHEN s.cooldown_until > clock_timestamp() THEN 'sender_cooling_down'
            WHEN s.free_at > clock_timestamp() THEN 'sender_gap'
            WHEN u.used >= day_limit(s, (clock_timestamp() AT TIME ZONE 'UTC')::date) OR s.daily_limit = 0 THEN 'daily_limit_met'
            WHEN NOT EXISTS (SELECT FROM workers k WHERE k.id = %(worker_id)s::bigint
                             AND k.seen_at > clock_timestamp() - %(lease)s::float8 * interval '1 second') THEN 'lease_lost'
            ELSE 'lead_stopped' END AS reason
FROM deliveries d
JOIN campaign_leads cl USING (campaign_id, lead_id)
JOIN campaigns c ON c.id = d.campaign_id
JOIN senders s ON s.id = %(sender_id)s::bigint
LEFT JOIN sender_days u ON u.sender_id = s.id AND u.day = (clock_timestamp() AT TIME ZONE 'UTC')::date
WHERE d.id = %(id)s::bigint;

-- name: lock_results
-- Deliveries whose attempt has an end, still held by the token of that attempt; `state` is what they leave. From `unknown` the attempt's own
-- late answer is evidence like any other.
SELECT d.id, d.token, d.workspace_id, d.campaign_id, d.lead_id, d.step, d.sender_id, d.state, d.planned_at, d.sending_at, d.tries,
       d.message_id, d.subject, d.subject_index, d.provider, l.email
FROM deliveries d
JOIN unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS t (id, token) ON d.id = t.id AND d.token = t.token
JOIN leads l ON l.id = d.lead_id
WHERE d.state IN ('rendered', 'sending', 'unknown')
ORDER BY d.id
FOR NO KEY UPDATE OF d;

-- name: write_results
-- The attempt's end, as decided: `sent`, `deferred`, `failed`, `bounced` or `unknown`. What was `unknown` had its attempt counted. A mark that ended in a
-- refusal is taken back, so that nobody counts it again when the next attempt ends.
UPDATE deliveries d
SET state = t.state, worker_id = NULL, attempts = d.attempts + CASE d.state WHEN 'unknown' THEN 0 ELSE 1 END, tries = d.tries + t.try,
    sending_at = CASE WHEN t.state IN ('sent', 'unknown') THEN coalesce(d.sending_at, t.at) END,
    settled_at = CASE WHEN t.state IN ('sent', 'failed', 'bounced') THEN t.at END,
    reason = t.reason, failure = t.failure, reply_code = t.code, reply_text = t.text
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(states)s::text[], %(tries)s::smallint[], %(reasons)s::text[], %(failures)s::text[],
            %(codes)s::smallint[], %(texts)s::text[], %(ats)s::timestamptz[])
     AS t (id, token, state, try, reason, failure, code, text, at)
WHERE d.id = t.id AND d.token = t.token AND d.state IN ('rendered', 'sending', 'unknown');

-- name: write_attempts
-- How each attempt went. An attempt that was first `unknown` and whose answer came late is told anew.
INSERT INTO attempts AS a (delivery_id, token, workspace_id, sender_id, outcome, stage, code, enhanced, text, failure, rule, marked_at, started_at, finished_at)
SELECT * FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[], %(workspaces)s::bigint[], %(senders)s::bigint[], %(outcomes)s::text[], %(stages)s::text[],
                     %(codes)s::smallint[], %(enhanced)s::text[], %(texts)s::text[], %(failures)s::text[], %(rules)s::text[],
                     %(marked)s::timestamptz[], %(started)s::timestamptz[], %(finished)s::timestamptz[])
ON CONFLICT (delivery_id, token) DO UPDATE
SET outcome = EXCLUDED.outcome, stage = EXCLUDED.stage, code = EXCLUDED.code, enhanced = EXCLUDED.enhanced, text = EXCLUDED.text,
    failure = EXCLUDED.failure, rule = EXCLUDED.rule, finished_at = EXCLUDED.finished_at
WHERE a.outcome = 'unknown';

-- name: move_walks
-- The walks behind settled deliveries go on: to the next step, back to the same one, or to their end. A walk that was ended meanwhile stays ended, but
-- knows its last mail. `on_way` are the walks that wait for this very delivery.
UPDATE campaign_leads cl
SET state = CASE WHEN on_way THEN t.state ELSE cl.state END,
    step = CASE WHEN on_way THEN t.step ELSE cl.step END,
    due_at = CASE WHEN on_way THEN t.due_at ELSE cl.due_at END,
    outcome = CASE WHEN on_way THEN t.outcome ELSE cl.outcome END,
    hold_reason = CASE WHEN on_way THEN t.hold_reason ELSE cl.hold_reason END,
    ended_at = CASE WHEN on_way AND t.state = 'ended' THEN %(now)s::timestamptz ELSE cl.ended_at END,
    settled_at = coalesce(t.settled_at, cl.settled_at),
    last_delivery_id = coalesce(t.last_delivery_id, cl.last_delivery_id)
FROM unnest(%(campaigns)s::bigint[], %(leads)s::bigint[], %(states)s::text[], %(steps)s::smallint[], %(due)s::timestamptz[], %(outcomes)s::text[],
            %(holds)s::text[], %(settled)s::timestamptz[], %(last)s::bigint[])
     AS t (campaign_id, lead_id, state, step, due_at, outcome, hold_reason, settled_at, last_delivery_id)
JOIN campaign_leads held USING (campaign_id, lead_id)
CROSS JOIN LATERAL (SELECT held.state = 'in_flight' OR (held.state = 'held' AND held.hold_reason = 'unknown') AS on_way) w
WHERE cl.campaign_id = t.campaign_id AND cl.lead_id = t.lead_id;

-- name: drop_bytes
-- Bytes of mails that are settled for good. A statement of its own after the one that settles them: it sees what was rendered while their rows were waited for.
DELETE FROM mails WHERE delivery_id = ANY (%(ids)s::bigint[]);

-- name: forget
-- What was kept of deliveries that were just deleted: their bytes and attempts. A statement of its own, for the same reason.
WITH bytes AS (DELETE FROM mails WHERE delivery_id = ANY (%(ids)s::bigint[]))
DELETE FROM attempts WHERE delivery_id = ANY (%(ids)s::bigint[]);

-- name: give_back_day
-- Marks that ended in a refusal do not count against the sender's day.
UPDATE sender_days u SET used = greatest(u.used - t.n, 0)
FROM unnest(%(senders)s::bigint[], %(days)s::date[], %(counts)s::integer[]) AS t (sender_id, day, n)
WHERE u.sender_id = t.sender_id AND u.day = t.day;

-- name: lock_sender
SELECT id, health, errors_in_row, status, cooldown_until, last_error_at FROM senders WHERE id = %(id)s::bigint FOR NO KEY UPDATE;

-- name: write_sender
-- What the attempts say of their sender, and of its day. A person's word (paused, deleted) is never overruled here.
WITH written AS (
    UPDATE senders
    SET health = %(health)s::integer, errors_in_row = %(errors_in_row)s::integer,
        cooldown_until = coalesce(%(cooldown_until)s::timestamptz, cooldown_until),
        cooldown_reason = CASE WHEN %(cooldown_until)s::timestamptz IS NULL THEN cooldown_reason ELSE %(last_error)s::text END,
        status = CASE WHEN status = 'ready' AND %(restrict)s::boolean THEN 'restricted' ELSE status END,
        status_reason = CASE WHEN status = 'ready' AND %(restrict)s::boolean THEN %(last_error)s::text ELSE status_reason END,
        last_error = coalesce(%(last_error)s::text, last_error),
        last_error_at = CASE WHEN %(last_error)s::text IS NULL THEN last_error_at ELSE %(now)s::timestamptz END
    WHERE id = %(id)s::bigint
    RETURNING id
)
INSERT INTO sender_health AS h (sender_id, day, health, lowest, errors, last_error)
SELECT id, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date, %(health)s::integer, %(lowest)s::integer, %(errors)s::integer, %(last_error)s::text FROM written
ON CONFLICT (sender_id, day) DO UPDATE
SET health = EXCLUDED.health, lowest = least(h.lowest, EXCLUDED.lowest), errors = h.errors + EXCLUDED.errors,
    last_error = coalesce(EXCLUDED.last_error, h.last_error);

-- name: abandoned
-- What a dead worker holds, or what nobody came for: a message that Redis lost. Walks first, for the lock order.
SELECT d.id, d.token, d.campaign_id, d.lead_id, d.sender_id, d.state, d.worker_id
FROM deliveries d
LEFT JOIN workers w ON w.id = d.worker_id
WHERE (d.state IN ('planned', 'rendered', 'sending')) IS TRUE
  AND CASE WHEN d.worker_id IS NULL THEN d.queued_at < clock_timestamp() - %(patience)s::float8 * interval '1 second'
           ELSE w.id IS NULL OR w.seen_at < clock_timestamp() - %(lease)s::float8 * interval '1 second' END
ORDER BY d.id
LIMIT %(limit)s::integer;

-- name: requeue
-- Back to its queue: whoever held it is fenced from here on.
UPDATE deliveries d SET worker_id = NULL, token = NULL, queued_at = clock_timestamp()
FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS t (id, token)
WHERE d.id = t.id AND d.token IS NOT DISTINCT FROM t.token AND d.state IN ('planned', 'rendered')
RETURNING d.id, d.state, d.sender_id;

-- name: make_unknown
-- A worker died between the mark and the answer: the mail may be out. Nothing but evidence or a person leads out of here.
WITH lost AS (
    UPDATE deliveries d SET state = 'unknown', worker_id = NULL, attempts = d.attempts + 1, reason = %(reason)s::text
    FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS t (id, token)
    WHERE d.id = t.id AND d.token = t.token AND d.state = 'sending'
    RETURNING d.id, d.token, d.workspace_id, d.campaign_id, d.lead_id, d.sender_id, d.sending_at
), walked AS (
    UPDATE campaign_leads cl SET state = 'held', hold_reason = 'unknown'
    FROM lost WHERE cl.campaign_id = lost.campaign_id AND cl.lead_id = lost.lead_id AND cl.state = 'in_flight'
)
SELECT * FROM lost;
