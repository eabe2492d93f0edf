-- What every mail pays for, and few ever ask: keys whose other side was read or written a moment before, in the same statement or under the same lock.
-- Whoever deletes a lead or a campaign takes its deliveries along (`leads.forget_deliveries`, `campaigns.forget_deliveries`); invariants look whether it did.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_campaign_id_lead_id_fkey;
ALTER TABLE mails DROP CONSTRAINT mails_delivery_id_fkey;
ALTER TABLE attempts DROP CONSTRAINT attempts_delivery_id_fkey;

-- A lead's deliveries are found by its walks.
DROP INDEX deliveries_by_lead;
