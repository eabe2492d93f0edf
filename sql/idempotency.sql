-- Writes that may be repeated.

-- name: begin
-- The key is taken if nobody has it, if its day is over, or if who had it never came back (two minutes are longer than any request).
INSERT INTO idempotency_keys (owner, key, request, begun_at) VALUES (%(owner)s::text, %(key)s::text, %(request)s::bytea, %(now)s::timestamptz)
ON CONFLICT (owner, key) DO UPDATE SET request = EXCLUDED.request, begun_at = EXCLUDED.begun_at, answer = NULL
WHERE idempotency_keys.begun_at < %(now)s::timestamptz - interval '24 hours'
   OR (idempotency_keys.answer IS NULL AND idempotency_keys.request = EXCLUDED.request
       AND idempotency_keys.begun_at < %(now)s::timestamptz - interval '2 minutes')
RETURNING key;

-- name: read
SELECT request, answer FROM idempotency_keys WHERE owner = %(owner)s::text AND key = %(key)s::text;

-- name: finish
UPDATE idempotency_keys SET answer = %(answer)s::bytea, begun_at = %(now)s::timestamptz
WHERE owner = %(owner)s::text AND key = %(key)s::text AND answer IS NULL;

-- name: release
DELETE FROM idempotency_keys WHERE owner = %(owner)s::text AND key = %(key)s::text AND answer IS NULL;

-- name: forget
DELETE FROM idempotency_keys WHERE begun_at < %(before)s::timestamptz;
