-- What belongs to a run refers to it by a short number, in tables that grow at their end: what many runs write at once shares pages.

ALTER TABLE runs RENAME TO old_runs;

CREATE TABLE runs (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
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
  last_call TEXT NOT NULL,
  same_calls INTEGER NOT NULL,
  due_at TEXT,
  output TEXT NOT NULL,
  error TEXT NOT NULL,
  cost_nanousd INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT,
  version INTEGER NOT NULL
) STRICT;

INSERT INTO runs (id, name, root_id, parent_id, parent_call_id, depth, task, agent, llm, user_message, file, spec_digest,
  priority, phase, paused, detail, turns, attempts, failures, failing_since, crashes, messages, calls_expected, due_at, output,
  error, cost_nanousd, created_at, started_at, finished_at, version, last_call, same_calls)
SELECT id, name, root_id, parent_id, parent_call_id, depth, task, agent, llm, user_message, file, spec_digest, priority, phase,
  paused, detail, turns, attempts, failures, failing_since, crashes, messages, calls_expected, due_at, output, error,
  cost_nanousd, created_at, started_at, finished_at, version, '', 0
FROM old_runs ORDER BY id;

DROP TABLE old_runs;
CREATE INDEX runs_live ON runs (phase, paused) WHERE phase NOT IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX runs_over ON runs (phase) WHERE phase IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX runs_by_parent ON runs (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE messages RENAME TO old_messages;

CREATE TABLE messages (
  no INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  role TEXT NOT NULL,
  wire TEXT NOT NULL,
  template TEXT NOT NULL,
  attempt INTEGER,
  created_at TEXT NOT NULL,
  UNIQUE (run_no, seq)
) STRICT;

INSERT INTO messages (run_no, seq, role, wire, template, attempt, created_at)
SELECT runs.no, old_messages.seq, old_messages.role, old_messages.wire, old_messages.template, old_messages.attempt,
  old_messages.created_at
FROM old_messages JOIN runs ON runs.id = old_messages.run_id ORDER BY old_messages.created_at, old_messages.run_id,
  old_messages.seq;

DROP TABLE old_messages;

ALTER TABLE modelcalls RENAME TO old_modelcalls;

CREATE TABLE modelcalls (
  no INTEGER PRIMARY KEY,
  run_no INTEGER NOT NULL,
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
  UNIQUE (run_no, attempt)
) STRICT;

INSERT INTO modelcalls (run_no, attempt, turn, epoch, llm, model, messages, outcome, error, finish_reason, input_tokens,
  output_tokens, cached_tokens, cost_nanousd, priced_by, raw, started_at, finished_at)
SELECT runs.no, old_modelcalls.attempt, old_modelcalls.turn, old_modelcalls.epoch, old_modelcalls.llm, old_modelcalls.model,
  old_modelcalls.messages, old_modelcalls.outcome, old_modelcalls.error, old_modelcalls.finish_reason,
  old_modelcalls.input_tokens, old_modelcalls.output_tokens, old_modelcalls.cached_tokens, old_modelcalls.cost_nanousd,
  old_modelcalls.priced_by, old_modelcalls.raw, old_modelcalls.started_at, old_modelcalls.finished_at
FROM old_modelcalls JOIN runs ON runs.id = old_modelcalls.run_id ORDER BY old_modelcalls.started_at, old_modelcalls.run_id,
  old_modelcalls.attempt;

DROP TABLE old_modelcalls;

ALTER TABLE toolcalls RENAME TO old_toolcalls;

CREATE TABLE toolcalls (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run_no INTEGER NOT NULL,
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
  UNIQUE (run_no, turn, position)
) STRICT;

INSERT INTO toolcalls (id, run_no, turn, position, asked_id, function, target_kind, tool, arguments, effects, phase, attempts,
  crashes, generation, result, template, detail, due_at, created_at, finished_at, version)
SELECT old_toolcalls.id, runs.no, old_toolcalls.turn, old_toolcalls.position, old_toolcalls.asked_id, old_toolcalls.function,
  old_toolcalls.target_kind, old_toolcalls.tool, old_toolcalls.arguments, old_toolcalls.effects, old_toolcalls.phase,
  old_toolcalls.attempts, old_toolcalls.crashes, old_toolcalls.generation, old_toolcalls.result, old_toolcalls.template,
  old_toolcalls.detail, old_toolcalls.due_at, old_toolcalls.created_at, old_toolcalls.finished_at, old_toolcalls.version
FROM old_toolcalls JOIN runs ON runs.id = old_toolcalls.run_id ORDER BY old_toolcalls.id;

DROP TABLE old_toolcalls;
CREATE INDEX toolcalls_live ON toolcalls (phase) WHERE phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');

ALTER TABLE events RENAME TO old_events;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  time TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('INFO', 'WARNING', 'ERROR')),
  reason TEXT NOT NULL,
  object_kind TEXT NOT NULL,
  object_name TEXT NOT NULL,
  object_id TEXT NOT NULL,
  run_no INTEGER,
  run TEXT,
  message TEXT NOT NULL
) STRICT;

INSERT INTO events (seq, time, level, reason, object_kind, object_name, object_id, run_no, run, message)
SELECT old_events.seq, old_events.time, old_events.level, old_events.reason, old_events.object_kind, old_events.object_name,
  old_events.object_id, runs.no, old_events.run, old_events.message
FROM old_events LEFT JOIN runs ON runs.id = old_events.run_id ORDER BY old_events.seq;

DROP TABLE old_events;
CREATE INDEX events_by_run ON events (run_no) WHERE run_no IS NOT NULL;
