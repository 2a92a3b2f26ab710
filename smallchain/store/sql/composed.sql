-- put: what an attempt is going to send, before it is recorded
INSERT INTO composed (run_id, attempt, body, llm, messages) VALUES (:run_id, :attempt, :body, :llm, :messages)
ON CONFLICT (run_id, attempt) DO UPDATE SET body = excluded.body, llm = excluded.llm, messages = excluded.messages;

-- get: what an attempt sends
SELECT body, llm, messages FROM composed WHERE run_id = :run_id AND attempt = :attempt;
