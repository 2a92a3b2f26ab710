-- put: what an attempt is about to send; written once
INSERT INTO composed (run_id, attempt, body) VALUES (:run_id, :attempt, :body) ON CONFLICT DO NOTHING;

-- get: what an attempt sent
SELECT body FROM composed WHERE run_id = :run_id AND attempt = :attempt;
