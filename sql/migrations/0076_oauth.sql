-- Signing in at a mail provider with its user's consent (OAuth 2.0) in place of a password.

-- A consent that was asked for and is waited for. Only the hash of its state is kept; `actor` is who asked, and only he may bring the answer.
CREATE TABLE oauth_consents (
    state_hash       bytea PRIMARY KEY CHECK (length(state_hash) = 32),
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    actor            text NOT NULL,
    provider         text NOT NULL CHECK (provider IN ('google', 'microsoft')),
    sender_id        bigint REFERENCES senders ON DELETE CASCADE,
    name             text NOT NULL DEFAULT '',
    return_to        text,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX oauth_consents_by_expiry ON oauth_consents (expires_at);

-- What a consent brought: with the refresh token access tokens are fetched, one at a time (`refreshing_until`). `refused_at`: the provider takes it no
-- more, and the person must consent again.
CREATE TABLE oauth_grants (
    sender_id        bigint PRIMARY KEY REFERENCES senders ON DELETE CASCADE,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    provider         text NOT NULL CHECK (provider IN ('google', 'microsoft')),
    account          text NOT NULL,
    refresh_sealed   bytea NOT NULL,
    access_sealed    bytea,
    expires_at       timestamptz,
    refreshing_until timestamptz,
    refused_at       timestamptz,
    error            text,
    granted_at       timestamptz NOT NULL,
    CHECK ((access_sealed IS NULL) = (expires_at IS NULL)),
    CHECK (refused_at IS NULL OR error IS NOT NULL)
) WITH (fillfactor = 70);
