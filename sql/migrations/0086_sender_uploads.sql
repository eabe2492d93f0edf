-- Files of senders: what became of each row, and of the test of each sender that it made. What stood in a row is not kept: there are passwords in it.
CREATE TABLE sender_uploads (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    filename         text NOT NULL,
    rows             integer NOT NULL,
    created          integer NOT NULL,
    updated          integer NOT NULL,
    skipped          integer NOT NULL,
    invalid          integer NOT NULL,
    ignored_columns  text[] NOT NULL,
    created_at       timestamptz NOT NULL,
    UNIQUE (workspace_id, id),
    CHECK (rows = created + updated + skipped + invalid)
);

-- `test`: whether the sender's servers take it; NULL: there was nothing to test. `trying_until` is the lease of the worker that tries it.
CREATE TABLE sender_upload_rows (
    upload_id        bigint NOT NULL REFERENCES sender_uploads ON DELETE CASCADE,
    line             integer NOT NULL,
    address          text NOT NULL,
    verdict          text NOT NULL CHECK (verdict IN ('created', 'updated', 'skipped', 'invalid')),
    faults           jsonb NOT NULL DEFAULT '[]',
    sender_id        bigint,
    test             text CHECK (test IN ('waiting', 'passed', 'failed')),
    trying_until     timestamptz,
    tested_at        timestamptz,
    PRIMARY KEY (upload_id, line),
    CHECK (test IS NULL OR sender_id IS NOT NULL),
    CHECK ((test IN ('passed', 'failed')) = (tested_at IS NOT NULL) OR test IS NULL)
);
CREATE INDEX sender_upload_rows_waiting ON sender_upload_rows (upload_id, line) WHERE test = 'waiting';
