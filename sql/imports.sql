-- Leads on their way into a workspace: rows are put into the table `arrivals` of this connection, judged there, and taken over by whole sets.
-- Each row ends with one verdict, so that rows = created + updated + duplicate + suppressed + invalid. Nothing is written to `arrivals` a second time: what
-- became of a row stands in `refused` by its line, or in `taken` by its address, both narrow.

-- name: make_arrivals
-- Made once a connection; a commit empties it.
CREATE TEMP TABLE IF NOT EXISTS arrivals (
    line integer NOT NULL, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL, company text NOT NULL, fields jsonb NOT NULL,
    raw text NOT NULL, fault text
) ON COMMIT DELETE ROWS;

-- name: keep_arrivals
-- The same for a connection that brings rows by many transactions: a long one would hold up the stream of events.
CREATE TEMP TABLE IF NOT EXISTS arrivals (
    line integer NOT NULL, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL, company text NOT NULL, fields jsonb NOT NULL,
    raw text NOT NULL, fault text
) ON COMMIT PRESERVE ROWS;

-- name: make_refused
-- What is not taken, by line.
CREATE TEMP TABLE IF NOT EXISTS refused (line integer NOT NULL, verdict text NOT NULL, reason text NOT NULL) ON COMMIT DELETE ROWS;

-- name: make_taken
-- What is, by address; `fresh` leads were not there before.
CREATE TEMP TABLE IF NOT EXISTS taken (email text NOT NULL, lead_id bigint NOT NULL, fresh boolean NOT NULL) ON COMMIT DELETE ROWS;

-- name: copy_arrivals
COPY arrivals (line, email, first_name, last_name, company, fields, raw, fault) FROM STDIN;

-- name: copy_leads
-- The same of rows that name a lead.
COPY arrivals (line, email, first_name, last_name, company, fields, raw) FROM STDIN;

-- name: analyse_arrivals
-- Nobody else does it for a table of one connection, and without it a large file is joined as if it were a small one.
ANALYZE arrivals (line, email, fault);

-- name: analyse_refused
ANALYZE refused (line);

-- name: analyse_taken
ANALYZE taken (email, lead_id);

-- name: allow_memory
-- For the joins of a large file, until the transaction ends; beside it the wait for another one that holds the same leads.
SELECT set_config('work_mem', '192MB', true), set_config('lock_timeout', '10min', true);

-- name: hold_workspace
-- One large file of a workspace after another: two with the same addresses would wait for each other's leads, one by one.
SELECT pg_advisory_xact_lock(5, %(workspace_id)s::bigint::integer);

-- name: refuse_invalid
INSERT INTO refused SELECT line, 'invalid', fault FROM arrivals WHERE fault IS NOT NULL;

-- name: refuse_suppressed
-- An address or its exact domain that is never mailed. Four joins and no OR between them, so that each can be a hash. The hash of an erased address is
-- `erased_hash`, written out: called by row it costs more than the whole rest.
INSERT INTO refused
SELECT DISTINCT ON (line) line, 'suppressed', reason
FROM (
    SELECT b.line, 1 AS rank, 'The address is suppressed (' || s.reason || ').' AS reason
    FROM arrivals b JOIN suppressions s ON s.workspace_id = %(workspace_id)s::bigint AND s.kind = 'address' AND s.value = b.email
    WHERE b.fault IS NULL
    UNION ALL
    SELECT b.line, 2, 'The domain ' || s.value || ' is suppressed (' || s.reason || ').'
    FROM arrivals b JOIN suppressions s ON s.workspace_id = %(workspace_id)s::bigint AND s.kind = 'domain' AND s.value = split_part(b.email, '@', -1)
    WHERE b.fault IS NULL
    UNION ALL
    SELECT b.line, 0, 'The address was erased at its own wish, and is never mailed.'
    FROM erasure_key k CROSS JOIN arrivals b
    JOIN erased e ON e.workspace_id = %(workspace_id)s::bigint AND e.hash = sha256(k.outer_pad || sha256(k.inner_pad || convert_to(b.email, 'UTF8')))
    WHERE b.fault IS NULL
    UNION ALL
    SELECT b.line, 3, 'The lead is ' || l.status || '.'
    FROM arrivals b JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND l.email = b.email AND l.status <> 'active'
    WHERE b.fault IS NULL
) stopped
ORDER BY line, rank;

-- name: refuse_duplicates
-- The first row of an address is taken, later ones are not. Rows that are refused already have their verdict: all rows of an address share it.
INSERT INTO refused
SELECT a.line, 'duplicate', 'The same address stands in line ' || first.line || '.'
FROM arrivals a
JOIN (SELECT email, min(line) AS line FROM arrivals WHERE fault IS NULL GROUP BY email HAVING count(*) > 1) first ON first.email = a.email AND a.line > first.line
WHERE a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line);

-- name: recognise
-- Leads that are there already. The lock keeps them from being deleted until they are on the list; it stands in nobody else's way.
WITH known AS MATERIALIZED (
    SELECT l.id, l.email FROM arrivals a JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND l.email = a.email
    WHERE a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line)
    FOR KEY SHARE OF l
)
INSERT INTO taken SELECT email, id, false FROM known;

-- name: refuse_known
-- In place of `recognise`, where leads that are there already are to be left as they are.
INSERT INTO refused
SELECT a.line, 'duplicate', 'The lead is there already, and the import leaves such leads as they are.'
FROM arrivals a JOIN leads l ON l.workspace_id = %(workspace_id)s::bigint AND l.email = a.email
WHERE a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line);

-- name: create_leads
-- The others are new. One that somebody else creates at this moment is waited for, and is an update then. All imports go in the order of the addresses.
WITH made AS (
    INSERT INTO leads AS l (workspace_id, email, first_name, last_name, company, fields, source, lawful_basis, tags)
    SELECT %(workspace_id)s::bigint, a.email, a.first_name, a.last_name, a.company, a.fields,
           %(source)s::text, %(lawful_basis)s::text, %(tags)s::text[]
    FROM arrivals a
    WHERE a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line) AND NOT EXISTS (SELECT FROM taken t WHERE t.email = a.email)
    ORDER BY a.email
    ON CONFLICT (workspace_id, email) DO UPDATE SET updated_at = l.updated_at
    RETURNING l.id, l.email, l.xmax = 0 AS fresh
)
INSERT INTO taken SELECT email, id, fresh FROM made;

-- name: create_many
-- The same for a large file, a quarter cheaper: whoever creates one of them at this moment makes all of it fail, and it is tried again. Where `arriving` names the
-- import, they are indexed and told of later (`arrive`).
WITH made AS (
    INSERT INTO leads AS l (workspace_id, email, first_name, last_name, company, fields, source, lawful_basis, tags, arriving)
    SELECT %(workspace_id)s::bigint, a.email, a.first_name, a.last_name, a.company, a.fields,
           %(source)s::text, %(lawful_basis)s::text, %(tags)s::text[], %(arriving)s::bigint
    FROM arrivals a
    WHERE a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line) AND NOT EXISTS (SELECT FROM taken t WHERE t.email = a.email)
    ORDER BY a.email
    RETURNING l.id, l.email
)
INSERT INTO taken SELECT email, id, true FROM made;

-- name: tell_created
INSERT INTO events (at, workspace_id, type, lead_id, data)
SELECT now(), %(workspace_id)s::bigint, 'lead.created', lead_id, %(data)s::jsonb FROM taken WHERE fresh ORDER BY lead_id;

-- name: brings_news
-- Leads that a row, or the whole import, says something new of.
SELECT t.lead_id
FROM taken t
JOIN arrivals a ON a.email = t.email AND a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line)
JOIN leads l ON l.id = t.lead_id
WHERE NOT t.fresh
  AND (a.first_name NOT IN ('', l.first_name) OR a.last_name NOT IN ('', l.last_name) OR a.company NOT IN ('', l.company)
       OR NOT l.fields @> a.fields OR NOT l.tags @> %(tags)s::text[]
       OR (l.source = '' AND %(source)s::text <> '') OR (l.lawful_basis = '' AND %(lawful_basis)s::text <> ''));

-- name: update_known
-- What a row says goes over what was known; what it leaves empty stays, and so does where a lead first came from. Leads that the row says nothing new of are
-- not touched: an unsubscribe need not wait for a file that is uploaded every week. Locked in order, so that two imports cannot wait for each other.
WITH changed AS MATERIALIZED (
    SELECT l.id, a.first_name, a.last_name, a.company, a.fields
    FROM taken t
    JOIN arrivals a ON a.email = t.email AND a.fault IS NULL AND NOT EXISTS (SELECT FROM refused r WHERE r.line = a.line)
    JOIN leads l ON l.id = t.lead_id
    WHERE NOT t.fresh
      AND (a.first_name NOT IN ('', l.first_name) OR a.last_name NOT IN ('', l.last_name) OR a.company NOT IN ('', l.company)
           OR NOT l.fields @> a.fields OR NOT l.tags @> %(tags)s::text[]
           OR (l.source = '' AND %(source)s::text <> '') OR (l.lawful_basis = '' AND %(lawful_basis)s::text <> ''))
    ORDER BY l.id
    FOR NO KEY UPDATE OF l
)
UPDATE leads l
SET first_name = coalesce(nullif(c.first_name, ''), l.first_name), last_name = coalesce(nullif(c.last_name, ''), l.last_name),
    company = coalesce(nullif(c.company, ''), l.company), fields = l.fields || c.fields,
    source = coalesce(nullif(l.source, ''), %(source)s::text), lawful_basis = coalesce(nullif(l.lawful_basis, ''), %(lawful_basis)s::text),
    tags = ARRAY(SELECT DISTINCT tag FROM unnest(l.tags || %(tags)s::text[]) AS tag ORDER BY tag), updated_at = clock_timestamp()
FROM changed c WHERE l.id = c.id;

-- name: put_known_on_list
INSERT INTO list_leads (list_id, lead_id)
SELECT %(list_id)s::bigint, lead_id FROM taken WHERE NOT fresh ORDER BY lead_id
ON CONFLICT DO NOTHING;

-- name: put_fresh_on_list
-- Leads that nobody else can see stand on no list: without a look for conflicts it takes half the time.
INSERT INTO list_leads (list_id, lead_id)
SELECT %(list_id)s::bigint, lead_id FROM taken WHERE fresh ORDER BY lead_id;

-- name: totals
SELECT (SELECT count(*) FROM arrivals) AS rows, t.created, t.updated, r.duplicate, r.suppressed, r.invalid
FROM (SELECT count(*) FILTER (WHERE fresh) AS created, count(*) FILTER (WHERE NOT fresh) AS updated FROM taken) t
CROSS JOIN (SELECT count(*) FILTER (WHERE verdict = 'duplicate') AS duplicate, count(*) FILTER (WHERE verdict = 'suppressed') AS suppressed,
                   count(*) FILTER (WHERE verdict = 'invalid') AS invalid FROM refused) r;

-- name: outcomes
-- What became of each row, for an answer that names them all.
SELECT a.line, a.email, CASE WHEN r.line IS NULL THEN t.lead_id END AS lead_id,
       coalesce(r.verdict, CASE WHEN t.fresh THEN 'created' ELSE 'updated' END) AS verdict, r.reason
FROM arrivals a LEFT JOIN refused r ON r.line = a.line LEFT JOIN taken t ON t.email = a.email
ORDER BY a.line;

-- name: lacking
-- By field that a campaign's mails need: how many of the leads taken have nothing in it.
SELECT n.name, count(*) AS leads
FROM taken t JOIN leads l ON l.id = t.lead_id CROSS JOIN unnest(%(names)s::text[]) AS n (name)
WHERE btrim(coalesce(CASE n.name WHEN 'first_name' THEN l.first_name WHEN 'last_name' THEN l.last_name WHEN 'company' THEN l.company
                                 ELSE l.fields ->> n.name END, '')) = ''
GROUP BY n.name ORDER BY n.name;

-- name: insert_done
-- One that is taken at once. The constraint of the table says that no row is unaccounted for.
INSERT INTO imports (workspace_id, list_id, filename, bytes, rows, created, updated, duplicate, suppressed, invalid, begun_at, ended_at)
VALUES (%(workspace_id)s::bigint, %(list_id)s::bigint, %(filename)s::text, %(bytes)s::bigint, %(rows)s::integer, %(created)s::integer,
        %(updated)s::integer, %(duplicate)s::integer, %(suppressed)s::integer, %(invalid)s::integer, now(), now())
RETURNING id;

-- name: keep_rejects
-- What an erased person's row said is kept nowhere.
INSERT INTO import_rejects (import_id, line, verdict, reason, raw)
SELECT %(id)s::bigint, r.line, r.verdict, r.reason,
       CASE WHEN r.reason = 'The address was erased at its own wish, and is never mailed.' THEN '' ELSE a.raw END
FROM refused r JOIN arrivals a ON a.line = r.line;

-- name: read_import
SELECT i.id, i.list_id, i.filename, i.state, i.kind, i.bytes, i.preview, i.options, i.phase, i.rows_read, i.bytes_read, i.faults, i.missing, i.rows, i.created,
       i.updated, i.duplicate, i.suppressed, i.invalid, i.created_at, i.begun_at, i.taking_at, i.ended_at, clock_timestamp() AS now
FROM imports i WHERE i.workspace_id = %(workspace_id)s::bigint AND i.id = %(id)s::bigint AND i.state <> 'receiving';

-- name: page
SELECT i.id, i.list_id, i.filename, i.state, i.kind, i.bytes, NULL AS preview, i.options, i.phase, i.rows_read, i.bytes_read, i.faults, i.missing, i.rows,
       i.created, i.updated, i.duplicate, i.suppressed, i.invalid, i.created_at, i.begun_at, i.taking_at, i.ended_at, clock_timestamp() AS now
FROM imports i
WHERE i.workspace_id = %(workspace_id)s::bigint AND i.id > %(after)s::bigint AND i.state <> 'receiving'
  AND (%(list_id)s::bigint IS NULL OR i.list_id = %(list_id)s::bigint)
ORDER BY i.id LIMIT %(limit)s::integer;

-- name: rejects
-- Rows that were not taken, by their line.
SELECT r.line, r.verdict, r.reason, r.raw
FROM imports i JOIN import_rejects r ON r.import_id = i.id
WHERE i.workspace_id = %(workspace_id)s::bigint AND i.id = %(id)s::bigint AND r.line > %(after)s::integer
  AND (%(verdict)s::text IS NULL OR r.verdict = %(verdict)s::text)
ORDER BY r.line LIMIT %(limit)s::integer;

-- name: receive
-- A file that begins to come.
INSERT INTO imports (workspace_id, filename, state) VALUES (%(workspace_id)s::bigint, %(filename)s::text, 'receiving')
RETURNING id;

-- name: put_piece
INSERT INTO import_pieces (import_id, number, data) VALUES (%(id)s::bigint, %(number)s::integer, %(data)s::bytea);

-- name: read_piece
SELECT data FROM import_pieces WHERE import_id = %(id)s::bigint AND number = %(number)s::integer;

-- name: received
-- It is whole, and looked into.
UPDATE imports SET state = 'mapping', kind = %(kind)s::text, filename = %(filename)s::text, bytes = %(bytes)s::bigint, preview = %(preview)s::jsonb
WHERE id = %(id)s::bigint AND state = 'receiving'
RETURNING id;

-- name: forget
-- A file that did not come to its end, or is none of leads.
DELETE FROM imports WHERE id = %(id)s::bigint AND state = 'receiving';

-- name: enqueue
-- What its columns mean has been said.
UPDATE imports SET state = 'queued', list_id = %(list_id)s::bigint, options = %(options)s::jsonb
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint AND state = 'mapping'
RETURNING id;

-- name: cancel
-- At any time before its rows are taken: the worker's last word names the state that it leaves, and finds another.
UPDATE imports SET state = 'cancelled', ended_at = clock_timestamp(), preview = NULL, phase = NULL, worker_id = NULL
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint AND state IN ('mapping', 'queued', 'running')
RETURNING id;

-- name: claim
-- The next one whose turn it is, or whose worker is gone: that one begins anew, since nothing of it was taken.
WITH next AS (
    SELECT i.id FROM imports i LEFT JOIN workers w ON w.id = i.worker_id
    WHERE i.state = 'queued'
       OR (i.state = 'running' AND (w.id IS NULL OR w.seen_at < clock_timestamp() - make_interval(secs => %(lease)s::float8)))
    ORDER BY i.id LIMIT 1
    FOR UPDATE OF i SKIP LOCKED
)
UPDATE imports i
SET state = 'running', worker_id = %(worker_id)s::bigint, token = nextval('fences'), attempts = i.attempts + 1, begun_at = clock_timestamp(),
    taking_at = NULL, phase = 'reading', rows_read = 0, bytes_read = 0
FROM next WHERE i.id = next.id
RETURNING i.id, i.workspace_id, i.list_id, i.kind, i.bytes, i.options, i.attempts, i.token;

-- name: progress
-- How far it is. No row: it was cancelled, or another worker has it.
UPDATE imports
SET rows_read = %(rows)s::integer, bytes_read = %(bytes)s::bigint, phase = %(phase)s::text,
    taking_at = CASE WHEN %(phase)s::text = 'taking' THEN coalesce(taking_at, clock_timestamp()) END
WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running'
RETURNING id;

-- name: finish
-- The last word of the transaction that took the rows.
UPDATE imports
SET state = 'done', rows = %(rows)s::integer, created = %(created)s::integer, updated = %(updated)s::integer, duplicate = %(duplicate)s::integer,
    suppressed = %(suppressed)s::integer, invalid = %(invalid)s::integer, missing = %(missing)s::jsonb, preview = NULL, worker_id = NULL,
    phase = CASE WHEN %(indexing)s::boolean THEN 'indexing' END, rows_read = %(rows)s::integer, bytes_read = bytes, ended_at = clock_timestamp()
WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running'
RETURNING id;

-- name: hold_indexing
-- The next one that is done but for what comes after; one worker at a time.
SELECT id FROM imports WHERE phase = 'indexing' ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;

-- name: arrive
-- The next of its leads are sorted into the indexes, and told of: each once, because both are one transaction. Who is being changed by somebody is left for later.
WITH next AS MATERIALIZED (
    SELECT id FROM leads WHERE arriving = %(id)s::bigint ORDER BY id LIMIT %(limit)s::integer
    FOR NO KEY UPDATE SKIP LOCKED
), arrived AS (
    UPDATE leads l SET arriving = NULL FROM next WHERE l.id = next.id
    RETURNING l.id, l.workspace_id
)
INSERT INTO events (at, workspace_id, type, lead_id, data)
SELECT now(), a.workspace_id, 'lead.created', a.id, jsonb_strip_nulls(jsonb_build_object('list_id', i.list_id))
FROM arrived a JOIN imports i ON i.id = %(id)s::bigint
ORDER BY a.id;

-- name: arrived
-- All of them are.
UPDATE imports SET phase = NULL
WHERE id = %(id)s::bigint AND phase = 'indexing' AND NOT EXISTS (SELECT FROM leads WHERE arriving = %(id)s::bigint);

-- name: fail
-- It cannot be taken, and `faults` say why.
UPDATE imports SET state = 'failed', faults = %(faults)s::jsonb, preview = NULL, worker_id = NULL, phase = NULL, ended_at = clock_timestamp()
WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running'
RETURNING id;

-- name: release
-- Back to its place: the worker stops, and another begins anew.
UPDATE imports SET state = 'queued', worker_id = NULL, phase = NULL, attempts = attempts - 1
WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running'
RETURNING id;

-- name: drop_pieces
-- Of files that are done with.
DELETE FROM import_pieces p USING imports i
WHERE i.id = p.import_id AND i.id = %(id)s::bigint AND i.state IN ('done', 'failed', 'cancelled');

-- name: sweep_pieces
-- The same for whatever a crash left.
DELETE FROM import_pieces p USING imports i WHERE i.id = p.import_id AND i.state IN ('done', 'failed', 'cancelled');

-- name: expire
-- Files that never came to their end, and those that nobody said a word about for so long.
WITH lost AS (
    DELETE FROM imports WHERE state = 'receiving' AND created_at < %(received_before)s::timestamptz
)
UPDATE imports SET state = 'cancelled', ended_at = clock_timestamp(), preview = NULL
WHERE state = 'mapping' AND created_at < %(mapped_before)s::timestamptz;

-- name: needs
-- The mails of the campaigns that a list feeds, for what they need of a lead.
SELECT c.id, c.name, s.subjects, s.body
FROM campaign_lists a JOIN campaigns c ON c.id = a.campaign_id AND c.status <> 'completed' JOIN steps s ON s.campaign_id = c.id
WHERE a.list_id = %(list_id)s::bigint AND a.workspace_id = %(workspace_id)s::bigint
ORDER BY c.id, s.position;
