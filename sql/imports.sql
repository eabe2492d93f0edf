-- Leads on their way into a workspace: rows are put into the table `arrivals` of this connection, judged there, and taken over by whole sets.
-- Each row ends with one verdict, so that rows = created + updated + duplicate + suppressed + invalid.

-- name: make_arrivals
-- Made once a connection; a commit empties it.
CREATE TEMP TABLE IF NOT EXISTS arrivals (
    line integer NOT NULL, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL, company text NOT NULL, fields jsonb NOT NULL,
    raw text NOT NULL, verdict text, reason text, lead_id bigint
) ON COMMIT DELETE ROWS;

-- name: copy_arrivals
COPY arrivals (line, email, first_name, last_name, company, fields, raw, verdict, reason) FROM STDIN;

-- name: analyse_arrivals
-- Nobody else does it for a table of one connection, and without it a large file is joined as if it were a small one.
ANALYZE arrivals;

-- name: mark_suppressed
-- An address or its exact domain that is never mailed. Four joins and no OR between them, so that each can be a hash.
UPDATE arrivals a SET verdict = 'suppressed', reason = stopped.reason
FROM (
    SELECT b.line, 'The address is suppressed (' || s.reason || ').' AS reason
    FROM arrivals b JOIN suppressions s ON s.workspace_id = %(workspace_id)s::bigint AND s.kind = 'address' AND s.value = b.email
    UNION ALL
    SELECT b.line, 'The domain ' || s.value || ' is suppressed (' || s.reason || ').'
    FROM arrivals b JOIN suppressions s ON s.workspace_id = %(workspace_id)s::bigint AND s.kind = 'domain' AND s.value = split_part(b.email, '@', -1)
    UNION ALL
    SELECT b.line, 'The address was erased at its own wish, and is never mailed.'
    FROM arrivals b JOIN erased e ON e.workspace_id = %(workspace_id)s::bigint AND e.hash = erased_hash(b.email)
    UNION ALL
    SELECT b.line, 'The lead is ' || l.status || '.'
    FROM arrivals b JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND l.email = b.email AND l.status <> 'active'
) stopped
WHERE a.line = stopped.line AND a.verdict IS NULL;

-- name: mark_duplicates
-- The first row of an address is taken, later ones are not.
UPDATE arrivals a SET verdict = 'duplicate', reason = 'The same address stands in line ' || first.line || '.'
FROM (SELECT email, min(line) AS line FROM arrivals WHERE verdict IS NULL GROUP BY email HAVING count(*) > 1) first
WHERE a.email = first.email AND a.line > first.line AND a.verdict IS NULL;

-- name: recognise
-- Leads that are there already. The lock keeps them from being deleted until they are on the list; it stands in nobody else's way.
WITH known AS MATERIALIZED (
    SELECT l.id, l.email FROM arrivals a JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND l.email = a.email
    WHERE a.verdict IS NULL
    FOR KEY SHARE OF l
)
UPDATE arrivals a SET verdict = 'updated', lead_id = known.id
FROM known WHERE a.email = known.email AND a.verdict IS NULL;

-- name: create_leads
-- The others are new. One that another import creates at this moment is waited for, and is an update then. All imports go in the order of the addresses.
WITH made AS (
    INSERT INTO leads AS l (workspace_id, email, first_name, last_name, company, fields)
    SELECT %(workspace_id)s::bigint, email, first_name, last_name, company, fields FROM arrivals WHERE verdict IS NULL ORDER BY email
    ON CONFLICT (workspace_id, email) DO UPDATE SET updated_at = l.updated_at
    RETURNING l.id, l.email, l.xmax = 0 AS fresh
)
UPDATE arrivals a SET verdict = CASE WHEN made.fresh THEN 'created' ELSE 'updated' END, lead_id = made.id
FROM made WHERE a.email = made.email AND a.verdict IS NULL;

-- name: tell_created
INSERT INTO events (at, workspace_id, type, lead_id, data)
SELECT now(), %(workspace_id)s::bigint, 'lead.created', lead_id, jsonb_strip_nulls(jsonb_build_object('list_id', %(list_id)s::bigint))
FROM arrivals WHERE verdict = 'created' ORDER BY lead_id;

-- name: brings_news
-- Leads that a row says something new of.
SELECT a.lead_id FROM arrivals a JOIN leads l ON l.id = a.lead_id
WHERE a.verdict = 'updated'
  AND (a.first_name NOT IN ('', l.first_name) OR a.last_name NOT IN ('', l.last_name) OR a.company NOT IN ('', l.company)
       OR NOT l.fields @> a.fields);

-- name: update_known
-- What a row says goes over what was known; what it leaves empty stays. Leads that the row says nothing new of are not touched: an unsubscribe need not
-- wait for a file that is uploaded every week. Locked in order, so that two imports cannot wait for each other.
WITH changed AS MATERIALIZED (
    SELECT l.id, a.first_name, a.last_name, a.company, a.fields
    FROM arrivals a JOIN leads l ON l.id = a.lead_id
    WHERE a.verdict = 'updated'
      AND (a.first_name NOT IN ('', l.first_name) OR a.last_name NOT IN ('', l.last_name) OR a.company NOT IN ('', l.company)
           OR NOT l.fields @> a.fields)
    ORDER BY l.id
    FOR NO KEY UPDATE OF l
)
UPDATE leads l
SET first_name = coalesce(nullif(c.first_name, ''), l.first_name), last_name = coalesce(nullif(c.last_name, ''), l.last_name),
    company = coalesce(nullif(c.company, ''), l.company), fields = l.fields || c.fields, updated_at = now()
FROM changed c WHERE l.id = c.id;

-- name: put_on_list
INSERT INTO list_leads (list_id, lead_id)
SELECT %(list_id)s::bigint, lead_id FROM arrivals WHERE lead_id IS NOT NULL ORDER BY lead_id
ON CONFLICT DO NOTHING;

-- name: totals
SELECT count(*) AS rows, count(*) FILTER (WHERE verdict = 'created') AS created, count(*) FILTER (WHERE verdict = 'updated') AS updated,
       count(*) FILTER (WHERE verdict = 'duplicate') AS duplicate, count(*) FILTER (WHERE verdict = 'suppressed') AS suppressed,
       count(*) FILTER (WHERE verdict = 'invalid') AS invalid
FROM arrivals;

-- name: outcomes
-- What became of each row, for an answer that names them all.
SELECT line, email, lead_id, verdict, reason FROM arrivals ORDER BY line;

-- name: insert_import
-- The constraint of the table says that no row is unaccounted for.
INSERT INTO imports (workspace_id, list_id, filename, rows, created, updated, duplicate, suppressed, invalid)
VALUES (%(workspace_id)s::bigint, %(list_id)s::bigint, %(filename)s::text, %(rows)s::integer, %(created)s::integer, %(updated)s::integer,
        %(duplicate)s::integer, %(suppressed)s::integer, %(invalid)s::integer)
RETURNING id;

-- name: keep_rejects
INSERT INTO import_rejects (import_id, line, verdict, reason, raw)
SELECT %(id)s::bigint, line, verdict, reason, raw FROM arrivals WHERE verdict IN ('duplicate', 'suppressed', 'invalid') ORDER BY line;

-- name: read_import
SELECT id, list_id, filename, rows, created, updated, duplicate, suppressed, invalid, created_at
FROM imports WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint;

-- name: page
SELECT id, list_id, filename, rows, created, updated, duplicate, suppressed, invalid, created_at
FROM imports
WHERE workspace_id = %(workspace_id)s::bigint AND id > %(after)s::bigint AND (%(list_id)s::bigint IS NULL OR list_id = %(list_id)s::bigint)
ORDER BY id LIMIT %(limit)s::integer;

-- name: rejects
-- Rows that were not taken, by their line.
SELECT r.line, r.verdict, r.reason, r.raw
FROM imports i JOIN import_rejects r ON r.import_id = i.id
WHERE i.workspace_id = %(workspace_id)s::bigint AND i.id = %(id)s::bigint AND r.line > %(after)s::integer
ORDER BY r.line LIMIT %(limit)s::integer;
