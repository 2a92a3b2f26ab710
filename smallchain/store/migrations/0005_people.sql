ALTER TABLE requests ADD COLUMN tool TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN path TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN why TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN rule TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN risk TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE requests ADD COLUMN choices TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN arguments TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN channel TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN expires_at TEXT;
ALTER TABLE requests ADD COLUMN on_expiry TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN remind TEXT NOT NULL DEFAULT '[]';
ALTER TABLE requests ADD COLUMN reminders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN remind_at TEXT;
ALTER TABLE requests ADD COLUMN escalate_at TEXT;
ALTER TABLE requests ADD COLUMN escalate_to TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN decided_via TEXT NOT NULL DEFAULT '';
UPDATE requests SET tool = coalesce((SELECT tool FROM toolcalls WHERE toolcalls.id = requests.call_id), '');

CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,
  request_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('waiting', 'delivering', 'delivered', 'held', 'closing', 'closed')),
  attempts INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  reminder INTEGER NOT NULL,
  reference TEXT NOT NULL,
  detail TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  mark TEXT NOT NULL,
  due_at TEXT,
  created_at TEXT NOT NULL,
  delivered_at TEXT,
  version INTEGER NOT NULL,
  UNIQUE (request_id, channel)
) STRICT;
CREATE INDEX deliveries_live ON deliveries (phase) WHERE phase IN ('waiting', 'delivering', 'closing');
CREATE INDEX deliveries_held ON deliveries (channel) WHERE phase = 'held';

CREATE TABLE approvals (
  run_id TEXT NOT NULL,
  call_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  arguments TEXT NOT NULL,
  note TEXT NOT NULL,
  by TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (run_id, call_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  tool TEXT NOT NULL,
  target TEXT NOT NULL,
  by TEXT NOT NULL,
  via TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at TEXT NOT NULL,
  revoked_at TEXT,
  revoked_by TEXT NOT NULL
) STRICT;
CREATE INDEX grants_of_run ON grants (run_id) WHERE revoked_at IS NULL;
CREATE INDEX requests_opened ON requests (id) WHERE phase = 'open';
