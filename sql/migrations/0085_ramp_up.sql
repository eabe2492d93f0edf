-- How a new mailbox grows into its daily limit, and how its health went, day by day.

-- A ramp-up: `ramp_start` mails on the first UTC day from `ramp_from` on, and `ramp_step` more for each day since on which the sender has sent, up to
-- `ramp_ceiling` (NULL: the daily limit). Days without a mail count for nothing: a mailbox earns no trust by resting. See `sql/functions/day_limit.sql`.
ALTER TABLE senders
    ADD COLUMN ramp_from date,
    ADD COLUMN ramp_start integer CHECK (ramp_start > 0),
    ADD COLUMN ramp_step integer CHECK (ramp_step > 0),
    ADD COLUMN ramp_ceiling integer CHECK (ramp_ceiling >= ramp_start),
    ADD CHECK ((ramp_from IS NULL) = (ramp_start IS NULL) AND (ramp_from IS NULL) = (ramp_step IS NULL)),
    ADD CHECK (ramp_from IS NOT NULL OR ramp_ceiling IS NULL);

-- A sender's health at the end of a UTC day, the lowest of that day, and how many attempts went wrong on it. Days on which nothing changed have no row.
CREATE TABLE sender_health (
    sender_id        bigint NOT NULL REFERENCES senders ON DELETE CASCADE,
    day              date NOT NULL,
    health           integer NOT NULL CHECK (health BETWEEN 0 AND 100),
    lowest           integer NOT NULL CHECK (lowest BETWEEN 0 AND health),
    errors           integer NOT NULL CHECK (errors >= 0),
    last_error       text,
    PRIMARY KEY (sender_id, day)
);
