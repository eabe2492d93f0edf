-- Consents that are waited for, and what they brought: access to a mail provider in place of a password.

-- name: ask
-- A consent that a person is sent away to give. Those that nobody waits for any more go.
WITH gone AS (
    DELETE FROM oauth_consents WHERE expires_at < %(now)s::timestamptz
)
INSERT INTO oauth_consents (state_hash, workspace_id, actor, provider, sender_id, name, return_to, expires_at)
VALUES (%(state_hash)s::bytea, %(workspace_id)s::bigint, %(actor)s::text, %(provider)s::text, %(sender_id)s::bigint, %(name)s::text, %(return_to)s::text,
        %(expires_at)s::timestamptz);

-- name: take
-- The consent that an answer belongs to, once, and only for who asked for it.
DELETE FROM oauth_consents
WHERE state_hash = %(state_hash)s::bytea AND workspace_id = %(workspace_id)s::bigint AND actor = %(actor)s::text AND provider = %(provider)s::text
  AND expires_at >= %(now)s::timestamptz
RETURNING sender_id, name, return_to;

-- name: grant
-- What a consent brought, in place of what was there.
INSERT INTO oauth_grants (sender_id, workspace_id, provider, account, refresh_sealed, access_sealed, expires_at, granted_at)
VALUES (%(sender_id)s::bigint, %(workspace_id)s::bigint, %(provider)s::text, %(account)s::text, %(refresh)s::bytea, %(access)s::bytea,
        %(expires_at)s::timestamptz, %(now)s::timestamptz)
ON CONFLICT (sender_id) DO UPDATE
SET provider = EXCLUDED.provider, account = EXCLUDED.account, refresh_sealed = EXCLUDED.refresh_sealed, access_sealed = EXCLUDED.access_sealed,
    expires_at = EXCLUDED.expires_at, refreshing_until = NULL, refused_at = NULL, error = NULL, granted_at = EXCLUDED.granted_at;

-- name: passwords_end
-- Who has consented signs in with no password any more.
UPDATE senders SET smtp_sealed = NULL, smtp_username = %(account)s::text, imap_sealed = NULL, imap_username = %(account)s::text, updated_at = %(now)s::timestamptz
WHERE id = %(sender_id)s::bigint;

-- name: forget
DELETE FROM oauth_grants WHERE workspace_id = %(workspace_id)s::bigint AND sender_id = %(sender_id)s::bigint RETURNING sender_id;

-- name: read_grant
SELECT provider, account, access_sealed, expires_at, refreshing_until, refused_at, error, clock_timestamp() AS now
FROM oauth_grants WHERE sender_id = %(sender_id)s::bigint;

-- name: begin_refresh
-- Whoever gets this row back fetches a new access token; the others wait for it. A fetch that nobody ends is begun anew after a while.
UPDATE oauth_grants SET refreshing_until = clock_timestamp() + make_interval(secs => %(seconds)s::float8)
WHERE sender_id = %(sender_id)s::bigint AND refused_at IS NULL AND coalesce(refreshing_until < clock_timestamp(), true)
  AND coalesce(expires_at < clock_timestamp() + make_interval(secs => %(spare)s::float8), true)
RETURNING refresh_sealed;

-- name: write_refreshed
-- A new access token, and a new refresh token if the provider gave one; unless a new consent has come meanwhile.
UPDATE oauth_grants
SET access_sealed = %(access)s::bytea, expires_at = %(expires_at)s::timestamptz, refresh_sealed = coalesce(%(refresh)s::bytea, refresh_sealed),
    refreshing_until = NULL, error = NULL
WHERE sender_id = %(sender_id)s::bigint AND refresh_sealed = %(before)s::bytea;

-- name: write_unrefreshed
-- Why there is no new access token. A refusal is for good; anything else is tried again when the time of this try is over.
UPDATE oauth_grants SET error = %(error)s::text, refused_at = CASE WHEN %(refused)s::boolean THEN clock_timestamp() END
WHERE sender_id = %(sender_id)s::bigint AND refresh_sealed = %(before)s::bytea;
