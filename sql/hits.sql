-- Hits on pixels and links: written as they come, judged together with all others of their mail.

-- name: links
-- Where the links of these mails lead. A mail that is not there any more has none.
SELECT id, links FROM deliveries WHERE id = ANY (%(ids)s::bigint[]);

-- name: record
-- All hits of a batch. The first hundred of a mail are rows of their own; from there on a minute has one row for each kind, which counts. Two processes may
-- go past the hundred by a batch each: it is a bound against floods, not a count. Times are the ledger's: a hit says how many seconds ago it came.
WITH given AS MATERIALIZED (
    SELECT t.delivery_id, t.kind, t.link, t.method, t.remote, t.user_agent, t.n, d.workspace_id,
           statement_timestamp() - t.age * interval '1 second' AS at, row_number() OVER (PARTITION BY t.delivery_id ORDER BY t.n) AS place
    FROM unnest(%(deliveries)s::bigint[], %(kinds)s::text[], %(links)s::smallint[], %(ages)s::float8[], %(methods)s::text[], %(remotes)s::inet[],
                %(agents)s::text[])
         WITH ORDINALITY AS t (delivery_id, kind, link, age, method, remote, user_agent, n)
    JOIN deliveries d ON d.id = t.delivery_id
), known AS MATERIALIZED (
    SELECT g.delivery_id, (SELECT count(*) FROM (SELECT FROM hits h WHERE h.delivery_id = g.delivery_id LIMIT 100) few) AS stored
    FROM (SELECT DISTINCT delivery_id FROM given) g
), single AS (
    INSERT INTO hits (workspace_id, delivery_id, kind, link, at, method, remote, user_agent)
    SELECT g.workspace_id, g.delivery_id, g.kind, g.link, g.at, g.method, g.remote, g.user_agent
    FROM given g JOIN known USING (delivery_id)
    WHERE g.place + known.stored <= 100
    ORDER BY g.n
)
INSERT INTO hits AS h (workspace_id, delivery_id, kind, link, at, method, remote, user_agent, minute, repeats)
SELECT min(g.workspace_id), g.delivery_id, g.kind, (array_agg(g.link ORDER BY g.n))[1], min(g.at), (array_agg(g.method ORDER BY g.n))[1],
       (array_agg(g.remote ORDER BY g.n))[1], (array_agg(g.user_agent ORDER BY g.n))[1], date_trunc('minute', g.at), count(*) - 1
FROM given g JOIN known USING (delivery_id)
WHERE g.place + known.stored > 100
GROUP BY g.delivery_id, g.kind, date_trunc('minute', g.at)
ORDER BY g.delivery_id, g.kind
ON CONFLICT (delivery_id, kind, minute) WHERE minute IS NOT NULL DO UPDATE SET repeats = h.repeats + EXCLUDED.repeats + 1;

-- name: try_judge
-- One judge at a time; the second key stands for this duty.
SELECT pg_try_advisory_xact_lock(4, 3) AS mine;

-- name: ripe
-- Mails with hits that nobody has judged, once the pattern around them can be seen.
SELECT DISTINCT delivery_id FROM (
    SELECT delivery_id FROM hits WHERE verdict IS NULL AND at <= %(before)s::timestamptz ORDER BY id LIMIT %(limit)s::integer
) h;

-- name: next_deliveries
-- The next mails with hits, in the order of their ids.
SELECT DISTINCT delivery_id FROM hits WHERE delivery_id > %(after)s::bigint ORDER BY delivery_id LIMIT %(limit)s::integer;

-- name: lock_deliveries
-- The mails that hits are about, held while they are judged. `sent_at`: when the server had the mail at the latest; for one that is not settled, when its
-- last byte was about to be written.
SELECT d.id, d.workspace_id, d.campaign_id, d.lead_id, d.sender_id, d.step, d.state, d.links, d.opened_at, d.clicked_at,
       coalesce(d.sending_at, d.settled_at) AS sent_at, l.email
FROM deliveries d JOIN leads l ON l.id = d.lead_id
WHERE d.id = ANY (%(ids)s::bigint[])
ORDER BY d.id
FOR NO KEY UPDATE OF d;

-- name: of_deliveries
-- All hits of these mails, as they came.
SELECT id, delivery_id, kind, link, at, method, host(remote) AS remote, user_agent, verdict, reasons
FROM hits WHERE delivery_id = ANY (%(ids)s::bigint[])
ORDER BY delivery_id, at, id;

-- name: write_verdicts
UPDATE hits h SET verdict = t.verdict, reasons = ARRAY(SELECT jsonb_array_elements_text(t.reasons::jsonb))
FROM unnest(%(ids)s::bigint[], %(verdicts)s::text[], %(reasons)s::text[]) AS t (id, verdict, reasons)
WHERE h.id = t.id;

-- name: write_engagement
-- The first human open and click of each mail; null where there was none.
UPDATE deliveries d SET opened_at = t.opened_at, clicked_at = t.clicked_at
FROM unnest(%(ids)s::bigint[], %(opened)s::timestamptz[], %(clicked)s::timestamptz[]) AS t (id, opened_at, clicked_at)
WHERE d.id = t.id;
