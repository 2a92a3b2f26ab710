CREATE TABLE artifacts (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  root_id TEXT NOT NULL,
  call_id TEXT NOT NULL,
  name TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  digest TEXT NOT NULL,
  created_at TEXT NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX artifacts_of_run ON artifacts (run_id, size_bytes);
CREATE INDEX artifacts_of_tree ON artifacts (root_id);

CREATE TABLE artifacts_inherited (
  root_id TEXT NOT NULL,
  artifact_id TEXT NOT NULL,
  PRIMARY KEY (root_id, artifact_id)
) STRICT, WITHOUT ROWID;
