-- The order of a workspace's leads without those of an import that is not done: a page, be it of an empty workspace, would else pass by every lead on its way in,
-- invisible as it is. Once the import is done, `leads_arriving` has them in order. `id + 0` is an order that the primary key, which holds them all, cannot offer.
DROP INDEX leads_in_order;
CREATE INDEX leads_in_order ON leads (workspace_id, (id + 0)) WHERE arriving IS NULL;
