-- Lists of leads. A list is archived, never deleted: what it brought into campaigns stays explained.

-- name: insert_list
INSERT INTO lists (workspace_id, name) VALUES (%(workspace_id)s::bigint, %(name)s::text)
RETURNING id;

-- name: read_list
SELECT l.id, l.name, l.created_at, l.updated_at, l.archived_at, (SELECT count(*) FROM list_leads ll WHERE ll.list_id = l.id) AS leads
FROM lists l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint;

-- name: page
-- In order of their ids, or since a time as they changed; archived ones only there, or where they are asked for. `q` is a part of the name.
SELECT l.id, l.name, l.created_at, l.updated_at, l.archived_at, (SELECT count(*) FROM list_leads ll WHERE ll.list_id = l.id) AS leads
FROM lists l
WHERE l.workspace_id = %(workspace_id)s::bigint AND (%(since)s::timestamptz IS NOT NULL OR %(archived)s::boolean OR l.archived_at IS NULL)
  AND CASE WHEN %(since)s::timestamptz IS NULL THEN l.id > coalesce(%(after)s::bigint, 0)
           ELSE (l.updated_at, l.id) > (%(since)s::timestamptz, coalesce(%(after)s::bigint, 0)) AND l.updated_at < %(until)s::timestamptz END
  AND (%(q)s::text = '' OR strpos(lower(l.name), lower(%(q)s::text)) > 0)
ORDER BY CASE WHEN %(since)s::timestamptz IS NOT NULL THEN l.updated_at END, l.id LIMIT %(limit)s::integer;

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

-- name: restore_list
-- Back in use; its name must be free.
UPDATE lists SET archived_at = NULL, updated_at = now()
WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
RETURNING id;

-- name: add_leads
-- Leads that are there already; suppressed ones are not added. The lock keeps them from being deleted meanwhile.
WITH wanted AS MATERIALIZED (
    SELECT l.id FROM leads l
    WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = ANY (%(lead_ids)s::bigint[]) AND l.status = 'active'
      AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'address' AND s.value = l.email)
      AND NOT EXISTS (SELECT FROM suppressions s WHERE s.workspace_id = l.workspace_id AND s.kind = 'domain' AND s.value = l.domain)
    ORDER BY l.id
    FOR KEY SHARE
)
INSERT INTO list_leads (list_id, lead_id) SELECT %(id)s::bigint, id FROM wanted
ON CONFLICT DO NOTHING
RETURNING lead_id;

-- name: merge_lists
-- All who are on other lists, each once.
WITH wanted AS MATERIALIZED (
    SELECT l.id FROM leads l
    WHERE l.workspace_id = %(workspace_id)s::bigint
      AND l.id IN (SELECT ll.lead_id FROM list_leads ll JOIN lists s ON s.id = ll.list_id AND s.workspace_id = %(workspace_id)s::bigint
                   WHERE s.id = ANY (%(others)s::bigint[]))
    ORDER BY l.id
    FOR KEY SHARE
)
INSERT INTO list_leads (list_id, lead_id) SELECT %(id)s::bigint, id FROM wanted
ON CONFLICT DO NOTHING
RETURNING lead_id;

-- name: deal_out
-- The leads of a list over others, evenly and by a hash: who came from one file, or one company, does not end up together.
WITH dealt AS MATERIALIZED (
    SELECT l.id FROM leads l WHERE l.id IN (SELECT lead_id FROM list_leads WHERE list_id = %(id)s::bigint)
    ORDER BY l.id
    FOR KEY SHARE
)
INSERT INTO list_leads (list_id, lead_id)
SELECT (%(parts)s::bigint[])[1 + mod(row_number() OVER (ORDER BY hashint8extended(id, 0), id) - 1, cardinality(%(parts)s::bigint[]))::integer], id FROM dealt;

-- name: on_others
-- Who of a list is on others too: on these, or (NULL) on any that is in use.
SELECT DISTINCT ll.lead_id
FROM list_leads ll JOIN list_leads o ON o.lead_id = ll.lead_id AND o.list_id <> ll.list_id
JOIN lists s ON s.id = o.list_id AND s.workspace_id = %(workspace_id)s::bigint
WHERE ll.list_id = %(id)s::bigint AND CASE WHEN %(others)s::bigint[] IS NULL THEN s.archived_at IS NULL ELSE s.id = ANY (%(others)s::bigint[]) END;

-- name: same_mailbox
-- Who of a list has the mailbox of another one, spelt another way: with a tag behind a plus sign, or at Gmail with other dots. Who has no tag stays, or was there first.
SELECT lead_id
FROM (SELECT l.id AS lead_id,
             row_number() OVER (PARTITION BY CASE WHEN l.domain IN ('gmail.com', 'googlemail.com')
                                                  THEN replace(split_part(split_part(l.email, '@', 1), '+', 1), '.', '') || '@gmail.com'
                                                  ELSE split_part(left(l.email, -length(l.domain) - 1), '+', 1) || '@' || l.domain END
                                ORDER BY strpos(l.email, '+') > 0, l.id) AS n
      FROM list_leads ll JOIN leads l ON l.id = ll.lead_id AND l.workspace_id = %(workspace_id)s::bigint
      WHERE ll.list_id = %(id)s::bigint) spelt
WHERE n > 1;
