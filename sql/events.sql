-- The stream of facts: appended only.

-- name: append
-- Many at once, in the order given; `at` is the time of the transaction that makes them true.
INSERT INTO events (at, workspace_id, type, campaign_id, lead_id, delivery_id, sender_id, data)
SELECT now(), t.workspace_id, t.type, t.campaign_id, t.lead_id, t.delivery_id, t.sender_id, t.data::jsonb
FROM unnest(%(types)s::text[], %(workspaces)s::bigint[], %(campaigns)s::bigint[], %(leads)s::bigint[], %(deliveries)s::bigint[],
            %(senders)s::bigint[], %(data)s::text[])
     WITH ORDINALITY AS t (type, workspace_id, campaign_id, lead_id, delivery_id, sender_id, data, n)
ORDER BY t.n;

-- name: make_months
-- The partitions of this month and the next two, so that the default one stays empty.
SELECT make_event_months(2) AS made;

-- name: drop_months
-- The months that the policy does not keep any more.
SELECT drop_event_months(%(kept)s::integer) AS dropped;

-- name: read_after
-- What follows a place of the stream, gap-free: transactions that still run may write before what a later one has written, so nothing
-- from the oldest running one on is read yet.
SELECT e.id, e.xact::text::bigint AS xact, e.at, e.workspace_id, e.type, e.campaign_id, e.lead_id, e.delivery_id, e.sender_id, e.data
FROM events e
WHERE e.workspace_id = %(workspace_id)s::bigint
  AND (e.xact, e.id) > (%(xact)s::bigint::text::xid8, %(id)s::bigint)
  AND e.xact < pg_snapshot_xmin(pg_current_snapshot())
  AND (%(types)s::text[] IS NULL OR e.type = ANY (%(types)s::text[]))
  AND (%(campaigns)s::bigint[] IS NULL OR e.campaign_id = ANY (%(campaigns)s::bigint[]))
ORDER BY e.xact, e.id
LIMIT %(limit)s::integer;

-- name: read_place
-- The place of one event, for a reader that kept the id of the last one it saw.
SELECT e.xact::text::bigint AS xact, e.id FROM events e WHERE e.workspace_id = %(workspace_id)s::bigint AND e.id = %(id)s::bigint;

-- name: read_end
-- The place behind everything that can be read now: where a reader begins who wants what comes, not what was.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 AS xact, 9223372036854775807 AS id;

-- name: has_older
-- Whether the workspace has an event with a smaller id: without one, what a reader kept has been dropped with its month.
SELECT EXISTS (SELECT FROM events e WHERE e.workspace_id = %(workspace_id)s::bigint AND e.id < %(id)s::bigint) AS older;
