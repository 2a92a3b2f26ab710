-- insert: a request to a person
INSERT INTO requests (id, kind, run_id, call_id, phase, question, digest, tool, path, why, rule, risk, choices, arguments, channel,
  expires_at, on_expiry, remind, reminders, remind_at, escalate_at, escalate_to, decision, note, decided_by, decided_via, created_at,
  decided_at, version)
VALUES (:id, :kind, :run_id, :call_id, :phase, :question, :digest, :tool, :path, :why, :rule, :risk, :choices, :arguments, :channel,
  :expires_at, :on_expiry, :remind, :reminders, :remind_at, :escalate_at, :escalate_to, :decision, :note, :decided_by, :decided_via,
  :created_at, :decided_at, :version);

-- save: a decision, or what time has brought, against the version that was read
UPDATE requests SET phase = :phase, expires_at = :expires_at, on_expiry = :on_expiry, reminders = :reminders, remind_at = :remind_at,
  escalate_at = :escalate_at, decision = :decision, note = :note, decided_by = :decided_by, decided_via = :decided_via,
  decided_at = :decided_at, version = version + 1
WHERE id = :id AND version = :version;

-- get: a request by id
SELECT * FROM requests WHERE id = :id;

-- open_of_run: what a run asks
SELECT * FROM requests WHERE run_id = :run_id AND phase = 'open' ORDER BY id;

-- newest_open: what waits for a person, newest first, as far as there is room for it
SELECT * FROM requests WHERE phase = 'open' ORDER BY id DESC LIMIT :most;

-- count_open: how much a run asks
SELECT count(*) AS count FROM requests WHERE run_id = :run_id AND phase = 'open';

-- timed: ids of open requests to which time brings something, now
SELECT id FROM requests WHERE phase = 'open' AND (expires_at <= :now OR remind_at <= :now OR escalate_at <= :now);

-- of_call: the newest request about a tool call
SELECT * FROM requests WHERE call_id = :call_id ORDER BY id DESC LIMIT 1;

-- by_part: requests whose id begins or ends with a text
SELECT id FROM requests WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- list_open: what waits for a person, oldest first, with the names of runs
SELECT requests.*, coalesce(runs.name, '') AS run FROM requests LEFT JOIN runs ON runs.id = requests.run_id WHERE requests.phase = 'open' ORDER BY requests.id;

-- list: all requests there ever were, oldest first, with the names of runs
SELECT requests.*, coalesce(runs.name, '') AS run FROM requests LEFT JOIN runs ON runs.id = requests.run_id ORDER BY requests.id;

-- list_of_run: all requests of a run
SELECT requests.*, coalesce(runs.name, '') AS run FROM requests LEFT JOIN runs ON runs.id = requests.run_id WHERE requests.run_id = :run_id ORDER BY requests.id;

-- list_one: one request
SELECT requests.*, coalesce(runs.name, '') AS run FROM requests LEFT JOIN runs ON runs.id = requests.run_id WHERE requests.id = :id;
