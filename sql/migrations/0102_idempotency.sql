-- Answers to writes that had an Idempotency-Key, sealed: an answer may hold a secret that is shown once.
CREATE TABLE idempotency_keys (
    owner            text NOT NULL,
    key              text NOT NULL,
    request          bytea NOT NULL,
    answer           bytea,
    begun_at         timestamptz NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (begun_at);
