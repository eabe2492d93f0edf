-- Since when a step has the subjects that it has: only what was sent since then says which of them is the best.
ALTER TABLE steps ADD COLUMN subjects_at timestamptz NOT NULL DEFAULT now();
