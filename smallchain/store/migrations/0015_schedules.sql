CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  timing TEXT NOT NULL,
  since TEXT NOT NULL,
  considered_at TEXT NOT NULL,
  waiting TEXT,
  skipped INTEGER NOT NULL,
  skipped_at TEXT,
  skipped_why TEXT NOT NULL,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_waiting ON schedules (name) WHERE waiting IS NOT NULL;

CREATE TABLE schedule_starts (
  no INTEGER PRIMARY KEY,
  schedule TEXT NOT NULL,
  moment TEXT NOT NULL,
  run_id TEXT NOT NULL UNIQUE,
  UNIQUE (schedule, moment)
) STRICT;
CREATE INDEX schedule_starts_by_schedule ON schedule_starts (schedule, no);
