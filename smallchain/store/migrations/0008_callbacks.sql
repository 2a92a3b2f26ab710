CREATE TABLE callbacks (
  call_id TEXT PRIMARY KEY,
  handed_out_at TEXT NOT NULL,
  expires_at TEXT,
  tell_at TEXT,
  refusals INTEGER NOT NULL,
  digest TEXT NOT NULL,
  brought_by TEXT NOT NULL,
  brought_at TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_to_tell ON callbacks (call_id) WHERE tell_at IS NOT NULL;
