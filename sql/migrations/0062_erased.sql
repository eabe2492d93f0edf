-- Erasure: an address that nobody may know of any more, and that is never to be mailed again.
--
-- What is kept is HMAC-SHA256 of the address under a key of this installation (RFC 2104, by hand: the embedded Postgres has no pgcrypto). The key stands in a table
-- of its own, so that the check is part of every import, whoever writes it, and outlives a change of the secret key. Its cost: who holds the whole
-- database can find out whether an address that he already knows is among the erased.
CREATE TABLE erasure_key (
    one              boolean PRIMARY KEY DEFAULT true CHECK (one),
    inner_pad        bytea NOT NULL CHECK (length(inner_pad) = 64),
    outer_pad        bytea NOT NULL CHECK (length(outer_pad) = 64)
);

CREATE FUNCTION padded(key bytea, pad integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(decode(lpad(to_hex(pad # CASE WHEN n < length(key) THEN get_byte(key, n) ELSE 0 END), 2, '0'), 'hex'), ''::bytea ORDER BY n)
    FROM generate_series(0, 63) n
$$;

INSERT INTO erasure_key (inner_pad, outer_pad)
SELECT padded(key, 54), padded(key, 92)
FROM (SELECT sha256(convert_to(string_agg(gen_random_uuid()::text, ''), 'UTF8')) AS key FROM generate_series(1, 4)) drawn;

CREATE FUNCTION erased_hash(email text) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(k.outer_pad || sha256(k.inner_pad || convert_to(email, 'UTF8'))) FROM erasure_key k
$$;

CREATE TABLE erased (
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    hash             bytea NOT NULL CHECK (length(hash) = 32),
    note             text NOT NULL DEFAULT '',
    user_id          bigint,
    erased_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, hash)
);
