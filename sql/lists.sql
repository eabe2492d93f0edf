-- Lists of leads. A list is archived, never deleted: what it brought into campaigns stays explained.

-- name: insert_list
INSERT INTO lists (workspace_id, name) VALUES (%(workspace_id)s::bigint, %(name)s::text)
RETURNING id;

-- name: read_list
SELECT l.id, l.name, l.created_at, l.updated_at, l.archived_at, (SELECT count(*) FROM list_leads ll WHERE ll.list_id = l.id) AS leads
FROM lists l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint;

-- name: page
-- In order of their ids; archived ones only where they are asked for.
SELECT l.id, l.name, l.created_at, l.updated_at, l.archived_at, (SELECT count(*) FROM list_leads ll WHERE ll.list_id = l.id) AS leads
FROM lists l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id > %(after)s::bigint AND (%(archived)s::boolean OR l.archived_at IS NULL)
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: rename_list
UPDATE lists SET name = %(name)s::text, updated_at = now()
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
RETURNING id;

-- name: archive_list
-- Archiving twice is the same.
UPDATE lists SET archived_at = coalesce(archived_at, now()), updated_at = now()
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
RETURNING id;

-- name: open_campaigns
-- The campaigns that a list still feeds: all but the completed ones.
SELECT c.id, c.name
FROM campaign_lists a JOIN campaigns c ON c.id = a.campaign_id
WHERE a.list_id = %(id)s::bigint AND c.status <> 'completed'
ORDER BY c.id;

-- name: hold_shared
-- Taken by whoever adds to a list, before the first read of who uses it. It stands in a statement of its own: a statement's view of the data is older than
-- the locks it waits for. So growing a list and starting a campaign on it come one after the other, and no lead falls between them.
SELECT pg_advisory_xact_lock_shared(3, id::integer) FROM lists WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint;

-- name: hold_exclusive
-- Taken for all lists of a campaign by whoever starts it or changes its lists, and by whoever takes leads off a list; in order of their ids.
SELECT pg_advisory_xact_lock(3, t.id::integer)
FROM (SELECT id FROM lists WHERE workspace_id = %(workspace_id)s::bigint AND id = ANY (%(ids)s::bigint[]) ORDER BY id) t;

-- name: fellows
-- The list and all lists that feed a campaign together with it.
SELECT DISTINCT b.list_id AS id
FROM campaign_lists a JOIN campaign_lists b ON b.campaign_id = a.campaign_id
WHERE a.list_id = %(id)s::bigint
UNION SELECT %(id)s::bigint;

-- name: remove_leads
DELETE FROM list_leads ll USING lists l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint AND ll.list_id = l.id AND ll.lead_id = ANY (%(lead_ids)s::bigint[])
RETURNING ll.lead_id;
