-- Outlets: webhooks and CRMs, the events on their way to them, and what became of each attempt.

-- name: insert_outlet
-- Begins behind all that can be read now: an outlet is told what comes; what was is there by a replay.
WITH made AS (
    INSERT INTO outlets (workspace_id, kind, name, url, types, campaign_ids, options, xact, event_id)
    VALUES (%(workspace_id)s::bigint, %(kind)s::text, %(name)s::text, %(url)s::text, %(types)s::text[], %(campaign_ids)s::bigint[],
            %(options)s::text::jsonb, pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1, 9223372036854775807)
    RETURNING id
), lanes AS (
    INSERT INTO outlet_lanes (outlet_id, lane) SELECT made.id, n FROM made, generate_series(0, 3) n
)
SELECT id FROM made;

-- name: seal_outlet
-- Its secret or credential, sealed for its id. The one before stays good until `old_until`.
UPDATE outlets
SET sealed = %(sealed)s::bytea,
    old_sealed = CASE WHEN %(old_until)s::timestamptz IS NULL THEN NULL ELSE sealed END,
    old_until = CASE WHEN sealed IS NULL THEN NULL ELSE %(old_until)s::timestamptz END,
    updated_at = clock_timestamp()
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
RETURNING id;

-- name: read_outlet
-- One outlet with its secrets, and how much waits for it.
SELECT o.*, (SELECT count(*) FROM outlet_messages m WHERE m.outlet_id = o.id AND m.state = 'pending') AS pending
FROM outlets o
WHERE o.workspace_id = %(workspace_id)s::bigint AND o.id = %(id)s::bigint
  AND (o.kind = 'webhook') = %(webhook)s::boolean;

-- name: list_outlets
-- A page of webhooks, or of the other kinds; `q` is a part of the name or the address.
SELECT o.*, (SELECT count(*) FROM outlet_messages m WHERE m.outlet_id = o.id AND m.state = 'pending') AS pending
FROM outlets o
WHERE o.workspace_id = %(workspace_id)s::bigint AND (o.kind = 'webhook') = %(webhook)s::boolean
  AND CASE WHEN %(since)s::timestamptz IS NULL THEN o.id > coalesce(%(after)s::bigint, 0)
           ELSE (o.updated_at, o.id) > (%(since)s::timestamptz, coalesce(%(after)s::bigint, 0)) AND o.updated_at < %(until)s::timestamptz END
  AND (%(q)s::text = '' OR strpos(lower(concat(o.name, ' ', o.url)), lower(%(q)s::text)) > 0)
ORDER BY CASE WHEN %(since)s::timestamptz IS NOT NULL THEN o.updated_at END, o.id LIMIT %(limit)s::integer;

-- name: change_outlet
-- What is null stays. Switched on, it begins with a clean slate: no failures, no rest, and what waits is due.
UPDATE outlets
SET name = coalesce(%(name)s::text, name),
    url = coalesce(%(url)s::text, url),
    types = coalesce(%(types)s::text[], types),
    campaign_ids = CASE WHEN %(all_campaigns)s::boolean THEN NULL ELSE coalesce(%(campaign_ids)s::bigint[], campaign_ids) END,
    options = coalesce(%(options)s::text::jsonb, options),
    state = coalesce(%(state)s::text, state),
    off_reason = CASE %(state)s::text WHEN 'on' THEN NULL WHEN 'off' THEN 'Switched off by a person.' ELSE off_reason END,
    off_at = CASE %(state)s::text WHEN 'on' THEN NULL WHEN 'off' THEN coalesce(off_at, %(now)s::timestamptz) ELSE off_at END,
    failures_in_row = CASE WHEN %(state)s::text = 'on' THEN 0 ELSE failures_in_row END,
    rest_until = CASE WHEN %(state)s::text = 'on' THEN NULL ELSE rest_until END,
    updated_at = clock_timestamp()
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint AND (kind = 'webhook') = %(webhook)s::boolean
RETURNING id;

-- name: make_due
-- What waits for an outlet that was switched on again is due, and its three days begin anew.
UPDATE outlet_messages SET due_at = NULL, attempts = 0, first_at = NULL WHERE outlet_id = %(id)s::bigint AND state = 'pending' AND attempts > 0;

-- name: delete_outlet
DELETE FROM outlets WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint AND (kind = 'webhook') = %(webhook)s::boolean RETURNING id;

-- name: behind
-- Outlets whose cursor has events behind it and that have room for more of them; those without a reader of the stream are left alone.
SELECT o.id FROM outlets o
WHERE o.state = 'on'
  AND EXISTS (SELECT FROM events e WHERE e.workspace_id = o.workspace_id AND (e.xact, e.id) > (o.xact::text::xid8, o.event_id)
              AND e.xact < pg_snapshot_xmin(pg_current_snapshot()))
  AND (SELECT count(*) FROM (SELECT FROM outlet_messages m WHERE m.outlet_id = o.id AND m.state = 'pending' LIMIT %(room)s::integer) q) < %(room)s::integer
ORDER BY o.id;

-- name: fan_out
-- Moves one outlet's cursor along the stream, and makes a message of each event it passed that is wanted. Who comes second finds the row
-- locked and does nothing; the cursor that is read is the locked row's.
WITH o AS MATERIALIZED (
    SELECT id, workspace_id, types, campaign_ids, xact, event_id FROM outlets WHERE id = %(id)s::bigint AND state = 'on' FOR UPDATE SKIP LOCKED
), passed AS MATERIALIZED (
    SELECT b.* FROM o, LATERAL (
        SELECT e.id, e.xact, e.at, e.type, e.campaign_id, coalesce(e.lead_id, -e.campaign_id, 0) AS thread FROM events e
        WHERE e.workspace_id = o.workspace_id AND (e.xact, e.id) > (o.xact::text::xid8, o.event_id)
          AND e.xact < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY e.xact, e.id LIMIT %(limit)s::integer) b
), made AS (
    INSERT INTO outlet_messages (workspace_id, outlet_id, event_id, event_at, type, thread, lane)
    SELECT o.workspace_id, o.id, p.id, p.at, p.type, p.thread, mod(abs(CASE p.thread WHEN 0 THEN p.id ELSE p.thread END), 4)
    FROM o, passed p
    WHERE p.type = ANY (o.types) AND (o.campaign_ids IS NULL OR p.campaign_id = ANY (o.campaign_ids))
    ORDER BY p.xact, p.id
    ON CONFLICT (outlet_id, event_id) DO NOTHING
), moved AS (
    UPDATE outlets SET xact = last.xact::text::bigint, event_id = last.id
    FROM (SELECT xact, id FROM passed ORDER BY xact DESC, id DESC LIMIT 1) last, o
    WHERE outlets.id = o.id
)
SELECT count(*)::integer AS passed FROM passed;

-- name: open_lanes
-- Lanes that are free and have something due. An outlet that is not known to work, or failed last, gets one lane at a time: a server that
-- hangs shall not hold four threads.
SELECT l.outlet_id, l.lane
FROM outlets o JOIN outlet_lanes l ON l.outlet_id = o.id
WHERE o.state = 'on' AND (o.rest_until IS NULL OR o.rest_until <= %(now)s::timestamptz)
  AND (l.leased_until IS NULL OR l.leased_until <= %(now)s::timestamptz)
  AND ((o.failures_in_row = 0 AND o.delivered_at IS NOT NULL)
       OR NOT EXISTS (SELECT FROM outlet_lanes b WHERE b.outlet_id = o.id AND b.leased_until > %(now)s::timestamptz))
  AND EXISTS (SELECT FROM outlet_messages m WHERE m.outlet_id = o.id AND m.lane = l.lane AND m.state = 'pending'
              AND (m.due_at IS NULL OR m.due_at <= %(now)s::timestamptz))
ORDER BY l.lane, o.delivered_at NULLS LAST, o.id;

-- name: take_lane
-- Leases a lane, if it is still free and its outlet takes anything; with what its requests are made of. `lost`: whoever had it before ended without
-- a word, and may have told some of what waits.
WITH free AS MATERIALIZED (
    SELECT l.outlet_id, l.lane, l.leased_until IS NOT NULL AS lost FROM outlet_lanes l JOIN outlets o ON o.id = l.outlet_id
    WHERE l.outlet_id = %(id)s::bigint AND l.lane = %(lane)s::smallint AND (l.leased_until IS NULL OR l.leased_until <= %(now)s::timestamptz)
      AND o.state = 'on' AND (o.rest_until IS NULL OR o.rest_until <= %(now)s::timestamptz)
    FOR UPDATE OF l
), taken AS (
    UPDATE outlet_lanes l SET token = l.token + 1, leased_until = %(now)s::timestamptz + make_interval(secs => %(lease)s::float8)
    FROM free WHERE l.outlet_id = free.outlet_id AND l.lane = free.lane
    RETURNING l.outlet_id, l.token, free.lost
)
SELECT o.*, taken.token, taken.lost FROM taken JOIN outlets o ON o.id = taken.outlet_id;

-- name: read_lane
-- What is due in a lane, oldest first, with its event (null once its month was dropped), and the lead and campaign that it is about. What waits behind
-- an earlier event of the same lead is left out.
SELECT m.id AS message_id, m.event_id, m.attempts, m.replayed, m.first_at, m.thread, e.id, e.at, e.type, e.campaign_id, e.lead_id, e.delivery_id, e.sender_id, e.data,
       l.email AS lead_email, l.first_name, l.last_name, l.company, l.fields, c.name AS campaign_name
FROM outlet_messages m
LEFT JOIN events e ON e.id = m.event_id AND e.at = m.event_at
LEFT JOIN leads l ON l.id = e.lead_id
LEFT JOIN campaigns c ON c.id = e.campaign_id
WHERE m.outlet_id = %(id)s::bigint AND m.lane = %(lane)s::smallint AND m.state = 'pending'
  AND (m.due_at IS NULL OR m.due_at <= %(now)s::timestamptz)
  AND (m.thread = 0 OR NOT EXISTS (
      SELECT FROM outlet_messages b WHERE b.outlet_id = m.outlet_id AND b.thread = m.thread AND b.id < m.id
      AND b.state = 'pending' AND b.attempts > 0 AND b.due_at > %(now)s::timestamptz))
ORDER BY m.id LIMIT %(limit)s::integer;

-- name: return_lane
-- Ends a lease; no row if another has it by now, and then what came of the run is not written: it is sent again.
UPDATE outlet_lanes SET leased_until = NULL
WHERE outlet_id = %(id)s::bigint AND lane = %(lane)s::smallint AND token = %(token)s::bigint
RETURNING outlet_id;

-- name: write_results
-- What became of messages.
UPDATE outlet_messages m
SET state = t.state, attempts = m.attempts + t.attempts, first_at = coalesce(m.first_at, t.at), due_at = t.due_at,
    done_at = CASE WHEN t.state = 'pending' THEN NULL ELSE t.at END
FROM unnest(%(ids)s::bigint[], %(states)s::text[], %(attempts)s::integer[], %(ats)s::timestamptz[], %(dues)s::timestamptz[])
     AS t (id, state, attempts, at, due_at)
WHERE m.id = t.id AND m.state = 'pending';

-- name: write_attempts
-- The log of attempts.
INSERT INTO outlet_attempts (outlet_id, message_id, at, outcome, status, ms, error, answer)
SELECT %(id)s::bigint, t.message_id, t.at, t.outcome, t.status, t.ms, t.error, t.answer
FROM unnest(%(ids)s::bigint[], %(ats)s::timestamptz[], %(outcomes)s::text[], %(statuses)s::integer[], %(ms)s::integer[], %(errors)s::text[],
            %(answers)s::text[]) WITH ORDINALITY AS t (message_id, at, outcome, status, ms, error, answer, n)
ORDER BY t.n;

-- name: count_results
-- Failures in a row of an outlet: those of this run are added, or stand alone if something was delivered before them.
UPDATE outlets
SET failures_in_row = CASE WHEN %(delivered)s::boolean THEN 0 ELSE failures_in_row END + %(failures)s::integer,
    delivered_at = CASE WHEN %(delivered)s::boolean THEN %(now)s::timestamptz ELSE delivered_at END,
    failed_at = CASE WHEN %(failures)s::integer > 0 THEN %(now)s::timestamptz ELSE failed_at END
WHERE id = %(id)s::bigint
RETURNING failures_in_row, state;

-- name: let_rest
-- Nothing is sent to an outlet before that time.
UPDATE outlets SET rest_until = %(until)s::timestamptz WHERE id = %(id)s::bigint;

-- name: switch_off
-- What waits stays, and the cursor too: switched on again, nothing is missing.
UPDATE outlets SET state = 'off', off_reason = %(reason)s::text, off_at = %(now)s::timestamptz
WHERE id = %(id)s::bigint AND state = 'on'
RETURNING workspace_id, kind, failures_in_row;

-- name: list_messages
-- What went to an outlet or waits, newest first.
SELECT id, event_id, type, state, attempts, first_at, due_at, done_at, event_at FROM outlet_messages
WHERE outlet_id = %(id)s::bigint AND (%(before)s::bigint IS NULL OR id < %(before)s::bigint) AND (%(state)s::text IS NULL OR state = %(state)s::text)
ORDER BY id DESC LIMIT %(limit)s::integer;

-- name: list_attempts
-- The log of an outlet, newest first.
SELECT a.id, m.event_id, m.type, a.at, a.outcome, a.status, a.ms, a.error, a.answer
FROM outlet_attempts a JOIN outlet_messages m ON m.id = a.message_id
WHERE a.outlet_id = %(id)s::bigint AND (%(before)s::bigint IS NULL OR a.id < %(before)s::bigint)
  AND (%(event_id)s::bigint IS NULL OR m.event_id = %(event_id)s::bigint)
ORDER BY a.id DESC LIMIT %(limit)s::integer;

-- name: replay
-- Events of a range of ids or times once more, under their old ids: those that were told before, and those that the outlet wants and was never told.
WITH wanted AS (
    SELECT o.workspace_id, o.id AS outlet_id, e.id, e.at, e.type, e.xact, coalesce(e.lead_id, -e.campaign_id, 0) AS thread
    FROM outlets o JOIN events e ON e.workspace_id = o.workspace_id
    WHERE o.id = %(id)s::bigint AND e.type = ANY (o.types) AND (o.campaign_ids IS NULL OR e.campaign_id = ANY (o.campaign_ids))
      AND (%(first_id)s::bigint IS NULL OR e.id >= %(first_id)s::bigint) AND (%(last_id)s::bigint IS NULL OR e.id <= %(last_id)s::bigint)
      AND (%(since)s::timestamptz IS NULL OR e.at >= %(since)s::timestamptz) AND (%(until)s::timestamptz IS NULL OR e.at < %(until)s::timestamptz)
      AND (e.xact, e.id) <= (o.xact::text::xid8, o.event_id)
    ORDER BY e.xact, e.id LIMIT %(limit)s::integer
), again AS (
    INSERT INTO outlet_messages (workspace_id, outlet_id, event_id, event_at, type, thread, lane, replayed)
    SELECT workspace_id, outlet_id, id, at, type, thread, mod(abs(CASE thread WHEN 0 THEN id ELSE thread END), 4), true FROM wanted ORDER BY xact, id
    ON CONFLICT (outlet_id, event_id) DO UPDATE SET replayed = true, state = 'pending', attempts = 0, first_at = NULL, due_at = NULL, done_at = NULL
    RETURNING id
)
SELECT count(*)::integer AS replayed FROM again;

-- name: forget
-- What was settled before that time, with its attempts.
DELETE FROM outlet_messages WHERE state <> 'pending' AND done_at < %(before)s::timestamptz;
