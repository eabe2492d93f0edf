-- What recipients, and the machines before them, do with a mail: every hit on a pixel or a link, as it came and as it was judged.

-- Where the wrapped links of a mail lead, by their number; a number that this mail did not use is null. Mails without wrapped links have no array at all.
ALTER TABLE deliveries ADD COLUMN links text[];

-- A hit is written as it comes, without a verdict, and judged seconds later together with all others of its delivery: what machines do shows only in the
-- pattern. `link` is the number of the link, 0 for the one that no person sees; null for the pixel. From the hundredth on a minute's hits of one mail are one
-- row (`minute`), whose `repeats` counts the others. `remote` and `user_agent` are personal data: erasing a lead takes them away.
CREATE TABLE hits (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL,
    delivery_id      bigint NOT NULL REFERENCES deliveries ON DELETE CASCADE,
    kind             text NOT NULL CHECK (kind IN ('open', 'click')),
    link             smallint CHECK (link >= 0),
    at               timestamptz NOT NULL,
    method           text NOT NULL CHECK (method IN ('GET', 'HEAD')),
    remote           inet,
    user_agent       text NOT NULL,
    minute           timestamptz,
    repeats          integer NOT NULL DEFAULT 0 CHECK (repeats >= 0),
    verdict          text CHECK (verdict IN ('human', 'machine', 'unknown')),
    reasons          text[] NOT NULL DEFAULT '{}',
    CHECK ((kind = 'click') = (link IS NOT NULL)),
    CHECK (minute IS NOT NULL OR repeats = 0)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX hits_by_delivery ON hits (delivery_id, id);
CREATE INDEX hits_unjudged ON hits (id) WHERE verdict IS NULL;
CREATE UNIQUE INDEX hits_one_a_minute ON hits (delivery_id, kind, minute) WHERE minute IS NOT NULL;
