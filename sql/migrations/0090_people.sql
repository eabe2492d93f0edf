-- People and what they may do: second factors, invitations, lost passwords, scopes of keys, reports that are shared, and who did what.

-- A session can be named in a list, and ended from it, without its token being known.
ALTER TABLE sessions ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;

-- RFC 6238. `totp_step` is the last step of 30 seconds whose code was used: a code works once.
ALTER TABLE users
    ADD COLUMN totp_sealed bytea,
    ADD COLUMN totp_confirmed_at timestamptz,
    ADD COLUMN totp_step bigint NOT NULL DEFAULT 0,
    ADD CHECK (totp_confirmed_at IS NULL OR totp_sealed IS NOT NULL);

-- What a person who lost the second factor signs in with, each once.
CREATE TABLE recovery_codes (
    user_id          bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    code_hash        bytea NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE password_resets (
    token_hash       bytea PRIMARY KEY,
    user_id          bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX password_resets_by_user ON password_resets (user_id);

CREATE TABLE invitations (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    email            text NOT NULL CHECK (email = lower(email)),
    role             text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    token_hash       bytea NOT NULL UNIQUE,
    invited_by       bigint REFERENCES users ON DELETE SET NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    accepted_at      timestamptz,
    revoked_at       timestamptz
);
CREATE INDEX invitations_by_workspace ON invitations (workspace_id, id);

-- A key may have less than its role: null is all of it.
ALTER TABLE api_keys ADD COLUMN scopes text[];

-- A campaign's report for somebody who has no account: found by the hash of the token in its address.
CREATE TABLE shares (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL,
    campaign_id      bigint NOT NULL,
    name             text NOT NULL CHECK (name <> ''),
    token_hash       bytea NOT NULL UNIQUE,
    created_by       bigint REFERENCES users ON DELETE SET NULL,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    revoked_at       timestamptz,
    FOREIGN KEY (workspace_id, campaign_id) REFERENCES campaigns (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX shares_by_campaign ON shares (campaign_id, id);

-- Who did what: one row for each request that changed something, and for each sign-in. Names no values: what was written lies where it was written.
CREATE TABLE audit (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at               timestamptz NOT NULL,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    user_id          bigint,
    api_key_id       bigint,
    action           text NOT NULL,
    object_id        bigint,
    path             text NOT NULL,
    remote_address   text NOT NULL,
    user_agent       text NOT NULL
);
CREATE INDEX audit_by_workspace ON audit (workspace_id, id);
CREATE INDEX audit_by_action ON audit (workspace_id, action, id);
