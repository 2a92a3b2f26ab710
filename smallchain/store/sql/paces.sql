-- get: how an LLM is held, and what was told of its limits
SELECT * FROM paces WHERE llm = :llm;

-- hold: an LLM wants no calls before a moment
INSERT INTO paces (llm, held_at, held_until, held_why, held_digest, told_until)
VALUES (:llm, :at, :until, :why, :digest, :told_until)
ON CONFLICT (llm) DO UPDATE SET held_at = excluded.held_at, held_until = excluded.held_until, held_why = excluded.held_why,
  held_digest = excluded.held_digest, told_until = excluded.told_until;

-- spell: since when runs wait for their turn at an LLM, and since when nobody does any more
INSERT INTO paces (llm, held_why, held_digest, full_since, quiet_since) VALUES (:llm, '', '', :full_since, :quiet_since)
ON CONFLICT (llm) DO UPDATE SET full_since = excluded.full_since, quiet_since = excluded.quiet_since;

-- forget: an LLM that is no longer written
DELETE FROM paces WHERE llm = :llm;

-- ask: a run asks for a place at an LLM; one at another LLM is given up by it
INSERT INTO places (run_id, attempt, llm, priority, root_id, tokens, asked_at)
VALUES (:run_id, :attempt, :llm, :priority, :root_id, :tokens, :asked_at)
ON CONFLICT (run_id, attempt) DO UPDATE SET llm = excluded.llm, priority = excluded.priority, tokens = excluded.tokens,
  asked_at = excluded.asked_at, granted_at = NULL, epoch = NULL;

-- move_up: a run that waits has another priority now
UPDATE places SET priority = :priority WHERE run_id = :run_id AND attempt = :attempt;

-- place: the place of an attempt
SELECT * FROM places WHERE run_id = :run_id AND attempt = :attempt;

-- give_up: a place of which nothing came
DELETE FROM places WHERE run_id = :run_id AND attempt = :attempt;

-- grant: let an attempt go
UPDATE places SET granted_at = :at, epoch = :epoch WHERE run_id = :run_id AND attempt = :attempt;

-- take_back: places that an earlier life granted and nobody used
UPDATE places SET granted_at = NULL, epoch = NULL WHERE llm = :llm AND granted_at IS NOT NULL AND epoch < :epoch
  AND NOT EXISTS (SELECT 1 FROM modelcalls WHERE modelcalls.run_no = (SELECT no FROM runs WHERE id = places.run_id) AND modelcalls.attempt = places.attempt);

-- waits: how many wait for a place at an LLM
SELECT count(*) AS count FROM places WHERE llm = :llm AND granted_at IS NULL;

-- highest_of_others: the highest priority of those that wait for a place at an LLM beside a run
SELECT max(priority) AS priority FROM places WHERE llm = :llm AND granted_at IS NULL AND run_id != :run_id;

-- is_waited_for: whether anybody waits for a place at an LLM
SELECT EXISTS (SELECT 1 FROM places WHERE llm = :llm AND granted_at IS NULL) AS found;

-- who_waits: the runs that wait for a place at an LLM
SELECT run_id FROM places WHERE llm = :llm AND granted_at IS NULL;

-- next_trees: the trees of runs whose turn comes first, of those that wait, and where they stand in line
SELECT priority, root_id, number FROM places_in_line WHERE llm = :llm
  AND EXISTS (SELECT 1 FROM places WHERE places.llm = :llm AND places.priority = places_in_line.priority
    AND places.root_id = places_in_line.root_id AND places.granted_at IS NULL)
ORDER BY priority DESC, number LIMIT :most;

-- next_of_tree: who of a tree of runs asked first; `alive`: it still waits
SELECT places.run_id, places.attempt, places.tokens, places.asked_at,
  coalesce(runs.phase = 'ready' AND NOT runs.paused AND runs.attempts = places.attempt - 1, 0) AS alive
FROM places LEFT JOIN runs ON runs.id = places.run_id
WHERE places.llm = :llm AND places.priority = :priority AND places.root_id = :root_id AND places.granted_at IS NULL
ORDER BY places.asked_at, places.run_id LIMIT :most;

-- unused: places that were granted in this life and not used yet; `alive`: they still can be
SELECT places.run_id, places.attempt,
  coalesce(runs.phase = 'ready' AND NOT runs.paused AND runs.attempts = places.attempt - 1, 0) AS alive
FROM places LEFT JOIN runs ON runs.id = places.run_id
LEFT JOIN modelcalls ON modelcalls.run_no = (SELECT no FROM runs WHERE id = places.run_id) AND modelcalls.attempt = places.attempt
WHERE places.llm = :llm AND places.granted_at IS NOT NULL AND modelcalls.no IS NULL;

-- out: how many calls of an LLM are out
SELECT count(*) AS count FROM runs CROSS JOIN modelcalls ON modelcalls.run_no = runs.no AND modelcalls.attempt = runs.attempts
WHERE runs.phase NOT IN ('succeeded', 'failed', 'cancelled') AND runs.phase = 'calling_model' AND modelcalls.outcome = 'open' AND modelcalls.llm = :llm;

-- callers: the runs whose calls of an LLM are out
SELECT runs.id AS run_id FROM runs CROSS JOIN modelcalls ON modelcalls.run_no = runs.no AND modelcalls.attempt = runs.attempts
WHERE runs.phase NOT IN ('succeeded', 'failed', 'cancelled') AND runs.phase = 'calling_model' AND modelcalls.outcome = 'open' AND modelcalls.llm = :llm
ORDER BY runs.id LIMIT :most;

-- started: what was let go at an LLM since a moment, oldest first, with its tokens as far as they are known
SELECT places.granted_at, coalesce(modelcalls.input_tokens + modelcalls.output_tokens, places.tokens) AS tokens
FROM places LEFT JOIN modelcalls ON modelcalls.run_no = (SELECT no FROM runs WHERE id = places.run_id) AND modelcalls.attempt = places.attempt
WHERE places.llm = :llm AND places.granted_at > :since ORDER BY places.granted_at;

-- sweep: places that were used, and count no more
DELETE FROM places WHERE llm = :llm AND granted_at <= :before
  AND EXISTS (SELECT 1 FROM modelcalls WHERE modelcalls.run_no = (SELECT no FROM runs WHERE id = places.run_id) AND modelcalls.attempt = places.attempt
    AND modelcalls.outcome != 'open');

-- line_up: a tree of runs goes to the end of the line, unless it stands in it
INSERT INTO places_in_line (llm, priority, root_id, number)
SELECT :llm, :priority, :root_id, coalesce(max(number), 0) + 1 FROM places_in_line WHERE llm = :llm
ON CONFLICT (llm, priority, root_id) DO NOTHING;

-- to_the_end: a tree of runs was served
INSERT INTO places_in_line (llm, priority, root_id, number)
SELECT :llm, :priority, :root_id, coalesce(max(number), 0) + 1 FROM places_in_line WHERE llm = :llm
ON CONFLICT (llm, priority, root_id) DO UPDATE SET number = excluded.number;

-- leave_line: trees of runs of which nothing waits or was let go lately
DELETE FROM places_in_line WHERE llm = :llm AND root_id NOT IN (SELECT root_id FROM places WHERE llm = :llm);

-- kept: LLMs at which somebody waits, or of which there is more to tell
SELECT llm FROM places UNION SELECT llm FROM paces WHERE full_since IS NOT NULL;

-- waiting_runs: which run waits at which LLM
SELECT run_id, attempt, llm FROM places WHERE granted_at IS NULL;

-- last_usage: the newest call of a run to a model that told its tokens, which another model would count otherwise
SELECT messages, input_tokens, output_tokens, first_message, summary, coalesce(around, 0) AS around FROM modelcalls
WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND input_tokens IS NOT NULL AND summarises = 0 AND llm = :llm AND model = :model
ORDER BY attempt DESC LIMIT 1;

-- failed: how often an LLM failed in this turn of a run
SELECT count(*) AS count FROM modelcalls WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND turn = :turn AND llm = :llm AND outcome = 'failed';
