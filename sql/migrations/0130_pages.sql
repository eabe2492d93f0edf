-- What pages ask of a million leads.

-- The tags that there are, to choose from; most leads have none.
CREATE INDEX leads_tagged ON leads (workspace_id) WHERE tags <> '{}';

-- The leads of a campaign whose walks ended one way, and how many there are of each.
CREATE INDEX campaign_leads_ended ON campaign_leads (campaign_id, outcome, lead_id) WHERE state = 'ended';

-- Those that are on their way or held, in the order in which they are shown.
DROP INDEX campaign_leads_open;
CREATE INDEX campaign_leads_open ON campaign_leads (campaign_id, lead_id) WHERE state IN ('in_flight', 'held');
