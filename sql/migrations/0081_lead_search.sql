-- Finding leads among millions in milliseconds, without making their import slow.

-- In order of their ids, whatever other workspaces have.
CREATE UNIQUE INDEX leads_in_order ON leads (workspace_id, id);

-- The words of a lead, each behind its workspace and a block of 16,384 ids (`7.12/ada`): a word is looked for block by block in the order of the ids, so that a page
-- of what is common costs as little as a page of what is rare, and one workspace never reads another's. Blocks also keep what an import adds in one part of the index.
CREATE FUNCTION lead_words(workspace_id bigint, id bigint, text text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(array_remove(string_to_array(
        (workspace_id || '.' || (id >> 14) || '/') || replace(translate(lower(left(text, 500)), E'@._-+,''()/&"\\\t\r\n', '                '),
                                                              ' ', ' ' || workspace_id || '.' || (id >> 14) || '/'), ' '),
        workspace_id || '.' || (id >> 14) || '/'))
$$;

-- New entries are gathered and sorted in by whole megabytes, by autovacuum or after an import; meanwhile they are found all the same.
CREATE INDEX leads_by_word ON leads USING gin (lead_words(workspace_id, id, email || ' ' || first_name || ' ' || last_name || ' ' || company))
    WITH (fastupdate = on, gin_pending_list_limit = 262144);

CREATE INDEX leads_by_field ON leads USING gin (fields jsonb_path_ops) WITH (fastupdate = on, gin_pending_list_limit = 262144);
CREATE INDEX leads_by_tag ON leads USING gin (tags) WITH (fastupdate = on, gin_pending_list_limit = 262144);
CREATE INDEX leads_validated ON leads (workspace_id, validation, id) WHERE validation <> 'pending';
CREATE INDEX leads_left ON leads (workspace_id, status, id) WHERE status <> 'active';

-- Who did something with a mail: few among many.
CREATE INDEX deliveries_opened ON deliveries (workspace_id, lead_id) WHERE opened_at IS NOT NULL;
CREATE INDEX deliveries_clicked ON deliveries (workspace_id, lead_id) WHERE clicked_at IS NOT NULL;
CREATE INDEX deliveries_replied ON deliveries (workspace_id, lead_id) WHERE replied_at IS NOT NULL;
CREATE INDEX deliveries_bounced ON deliveries (workspace_id, lead_id) WHERE state = 'bounced';
