-- Language models that workspaces have access to, and what they answered: once for a lead, a step and a question.

-- name: read_settings
SELECT kind, url, model, key_sealed, timeout_seconds, max_characters, updated_at FROM ai_settings WHERE workspace_id = %(workspace_id)s::bigint;

-- name: write_settings
-- Without a new key the old one stays.
INSERT INTO ai_settings AS s (workspace_id, kind, url, model, key_sealed, timeout_seconds, max_characters)
VALUES (%(workspace_id)s::bigint, %(kind)s::text, %(url)s::text, %(model)s::text, %(key_sealed)b::bytea, %(timeout_seconds)s::smallint,
        %(max_characters)s::integer)
ON CONFLICT (workspace_id) DO UPDATE
SET kind = EXCLUDED.kind, url = EXCLUDED.url, model = EXCLUDED.model, key_sealed = EXCLUDED.key_sealed,
    timeout_seconds = EXCLUDED.timeout_seconds, max_characters = EXCLUDED.max_characters, updated_at = now();

-- name: delete_settings
DELETE FROM ai_settings WHERE workspace_id = %(workspace_id)s::bigint;

-- name: known
-- What was answered already for these mails, and whether their workspaces have a model at all. A failure is an answer of nothing.
SELECT t.id, EXISTS (SELECT FROM ai_settings s WHERE s.workspace_id = t.workspace_id) AS has_model,
       (SELECT coalesce(jsonb_object_agg(a.key, coalesce(a.answer, '')), '{}') FROM ai_answers a
        WHERE a.campaign_id = t.campaign_id AND a.lead_id = t.lead_id AND a.step = t.step) AS answers
FROM unnest(%(ids)s::bigint[], %(workspaces)s::bigint[], %(campaigns)s::bigint[], %(leads)s::bigint[], %(steps)s::smallint[])
     AS t (id, workspace_id, campaign_id, lead_id, step);

-- name: keep
-- Whoever was first has answered.
INSERT INTO ai_answers (campaign_id, lead_id, step, key, answer, failure)
VALUES (%(campaign_id)s::bigint, %(lead_id)s::bigint, %(step)s::smallint, %(key)s::text, %(answer)s::text, %(failure)s::text)
ON CONFLICT DO NOTHING;

-- name: forget_failures
-- For walks that are about to be freed: what failed is asked again.
DELETE FROM ai_answers a USING campaign_leads cl
WHERE cl.workspace_id = %(workspace_id)s::bigint AND cl.state = 'held' AND cl.hold_reason = 'missing_field'
  AND (%(campaign_id)s::bigint IS NULL OR cl.campaign_id = %(campaign_id)s::bigint)
  AND (%(lead_ids)s::bigint[] IS NULL OR cl.lead_id = ANY (%(lead_ids)s::bigint[]))
  AND a.campaign_id = cl.campaign_id AND a.lead_id = cl.lead_id AND a.step = cl.step AND a.failure IS NOT NULL;
