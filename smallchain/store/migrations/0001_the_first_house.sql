CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE specs (
  digest TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  folder TEXT NOT NULL,
  spec TEXT NOT NULL
) STRICT;

CREATE TABLE files (
  path TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  digest TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('Applied', 'Held', 'Rejected')),
  problems TEXT NOT NULL,
  since TEXT NOT NULL
) STRICT;

CREATE TABLE resources (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL REFERENCES specs (digest),
  file TEXT NOT NULL,
  line INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('Pending', 'Ready', 'Error')),
  detail TEXT NOT NULL,
  failures INTEGER NOT NULL,
  checked TEXT NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  version INTEGER NOT NULL,
  UNIQUE (kind, name)
) STRICT;

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  root_id TEXT NOT NULL,
  parent_id TEXT,
  parent_call_id TEXT UNIQUE,
  depth INTEGER NOT NULL,
  task TEXT NOT NULL,
  agent TEXT NOT NULL,
  llm TEXT NOT NULL,
  user_message TEXT,
  file TEXT NOT NULL,
  spec_digest TEXT NOT NULL,
  priority INTEGER NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('pending', 'ready', 'calling_model', 'awaiting_tools', 'awaiting_work', 'backing_off',
    'over_budget', 'succeeded', 'failed', 'cancelled')),
  paused INTEGER NOT NULL,
  detail TEXT NOT NULL,
  turns INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  failing_since TEXT,
  crashes INTEGER NOT NULL,
  messages INTEGER NOT NULL,
  calls_expected INTEGER NOT NULL,
  loop_from INTEGER NOT NULL,
  due_at TEXT,
  output TEXT NOT NULL,
  error TEXT NOT NULL,
  cost_nanousd INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT,
  version INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_live ON runs (phase) WHERE phase NOT IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX runs_by_root ON runs (root_id);
CREATE INDEX runs_by_parent ON runs (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE pins (
  root_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL REFERENCES specs (digest),
  PRIMARY KEY (root_id, kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  role TEXT NOT NULL,
  wire TEXT NOT NULL,
  template TEXT NOT NULL,
  attempt INTEGER,
  created_at TEXT NOT NULL,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE modelcalls (
  run_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  turn INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  llm TEXT NOT NULL,
  model TEXT NOT NULL,
  messages INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('open', 'replied', 'failed', 'interrupted', 'abandoned')),
  error TEXT NOT NULL,
  finish_reason TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  cost_nanousd INTEGER,
  priced_by TEXT NOT NULL,
  raw TEXT NOT NULL,
  started_at TEXT NOT NULL,
  finished_at TEXT,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE toolcalls (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  turn INTEGER NOT NULL,
  position INTEGER NOT NULL,
  asked_id TEXT NOT NULL,
  function TEXT NOT NULL,
  target_kind TEXT NOT NULL,
  tool TEXT NOT NULL,
  arguments TEXT NOT NULL,
  effects TEXT NOT NULL CHECK (effects IN ('none', 'idempotent', 'once')),
  phase TEXT NOT NULL CHECK (phase IN ('pending', 'awaiting_approval', 'ready', 'executing', 'awaiting_answer',
    'awaiting_callback', 'delegated', 'sleeping', 'in_doubt', 'succeeded', 'failed', 'rejected', 'cancelled', 'timed_out')),
  attempts INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  result TEXT NOT NULL,
  template TEXT NOT NULL,
  detail TEXT NOT NULL,
  due_at TEXT,
  created_at TEXT NOT NULL,
  finished_at TEXT,
  version INTEGER NOT NULL,
  UNIQUE (run_id, turn, position)
) STRICT;
CREATE INDEX toolcalls_live ON toolcalls (phase) WHERE phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');

CREATE TABLE toolattempts (
  call_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  idempotency_key TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('open', 'succeeded', 'failed', 'timed_out', 'not_started', 'interrupted', 'unknown')),
  exit_code INTEGER,
  detail TEXT NOT NULL,
  started_at TEXT NOT NULL,
  finished_at TEXT,
  PRIMARY KEY (call_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('approval', 'question', 'settle', 'budget', 'loop', 'tool_changed', 'quarantine')),
  run_id TEXT NOT NULL,
  call_id TEXT,
  phase TEXT NOT NULL CHECK (phase IN ('open', 'answered', 'expired', 'withdrawn')),
  question TEXT NOT NULL,
  digest TEXT NOT NULL,
  decision TEXT NOT NULL,
  note TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  created_at TEXT NOT NULL,
  decided_at TEXT,
  version INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_open ON requests (run_id) WHERE phase = 'open';
CREATE INDEX requests_by_call ON requests (call_id) WHERE call_id IS NOT NULL;

CREATE TABLE alarms (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  due_at TEXT NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarms_by_time ON alarms (due_at);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('INFO', 'WARNING', 'ERROR')),
  reason TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_name TEXT NOT NULL,
  object_id TEXT NOT NULL,
  run_id TEXT,
  run TEXT,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run_id, seq) WHERE run_id IS NOT NULL;

CREATE TABLE idempotency (
  key TEXT PRIMARY KEY,
  asked TEXT NOT NULL,
  answer TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (at);
