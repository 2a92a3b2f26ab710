-- insert: an attempt, recorded before its request goes out
INSERT INTO modelcalls (run_no, attempt, turn, epoch, llm, model, messages, outcome, error, finish_reason, input_tokens, output_tokens,
  cached_tokens, cost_nanousd, priced_by, raw, started_at, finished_at, held_nanousd, max_output, first_message, summary, summarises, around)
VALUES ((SELECT no FROM runs WHERE id = :run_id), :attempt, :turn, :epoch, :llm, :model, :messages, :outcome, :error, :finish_reason, :input_tokens, :output_tokens,
  :cached_tokens, :cost_nanousd, :priced_by, :raw, :started_at, :finished_at, :held_nanousd, :max_output, :first_message, :summary, :summarises, :around);

-- get: one attempt
SELECT modelcalls.*, runs.id AS run_id FROM runs JOIN modelcalls ON modelcalls.run_no = runs.no
WHERE runs.id = :run_id AND attempt = :attempt;

-- settle: what came of an attempt; a settled one stays as it is
UPDATE modelcalls SET outcome = :outcome, error = :error, finish_reason = :finish_reason, input_tokens = :input_tokens,
  output_tokens = :output_tokens, cached_tokens = :cached_tokens, cost_nanousd = :cost_nanousd, priced_by = :priced_by, raw = :raw,
  finished_at = :finished_at
WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND attempt = :attempt AND outcome = :read;

-- of_run: all attempts of a run
SELECT *, :run_id AS run_id FROM modelcalls WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) ORDER BY attempt;
