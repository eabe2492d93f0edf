-- Mailboxes that are read: who looks after each, how far each folder is read, and what could not be handled.

CREATE TABLE mailboxes (
    sender_id        bigint PRIMARY KEY REFERENCES senders ON DELETE CASCADE,
    worker_id        bigint,
    checked_at       timestamptz,
    idle             boolean NOT NULL DEFAULT false,
    failures         integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    error_code       text,
    error            text,
    failed_at        timestamptz,
    due_at           timestamptz,
    CHECK ((failures = 0) = (error IS NULL)),
    CHECK ((error IS NULL) = (failed_at IS NULL) AND (error IS NULL) = (error_code IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX mailboxes_by_worker ON mailboxes (worker_id);

-- All messages up to `uid` are settled or set aside, as long as the folder has this UIDVALIDITY and belongs to this account (host and user).
CREATE TABLE mailbox_folders (
    sender_id        bigint NOT NULL REFERENCES senders ON DELETE CASCADE,
    role             text NOT NULL CHECK (role IN ('inbox', 'spam', 'sent')),
    account          text NOT NULL,
    name             text NOT NULL,
    validity         bigint NOT NULL,
    uid              bigint NOT NULL CHECK (uid >= 0),
    read_at          timestamptz NOT NULL,
    PRIMARY KEY (sender_id, role)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

-- Messages that could not be handled, with the reason and what the server gave of them; `again`: a person wants another try.
CREATE TABLE messages_set_aside (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    sender_id        bigint NOT NULL REFERENCES senders ON DELETE CASCADE,
    role             text NOT NULL CHECK (role IN ('inbox', 'spam', 'sent')),
    validity         bigint NOT NULL,
    uid              bigint NOT NULL,
    reason           text NOT NULL,
    raw              bytea,
    again            boolean NOT NULL DEFAULT false,
    set_aside_at     timestamptz NOT NULL,
    UNIQUE (sender_id, role, validity, uid)
);
CREATE INDEX messages_set_aside_again ON messages_set_aside (sender_id) WHERE again;

-- Whose fate nobody knows is looked for in its sender's Sent folder.
CREATE INDEX deliveries_unknown ON deliveries (sender_id, id) WHERE state = 'unknown';
