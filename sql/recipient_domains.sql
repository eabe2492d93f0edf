-- Who receives a domain's mail, as its MX said.

-- name: write
-- What a look-up found. A failed one keeps what was known before, and is not asked again for a while.
INSERT INTO recipient_domains AS d (name, provider, mx, accepts_mail, checked_at)
SELECT name, provider, string_to_array(mx, ' '), accepts, clock_timestamp()
FROM unnest(%(names)s::text[], %(providers)s::text[], %(mx)s::text[], %(accepts)s::boolean[]) AS t (name, provider, mx, accepts)
ON CONFLICT (name) DO UPDATE
SET provider = CASE WHEN EXCLUDED.accepts_mail IS NULL THEN d.provider ELSE EXCLUDED.provider END,
    mx = CASE WHEN EXCLUDED.accepts_mail IS NULL THEN d.mx ELSE EXCLUDED.mx END,
    accepts_mail = coalesce(EXCLUDED.accepts_mail, d.accepts_mail), checked_at = EXCLUDED.checked_at;

-- name: unknown
-- Those of these domains that nobody has looked up.
SELECT name FROM unnest(%(names)s::text[]) AS t (name)
WHERE NOT EXISTS (SELECT FROM recipient_domains d WHERE d.name = t.name);

-- name: oldest
-- Domains whose look-up is more than a week old, or failed more than an hour ago.
SELECT name FROM recipient_domains
WHERE checked_at < now() - CASE WHEN accepts_mail IS NULL THEN interval '1 hour' ELSE interval '7 days' END
ORDER BY checked_at
LIMIT %(limit)s::integer;

-- name: known
-- What was found out about these domains less than a week ago.
SELECT name, accepts_mail FROM recipient_domains
WHERE name = ANY (%(names)s::text[]) AND accepts_mail IS NOT NULL AND checked_at > now() - interval '7 days';
