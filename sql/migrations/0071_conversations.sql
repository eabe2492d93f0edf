-- Conversations: what people write, beside what comes in.

-- Where an answer goes, if it is not to go to whoever wrote (RFC 5322, 3.6.2).
ALTER TABLE inbox_messages ADD COLUMN reply_to text;

-- What is searched of a message. Its words as they are, of whatever language.
ALTER TABLE inbox_messages ADD COLUMN search tsvector
    GENERATED ALWAYS AS (to_tsvector('simple', left(subject, 1000) || ' ' || left(reply, 20000))) STORED;
CREATE INDEX inbox_messages_search ON inbox_messages USING gin (search);

-- An answer from a conversation. It is written down as `sending` before its first byte goes out, and never sent again by itself: one that stays so is `unknown`.
CREATE TABLE answers (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    thread_id        bigint NOT NULL REFERENCES threads ON DELETE CASCADE,
    sender_id        bigint NOT NULL,
    user_id          bigint REFERENCES users ON DELETE SET NULL,
    state            text NOT NULL DEFAULT 'sending' CHECK (state IN ('sending', 'sent', 'failed', 'unknown')),
    to_address       text NOT NULL,
    subject          text NOT NULL,
    body             text NOT NULL,
    message_id       text NOT NULL UNIQUE,
    reply            text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL,
    settled_at       timestamptz,
    CHECK ((state IN ('sent', 'failed')) <= (settled_at IS NOT NULL))
);
CREATE INDEX answers_by_thread ON answers (thread_id, id);

CREATE TABLE notes (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     bigint NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    thread_id        bigint NOT NULL REFERENCES threads ON DELETE CASCADE,
    user_id          bigint REFERENCES users ON DELETE SET NULL,
    text             text NOT NULL CHECK (text <> ''),
    created_at       timestamptz NOT NULL
);
CREATE INDEX notes_by_thread ON notes (thread_id, id);
