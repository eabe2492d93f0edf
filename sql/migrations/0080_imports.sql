-- Files of leads as jobs: a file waits in pieces where every process can read it, a person says what its columns mean, and a worker takes it in.

-- `receiving`: it is being sent to us; `mapping`: it waits for a person; `queued`, `running`: a worker's turn; then how it ended. Totals count in `done` alone,
-- because the rows are taken in one transaction, with the move to `done` as its last word. `preview` holds rows of the file, and goes when it is not needed.
ALTER TABLE imports
    ALTER COLUMN list_id DROP NOT NULL,
    ALTER COLUMN rows SET DEFAULT 0,
    ALTER COLUMN created SET DEFAULT 0,
    ALTER COLUMN updated SET DEFAULT 0,
    ALTER COLUMN duplicate SET DEFAULT 0,
    ALTER COLUMN suppressed SET DEFAULT 0,
    ALTER COLUMN invalid SET DEFAULT 0,
    ADD COLUMN state       text NOT NULL DEFAULT 'done' CHECK (state IN ('receiving', 'mapping', 'queued', 'running', 'done', 'failed', 'cancelled')),
    ADD COLUMN kind        text NOT NULL DEFAULT 'csv' CHECK (kind IN ('csv', 'xlsx')),
    ADD COLUMN bytes       bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    ADD COLUMN preview     jsonb,
    ADD COLUMN options     jsonb,
    ADD COLUMN phase       text CHECK (phase IN ('reading', 'taking')),
    ADD COLUMN rows_read   integer NOT NULL DEFAULT 0,
    ADD COLUMN bytes_read  bigint NOT NULL DEFAULT 0,
    ADD COLUMN faults      jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN missing     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN attempts    smallint NOT NULL DEFAULT 0,
    ADD COLUMN worker_id   bigint,
    ADD COLUMN token       bigint,
    ADD COLUMN begun_at    timestamptz,
    ADD COLUMN taking_at   timestamptz,
    ADD COLUMN ended_at    timestamptz,
    ADD CHECK (state <> 'running' OR (worker_id IS NOT NULL AND token IS NOT NULL AND phase IS NOT NULL AND begun_at IS NOT NULL)),
    ADD CHECK (state NOT IN ('queued', 'running') OR options IS NOT NULL);
UPDATE imports SET ended_at = created_at;
ALTER TABLE imports ADD CHECK ((state IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL));
CREATE INDEX imports_to_do ON imports (id) WHERE state IN ('queued', 'running');
CREATE INDEX imports_open ON imports (created_at) WHERE state IN ('receiving', 'mapping');

-- A file in pieces of one size (the last may be shorter), so that any place of it is found by arithmetic. Compressing them costs more than it saves: they live for minutes.
CREATE TABLE import_pieces (
    import_id        bigint NOT NULL REFERENCES imports ON DELETE CASCADE,
    number           integer NOT NULL CHECK (number >= 0),
    data             bytea NOT NULL,
    PRIMARY KEY (import_id, number)
);
ALTER TABLE import_pieces ALTER COLUMN data SET STORAGE EXTERNAL;

-- Where a lead comes from and by what right it is kept (GDPR, article 6); words of one's own to find it by.
ALTER TABLE leads
    ADD COLUMN source       text NOT NULL DEFAULT '',
    ADD COLUMN lawful_basis text NOT NULL DEFAULT ''
                            CHECK (lawful_basis IN ('', 'consent', 'contract', 'legal_obligation', 'vital_interests', 'public_task', 'legitimate_interests')),
    ADD COLUMN tags         text[] NOT NULL DEFAULT '{}';

-- Few leads may not be mailed; an import looks for each of its addresses among them.
CREATE INDEX leads_stopped ON leads (workspace_id, email) WHERE status <> 'active';
