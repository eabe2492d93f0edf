-- When each thing that programs keep copies of was changed last, kept true by the database: what a program missed is found by `updated_at` (`sql/sync.sql`).
--
-- The clock is read when the row is written, not when its transaction began: a transaction that is not seen to run yet writes later times than whoever looks for it has read.

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at = clock_timestamp(); RETURN NEW; END $$;

ALTER TABLE domains ADD COLUMN updated_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE campaigns ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE lists ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE senders ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE outlets ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE leads ALTER COLUMN updated_at SET DEFAULT clock_timestamp();

CREATE TRIGGER touched BEFORE UPDATE ON campaigns FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touched BEFORE UPDATE ON lists FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touched BEFORE UPDATE ON domains FOR EACH ROW EXECUTE FUNCTION touch();

-- Not for when it is free again, nor for a seal that changes nothing: each mail writes the one, each new key of the installation the other.
CREATE TRIGGER touched BEFORE UPDATE OF domain_id, address, name, reply_to, signature, smtp_host, smtp_port, smtp_security, smtp_username, imap_host, imap_port,
    imap_security, imap_username, daily_limit, min_gap_seconds, max_gap_seconds, status, status_reason, health, errors_in_row, cooldown_until, last_error, tested_at
    ON senders FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION touch();

-- What people set, and whether it is on; not how far it has come, which every delivery moves.
CREATE TRIGGER touched BEFORE UPDATE OF name, url, types, campaign_ids, options, state ON outlets FOR EACH ROW EXECUTE FUNCTION touch();

-- A domain shows its active key.
CREATE FUNCTION touch_domain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE domains SET updated_at = DEFAULT WHERE id = NEW.domain_id; RETURN NULL; END $$;
CREATE TRIGGER touched AFTER UPDATE OF state ON dkim_keys FOR EACH ROW EXECUTE FUNCTION touch_domain();

-- Of the others a workspace has hundreds. Leads have no trigger, which a million would feel: each statement that changes them says so, and a test reads them all.
CREATE INDEX leads_by_change ON leads (workspace_id, updated_at, id);
-- An entry is never changed.
ALTER TABLE suppressions ALTER COLUMN created_at SET DEFAULT clock_timestamp();
CREATE INDEX suppressions_by_change ON suppressions (workspace_id, created_at, id);
