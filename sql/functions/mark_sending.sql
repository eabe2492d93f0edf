-- The last word before the final dot: the claim is committed, or there is no mail. All that can stop a mail is read here, under locks that whoever stops it
-- takes too: the walk's row (reply, bounce, unsubscribe, suppression), the campaign, the sender, his daily limit. True: the dot may be written.
--
-- A function, because that makes two statements one round trip: a statement's view of the data is older than the locks it waits for, so the shared form of what
-- a pause, a sender's pause and an opt-out of a whole domain take exclusively must stand in a statement of its own, and the one that follows sees what they committed.
CREATE OR REPLACE FUNCTION mark_sending(the_id bigint, the_token bigint, the_campaign_id bigint, the_lead_id bigint, the_sender_id bigint,
                                        the_worker_id bigint, the_gap float8, the_lease float8)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1, the_campaign_id::integer), pg_advisory_xact_lock_shared(2, the_sender_id::integer);
    WITH walk AS MATERIALIZED (
        SELECT cl.campaign_id, cl.lead_id FROM campaign_leads cl
        WHERE cl.campaign_id = the_campaign_id AND cl.lead_id = the_lead_id AND cl.state = 'in_flight'
        FOR NO KEY UPDATE
    ), mine AS MATERIALIZED (
        SELECT d.id, d.workspace_id FROM walk JOIN deliveries d ON d.campaign_id = walk.campaign_id AND d.lead_id = walk.lead_id
        WHERE d.id = the_id AND d.token = the_token AND d.state = 'rendered'
          AND (d.not_after IS NULL OR d.not_after > clock_timestamp())
        FOR NO KEY UPDATE OF d
    ), allowed AS MATERIALIZED (
        SELECT mine.id, day_limit(s, (clock_timestamp() AT TIME ZONE 'UTC')::date) AS daily_limit
        FROM mine
        JOIN campaigns c ON c.id = the_campaign_id AND c.status = 'running'
        JOIN leads l ON l.id = the_lead_id AND l.status = 'active' AND l.validation <> 'invalid'
        JOIN senders s ON s.id = the_sender_id AND s.status = 'ready' AND s.deleted_at IS NULL
             AND (s.cooldown_until IS NULL OR s.cooldown_until <= clock_timestamp())
             AND (s.free_at IS NULL OR s.free_at <= clock_timestamp())
        JOIN workers k ON k.id = the_worker_id AND k.seen_at > clock_timestamp() - the_lease * interval '1 second'
        WHERE NOT EXISTS (SELECT FROM suppressions x WHERE x.workspace_id = l.workspace_id AND x.kind = 'address' AND x.value = l.email)
          AND NOT EXISTS (SELECT FROM suppressions x WHERE x.workspace_id = l.workspace_id AND x.kind = 'domain' AND x.value = l.domain)
    ), spaced AS (
        UPDATE senders SET free_at = clock_timestamp() + the_gap * interval '1 second'
        FROM allowed WHERE senders.id = the_sender_id AND the_gap > 0
    ), counted AS (
        INSERT INTO sender_days AS u (sender_id, day, used)
        SELECT the_sender_id, (clock_timestamp() AT TIME ZONE 'UTC')::date, 1 FROM allowed WHERE daily_limit > 0
        ON CONFLICT (sender_id, day) DO UPDATE SET used = u.used + 1 WHERE u.used < (SELECT daily_limit FROM allowed)
        RETURNING u.used
    )
    UPDATE deliveries d SET state = 'sending', sending_at = clock_timestamp()
    FROM allowed, counted WHERE d.id = allowed.id;
    RETURN FOUND;
END $$;
