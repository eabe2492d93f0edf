-- Files of senders, what became of their rows, and the tests of the senders that they made.

-- name: insert
INSERT INTO sender_uploads (workspace_id, filename, rows, created, updated, skipped, invalid, ignored_columns, created_at)
VALUES (%(workspace_id)s::bigint, %(filename)s::text, %(rows)s::integer, %(created)s::integer, %(updated)s::integer, %(skipped)s::integer,
        %(invalid)s::integer, %(ignored_columns)s::text[], %(now)s::timestamptz)
RETURNING id;

-- name: insert_rows
INSERT INTO sender_upload_rows (upload_id, line, address, verdict, faults, sender_id, test)
SELECT %(upload_id)s::bigint, t.line, t.address, t.verdict, t.faults::jsonb, t.sender_id, t.test
FROM unnest(%(lines)s::integer[], %(addresses)s::text[], %(verdicts)s::text[], %(faults)s::text[], %(senders)s::bigint[], %(tests)s::text[])
     AS t (line, address, verdict, faults, sender_id, test);

-- name: read
-- With how the tests stand.
SELECT u.*, t.waiting, t.passed, t.failed
FROM sender_uploads u
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.test = 'waiting') AS waiting, count(*) FILTER (WHERE r.test = 'passed') AS passed,
           count(*) FILTER (WHERE r.test = 'failed') AS failed
    FROM sender_upload_rows r WHERE r.upload_id = u.id
) t
WHERE u.workspace_id = %(workspace_id)s::bigint AND u.id = %(id)s::bigint;

-- name: page
SELECT u.*, t.waiting, t.passed, t.failed
FROM sender_uploads u
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.test = 'waiting') AS waiting, count(*) FILTER (WHERE r.test = 'passed') AS passed,
           count(*) FILTER (WHERE r.test = 'failed') AS failed
    FROM sender_upload_rows r WHERE r.upload_id = u.id
) t
WHERE u.workspace_id = %(workspace_id)s::bigint AND u.id > %(after)s::bigint
ORDER BY u.id LIMIT %(limit)s::integer;

-- name: rows
SELECT r.line, r.address, r.verdict, r.faults, r.sender_id, r.test, r.tested_at
FROM sender_upload_rows r
WHERE r.upload_id = %(upload_id)s::bigint AND r.line > %(after)s::integer
ORDER BY r.line LIMIT %(limit)s::integer;

-- name: take
-- Senders that wait for their test, now this worker's for two minutes: longer than any test takes.
UPDATE sender_upload_rows r SET trying_until = clock_timestamp() + interval '2 minutes'
FROM sender_uploads u
WHERE u.id = r.upload_id AND (r.upload_id, r.line) IN (
    SELECT w.upload_id, w.line FROM sender_upload_rows w
    WHERE w.test = 'waiting' AND (w.trying_until IS NULL OR w.trying_until < clock_timestamp())
    ORDER BY w.upload_id, w.line LIMIT %(limit)s::integer
    FOR UPDATE SKIP LOCKED)
RETURNING u.workspace_id, r.upload_id, r.line, r.sender_id;

-- name: tested
UPDATE sender_upload_rows SET test = %(test)s::text, faults = %(faults)s::jsonb, tested_at = clock_timestamp(), trying_until = NULL
WHERE upload_id = %(upload_id)s::bigint AND line = %(line)s::integer AND test = 'waiting';
