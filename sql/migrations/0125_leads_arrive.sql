-- A million leads in half the time: what makes them searchable, and the events that tell of them, come after them.

-- The import that has yet to sort a lead into the indexes of searches and to tell of it; NULL once it did, and for all leads that came otherwise.
-- Pages, lists and campaigns know no difference. The first index finds what is left to do, by import and in the order of the ids.
ALTER TABLE leads ADD COLUMN arriving bigint;
CREATE INDEX leads_arriving ON leads (arriving, id) WHERE arriving IS NOT NULL;

-- Written with casts, which Postgres knows to be immutable (`||` with a number it does not), the function is put in place of its call: a third of the time.
DROP INDEX leads_by_word, leads_by_field, leads_by_tag;
CREATE OR REPLACE FUNCTION lead_words(workspace_id bigint, id bigint, text text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(string_to_array(
        (workspace_id::text || '.' || (id >> 14)::text || '/')
        || replace(replace(replace(replace(replace(replace(replace(replace(lower(left(text, 500)), '@', ' '), '.', ' '), '-', ' '), '_', ' '), '+', ' '),
                                   '(', ' '), '/', ' '),
                   ' ', ' ' || workspace_id::text || '.' || (id >> 14)::text || '/'),
        ' '))
$$;
CREATE INDEX leads_by_word ON leads USING gin (lead_words(workspace_id, id, email || ' ' || first_name || ' ' || last_name || ' ' || company))
    WITH (fastupdate = on, gin_pending_list_limit = 4096) WHERE arriving IS NULL;
CREATE INDEX leads_by_field ON leads USING gin (fields jsonb_path_ops) WITH (fastupdate = on, gin_pending_list_limit = 4096) WHERE arriving IS NULL;
CREATE INDEX leads_by_tag ON leads USING gin (tags) WITH (fastupdate = on, gin_pending_list_limit = 4096) WHERE arriving IS NULL;

-- The import itself is done meanwhile, and says so.
ALTER TABLE imports DROP CONSTRAINT imports_phase_check, ADD CONSTRAINT imports_phase_check CHECK (phase IN ('reading', 'taking', 'indexing'));
CREATE INDEX imports_indexing ON imports (id) WHERE phase = 'indexing';
