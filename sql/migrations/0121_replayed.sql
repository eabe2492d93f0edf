-- A CRM may know an event that is sent once more: then what it made of it is looked for first, as at a second attempt.
ALTER TABLE outlet_messages ADD COLUMN replayed boolean NOT NULL DEFAULT false;
