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

-- marks_of_open: what tells whether one of them has changed
SELECT id, version FROM requests WHERE phase = 'open' ORDER BY id DESC LIMIT :most;

-- count_open: how much a run asks
SELECT count(*) AS count FROM requests WHERE run_id = :run_id AND phase = 'open';

-- count_all_open: how much waits for a person
SELECT count(*) AS count FROM requests WHERE phase = 'open';

-- timed: ids of open requests to which time brings something, now
SELECT id FROM requests WHERE phase = 'open' AND (expires_at <= :now OR remind_at <= :now OR escalate_at <= :now);

-- of_call: the newest request about a tool call
SELECT * FROM requests WHERE call_id = :call_id ORDER BY id DESC LIMIT 1;

-- about_budget: the newest request to raise a cap
SELECT * FROM requests WHERE kind = 'budget' AND digest = :digest ORDER BY id DESC LIMIT 1;

-- by_part: requests whose id begins or ends with a text
SELECT id FROM requests WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- list: these requests (a JSON list of ids), oldest first, with the names of runs
SELECT requests.*, coalesce(runs.name, '') AS run FROM requests LEFT JOIN runs ON runs.id = requests.run_id
WHERE requests.id IN (SELECT value FROM json_each(:ids)) ORDER BY requests.id;

-- page: ids of the requests made after one
SELECT id FROM requests WHERE id > :after ORDER BY id LIMIT :most;

-- page_open: ids of the requests made after one that wait for a person
SELECT id FROM requests WHERE id > :after AND phase = 'open' ORDER BY id LIMIT :most;

-- page_tree: ids of the requests of a run and its descendants, made after one
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT requests.id FROM tree JOIN requests ON requests.run_id = tree.id WHERE requests.id > :after ORDER BY requests.id LIMIT :most;

-- page_tree_open: the same, of those that wait for a person
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT requests.id FROM tree JOIN requests ON requests.run_id = tree.id
WHERE requests.id > :after AND requests.phase = 'open' ORDER BY requests.id LIMIT :most;

-- ids_of_run: ids of a run's requests
SELECT id FROM requests WHERE run_id = :run_id;
