-- Jobs that look at the addresses of a list.

-- name: insert
-- No row back: one is at this list already.
INSERT INTO validations (workspace_id, list_id, again, total, created_at)
SELECT %(workspace_id)s::bigint, %(list_id)s::bigint, %(again)s::boolean, count(*), %(now)s::timestamptz
FROM list_leads WHERE list_id = %(list_id)s::bigint
ON CONFLICT (list_id) WHERE state IN ('queued', 'running') DO NOTHING
RETURNING id;

-- name: read
SELECT * FROM validations WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint;

-- name: page
SELECT * FROM validations
WHERE workspace_id = %(workspace_id)s::bigint AND (%(list_id)s::bigint IS NULL OR list_id = %(list_id)s::bigint) AND id > %(after)s::bigint
ORDER BY id LIMIT %(limit)s::integer;

-- name: cancel
-- What was found so far stays.
UPDATE validations SET state = 'cancelled', ended_at = %(now)s::timestamptz
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint AND state IN ('queued', 'running')
RETURNING id;

-- name: take
-- The oldest job that waits, or whose worker has died; whoever had it is fenced from here on.
UPDATE validations v
SET state = 'running', worker_id = %(worker_id)s::bigint, token = nextval('fences'), begun_at = coalesce(v.begun_at, clock_timestamp())
WHERE v.id = (
    SELECT o.id FROM validations o LEFT JOIN workers w ON w.id = o.worker_id
    WHERE o.state = 'queued'
       OR (o.state = 'running' AND (w.id IS NULL OR w.seen_at < clock_timestamp() - %(lease)s::float8 * interval '1 second'))
    ORDER BY o.id LIMIT 1
    FOR UPDATE OF o SKIP LOCKED
)
RETURNING v.id, v.workspace_id, v.list_id, v.again, v.cursor, v.token;

-- name: put_back
-- A worker that stops leaves its job to the next one.
UPDATE validations SET state = 'queued', worker_id = NULL WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running';

-- name: leads
-- The next leads of the list. Those that bounced or left keep what is known of them, and so do, unless all are to be looked at `again`, those that have a class.
SELECT l.id, l.email, l.domain, l.validation, l.status = 'active' AND (%(again)s::boolean OR l.validation = 'pending') AS open
FROM list_leads ll JOIN leads l ON l.id = ll.lead_id
WHERE ll.list_id = %(list_id)s::bigint AND ll.lead_id > %(after)s::bigint
ORDER BY ll.lead_id
LIMIT %(limit)s::integer;

-- name: hold
-- No row back: it was cancelled, or another worker has it.
SELECT id FROM validations WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running' FOR NO KEY UPDATE;

-- name: advance
-- The job has come this far; it is held.
UPDATE validations v
SET looked = looked + %(looked)s::integer, changed = changed + %(changed)s::integer, cursor = %(cursor)s::bigint, total = greatest(total, looked + %(looked)s::integer),
    counts = (SELECT jsonb_object_agg(k, coalesce((v.counts ->> k)::integer, 0) + coalesce((%(counts)s::jsonb ->> k)::integer, 0))
              FROM (SELECT jsonb_object_keys(v.counts) UNION SELECT jsonb_object_keys(%(counts)s::jsonb)) AS keys (k))
WHERE id = %(id)s::bigint AND token = %(token)s::bigint;

-- name: finish
UPDATE validations SET state = 'done', total = looked, ended_at = clock_timestamp()
WHERE id = %(id)s::bigint AND token = %(token)s::bigint AND state = 'running'
RETURNING id;

-- name: write
-- What was found, where it differs from what was known; a lead that bounced or left meanwhile keeps its own. Those that have another class now.
WITH t AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::bigint[], %(classes)s::text[], %(reasons)s::text[]) AS t (id, class, reasons)
), known AS MATERIALIZED (
    SELECT l.id, l.validation AS was FROM t JOIN leads l ON l.id = t.id
    WHERE l.workspace_id = %(workspace_id)s::bigint AND l.status = 'active'
      AND (l.validation <> t.class OR l.validation_reasons <> t.reasons::jsonb)
    ORDER BY l.id
    FOR NO KEY UPDATE OF l
)
UPDATE leads l SET validation = t.class, validation_reasons = t.reasons::jsonb, updated_at = clock_timestamp()
FROM known JOIN t ON t.id = known.id
WHERE l.id = known.id
RETURNING l.id, l.email, l.validation, known.was;
