-- Leads: one address a workspace, with what is known of it. They come in by `imports`, the single ones too.
--
-- Pages are in the order of the ids. Each way of finding has a statement of its own, with the same filter; they are planned anew each time (`ledger/leads.py`), so that
-- what is not asked for costs nothing. `near` looks at the next few thousand and fills a page of whatever is common; `far` then enters by what is rare.

-- part: columns
-- What is told of a lead, `l`.
l.id, l.email, l.first_name, l.last_name, l.company, l.fields, l.status, l.validation, l.validation_reasons, l.source, l.lawful_basis, l.tags,
l.created_at, l.updated_at, ARRAY(SELECT o.list_id FROM list_leads o WHERE o.lead_id = l.id ORDER BY o.list_id) AS lists

-- part: filter
-- Whether a lead, `l`, is asked for; what is NULL is not asked.
(%(status)s::text IS NULL OR l.status = %(status)s::text) AND (%(validation)s::text IS NULL OR l.validation = %(validation)s::text)
AND (%(tag)s::text IS NULL OR l.tags @> ARRAY[%(tag)s::text]) AND (%(field)s::jsonb IS NULL OR l.fields @> %(field)s::jsonb)
AND (%(domain)s::text IS NULL OR l.domain = %(domain)s::text)
AND (%(list_id)s::bigint IS NULL OR EXISTS (SELECT FROM list_leads ll WHERE ll.list_id = %(list_id)s::bigint AND ll.lead_id = l.id))
AND (%(campaign_id)s::bigint IS NULL
     OR EXISTS (SELECT FROM campaign_leads cl WHERE cl.campaign_id = %(campaign_id)s::bigint AND cl.lead_id = l.id
                AND (%(walk)s::text IS NULL OR %(walk)s::text IN (cl.state, cl.outcome))))
AND (%(engagement)s::text IS NULL
     OR (%(engagement)s::text IN ('not_mailed', 'silent')) IS DISTINCT FROM EXISTS (
         SELECT FROM campaign_leads cl JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id
         WHERE cl.lead_id = l.id AND (%(campaign_id)s::bigint IS NULL OR cl.campaign_id = %(campaign_id)s::bigint)
           AND CASE %(engagement)s::text WHEN 'opened' THEN d.opened_at IS NOT NULL WHEN 'clicked' THEN d.clicked_at IS NOT NULL
                    WHEN 'replied' THEN d.replied_at IS NOT NULL WHEN 'bounced' THEN d.state = 'bounced'
                    WHEN 'silent' THEN d.opened_at IS NOT NULL OR d.clicked_at IS NOT NULL OR d.replied_at IS NOT NULL
                    ELSE d.sending_at IS NOT NULL END))
AND (%(engagement)s::text IS DISTINCT FROM 'silent'
     OR EXISTS (SELECT FROM campaign_leads cl JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id
                WHERE cl.lead_id = l.id AND d.sending_at IS NOT NULL
                  AND (%(campaign_id)s::bigint IS NULL OR cl.campaign_id = %(campaign_id)s::bigint)))

-- name: read_lead
SELECT {{columns}}
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint;

-- name: changed
-- Since a time, as they changed.
SELECT {{columns}}
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint AND (l.updated_at, l.id) > (%(since)s::timestamptz, %(after)s::bigint) AND l.updated_at < %(until)s::timestamptz
ORDER BY l.updated_at, l.id LIMIT %(limit)s::integer;

-- name: near
-- Among the next `reach` leads of the workspace, those included that an import has yet to index.
SELECT {{columns}}
FROM ((SELECT *, id + 0 AS place FROM leads WHERE workspace_id = %(workspace_id)s::bigint AND arriving IS NULL AND id + 0 > %(after)s::bigint
       ORDER BY place LIMIT %(reach)s::integer)
      UNION ALL
      (SELECT a.* FROM imports i
       CROSS JOIN LATERAL (SELECT *, id + 0 AS place FROM leads WHERE arriving = i.id AND id > %(after)s::bigint ORDER BY id LIMIT %(reach)s::integer) a
       WHERE i.workspace_id = %(workspace_id)s::bigint AND i.phase = 'indexing')
      ORDER BY place LIMIT %(reach)s::integer) l
WHERE {{filter}}
ORDER BY l.place LIMIT %(limit)s::integer;

-- name: near_on_list
-- Among the next `reach` leads of a list.
SELECT {{columns}}
FROM (SELECT lead_id FROM list_leads WHERE list_id = %(list_id)s::bigint AND lead_id > %(after)s::bigint ORDER BY lead_id LIMIT %(reach)s::integer) m
JOIN leads l ON l.id = m.lead_id AND l.workspace_id = %(workspace_id)s::bigint
WHERE {{filter}}
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: far
-- Wherever they are. What an import has yet to index is left out unless `whole` is asked for: then no index of tags and fields can be entered.
SELECT {{columns}}
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id > %(after)s::bigint AND (%(whole)s::boolean OR l.arriving IS NULL)
  AND {{filter}}
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: far_on_list
-- On a list: entered by it.
SELECT {{columns}}
FROM list_leads m JOIN leads l ON l.id = m.lead_id AND l.workspace_id = %(workspace_id)s::bigint
WHERE m.list_id = %(list_id)s::bigint AND m.lead_id > %(after)s::bigint
  AND {{filter}}
ORDER BY m.lead_id LIMIT %(limit)s::integer;

-- name: far_in_campaign
-- In a campaign: entered by it.
SELECT {{columns}}
FROM campaign_leads m JOIN leads l ON l.id = m.lead_id AND l.workspace_id = %(workspace_id)s::bigint
WHERE m.campaign_id = %(campaign_id)s::bigint AND m.lead_id > %(after)s::bigint
  AND {{filter}}
ORDER BY m.lead_id LIMIT %(limit)s::integer;

-- name: far_engaged
-- Who opened, clicked, replied or bounced: entered by their mails. Of the four branches one is asked for.
WITH engaged AS (
    SELECT lead_id FROM deliveries
    WHERE %(engagement)s::text = 'opened' AND workspace_id = %(workspace_id)s::bigint AND lead_id > %(after)s::bigint AND opened_at IS NOT NULL
    UNION ALL
    SELECT lead_id FROM deliveries
    WHERE %(engagement)s::text = 'clicked' AND workspace_id = %(workspace_id)s::bigint AND lead_id > %(after)s::bigint AND clicked_at IS NOT NULL
    UNION ALL
    SELECT lead_id FROM deliveries
    WHERE %(engagement)s::text = 'replied' AND workspace_id = %(workspace_id)s::bigint AND lead_id > %(after)s::bigint AND replied_at IS NOT NULL
    UNION ALL
    SELECT lead_id FROM deliveries
    WHERE %(engagement)s::text = 'bounced' AND workspace_id = %(workspace_id)s::bigint AND lead_id > %(after)s::bigint AND state = 'bounced'
)
SELECT {{columns}}
FROM (SELECT DISTINCT lead_id FROM engaged) m JOIN leads l ON l.id = m.lead_id AND l.workspace_id = %(workspace_id)s::bigint
WHERE {{filter}}
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: search
-- Leads of which every one of some words begins a word (of address, name or company), block by block in the order of the ids. The index holds workspace and
-- block in each word, so that nothing else may tempt the planner: hence the sums with 0. Leads that an import has yet to index are not found.
WITH RECURSIVE blocks AS (
    SELECT (SELECT id >> 14 FROM leads WHERE workspace_id = %(workspace_id)s::bigint AND arriving IS NULL AND id + 0 > %(after)s::bigint ORDER BY id + 0 LIMIT 1) AS block
    UNION ALL
    SELECT (SELECT id >> 14 FROM leads WHERE workspace_id = %(workspace_id)s::bigint AND arriving IS NULL AND id + 0 >= (blocks.block + 1) << 14 ORDER BY id + 0 LIMIT 1)
    FROM blocks WHERE blocks.block IS NOT NULL
)
SELECT l.*
FROM blocks CROSS JOIN LATERAL (
    SELECT {{columns}}
    FROM leads l
    WHERE lead_words(l.workspace_id, l.id, l.email || ' ' || l.first_name || ' ' || l.last_name || ' ' || l.company)
          @@ (SELECT string_agg('''' || %(workspace_id)s::bigint || '.' || blocks.block || '/' || replace(replace(word, '\', '\\'), '''', '''''') || ''':*', ' & ') FROM unnest(%(words)s::text[]) AS word)::tsquery
      AND l.arriving IS NULL AND l.workspace_id + 0 = %(workspace_id)s::bigint AND l.id + 0 > %(after)s::bigint
      AND {{filter}}
    ORDER BY l.id + 0 LIMIT %(limit)s::integer
) l
WHERE blocks.block IS NOT NULL
LIMIT %(limit)s::integer;

-- name: search_whole
-- The same of all leads, one by one: for what must not miss any while an import is being indexed.
SELECT {{columns}}
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id > %(after)s::bigint
  AND lead_words(0, 0, l.email || ' ' || l.first_name || ' ' || l.last_name || ' ' || l.company)
      @@ (SELECT string_agg('''0.0/' || replace(replace(word, '\', '\\'), '''', '''''') || ''':*', ' & ') FROM unnest(%(words)s::text[]) AS word)::tsquery
  AND {{filter}}
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: is_arriving
-- Whether leads of the workspace are still to be indexed.
SELECT EXISTS (SELECT FROM imports WHERE workspace_id = %(workspace_id)s::bigint AND phase = 'indexing') AS arriving;

-- name: sort_in
-- What an import added to the indexes is sorted in, so that the next search need not read it all.
SELECT gin_clean_pending_list('leads_by_word'), gin_clean_pending_list('leads_by_field'), gin_clean_pending_list('leads_by_tag');

-- name: field_names
-- Every field that leads have, of a list or of all.
SELECT DISTINCT f.name
FROM leads l CROSS JOIN LATERAL jsonb_object_keys(l.fields) AS f (name)
WHERE l.workspace_id = %(workspace_id)s::bigint
  AND (%(list_id)s::bigint IS NULL OR l.id IN (SELECT lead_id FROM list_leads WHERE list_id = %(list_id)s::bigint))
ORDER BY 1;

-- name: tag_names
-- Every tag of the workspace, with how many leads have it.
SELECT t.tag, count(*) AS leads
FROM leads l CROSS JOIN LATERAL unnest(l.tags) AS t (tag)
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.tags <> '{}'
GROUP BY t.tag ORDER BY t.tag LIMIT %(limit)s::integer;

-- name: known
-- Those of some leads that the workspace has, in order, with their addresses.
SELECT id, email FROM leads WHERE workspace_id = %(workspace_id)s::bigint AND id = ANY (%(ids)s::bigint[]) ORDER BY id;

-- name: update_lead
-- What is NULL stays; `removed` fields go, the others are set.
UPDATE leads l
SET first_name = coalesce(%(first_name)s::text, l.first_name), last_name = coalesce(%(last_name)s::text, l.last_name),
    company = coalesce(%(company)s::text, l.company), fields = (l.fields - %(removed)s::text[]) || %(fields)s::jsonb,
    source = coalesce(%(source)s::text, l.source), lawful_basis = coalesce(%(lawful_basis)s::text, l.lawful_basis),
    tags = coalesce(%(tags)s::text[], l.tags), updated_at = clock_timestamp()
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint
RETURNING l.id;

-- name: change_all
-- Many at once: `added` and `removed` tags, `fields` set, `dropped` ones taken away. Those of which nothing changes are left alone. Locked in order.
WITH wanted AS MATERIALIZED (
    SELECT l.id, (l.fields - %(dropped)s::text[]) || %(fields)s::jsonb AS fields,
           ARRAY(SELECT DISTINCT tag FROM unnest(l.tags || %(added)s::text[]) AS tag WHERE tag <> ALL (%(removed)s::text[]) ORDER BY tag) AS tags
    FROM leads l
    WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = ANY (%(ids)s::bigint[])
    ORDER BY l.id
    FOR NO KEY UPDATE
)
UPDATE leads l SET fields = w.fields, tags = w.tags, updated_at = clock_timestamp()
FROM wanted w WHERE l.id = w.id AND (l.fields <> w.fields OR l.tags <> w.tags)
RETURNING l.id;

-- name: mailed
-- Those of some leads to which a mail may have left us.
SELECT DISTINCT d.lead_id
FROM campaign_leads cl JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id
WHERE cl.lead_id = ANY (%(ids)s::bigint[]) AND d.sending_at IS NOT NULL;

-- name: delete_leads
DELETE FROM leads WHERE workspace_id = %(workspace_id)s::bigint AND id = ANY (%(ids)s::bigint[])
RETURNING id;

-- name: forget_deliveries
-- Of leads that are gone. Found campaign by campaign: their walks are gone too.
DELETE FROM deliveries d USING campaigns c
WHERE c.workspace_id = %(workspace_id)s::bigint AND d.campaign_id = c.id AND d.lead_id = ANY (%(ids)s::bigint[])
RETURNING d.id;

-- name: leave_lists
-- Of leads that are gone.
DELETE FROM list_leads WHERE lead_id = ANY (%(ids)s::bigint[]);
