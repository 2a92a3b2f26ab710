-- What is spent and held under each cap, what each model call holds while it is out, and who waits for room.

CREATE TABLE accounts (
  id INTEGER PRIMARY KEY,
  cap TEXT NOT NULL,
  subject TEXT NOT NULL,
  unit TEXT NOT NULL CHECK (unit IN ('dollars', 'tokens', 'time')),
  counted_from TEXT NOT NULL,
  spent INTEGER NOT NULL CHECK (spent >= 0),
  held INTEGER NOT NULL CHECK (held >= 0),
  raised INTEGER NOT NULL CHECK (raised >= 0),
  raised_until TEXT,
  raised_for_good INTEGER NOT NULL CHECK (raised_for_good >= 0),
  UNIQUE (cap, subject)
) STRICT;

CREATE TABLE charges (
  no INTEGER PRIMARY KEY,
  account INTEGER NOT NULL,
  run_no INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  open INTEGER NOT NULL CHECK (open IN (0, 1))
) STRICT;
CREATE INDEX charges_by_time ON charges (account, at);
CREATE INDEX charges_by_call ON charges (run_no, attempt);

CREATE TABLE waits_for_room (
  run_id TEXT PRIMARY KEY,
  account INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_for_room_by_account ON waits_for_room (account);

CREATE TABLE prices (
  llm TEXT NOT NULL,
  model TEXT NOT NULL,
  input INTEGER NOT NULL,
  output INTEGER NOT NULL,
  cached_input INTEGER,
  source TEXT NOT NULL,
  PRIMARY KEY (llm, model)
) STRICT, WITHOUT ROWID;

ALTER TABLE modelcalls ADD COLUMN held_nanousd INTEGER;
ALTER TABLE modelcalls ADD COLUMN max_output INTEGER;
CREATE INDEX requests_about_budgets ON requests (digest) WHERE kind = 'budget';
