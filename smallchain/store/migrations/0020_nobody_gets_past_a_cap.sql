-- What people add to a cap, each for as long as it was said and over the limit that was written then; what stands around the messages
-- of a request whose tokens are told; for which LLM and which messages a strategy of a person's own made a request; and sums by model.

CREATE TABLE raises (
  no INTEGER PRIMARY KEY,
  account INTEGER NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  until TEXT,
  over INTEGER
) STRICT;
CREATE INDEX raises_by_account ON raises (account);

INSERT INTO raises (account, amount, until, over) SELECT id, raised, raised_until, NULL FROM accounts WHERE raised > 0;
INSERT INTO raises (account, amount, until, over) SELECT id, raised_for_good, NULL, NULL FROM accounts WHERE raised_for_good > 0;
ALTER TABLE accounts DROP COLUMN raised;
ALTER TABLE accounts DROP COLUMN raised_until;
ALTER TABLE accounts DROP COLUMN raised_for_good;

ALTER TABLE modelcalls ADD COLUMN around INTEGER;
ALTER TABLE composed ADD COLUMN llm TEXT NOT NULL DEFAULT '';
ALTER TABLE composed ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;

DROP INDEX modelcalls_spent;
CREATE INDEX modelcalls_spent ON modelcalls (finished_at, run_no, llm, model, cost_nanousd, input_tokens, output_tokens, cached_tokens)
WHERE finished_at IS NOT NULL;
