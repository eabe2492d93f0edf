-- What has changed since a time.

-- name: settled_until
-- Nothing that is older can still appear: a transaction that has not committed yet writes no time before its own beginning. It is asked for in a statement of its own,
-- before the rows: a statement's view of the rows is older than what it reads of who is running.
SELECT min(xact_start) AS at FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL;
