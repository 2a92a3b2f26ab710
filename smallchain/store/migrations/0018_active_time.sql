-- How long a run has been at work, and since when it is now; NULL: it waits, stands still, or is over.
ALTER TABLE runs ADD COLUMN active_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN active_since TEXT;
