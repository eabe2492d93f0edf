-- The last word before the final dot: the claim is committed, or there is no mail. All that can stop a mail is read here, under locks that whoever stops it
-- takes too: the walk's row (reply, bounce, unsubscribe, suppression), the campaign, the sender, his daily limit. Of the mails that are asked for, those whose dot
-- may be written come back. At most one of a sender: the day's count is of one mail.
--
-- Whoever holds a walk is about to stop it, perhaps with a thousand others: nobody waits for that here, where the company would wait too. The mail goes back.
--
-- Several at once, because asking costs four times as much as answering: eight mails take as long as two. Locks are taken in the order of the ledger, each kind sorted.
--
-- A function, because that makes two statements one round trip: a statement's view of the data is older than the locks it waits for, so the shared form of what
-- a pause, a sender's pause and an opt-out of a whole domain take exclusively must stand in a statement of its own, and the one that follows sees what they committed.
CREATE OR REPLACE FUNCTION mark_sending(ids bigint[], tokens bigint[], campaign_ids bigint[], lead_ids bigint[], sender_ids bigint[], worker_ids bigint[],
                                        gaps float8[], the_lease float8)
RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1, id::integer) FROM (SELECT DISTINCT id FROM unnest(campaign_ids) AS t (id) ORDER BY id) t;
    PERFORM pg_advisory_xact_lock_shared(2, id::integer) FROM (SELECT id FROM unnest(sender_ids) AS t (id) ORDER BY id) t;
    RETURN QUERY
    WITH walk AS MATERIALIZED (
        SELECT asked.*, cl.state
        FROM unnest(ids, tokens, campaign_ids, lead_ids, sender_ids, worker_ids, gaps) AS asked (id, token, campaign_id, lead_id, sender_id, worker_id, gap)
        JOIN campaign_leads cl ON cl.campaign_id = asked.campaign_id AND cl.lead_id = asked.lead_id
        ORDER BY cl.campaign_id, cl.lead_id
        FOR NO KEY UPDATE OF cl SKIP LOCKED
    ), mine AS MATERIALIZED (
        SELECT walk.* FROM walk JOIN deliveries d ON d.id = walk.id AND d.campaign_id = walk.campaign_id AND d.lead_id = walk.lead_id
        WHERE walk.state = 'in_flight' AND d.token = walk.token AND d.state = 'rendered' AND (d.not_after IS NULL OR d.not_after > clock_timestamp())
        ORDER BY d.id
        FOR NO KEY UPDATE OF d
    ), allowed AS MATERIALIZED (
        SELECT mine.id, mine.sender_id, mine.gap, day_limit(s, (clock_timestamp() AT TIME ZONE 'UTC')::date) AS daily_limit
        FROM mine
        JOIN campaigns c ON c.id = mine.campaign_id AND c.status = 'running'
        JOIN leads l ON l.id = mine.lead_id AND l.status = 'active' AND l.validation <> 'invalid'
        JOIN senders s ON s.id = mine.sender_id AND s.status = 'ready' AND s.deleted_at IS NULL
             AND (s.cooldown_until IS NULL OR s.cooldown_until <= clock_timestamp())
             AND (s.free_at IS NULL OR s.free_at <= clock_timestamp())
        JOIN workers k ON k.id = mine.worker_id AND k.seen_at > clock_timestamp() - the_lease * interval '1 second'
        WHERE NOT EXISTS (SELECT FROM suppressions x WHERE x.workspace_id = l.workspace_id AND x.kind = 'address' AND x.value = l.email)
          AND NOT EXISTS (SELECT FROM suppressions x WHERE x.workspace_id = l.workspace_id AND x.kind = 'domain' AND x.value = l.domain)
    ), counted AS (
        INSERT INTO sender_days AS u (sender_id, day, used)
        SELECT sender_id, (clock_timestamp() AT TIME ZONE 'UTC')::date, 1 FROM allowed WHERE daily_limit > 0 ORDER BY sender_id
        ON CONFLICT (sender_id, day) DO UPDATE SET used = u.used + 1
        WHERE u.used < (SELECT a.daily_limit FROM allowed a WHERE a.sender_id = u.sender_id)
        RETURNING u.sender_id
    ), paced AS MATERIALIZED (
        SELECT s.id, allowed.gap FROM senders s JOIN allowed ON allowed.sender_id = s.id JOIN counted ON counted.sender_id = s.id
        WHERE allowed.gap > 0
        ORDER BY s.id
        FOR NO KEY UPDATE OF s
    ), spaced AS (
        UPDATE senders SET free_at = clock_timestamp() + paced.gap * interval '1 second' FROM paced WHERE senders.id = paced.id
    )
    UPDATE deliveries d SET state = 'sending', sending_at = clock_timestamp()
    FROM allowed JOIN counted USING (sender_id) WHERE d.id = allowed.id
    RETURNING d.id;
END $$;
