-- Outlets: where events go. A webhook, or a CRM that is kept up to date; each reads the stream by a cursor of its own.
--
-- The transactions that write events know nothing of outlets. A worker moves an outlet's cursor along the stream and writes a row an event
-- that it wants, in batches; an outlet that does not take its events stops moving when enough of them wait, and the stream keeps the rest.

CREATE TABLE outlets (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    kind             text NOT NULL CHECK (kind IN ('webhook', 'slack', 'hubspot', 'pipedrive')),
    name             text NOT NULL DEFAULT '',
    url              text NOT NULL,
    types            text[] NOT NULL,
    campaign_ids     bigint[],
    options          jsonb NOT NULL DEFAULT '{}',
    sealed           bytea,
    old_sealed       bytea,
    old_until        timestamptz,
    xact             bigint NOT NULL,
    event_id         bigint NOT NULL,
    state            text NOT NULL DEFAULT 'on' CHECK (state IN ('on', 'off')),
    off_reason       text,
    off_at           timestamptz,
    failures_in_row  integer NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
    rest_until       timestamptz,
    delivered_at     timestamptz,
    failed_at        timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, id),
    CHECK ((old_sealed IS NULL) = (old_until IS NULL)),
    CHECK ((state = 'off') = (off_at IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- An outlet's events travel in four lanes, one worker's thread at a time in each: what concerns one lead is always in the same lane, and so in order.
CREATE TABLE outlet_lanes (
    outlet_id        bigint NOT NULL REFERENCES outlets ON DELETE CASCADE,
    lane             smallint NOT NULL,
    token            bigint NOT NULL DEFAULT 0,
    leased_until     timestamptz,
    PRIMARY KEY (outlet_id, lane)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

-- `thread` is what must stay in order: the lead, or else the campaign (negative).
CREATE TABLE outlet_messages (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL,
    outlet_id        bigint NOT NULL REFERENCES outlets ON DELETE CASCADE,
    event_id         bigint NOT NULL,
    event_at         timestamptz NOT NULL,
    type             text NOT NULL,
    thread           bigint NOT NULL,
    lane             smallint NOT NULL,
    state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'given_up')),
    attempts         integer NOT NULL DEFAULT 0,
    first_at         timestamptz,
    due_at           timestamptz,
    done_at          timestamptz,
    UNIQUE (outlet_id, event_id),
    CHECK ((state = 'pending') = (done_at IS NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outlet_messages_pending ON outlet_messages (outlet_id, lane, id) WHERE state = 'pending';
CREATE INDEX outlet_messages_blocked ON outlet_messages (outlet_id, thread, id) WHERE state = 'pending' AND attempts > 0;
CREATE INDEX outlet_messages_done ON outlet_messages (done_at) WHERE state <> 'pending';

CREATE TABLE outlet_attempts (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outlet_id        bigint NOT NULL REFERENCES outlets ON DELETE CASCADE,
    message_id       bigint NOT NULL REFERENCES outlet_messages ON DELETE CASCADE,
    at               timestamptz NOT NULL,
    outcome          text NOT NULL,
    status           integer,
    ms               integer NOT NULL,
    error            text,
    answer           text NOT NULL DEFAULT ''
);
CREATE INDEX outlet_attempts_by_outlet ON outlet_attempts (outlet_id, id);
CREATE INDEX outlet_attempts_by_message ON outlet_attempts (message_id, id);
