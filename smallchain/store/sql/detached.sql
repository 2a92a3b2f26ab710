-- insert: work that begins beside its caller
INSERT INTO detached (run_id, name, child_id, agent, waits_at_end, finished, told)
VALUES (:run_id, :name, :child_id, :agent, :waits_at_end, NULL, 0);

-- of_run: all work of a run, in the order it began
SELECT run_id, name, child_id, agent, waits_at_end, finished, told FROM detached WHERE run_id = :run_id ORDER BY child_id;

-- finish: work that has ended, as the next of its run
UPDATE detached SET finished = :finished WHERE child_id = :child_id AND finished IS NULL;

-- tell: what came of it is in the conversation of its caller
UPDATE detached SET told = 1 WHERE run_id = :run_id AND name = :name;
