-- Worker processes and the recurring duties.

-- name: register
-- A process that starts; its id is what its takes are signed with.
INSERT INTO workers (kind, host, pid) VALUES (%(kind)s::text, %(host)s::text, %(pid)s::integer)
RETURNING id;

-- name: beat
-- "I am here", every two seconds. No row back: the sweep has buried this worker, and it must begin anew under another id.
UPDATE workers SET seen_at = clock_timestamp() WHERE id = %(id)s::bigint
RETURNING id;

-- name: leave
-- A process that drained and stops: nothing of it is left to be found.
DELETE FROM workers WHERE id = %(id)s::bigint;

-- name: bury
-- Workers long dead whose deliveries have all been taken from them; kept for ten minutes so that a person can see who died.
DELETE FROM workers w
WHERE w.seen_at < clock_timestamp() - interval '10 minutes'
  AND NOT EXISTS (SELECT FROM deliveries d WHERE d.worker_id = w.id AND (d.state IN ('planned', 'rendered', 'sending')) IS TRUE);

-- name: all_workers
SELECT id, kind, host, pid, started_at, seen_at, extract(epoch FROM clock_timestamp() - seen_at)::float8 AS age
FROM workers ORDER BY kind, id;

-- name: did
-- A duty was done; its age is shown and alarmed.
INSERT INTO duties (name, done_at) VALUES (%(name)s::text, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET done_at = EXCLUDED.done_at;

-- name: duty_ages
-- Seconds since each was last done, and since the first migration.
SELECT name, extract(epoch FROM clock_timestamp() - done_at)::float8 AS age FROM duties
UNION ALL
SELECT 'installation', extract(epoch FROM clock_timestamp() - min(applied_at))::float8 FROM schema_migrations HAVING count(*) > 0;

-- name: now
-- The ledger's clock.
SELECT clock_timestamp() AS now;

-- name: try_sweep
-- One sweep at a time, and not so soon after another process' that there is nothing new to find.
SELECT pg_try_advisory_xact_lock(4, 2)
       AND NOT EXISTS (SELECT FROM duties WHERE name = 'sweep' AND done_at > clock_timestamp() - %(apart)s::float8 * interval '1 second') AS mine;
