-- Sending domains with their DKIM keys, and what DNS said of them.

-- name: insert_domain
INSERT INTO domains (workspace_id, name) VALUES (%(workspace_id)s, %(name)s)
ON CONFLICT (workspace_id, name) DO NOTHING
RETURNING id;

-- name: next_key_id
-- A private key is sealed for the row that it will stand in, so the row's id is drawn first.
SELECT nextval(pg_get_serial_sequence('dkim_keys', 'id')) AS id;

-- name: insert_key
INSERT INTO dkim_keys (id, workspace_id, domain_id, selector, state, private_sealed, public_key)
OVERRIDING SYSTEM VALUE
VALUES (%(id)s, %(workspace_id)s, %(domain_id)s, %(selector)s, 'active', %(private_sealed)s, %(public_key)s);

-- name: read_domain
SELECT d.id, d.name, d.status, d.findings, d.checked_at, d.verified_at, d.created_at, d.updated_at, d.spf_hosts, k.selector, k.public_key, w.tracking_domain,
       ARRAY(SELECT DISTINCT s.smtp_host FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL ORDER BY 1) AS smtp_hosts,
       ARRAY(SELECT DISTINCT s.imap_host FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL
             AND s.imap_host IS NOT NULL ORDER BY 1) AS imap_hosts,
       (SELECT count(*) FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL) AS senders
FROM domains d
JOIN dkim_keys k ON k.domain_id = d.id AND k.state = 'active'
JOIN workspaces w ON w.id = d.workspace_id
WHERE d.workspace_id = %(workspace_id)s AND d.id = %(id)s;

-- name: list_domains
-- A page of them, in order of their ids, or since a time as they changed; `q` is a part of the name.
SELECT d.id, d.name, d.status, d.findings, d.checked_at, d.verified_at, d.created_at, d.updated_at, d.spf_hosts, k.selector, k.public_key, w.tracking_domain,
       ARRAY(SELECT DISTINCT s.smtp_host FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL ORDER BY 1) AS smtp_hosts,
       ARRAY(SELECT DISTINCT s.imap_host FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL
             AND s.imap_host IS NOT NULL ORDER BY 1) AS imap_hosts,
       (SELECT count(*) FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL) AS senders
FROM domains d
JOIN dkim_keys k ON k.domain_id = d.id AND k.state = 'active'
JOIN workspaces w ON w.id = d.workspace_id
WHERE d.workspace_id = %(workspace_id)s
  AND CASE WHEN %(since)s::timestamptz IS NULL THEN d.id > coalesce(%(after)s::bigint, 0)
           ELSE (d.updated_at, d.id) > (%(since)s::timestamptz, coalesce(%(after)s::bigint, 0)) AND d.updated_at < %(until)s::timestamptz END
  AND (%(q)s::text = '' OR strpos(d.name, lower(%(q)s::text)) > 0)
ORDER BY CASE WHEN %(since)s::timestamptz IS NOT NULL THEN d.updated_at END, d.id
LIMIT %(limit)s;

-- name: find_domain
-- For a sender that is being written: the domain stays until that transaction is over.
SELECT id, name, status FROM domains WHERE workspace_id = %(workspace_id)s AND name = %(name)s FOR KEY SHARE;

-- name: write_spf_hosts
UPDATE domains SET spf_hosts = %(hosts)s::text[] WHERE workspace_id = %(workspace_id)s AND id = %(id)s
RETURNING id;

-- name: due
-- Domains that were verified once and have not been looked at for a day.
SELECT d.workspace_id, d.id FROM domains d JOIN workspaces w ON w.id = d.workspace_id AND w.archived_at IS NULL
WHERE d.verified_at IS NOT NULL AND d.checked_at < %(before)s::timestamptz
ORDER BY d.checked_at LIMIT %(limit)s::integer;

-- name: hold_domain
-- What is known of it, before a look at DNS is written down.
SELECT name, status, findings FROM domains WHERE workspace_id = %(workspace_id)s AND id = %(id)s FOR NO KEY UPDATE;

-- name: record_check
-- Without a verdict (DNS could not say) the status stays what it was.
UPDATE domains
SET findings = %(findings)s::jsonb,
    checked_at = %(now)s,
    status = coalesce(%(status)s, status),
    verified_at = CASE WHEN %(status)s = 'verified' THEN coalesce(verified_at, %(now)s) ELSE verified_at END
WHERE workspace_id = %(workspace_id)s AND id = %(id)s
RETURNING id;

-- name: adopt_senders
-- Mailboxes that were here before their domain belong to it from its verification on; earlier, an unverified domain would stop them.
UPDATE senders s
SET domain_id = d.id, updated_at = %(now)s
FROM domains d
WHERE d.workspace_id = %(workspace_id)s AND d.id = %(id)s AND d.status = 'verified'
  AND s.workspace_id = d.workspace_id AND s.domain_id IS NULL AND s.deleted_at IS NULL AND split_part(s.address, '@', 2) = d.name;

-- name: lock_domain
-- Whoever would add a sender to it waits meanwhile, and then finds it gone.
SELECT id, (SELECT count(*) FROM senders s WHERE s.workspace_id = d.workspace_id AND s.domain_id = d.id AND s.deleted_at IS NULL) AS senders
FROM domains d
WHERE d.workspace_id = %(workspace_id)s AND d.id = %(id)s
FOR UPDATE;

-- name: release_deleted_senders
-- Deleted senders stay as a trace of what they sent, and need their domain no longer.
UPDATE senders SET domain_id = NULL WHERE workspace_id = %(workspace_id)s AND domain_id = %(id)s AND deleted_at IS NOT NULL;

-- name: delete_domain
DELETE FROM domains WHERE workspace_id = %(workspace_id)s AND id = %(id)s;
