-- Where a request begins behind the head of its conversation; 0: nothing is left out.
ALTER TABLE runs ADD COLUMN first_message INTEGER NOT NULL DEFAULT 0;
ALTER TABLE modelcalls ADD COLUMN first_message INTEGER NOT NULL DEFAULT 0;

-- The message that stands for what is left out, and what a request for such a summary sums up (all before this message); 0: none.
ALTER TABLE runs ADD COLUMN summary INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN summarise_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE modelcalls ADD COLUMN summary INTEGER NOT NULL DEFAULT 0;
ALTER TABLE modelcalls ADD COLUMN summarises INTEGER NOT NULL DEFAULT 0;
