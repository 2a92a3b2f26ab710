-- insert: a request to a person
INSERT INTO requests (id, kind, run_id, call_id, phase, question, digest, decision, note, decided_by, created_at, decided_at, version)
VALUES (:id, :kind, :run_id, :call_id, :phase, :question, :digest, :decision, :note, :decided_by, :created_at, :decided_at, :version);

-- save: a decision, against the version that was read
UPDATE requests SET phase = :phase, decision = :decision, note = :note, decided_by = :decided_by, decided_at = :decided_at,
  version = version + 1
WHERE id = :id AND version = :version;

-- get: a request by id
SELECT * FROM requests WHERE id = :id;

-- open_of_run: what a run asks
SELECT * FROM requests WHERE run_id = :run_id AND phase = 'open' ORDER BY id;

-- of_call: the newest request about a tool call
SELECT * FROM requests WHERE call_id = :call_id ORDER BY id DESC LIMIT 1;

-- by_part: requests whose id begins or ends with a text
SELECT id FROM requests WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- list: requests with their run's name and the tool asked about, oldest first
SELECT requests.*, runs.name AS run, toolcalls.tool AS tool, toolcalls.arguments AS arguments FROM requests
JOIN runs ON runs.id = requests.run_id LEFT JOIN toolcalls ON toolcalls.id = requests.call_id
WHERE requests.phase = 'open' OR :all = 1 ORDER BY requests.id;
