CREATE TABLE paces (
  llm TEXT PRIMARY KEY,
  held_at TEXT,
  held_until TEXT,
  held_why TEXT NOT NULL,
  held_digest TEXT NOT NULL,
  told_until TEXT,
  full_since TEXT,
  quiet_since TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE places (
  run_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  llm TEXT NOT NULL,
  priority INTEGER NOT NULL,
  root_id TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  asked_at TEXT NOT NULL,
  granted_at TEXT,
  epoch INTEGER,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX places_waiting ON places (llm, priority, root_id, asked_at) WHERE granted_at IS NULL;
CREATE INDEX places_granted ON places (llm, granted_at) WHERE granted_at IS NOT NULL;

CREATE TABLE places_in_line (
  llm TEXT NOT NULL,
  priority INTEGER NOT NULL,
  root_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (llm, priority, root_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX places_in_line_by_turn ON places_in_line (llm, priority DESC, number);
CREATE INDEX places_in_line_by_number ON places_in_line (llm, number);
