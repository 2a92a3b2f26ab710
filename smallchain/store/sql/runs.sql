-- insert: a new run
INSERT INTO runs (id, name, root_id, parent_id, parent_call_id, depth, task, agent, llm, user_message, file, spec_digest, priority,
  phase, paused, detail, turns, attempts, failures, failing_since, crashes, messages, first_message, summary, summarise_to, calls_expected, last_call, same_calls,
  due_at, output, error, cost_nanousd, active_ms, active_since, created_at, started_at, finished_at, version)
VALUES (:id, :name, :root_id, :parent_id, :parent_call_id, :depth, :task, :agent, :llm, :user_message, :file, :spec_digest, :priority,
  :phase, :paused, :detail, :turns, :attempts, :failures, :failing_since, :crashes, :messages, :first_message, :summary, :summarise_to, :calls_expected, :last_call, :same_calls,
  :due_at, :output, :error, :cost_nanousd, :active_ms, :active_since, :created_at, :started_at, :finished_at, :version);

-- get: a run by id
SELECT * FROM runs WHERE id = :id;

-- by_name: a run by name
SELECT * FROM runs WHERE name = :name;

-- by_call: the child that a tool call made
SELECT * FROM runs WHERE parent_call_id = :call_id;

-- save: what moves of a run, against the version that was read
UPDATE runs SET agent = :agent, llm = :llm, priority = :priority, phase = :phase, paused = :paused, detail = :detail, turns = :turns,
  attempts = :attempts, failures = :failures, failing_since = :failing_since, crashes = :crashes, messages = :messages,
  first_message = :first_message, summary = :summary, summarise_to = :summarise_to, calls_expected = :calls_expected, last_call = :last_call, same_calls = :same_calls, due_at = :due_at,
  output = :output, error = :error, cost_nanousd = :cost_nanousd, active_ms = :active_ms, active_since = :active_since,
  started_at = :started_at, finished_at = :finished_at, version = :version
WHERE id = :id AND version = :read;

-- list: these runs (a JSON list of ids) in the order of their making, each with what is open of it and what its tree has cost
SELECT runs.*, parent.name AS parent, root.name AS root, schedule_starts.schedule, schedule_starts.moment AS scheduled_for, iif(runs.phase != 'awaiting_tools', '[]', (
    SELECT json_group_array(json_array(phase, tool, detail)) FROM toolcalls
    WHERE run_no = runs.no AND phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out')
  )) AS open_calls, (
    WITH RECURSIVE tree (id, cost) AS (
      SELECT runs.id, runs.cost_nanousd
      UNION ALL SELECT child.id, child.cost_nanousd FROM runs AS child JOIN tree ON child.parent_id = tree.id
    ) SELECT sum(cost) FROM tree
  ) AS tree_cost_nanousd, iif(runs.phase != 'calling_model', 0, (
    SELECT coalesce(sum(held_nanousd), 0) FROM modelcalls WHERE run_no = runs.no AND attempt = runs.attempts
  )) AS held_nanousd
FROM runs LEFT JOIN runs AS parent ON parent.id = runs.parent_id LEFT JOIN runs AS root ON root.id = runs.root_id
  LEFT JOIN schedule_starts ON schedule_starts.run_id = runs.id
WHERE runs.id IN (SELECT value FROM json_each(:ids)) ORDER BY runs.id;

-- page: ids of the runs made after one
SELECT id FROM runs WHERE id > :after ORDER BY id LIMIT :most;

-- page_back: ids of the runs made before one, the newest first
SELECT id FROM runs WHERE id < :before ORDER BY id DESC LIMIT :most;

-- page_live: ids of the runs made after one that are not over
SELECT id FROM runs WHERE id > :after AND phase NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY id LIMIT :most;

-- page_tree: ids of a run and its descendants, made after one
WITH RECURSIVE tree (id) AS (SELECT :id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT id FROM tree WHERE id > :after ORDER BY id LIMIT :most;

-- names: the names of the newest runs
SELECT name FROM runs ORDER BY id DESC LIMIT :most;

-- tree: a run and its descendants, parents before children
WITH RECURSIVE tree (id) AS (SELECT :id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT * FROM runs WHERE id IN (SELECT id FROM tree) ORDER BY depth, id;

-- live: ids of the runs that are not over
SELECT id FROM runs WHERE phase NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY priority DESC, id;

-- count: how many runs stand in each phase, by flag; those that are over are counted without it
SELECT phase, paused, count(*) AS count FROM runs WHERE phase NOT IN ('succeeded', 'failed', 'cancelled') GROUP BY phase, paused
UNION ALL SELECT phase, 0, count(*) FROM runs WHERE phase IN ('succeeded', 'failed', 'cancelled') GROUP BY phase;

-- count_waiting: how many of the runs that await their tools have the same open calls, as far as a status needs them
SELECT open_calls, count(*) AS count FROM (
  SELECT (
    SELECT json_group_array(json_array(toolcalls.phase, '', iif(detail = '', '', 'held'))) FROM toolcalls
    WHERE run_no = runs.no AND turn = runs.turns
      AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out')
  ) AS open_calls
  FROM runs WHERE runs.phase = 'awaiting_tools' AND paused = 0 AND runs.phase NOT IN ('succeeded', 'failed', 'cancelled')
) GROUP BY open_calls;

-- unsettled: ids of the runs that a loop, and not only the world, can move
SELECT id, priority FROM runs WHERE runs.phase NOT IN ('succeeded', 'failed', 'cancelled')
  AND (phase IN ('pending', 'calling_model') OR (phase = 'ready' AND paused = 0))
UNION ALL
SELECT id, priority FROM runs WHERE runs.phase NOT IN ('succeeded', 'failed', 'cancelled')
  AND runs.phase = 'awaiting_tools' AND NOT EXISTS (
    SELECT 1 FROM toolcalls WHERE run_no = runs.no AND turn = runs.turns
      AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out')
  )
UNION ALL
SELECT id, priority FROM runs WHERE runs.phase NOT IN ('succeeded', 'failed', 'cancelled')
  AND runs.phase = 'awaiting_work' AND paused = 0 AND EXISTS (SELECT 1 FROM detached WHERE run_id = runs.id AND finished IS NOT NULL AND told = 0)
UNION ALL
SELECT runs.id, runs.priority FROM detached JOIN runs ON runs.id = detached.child_id JOIN runs AS caller ON caller.id = detached.run_id
WHERE detached.finished IS NULL AND caller.phase IN ('succeeded', 'failed')
ORDER BY priority DESC, id;

-- being_timed: runs of which something is measured that goes on: how long they work, how long they fail, how long they wait after that
SELECT * FROM runs WHERE phase IN ('pending', 'ready', 'calling_model', 'backing_off') AND phase NOT IN ('succeeded', 'failed', 'cancelled')
  AND (active_since IS NOT NULL OR failing_since IS NOT NULL OR phase = 'backing_off')
UNION SELECT runs.* FROM toolcalls JOIN runs ON runs.no = run_no WHERE toolcalls.phase = 'executing' AND active_since IS NOT NULL
  AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');

-- live_of_agent: ids of the runs of an agent that are not over
SELECT id FROM runs WHERE phase NOT IN ('succeeded', 'failed', 'cancelled') AND agent = :agent;

-- pending: ids of the runs that wait for their agent or model
SELECT id FROM runs WHERE phase = 'pending' AND runs.phase NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY priority DESC, id;

-- children: how many children a run has made of an agent, and in all
SELECT count(*) AS count, coalesce(sum(agent = :agent), 0) AS of_agent FROM runs WHERE parent_id = :id;

-- ids_of_children: ids of the runs that a run has made
SELECT id FROM runs WHERE parent_id = :id ORDER BY id;

-- numbered: the highest of the names STEM-n with so many digits
SELECT name FROM runs WHERE parent_id IS NULL AND length(name) = length(:first) AND name BETWEEN :first AND :last
  AND substr(name, length(:stem) + 1) NOT GLOB '*[^0-9]*' ORDER BY name DESC LIMIT 1;

-- by_part: runs whose id begins or ends with a text
SELECT id FROM runs WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- backing_off: ids of the runs of an agent or on an LLM that wait after a failure of the model call
SELECT id FROM runs WHERE phase NOT IN ('succeeded', 'failed', 'cancelled') AND phase = 'backing_off' AND (agent = :agent OR llm = :llm);

-- count_in_line: how many runs wait for a place at an LLM
SELECT count(*) AS count FROM places CROSS JOIN runs ON runs.id = places.run_id
WHERE places.granted_at IS NULL AND runs.phase = 'ready' AND NOT runs.paused AND runs.attempts = places.attempt - 1;
