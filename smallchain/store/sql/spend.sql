-- sums: what the calls settled since a moment came to, of all runs or of one and its descendants; what is not asked for (0) is one
SELECT iif(:hour, hour, NULL) AS hour, iif(:day, substr(hour, 1, 10), NULL) AS day, iif(:agent, runs.agent, NULL) AS agent,
  iif(:llm, sums.llm, NULL) AS llm, iif(:model, sums.model, NULL) AS model, iif(:task, runs.task, NULL) AS task, iif(:run, runs.id, NULL) AS run_id,
  iif(:run, runs.name, NULL) AS run, sum(calls) AS calls, sum(unpriced) AS unpriced, sum(input_tokens) AS input_tokens,
  sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens, sum(sums.cost_nanousd) AS cost_nanousd
FROM (
  SELECT run_no, llm, model, iif(:hour OR :day, substr(finished_at, 1, 13), '') AS hour, count(*) AS calls,
    sum(input_tokens IS NOT NULL AND cost_nanousd IS NULL) AS unpriced, coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
    coalesce(sum(cost_nanousd), 0) AS cost_nanousd
  FROM modelcalls WHERE finished_at >= :since AND (:tree_of IS NULL OR run_no IN (
    WITH RECURSIVE tree (id, no) AS (
      SELECT id, no FROM runs WHERE id = :tree_of UNION SELECT runs.id, runs.no FROM runs JOIN tree ON runs.parent_id = tree.id
    ) SELECT no FROM tree))
  GROUP BY 4, run_no, llm, model
) AS sums JOIN runs ON runs.no = sums.run_no
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 14 DESC, 9 DESC, 3, 4, 5, 6, 8;
