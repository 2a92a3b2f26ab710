-- insert: a call as the model asked for it
INSERT INTO toolcalls (id, run_no, turn, position, asked_id, function, target_kind, tool, arguments, effects, phase, attempts, crashes,
  generation, result, template, detail, due_at, created_at, finished_at, version)
VALUES (:id, (SELECT no FROM runs WHERE id = :run_id), :turn, :position, :asked_id, :function, :target_kind, :tool, :arguments, :effects, :phase, :attempts, :crashes,
  :generation, :result, :template, :detail, :due_at, :created_at, :finished_at, :version);

-- get: a call by id
SELECT toolcalls.*, runs.id AS run_id FROM toolcalls JOIN runs ON runs.no = toolcalls.run_no WHERE toolcalls.id = :id;

-- save: what moves of a call, against the version that was read
UPDATE toolcalls SET phase = :phase, attempts = :attempts, crashes = :crashes, generation = :generation, result = :result,
  template = :template, detail = :detail, due_at = :due_at, finished_at = :finished_at, version = :version
WHERE id = :id AND version = :read;

-- of_turn: the calls of one reply, in the order the model asked
SELECT toolcalls.*, runs.id AS run_id FROM runs JOIN toolcalls ON toolcalls.run_no = runs.no
WHERE runs.id = :run_id AND turn = :turn ORDER BY position;

-- of_run: all calls of a run, in order
SELECT toolcalls.*, runs.id AS run_id FROM runs JOIN toolcalls ON toolcalls.run_no = runs.no
WHERE runs.id = :run_id ORDER BY turn, position;

-- open_of_run: calls of a run that have no result yet
SELECT toolcalls.*, runs.id AS run_id FROM runs JOIN toolcalls ON toolcalls.run_no = runs.no
WHERE runs.id = :run_id AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out') ORDER BY turn, position;

-- unsettled: ids of the calls that a loop, and not only the world, can move
SELECT toolcalls.id FROM toolcalls JOIN runs ON runs.no = run_no
WHERE toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out')
  AND (toolcalls.phase IN ('pending', 'executing') OR (toolcalls.phase = 'sleeping' AND toolcalls.due_at <= :now)
    OR (toolcalls.phase = 'ready' AND runs.paused = 0))
UNION ALL
SELECT toolcalls.id FROM toolcalls JOIN runs ON runs.parent_call_id = toolcalls.id
WHERE toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out')
  AND toolcalls.phase = 'delegated' AND runs.phase IN ('succeeded', 'failed', 'cancelled');

-- to_try_again: calls that wait after a failure
SELECT toolcalls.*, runs.id AS run_id FROM toolcalls JOIN runs ON runs.no = toolcalls.run_no
WHERE toolcalls.phase = 'ready' AND toolcalls.due_at IS NOT NULL
  AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');

-- pending: ids of calls that were not let through yet
SELECT id FROM toolcalls WHERE phase = 'pending' AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');

-- executing: calls that execute, or did when the daemon ended
SELECT toolcalls.*, runs.id AS run_id FROM toolcalls JOIN runs ON runs.no = toolcalls.run_no
WHERE toolcalls.phase = 'executing' AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');

-- list: these calls (a JSON list of ids) in the order of their making, each with its run's name and the child it made
SELECT toolcalls.*, runs.id AS run_id, runs.name AS run, child.name AS child FROM toolcalls JOIN runs ON runs.no = toolcalls.run_no
LEFT JOIN runs AS child ON child.parent_call_id = toolcalls.id
WHERE toolcalls.id IN (SELECT value FROM json_each(:ids)) ORDER BY toolcalls.id;

-- page: ids of the calls made after one
SELECT id FROM toolcalls WHERE id > :after ORDER BY id LIMIT :most;

-- page_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT toolcalls.id FROM tree JOIN runs ON runs.id = tree.id JOIN toolcalls ON toolcalls.run_no = runs.no
WHERE toolcalls.id > :after ORDER BY toolcalls.id LIMIT :most;

-- page_phase: ids of the calls made after one that stand in a phase
SELECT id FROM toolcalls WHERE id > :after AND phase = :phase ORDER BY id LIMIT :most;

-- ids_of_run: ids of a run's calls
SELECT toolcalls.id FROM runs JOIN toolcalls ON toolcalls.run_no = runs.no WHERE runs.id = :run_id;

-- by_part: calls whose id begins or ends with a text
SELECT id FROM toolcalls WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- insert_attempt: an attempt, recorded before it starts; one at an instant tool with what came of it
INSERT INTO toolattempts (call_id, attempt, epoch, idempotency_key, outcome, exit_code, detail, started_at, finished_at)
VALUES (:call_id, :attempt, :epoch, :idempotency_key, :outcome, :exit_code, :detail, :started_at, :finished_at);

-- attempt: one attempt
SELECT * FROM toolattempts WHERE call_id = :call_id AND attempt = :attempt;

-- settle_attempt: what came of an attempt; a settled one stays as it is
UPDATE toolattempts SET outcome = :outcome, exit_code = :exit_code, detail = :detail, finished_at = :finished_at
WHERE call_id = :call_id AND attempt = :attempt AND outcome = :read;

-- attempts: all attempts of a call
SELECT * FROM toolattempts WHERE call_id = :call_id ORDER BY attempt;
