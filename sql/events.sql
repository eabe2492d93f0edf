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
