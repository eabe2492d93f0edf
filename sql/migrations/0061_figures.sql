-- Statistics: what events add up to, kept so that reading costs the same however many there are.

-- What each event changes of its campaign's figures: the one definition, for counting as it comes, for counting anew, and for comparing. Each figure counts
-- mails. A mail is sent once a server took it or refused it for good at its door (it was handed in either way); it is opened or clicked by the best verdict on
-- its hits, which may change, so what it was (`was`) is taken off again; a second reply to the same mail, or a second bounce, is not another mail.
CREATE VIEW event_changes AS
SELECT e.workspace_id, e.xact, e.id, e.at, d.campaign_id, d.step, coalesce(d.subject_index, -1)::smallint AS subject, d.sender_id,
       (e.at AT TIME ZONE 'UTC')::date AS day,
       (e.type = 'email.sent' OR (e.type = 'email.bounced' AND first.once
        AND NOT EXISTS (SELECT FROM events s WHERE s.lead_id = e.lead_id AND s.delivery_id = e.delivery_id AND s.type = 'email.sent'
                        AND (s.xact, s.id) < (e.xact, e.id))))::integer AS sent,
       (e.type = 'email.bounced' AND first.once)::integer AS bounced,
       (e.type = 'email.opened')::integer * (is_human - was_human) AS opened,
       (e.type = 'email.opened')::integer * (is_machine - was_machine) AS opened_machine,
       (e.type = 'email.opened')::integer * (is_unknown - was_unknown) AS opened_unknown,
       (e.type = 'email.clicked')::integer * (is_human - was_human) AS clicked,
       (e.type = 'email.clicked')::integer * (is_machine - was_machine) AS clicked_machine,
       (e.type = 'email.clicked')::integer * (is_unknown - was_unknown) AS clicked_unknown,
       (e.type = 'email.replied' AND first.once)::integer AS replied,
       (e.type = 'lead.unsubscribed' AND first.once)::integer AS unsubscribed
FROM events e
JOIN deliveries d ON d.id = e.delivery_id
CROSS JOIN LATERAL (
    SELECT e.type NOT IN ('email.bounced', 'email.replied', 'lead.unsubscribed')
           OR NOT EXISTS (SELECT FROM events p WHERE p.lead_id = e.lead_id AND p.delivery_id = e.delivery_id AND p.type = e.type
                          AND (p.xact, p.id) < (e.xact, e.id)) AS once
) first
CROSS JOIN LATERAL (
    SELECT (e.data ->> 'verdict' IS NOT DISTINCT FROM 'human')::integer AS is_human, (e.data ->> 'was' IS NOT DISTINCT FROM 'human')::integer AS was_human,
           (e.data ->> 'verdict' IS NOT DISTINCT FROM 'machine')::integer AS is_machine, (e.data ->> 'was' IS NOT DISTINCT FROM 'machine')::integer AS was_machine,
           (e.data ->> 'verdict' IS NOT DISTINCT FROM 'unknown')::integer AS is_unknown, (e.data ->> 'was' IS NOT DISTINCT FROM 'unknown')::integer AS was_unknown
) v
WHERE e.type IN ('email.sent', 'email.bounced', 'email.opened', 'email.clicked', 'email.replied', 'lead.unsubscribed');

-- The figures of a campaign, three times: by day (UTC), by step and subject, and by sender. Of the columns that a row is not about, -1, 0 and the first day of the calendar stand for all.
CREATE TABLE figures (
    workspace_id     bigint NOT NULL,
    campaign_id      bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    scope            text NOT NULL CHECK (scope IN ('day', 'subject', 'sender')),
    step             smallint NOT NULL,
    subject          smallint NOT NULL,
    sender_id        bigint NOT NULL,
    day              date NOT NULL,
    sent             bigint NOT NULL,
    bounced          bigint NOT NULL,
    opened           bigint NOT NULL,
    opened_machine   bigint NOT NULL,
    opened_unknown   bigint NOT NULL,
    clicked          bigint NOT NULL,
    clicked_machine  bigint NOT NULL,
    clicked_unknown  bigint NOT NULL,
    replied          bigint NOT NULL,
    unsubscribed     bigint NOT NULL,
    PRIMARY KEY (campaign_id, scope, step, subject, sender_id, day)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX figures_by_workspace ON figures (workspace_id, scope, day);

-- How far in the stream of each workspace its figures have been counted.
CREATE TABLE figures_places (
    workspace_id     bigint PRIMARY KEY REFERENCES workspaces ON DELETE CASCADE,
    xact             xid8 NOT NULL,
    id               bigint NOT NULL
) WITH (fillfactor = 50);
