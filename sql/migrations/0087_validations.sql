-- Looking at the addresses of a list, as a job: what it is at, and what it has found. `cursor` is the lead up to which it has come; `counts` are leads by
-- class, and add up to `looked`.
CREATE TABLE validations (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    list_id          bigint NOT NULL REFERENCES lists ON DELETE CASCADE,
    state            text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'cancelled')),
    again            boolean NOT NULL,
    total            integer NOT NULL CHECK (total >= 0),
    looked           integer NOT NULL DEFAULT 0 CHECK (looked >= 0),
    changed          integer NOT NULL DEFAULT 0 CHECK (changed BETWEEN 0 AND looked),
    cursor           bigint NOT NULL DEFAULT 0,
    counts           jsonb NOT NULL DEFAULT '{}',
    worker_id        bigint,
    token            bigint,
    created_at       timestamptz NOT NULL,
    begun_at         timestamptz,
    ended_at         timestamptz,
    UNIQUE (workspace_id, id),
    CHECK (state <> 'running' OR (worker_id IS NOT NULL AND token IS NOT NULL AND begun_at IS NOT NULL)),
    CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX validations_one_open ON validations (list_id) WHERE state IN ('queued', 'running');
CREATE INDEX validations_to_do ON validations (id) WHERE state IN ('queued', 'running');

-- Which classes of addresses a campaign leaves out when it takes leads in; an invalid address is never mailed.
ALTER TABLE campaigns ADD COLUMN skip_validation text[] NOT NULL DEFAULT '{disposable}'
    CHECK (skip_validation <@ ARRAY['pending', 'catchall', 'disposable', 'role']);
