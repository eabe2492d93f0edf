-- A session ends at last, however much it is used: `ends_at` is set when somebody signs in, and goes along when they change to another workspace.
ALTER TABLE sessions ADD COLUMN ends_at timestamptz;
UPDATE sessions SET ends_at = created_at + interval '30 days';
ALTER TABLE sessions ALTER COLUMN ends_at SET NOT NULL, ALTER COLUMN ends_at SET DEFAULT now() + interval '30 days';
