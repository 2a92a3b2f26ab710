-- put: the plan that a turn of a run told; the last one of a turn stands
INSERT INTO plans (run_id, turn, steps, made_at) VALUES (:run_id, :turn, :steps, :made_at)
ON CONFLICT (run_id, turn) DO UPDATE SET steps = excluded.steps, made_at = excluded.made_at;

-- newest: the plan of a run as it was after a turn
SELECT steps FROM plans WHERE run_id = :run_id AND turn <= :turn ORDER BY turn DESC LIMIT 1;
