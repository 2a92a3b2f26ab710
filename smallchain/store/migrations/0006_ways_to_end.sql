ALTER TABLE toolattempts RENAME TO old_toolattempts;

CREATE TABLE toolattempts (
  call_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  idempotency_key TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('open', 'succeeded', 'failed', 'timed_out', 'out_of_memory', 'killed', 'flooded',
    'not_started', 'interrupted', 'unknown')),
  exit_code INTEGER,
  detail TEXT NOT NULL,
  started_at TEXT NOT NULL,
  finished_at TEXT,
  PRIMARY KEY (call_id, attempt)
) STRICT, WITHOUT ROWID;

INSERT INTO toolattempts (call_id, attempt, epoch, idempotency_key, outcome, exit_code, detail, started_at, finished_at)
SELECT call_id, attempt, epoch, idempotency_key, outcome, exit_code, detail, started_at, finished_at FROM old_toolattempts;

DROP TABLE old_toolattempts;
