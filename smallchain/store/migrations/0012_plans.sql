-- The plans that agents make for themselves: one a turn that told one, the newest of a run is its plan.
CREATE TABLE plans (
  run_id TEXT NOT NULL,
  turn INTEGER NOT NULL,
  steps TEXT NOT NULL,
  made_at TEXT NOT NULL,
  PRIMARY KEY (run_id, turn)
) STRICT, WITHOUT ROWID;
