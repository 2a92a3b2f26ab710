-- What model calls cost, in the order in which it became known: sums of a time read nothing else, and least of all the raw replies.
CREATE INDEX modelcalls_spent ON modelcalls (finished_at, run_no, llm, cost_nanousd, input_tokens, output_tokens, cached_tokens)
WHERE finished_at IS NOT NULL;
