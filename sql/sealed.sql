-- Every place that holds what the vault has sealed, for a change of keys. The second byte of a sealed value is the id of its key (`vault.py`).
-- Sealed answers to repeated requests (`idempotency`) are left out: they live for a day, and open with the old key until then.

-- name: stale
-- Of one place what is not sealed with the current key, in order of ids, each with what it is bound to.
SELECT s.id, s.sealed, s.bound_to
FROM (
    SELECT 'ai_settings.key_sealed' AS place, workspace_id AS id, key_sealed AS sealed, format('ai:%%s:key', workspace_id) AS bound_to FROM ai_settings
    UNION ALL
    SELECT 'dkim_keys.private_sealed', id, private_sealed, format('dkim_key:%%s:private', id) FROM dkim_keys
    UNION ALL
    SELECT 'oauth_grants.access_sealed', sender_id, access_sealed, format('sender:%%s:oauth_access', sender_id) FROM oauth_grants
    UNION ALL
    SELECT 'oauth_grants.refresh_sealed', sender_id, refresh_sealed, format('sender:%%s:oauth_refresh', sender_id) FROM oauth_grants
    UNION ALL
    SELECT 'outlets.old_sealed', id, old_sealed, format('outlet:%%s:secret', id) FROM outlets
    UNION ALL
    SELECT 'outlets.sealed', id, sealed, format('outlet:%%s:secret', id) FROM outlets
    UNION ALL
    SELECT 'senders.imap_sealed', id, imap_sealed, format('sender:%%s:imap_password', id) FROM senders
    UNION ALL
    SELECT 'senders.smtp_sealed', id, smtp_sealed, format('sender:%%s:smtp_password', id) FROM senders
    UNION ALL
    SELECT 'users.totp_sealed', id, totp_sealed, format('user:%%s:totp', id) FROM users
) s
WHERE s.place = %(place)s::text AND s.id > %(after)s::bigint AND s.sealed IS NOT NULL AND get_byte(s.sealed, 1) <> %(current)s::integer
ORDER BY s.id
LIMIT %(limit)s::integer;

-- name: write
-- What was sealed anew, all of one place; a value that somebody else has changed meanwhile stays as it is. How many were written.
WITH t AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::bigint[], %(before)s::bytea[], %(after)s::bytea[]) AS t (id, before, after)
), ai AS (
    UPDATE ai_settings x SET key_sealed = t.after FROM t
    WHERE %(place)s = 'ai_settings.key_sealed' AND x.workspace_id = t.id AND x.key_sealed = t.before RETURNING 1
), keys AS (
    UPDATE dkim_keys x SET private_sealed = t.after FROM t
    WHERE %(place)s = 'dkim_keys.private_sealed' AND x.id = t.id AND x.private_sealed = t.before RETURNING 1
), accesses AS (
    UPDATE oauth_grants x SET access_sealed = t.after FROM t
    WHERE %(place)s = 'oauth_grants.access_sealed' AND x.sender_id = t.id AND x.access_sealed = t.before RETURNING 1
), refreshes AS (
    -- Whoever fetches a new token knows its row by the old one.
    UPDATE oauth_grants x SET refresh_sealed = t.after FROM t
    WHERE %(place)s = 'oauth_grants.refresh_sealed' AND x.sender_id = t.id AND x.refresh_sealed = t.before
      AND coalesce(x.refreshing_until < clock_timestamp(), true) RETURNING 1
), old_secrets AS (
    UPDATE outlets x SET old_sealed = t.after FROM t WHERE %(place)s = 'outlets.old_sealed' AND x.id = t.id AND x.old_sealed = t.before RETURNING 1
), secrets AS (
    UPDATE outlets x SET sealed = t.after FROM t WHERE %(place)s = 'outlets.sealed' AND x.id = t.id AND x.sealed = t.before RETURNING 1
), inboxes AS (
    UPDATE senders x SET imap_sealed = t.after FROM t WHERE %(place)s = 'senders.imap_sealed' AND x.id = t.id AND x.imap_sealed = t.before RETURNING 1
), mailboxes AS (
    UPDATE senders x SET smtp_sealed = t.after FROM t WHERE %(place)s = 'senders.smtp_sealed' AND x.id = t.id AND x.smtp_sealed = t.before RETURNING 1
), factors AS (
    UPDATE users x SET totp_sealed = t.after FROM t WHERE %(place)s = 'users.totp_sealed' AND x.id = t.id AND x.totp_sealed = t.before RETURNING 1
)
SELECT (SELECT count(*) FROM ai) + (SELECT count(*) FROM keys) + (SELECT count(*) FROM old_secrets) + (SELECT count(*) FROM secrets)
       + (SELECT count(*) FROM inboxes) + (SELECT count(*) FROM mailboxes) + (SELECT count(*) FROM factors)
       + (SELECT count(*) FROM accesses) + (SELECT count(*) FROM refreshes) AS n;
