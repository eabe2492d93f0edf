-- Who changed what of a campaign, so that two people who edit it at once lose nothing; campaigns that are put away; and a campaign's own events.

ALTER TABLE campaigns ADD COLUMN archived_at timestamptz, ADD CHECK (archived_at IS NULL OR status <> 'running');

-- `fields` are the names of the API's fields, a step as `steps[0]`. What the system does (a pause for bounces, the end) raises the version without a row.
CREATE TABLE campaign_changes (
    campaign_id      bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    version          integer NOT NULL,
    at               timestamptz NOT NULL DEFAULT now(),
    user_id          bigint REFERENCES users ON DELETE SET NULL,
    api_key_id       bigint REFERENCES api_keys ON DELETE SET NULL,
    fields           text[] NOT NULL,
    PRIMARY KEY (campaign_id, version)
);

-- A quiet campaign's events lie far back among those of the others.
CREATE INDEX events_by_campaign ON events (campaign_id, id) WHERE campaign_id IS NOT NULL;
