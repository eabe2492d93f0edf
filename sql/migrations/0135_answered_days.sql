-- What people answer from a conversation leaves by the same mailbox, so it counts against the sender's day: the campaigns' mails leave room for it. `used` holds
-- all, `answers` how many of them people wrote; those are never held up by a limit, and no attempt stands behind them.
ALTER TABLE sender_days ADD COLUMN answers integer NOT NULL DEFAULT 0 CHECK (answers >= 0);

INSERT INTO sender_days AS u (sender_id, day, used, answers)
SELECT sender_id, (created_at AT TIME ZONE 'UTC')::date, count(*), count(*) FROM answers WHERE state <> 'failed' GROUP BY 1, 2
ON CONFLICT (sender_id, day) DO UPDATE SET used = u.used + excluded.used, answers = excluded.answers;
