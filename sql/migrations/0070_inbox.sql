-- What comes back. A thread is what was written between one lead and us in one campaign; what cannot be told whose it is waits in review without one.
--
-- No foreign keys to leads, deliveries and campaigns: a settling locks walks first, and a key's lock on a lead would be out of that order. None of these is ever
-- deleted once it was mailed; erasing a person deletes his threads.

CREATE TABLE threads (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    campaign_id      bigint NOT NULL,
    lead_id          bigint NOT NULL,
    sender_id        bigint NOT NULL,
    subject          text NOT NULL DEFAULT '',
    snippet          text NOT NULL DEFAULT '',
    label            text CHECK (label IN ('interested', 'not_interested', 'meeting_booked', 'wrong_person', 'out_of_office')),
    unread           boolean NOT NULL DEFAULT true,
    assigned_to      bigint REFERENCES users ON DELETE SET NULL,
    last_kind        text NOT NULL,
    last_at          timestamptz NOT NULL,
    last_message_id  bigint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (campaign_id, lead_id)
) WITH (fillfactor = 85);
-- The list goes by the last message: its id only grows, so it is the cursor as well.
CREATE INDEX threads_in_order ON threads (workspace_id, last_message_id);
CREATE INDEX threads_by_lead ON threads (lead_id);

-- One message, once for each mailbox however often and in however many folders it is found: `digest` is that of `mail/inbound.py`.
CREATE TABLE inbox_messages (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    sender_id        bigint NOT NULL,
    digest           bytea NOT NULL CHECK (length(digest) = 32),
    folder           text NOT NULL,
    uid              bigint NOT NULL,
    state            text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'settled', 'review', 'ignored')),
    kind             text NOT NULL CHECK (kind IN ('bounce', 'auto_reply', 'feedback', 'opt_out', 'reply', 'unrelated', 'own')),
    meaning          jsonb NOT NULL,
    thread_id        bigint REFERENCES threads ON DELETE CASCADE,
    campaign_id      bigint,
    lead_id          bigint,
    delivery_id      bigint,
    evidence         jsonb NOT NULL DEFAULT '{}',
    message_id       text,
    from_address     text NOT NULL,
    from_name        text NOT NULL DEFAULT '',
    subject          text NOT NULL DEFAULT '',
    body             text NOT NULL DEFAULT '',
    reply            text NOT NULL DEFAULT '',
    html             text NOT NULL DEFAULT '',
    attachments      jsonb NOT NULL DEFAULT '[]',
    refs             text[] NOT NULL DEFAULT '{}',
    sent_at          timestamptz,
    settled_at       timestamptz NOT NULL,
    UNIQUE (sender_id, digest),
    CHECK (state <> 'settled' OR delivery_id IS NOT NULL OR kind IN ('opt_out', 'own'))
);
CREATE INDEX inbox_messages_by_thread ON inbox_messages (thread_id, id);
CREATE INDEX inbox_messages_in_review ON inbox_messages (workspace_id, id) WHERE state = 'review';
CREATE INDEX inbox_messages_by_lead ON inbox_messages (lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX inbox_messages_by_message_id ON inbox_messages (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX inbox_messages_by_address ON inbox_messages (workspace_id, from_address);

-- Whom a mail was sent to from a mailbox is asked for each message that answers nothing of ours.
CREATE INDEX deliveries_by_lead ON deliveries (lead_id, id);

-- A reply may stop everybody else of the same company too.
ALTER TABLE campaigns ADD COLUMN stop_company_on_reply boolean NOT NULL DEFAULT false;
ALTER TABLE campaign_leads DROP CONSTRAINT campaign_leads_outcome_check;
ALTER TABLE campaign_leads ADD CONSTRAINT campaign_leads_outcome_check
    CHECK (outcome IN ('finished', 'replied', 'colleague_replied', 'bounced', 'unsubscribed', 'suppressed', 'invalid', 'failed', 'removed'));
