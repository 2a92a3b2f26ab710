-- Detached work: the child that goes on beside its caller, in which order it ended, and whether its caller was told.
CREATE TABLE detached (
  run_id TEXT NOT NULL,
  name TEXT NOT NULL,
  child_id TEXT NOT NULL UNIQUE,
  agent TEXT NOT NULL,
  waits_at_end INTEGER NOT NULL,
  finished INTEGER,
  told INTEGER NOT NULL,
  PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX detached_going_on ON detached (child_id) WHERE finished IS NULL;
