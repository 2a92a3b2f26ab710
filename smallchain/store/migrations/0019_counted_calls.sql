-- Tool calls that a limit of calls counts: one row for each limit over a call, made when it starts.
CREATE TABLE counted_calls (
  no INTEGER PRIMARY KEY,
  counted_by TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT;
CREATE INDEX counted_calls_by_time ON counted_calls (counted_by, at);
CREATE INDEX counted_calls_by_run ON counted_calls (counted_by, run_id);
