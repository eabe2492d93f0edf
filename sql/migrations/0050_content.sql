-- What a lead reads: ids that a preview reserves, subjects that won, answers of language models, and signing keys on their way in and out.

-- The id that a delivery will have, drawn when it was previewed before it was planned: its links and its Message-ID are made of it.
CREATE TABLE previewed (
    campaign_id      bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    lead_id          bigint NOT NULL REFERENCES leads ON DELETE CASCADE,
    step             smallint NOT NULL,
    delivery_id      bigint NOT NULL UNIQUE,
    PRIMARY KEY (campaign_id, lead_id, step)
);

-- On what the best of several subjects is chosen for all later mails; NULL: they go on side by side. `winner` is an index into the step's subjects.
ALTER TABLE campaigns ADD COLUMN promote_winner text CHECK (promote_winner IN ('opens', 'replies'));
ALTER TABLE steps ADD COLUMN winner smallint, ADD COLUMN winner_at timestamptz, ADD CHECK ((winner IS NULL) = (winner_at IS NULL));

-- A language model that a workspace has access to. No row: AI tags are off, and their fallbacks stand in.
CREATE TABLE ai_settings (
    workspace_id     bigint PRIMARY KEY REFERENCES workspaces ON DELETE CASCADE,
    kind             text NOT NULL CHECK (kind IN ('openai', 'gemini')),
    url              text NOT NULL CHECK (url ~ '^https?://'),
    model            text NOT NULL CHECK (model <> ''),
    key_sealed       bytea NOT NULL,
    timeout_seconds  smallint NOT NULL CHECK (timeout_seconds BETWEEN 1 AND 60),
    max_characters   integer NOT NULL CHECK (max_characters BETWEEN 1 AND 4000),
    updated_at       timestamptz NOT NULL DEFAULT now()
);

-- What a model answered for one lead, step and tag (`key`: the hash of the question); asked once. NULL: it failed, and the fallback stands for good.
CREATE TABLE ai_answers (
    campaign_id      bigint NOT NULL REFERENCES campaigns ON DELETE CASCADE,
    lead_id          bigint NOT NULL REFERENCES leads ON DELETE CASCADE,
    step             smallint NOT NULL,
    key              text NOT NULL,
    answer           text,
    failure          text,
    answered_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (campaign_id, lead_id, step, key),
    CHECK ((answer IS NULL) <> (failure IS NULL))
);
CREATE INDEX ai_answers_by_lead ON ai_answers (lead_id);

-- A key is `waiting` until DNS shows it (`published_at`), then it may become `active`; the one before it is `retired` and must stay published while mails
-- that it signed are on their way.
ALTER TABLE dkim_keys ADD COLUMN published_at timestamptz, ADD COLUMN activated_at timestamptz, ADD COLUMN retired_at timestamptz;
UPDATE dkim_keys SET activated_at = created_at WHERE state = 'active';
UPDATE dkim_keys SET retired_at = now() WHERE state = 'retired';
ALTER TABLE dkim_keys ADD CHECK ((state = 'retired') = (retired_at IS NOT NULL));
CREATE UNIQUE INDEX dkim_keys_one_waiting ON dkim_keys (domain_id) WHERE state = 'waiting';
