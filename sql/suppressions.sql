-- Addresses and domains that are never mailed. A domain stands for itself alone: a subdomain is an entry of its own, so that what is suppressed can be read off.

-- name: leads_of
-- The leads that entries are about; `n` is the entry's place.
SELECT l.id, t.n FROM unnest(%(kinds)s::text[], %(values)s::text[]) WITH ORDINALITY AS t (kind, value, n)
JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND t.kind = 'address' AND l.email = t.value
UNION ALL
SELECT l.id, t.n FROM unnest(%(kinds)s::text[], %(values)s::text[]) WITH ORDINALITY AS t (kind, value, n)
JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND t.kind = 'domain' AND l.domain = t.value
ORDER BY n, id;

-- name: insert_entries
-- Twice is once: what is suppressed already keeps its first reason, source and note. In order, so that two writers cannot wait for each other. The time is that
-- at which the walks are held: a mail that was marked before is not blamed.
INSERT INTO suppressions (workspace_id, kind, value, reason, source, note, created_at)
SELECT %(workspace_id)s::bigint, t.kind, t.value, t.reason, t.source, t.note, clock_timestamp()
FROM unnest(%(kinds)s::text[], %(values)s::text[], %(reasons)s::text[], %(sources)s::text[], %(notes)s::text[]) AS t (kind, value, reason, source, note)
ORDER BY t.kind, t.value
ON CONFLICT (workspace_id, kind, value) DO NOTHING;

-- name: read_entries
SELECT s.id, s.kind, s.value, s.reason, s.source, s.note, s.created_at, s.created_at AS updated_at
FROM unnest(%(kinds)s::text[], %(values)s::text[]) WITH ORDINALITY AS t (kind, value, n)
JOIN suppressions s ON s.workspace_id = %(workspace_id)s::bigint AND s.kind = t.kind AND s.value = t.value
ORDER BY t.n;

-- name: stop_leads
-- Leads that left or bounced. Who has left stays so, whatever bounces later; a bounce says that the address is no good.
WITH held AS MATERIALIZED (
    SELECT l.id, t.status FROM unnest(%(lead_ids)s::bigint[], %(statuses)s::text[]) AS t (id, status)
    JOIN leads l ON l.id = t.id AND l.workspace_id = %(workspace_id)s::bigint
    WHERE l.status <> t.status AND l.status <> 'unsubscribed'
    ORDER BY l.id
    FOR NO KEY UPDATE OF l
)
UPDATE leads l
SET status = held.status, updated_at = clock_timestamp(),
    validation = CASE WHEN held.status = 'bounced' THEN 'invalid' ELSE l.validation END,
    validation_reasons = CASE WHEN held.status = 'bounced' THEN '["bounced"]' ELSE l.validation_reasons END
FROM held WHERE l.id = held.id
RETURNING l.id, l.status;

-- name: read_entry
SELECT id, kind, value, reason, source, note, created_at, created_at AS updated_at
FROM suppressions WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint;

-- name: page
-- In order of their ids. `search` is part of the address or domain.
SELECT id, kind, value, reason, source, note, created_at, created_at AS updated_at
FROM suppressions
WHERE workspace_id = %(workspace_id)s::bigint AND id > %(after)s::bigint
  AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
  AND (%(search)s::text IS NULL OR strpos(value, lower(%(search)s::text)) > 0)
ORDER BY id LIMIT %(limit)s::integer;

-- name: changed
-- Since a time, in the order in which they came: an entry is never changed.
SELECT id, kind, value, reason, source, note, created_at, created_at AS updated_at
FROM suppressions
WHERE workspace_id = %(workspace_id)s::bigint AND (created_at, id) > (%(since)s::timestamptz, %(after)s::bigint) AND created_at < %(until)s::timestamptz
  AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
  AND (%(search)s::text IS NULL OR strpos(value, lower(%(search)s::text)) > 0)
ORDER BY created_at, id LIMIT %(limit)s::integer;

-- name: delete_entry
DELETE FROM suppressions WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
RETURNING kind, value, reason;

-- name: restore_lead
-- The lead of an address that may be mailed again. What a bounce said of it is asked anew.
UPDATE leads
SET status = 'active', updated_at = clock_timestamp(),
    validation = CASE WHEN status = 'bounced' THEN 'pending' ELSE validation END,
    validation_reasons = CASE WHEN status = 'bounced' THEN '[]' ELSE validation_reasons END
WHERE workspace_id = %(workspace_id)s::bigint AND email = %(email)s::text AND status <> 'active'
RETURNING id;

-- name: recipient
-- To whom a delivery went, or was to go.
SELECT d.id AS delivery_id, d.workspace_id, d.campaign_id, d.lead_id, l.email
FROM deliveries d JOIN leads l ON l.id = d.lead_id
WHERE d.id = %(delivery_id)s::bigint;
