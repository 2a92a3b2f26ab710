-- Where a request begins behind the head of its conversation; 0: nothing is left out.
ALTER TABLE runs ADD COLUMN first_message INTEGER NOT NULL DEFAULT 0;
ALTER TABLE modelcalls ADD COLUMN first_message INTEGER NOT NULL DEFAULT 0;
