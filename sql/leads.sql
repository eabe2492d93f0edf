-- Leads: one address a workspace, with what is known of it. They come in by `imports`, the single ones too.

-- name: read_lead
SELECT l.id, l.email, l.first_name, l.last_name, l.company, l.fields, l.status, l.validation, l.validation_reasons, l.source,
       l.lawful_basis, l.tags, l.created_at, l.updated_at,
       ARRAY(SELECT ll.list_id FROM list_leads ll WHERE ll.lead_id = l.id ORDER BY ll.list_id) AS lists
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint;

-- name: page
-- In order of their ids. `search` is part of an address, a name or a company.
SELECT l.id, l.email, l.first_name, l.last_name, l.company, l.fields, l.status, l.validation, l.validation_reasons, l.source,
       l.lawful_basis, l.tags, l.created_at, l.updated_at,
       ARRAY(SELECT ll.list_id FROM list_leads ll WHERE ll.lead_id = l.id ORDER BY ll.list_id) AS lists
FROM leads l
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id > %(after)s::bigint
  AND (%(status)s::text IS NULL OR l.status = %(status)s::text)
  AND (%(search)s::text IS NULL OR strpos(lower(concat_ws(' ', l.email, l.first_name, l.last_name, l.company)), lower(%(search)s::text)) > 0)
ORDER BY l.id LIMIT %(limit)s::integer;

-- name: page_of_list
-- The same within one list, entered by the list.
SELECT l.id, l.email, l.first_name, l.last_name, l.company, l.fields, l.status, l.validation, l.validation_reasons, l.source,
       l.lawful_basis, l.tags, l.created_at, l.updated_at,
       ARRAY(SELECT o.list_id FROM list_leads o WHERE o.lead_id = l.id ORDER BY o.list_id) AS lists
FROM list_leads ll JOIN leads l ON l.id = ll.lead_id
WHERE ll.list_id = %(list_id)s::bigint AND l.workspace_id = %(workspace_id)s::bigint AND ll.lead_id > %(after)s::bigint
  AND (%(status)s::text IS NULL OR l.status = %(status)s::text)
  AND (%(search)s::text IS NULL OR strpos(lower(concat_ws(' ', l.email, l.first_name, l.last_name, l.company)), lower(%(search)s::text)) > 0)
ORDER BY ll.lead_id LIMIT %(limit)s::integer;

-- name: update_lead
-- What is NULL stays; `removed` fields go, the others are set.
UPDATE leads l
SET first_name = coalesce(%(first_name)s::text, l.first_name), last_name = coalesce(%(last_name)s::text, l.last_name),
    company = coalesce(%(company)s::text, l.company), fields = (l.fields - %(removed)s::text[]) || %(fields)s::jsonb, updated_at = now()
WHERE l.workspace_id = %(workspace_id)s::bigint AND l.id = %(id)s::bigint
RETURNING l.id;

-- name: was_mailed
-- Whether a mail to the lead may have left us. Its links lead to the delivery, and the delivery keeps a second one from being sent.
SELECT EXISTS (
    SELECT FROM campaign_leads cl JOIN deliveries d ON d.campaign_id = cl.campaign_id AND d.lead_id = cl.lead_id
    WHERE cl.lead_id = %(id)s::bigint AND d.sending_at IS NOT NULL
) AS mailed;

-- name: delete_lead
DELETE FROM leads WHERE workspace_id = %(workspace_id)s::bigint AND id = %(id)s::bigint
RETURNING id;
