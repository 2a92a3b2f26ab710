-- insert: a call as the model asked for it
INSERT INTO toolcalls (id, run_id, turn, position, asked_id, function, target_kind, tool, arguments, effects, phase, attempts, crashes,
  generation, result, template, detail, due_at, created_at, finished_at, version)
VALUES (:id, :run_id, :turn, :position, :asked_id, :function, :target_kind, :tool, :arguments, :effects, :phase, :attempts, :crashes,
  :generation, :result, :template, :detail, :due_at, :created_at, :finished_at, :version);

-- get: a call by id
SELECT * FROM toolcalls WHERE id = :id;

-- save: what moves of a call, against the version that was read
UPDATE toolcalls SET phase = :phase, attempts = :attempts, crashes = :crashes, generation = :generation, result = :result,
  template = :template, detail = :detail, due_at = :due_at, finished_at = :finished_at, version = version + 1
WHERE id = :id AND version = :version;

-- of_turn: the calls of one reply, in the order the model asked
SELECT * FROM toolcalls WHERE run_id = :run_id AND turn = :turn ORDER BY position;

-- of_run: all calls of a run, in order
SELECT * FROM toolcalls WHERE run_id = :run_id ORDER BY turn, position;

-- last: the last calls of a run, newest first, not counting those of turns before a person let the run go on
SELECT function, arguments, result FROM toolcalls WHERE run_id = :run_id AND turn >= :from_turn
ORDER BY turn DESC, position DESC LIMIT :most;

-- open_of_run: calls of a run that have no result yet
SELECT * FROM toolcalls WHERE run_id = :run_id
  AND phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out') ORDER BY turn, position;

-- unsettled: ids of calls that a loop, and not only the world, can move
SELECT id FROM toolcalls WHERE phase IN ('pending', 'ready', 'executing', 'delegated', 'sleeping');

-- pending: ids of calls that were not let through yet
SELECT id FROM toolcalls WHERE phase = 'pending';

-- executing: calls that execute, or did when the daemon ended
SELECT * FROM toolcalls WHERE phase = 'executing';

-- list: all calls, each with its run's name and the child it made
SELECT toolcalls.*, runs.name AS run, child.name AS child FROM toolcalls JOIN runs ON runs.id = toolcalls.run_id
LEFT JOIN runs AS child ON child.parent_call_id = toolcalls.id ORDER BY toolcalls.id;

-- list_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT toolcalls.*, runs.name AS run, child.name AS child FROM toolcalls JOIN runs ON runs.id = toolcalls.run_id
LEFT JOIN runs AS child ON child.parent_call_id = toolcalls.id WHERE toolcalls.run_id IN (SELECT id FROM tree) ORDER BY toolcalls.id;

-- by_part: calls whose id begins or ends with a text
SELECT id FROM toolcalls WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- open_attempt: an attempt, recorded before it starts
INSERT INTO toolattempts (call_id, attempt, epoch, idempotency_key, outcome, detail, started_at)
VALUES (:call_id, :attempt, :epoch, :idempotency_key, 'open', '', :started_at);

-- attempt: one attempt
SELECT * FROM toolattempts WHERE call_id = :call_id AND attempt = :attempt;

-- settle_attempt: what came of an attempt; a settled one stays as it is
UPDATE toolattempts SET outcome = :outcome, exit_code = :exit_code, detail = :detail, finished_at = :finished_at
WHERE call_id = :call_id AND attempt = :attempt AND outcome = 'open';

-- attempts: all attempts of a call
SELECT * FROM toolattempts WHERE call_id = :call_id ORDER BY attempt;
