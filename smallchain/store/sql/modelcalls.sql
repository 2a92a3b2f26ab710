-- open: an attempt, recorded before its request goes out
INSERT INTO modelcalls (run_id, attempt, turn, epoch, llm, model, messages, outcome, error, priced_by, raw, started_at)
VALUES (:run_id, :attempt, :turn, :epoch, :llm, :model, :messages, 'open', '', '', '', :started_at);

-- get: one attempt
SELECT * FROM modelcalls WHERE run_id = :run_id AND attempt = :attempt;

-- settle: what came of an attempt; a settled one stays as it is
UPDATE modelcalls SET outcome = :outcome, error = :error, finish_reason = :finish_reason, input_tokens = :input_tokens,
  output_tokens = :output_tokens, cached_tokens = :cached_tokens, cost_nanousd = :cost_nanousd, priced_by = :priced_by, raw = :raw,
  finished_at = :finished_at
WHERE run_id = :run_id AND attempt = :attempt AND outcome IN ('open', 'abandoned');

-- of_run: all attempts of a run
SELECT * FROM modelcalls WHERE run_id = :run_id ORDER BY attempt;
