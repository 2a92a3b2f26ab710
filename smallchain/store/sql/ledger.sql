-- account: the account of a cap over a subject
SELECT * FROM accounts WHERE cap = :cap AND subject = :subject;

-- newest_account: the number of the newest account, as long as there is any
SELECT max(id) AS id FROM accounts;

-- open_account: an account that begins with nothing
INSERT INTO accounts (cap, subject, unit, counted_from, spent, held) VALUES (:cap, :subject, :unit, :counted_from, 0, 0);

-- let_go: accounts of a cap that is not written any more: what is spent until it is again is looked up then
UPDATE accounts SET counted_from = :never WHERE cap = :cap;

-- come_back: what a clock that ran ahead recorded
UPDATE charges SET at = :now WHERE account = :account AND at > :now;

-- seed: what an account does not know of what was spent or is out (held as under another cap), as far as it counts: calls of a run (where one is given), of an agent with what it delegated, of a task, on an LLM
WITH RECURSIVE counted (id) AS (
  SELECT id FROM runs WHERE (:subject = '' OR id = :subject) AND (:agent = '' OR agent = :agent) AND (:task = '' OR task = :task)
  UNION SELECT runs.id FROM runs JOIN counted ON runs.parent_id = counted.id
)
INSERT INTO charges (account, run_no, attempt, at, amount, open)
SELECT :account, modelcalls.run_no, attempt, min(modelcalls.started_at, :now), min(:most, CASE
    WHEN outcome = 'open' THEN coalesce((
      SELECT max(charges.amount) FROM charges JOIN accounts ON accounts.id = charges.account
      WHERE charges.run_no = modelcalls.run_no AND charges.attempt = modelcalls.attempt AND charges.open = 1 AND accounts.unit = :unit
    ), iif(:unit = 'dollars', modelcalls.held_nanousd, 0), 0)
    WHEN :unit = 'dollars' THEN coalesce(modelcalls.cost_nanousd, 0)
    WHEN :unit = 'tokens' THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0)
    ELSE max(0, CAST((julianday(modelcalls.finished_at) - julianday(modelcalls.started_at)) * 86400000 AS INTEGER))
  END), outcome = 'open'
FROM counted JOIN runs ON runs.id = counted.id JOIN modelcalls ON modelcalls.run_no = runs.no
WHERE (:llm = '' OR modelcalls.llm = :llm) AND modelcalls.started_at >= :since AND NOT EXISTS (
  SELECT 1 FROM charges WHERE charges.account = :account AND charges.run_no = modelcalls.run_no AND charges.attempt = modelcalls.attempt
);

-- total: what an account's settled charges since a moment add up to, and what its open ones hold
SELECT coalesce(sum(iif(open = 0 AND at >= :since, amount, 0)), 0) AS spent, coalesce(sum(iif(open = 1, amount, 0)), 0) AS held
FROM charges WHERE account = :account;

-- left: what an account's settled charges add up to that counted, and count no longer
SELECT coalesce(sum(amount), 0) AS amount FROM charges WHERE account = :account AND open = 0 AND at >= :counted_from AND at < :since;

-- forget: settled charges that count no longer
DELETE FROM charges WHERE account = :account AND open = 0 AND at < :since;

-- write: how an account stands
UPDATE accounts SET counted_from = :counted_from, spent = :spent, held = :held WHERE id = :id;

-- hold: a call that goes out holds so much
INSERT INTO charges (account, run_no, attempt, at, amount, open)
VALUES (:account, (SELECT no FROM runs WHERE id = :run_id), :attempt, :at, :amount, 1);

-- add_held: what calls that are out hold has changed
UPDATE accounts SET held = held + :amount WHERE id = :id;

-- of_call: the charges of a model call, with their accounts' units
SELECT charges.*, accounts.unit, accounts.counted_from FROM charges JOIN accounts ON accounts.id = charges.account
WHERE run_no = (SELECT no FROM runs WHERE id = :run_id) AND attempt = :attempt;

-- settle: what a call came to
UPDATE charges SET amount = :amount, open = 0 WHERE no = :no;

-- settle_account: a hold is let go, and what the call came to is spent
UPDATE accounts SET held = held - :released, spent = min(:most, max(0, spent + :spent)) WHERE id = :id;

-- counted: settled charges since a moment, and after one of that moment, oldest first
SELECT no, at, amount FROM charges WHERE account = :account AND open = 0 AND (at, no) > (:at, :no) ORDER BY at, no LIMIT :most;

-- wait: a run waits for room in an account
INSERT INTO waits_for_room (run_id, account) VALUES (:run_id, :account) ON CONFLICT (run_id) DO UPDATE SET account = excluded.account;

-- stop_waiting: a run waits no longer
DELETE FROM waits_for_room WHERE run_id = :run_id;

-- waiting: runs that wait until others' calls under an account end, those first that are to go first
SELECT run_id FROM waits_for_room JOIN runs ON runs.id = waits_for_room.run_id
WHERE account = :account AND runs.phase = 'ready' ORDER BY runs.priority DESC, runs.id LIMIT :most;

-- anybody_waiting: a run that waits for room in any account
SELECT max(run_id) AS run_id FROM waits_for_room;

-- parked: how many runs stand still until there is room in an account, and when the first of them looks again; so many are looked at
SELECT count(*) AS count, min(due_at) AS due_at FROM (
  SELECT runs.due_at FROM waits_for_room JOIN runs ON runs.id = waits_for_room.run_id
  WHERE account = :account AND runs.phase = 'over_budget' LIMIT :most
);

-- parked_ids: the first of them
SELECT run_id FROM waits_for_room JOIN runs ON runs.id = waits_for_room.run_id
WHERE account = :account AND runs.phase = 'over_budget' ORDER BY runs.id LIMIT :most;

-- waited_for: the account that a run waits for room in
SELECT account FROM waits_for_room WHERE run_id = :run_id;

-- holders: runs whose calls are out and hold something in an account
SELECT runs.id AS run_id FROM runs CROSS JOIN charges ON charges.run_no = runs.no AND charges.attempt = runs.attempts
WHERE runs.phase NOT IN ('succeeded', 'failed', 'cancelled') AND runs.phase = 'calling_model' AND charges.account = :account
  AND charges.open = 1 ORDER BY runs.id LIMIT :most;

-- all_waiting: runs that wait for room in any account
SELECT run_id FROM waits_for_room;

-- held_by_tree: what the calls of a run and its descendants hold, as far as it is money
WITH RECURSIVE tree (id) AS (SELECT :id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT coalesce(sum(held_nanousd), 0) AS amount FROM tree JOIN runs ON runs.id = tree.id JOIN modelcalls ON modelcalls.run_no = runs.no
WHERE outcome = 'open';

-- raise: people have added to a limit as it is written, for a while or for good
INSERT INTO raises (account, amount, until, over) VALUES (:account, :amount, :until, :over);

-- raised: what has been added to a limit as it is written now; what was added to another is gone with it
SELECT coalesce(sum(amount), 0) AS amount FROM raises
WHERE account = :account AND (until IS NULL OR until > :now) AND coalesce(over, :over) = :over;

-- account_by_id: an account
SELECT * FROM accounts WHERE id = :id;

-- put_price: what a model costs, as far as a list says
INSERT INTO prices (llm, model, input, output, cached_input, cache_write, longer, source)
VALUES (:llm, :model, :input, :output, :cached_input, :cache_write, :longer, :source)
ON CONFLICT (llm, model) DO UPDATE SET input = excluded.input, output = excluded.output, cached_input = excluded.cached_input,
  cache_write = excluded.cache_write, longer = excluded.longer, source = excluded.source;

-- drop_price: no list says what a model costs
DELETE FROM prices WHERE llm = :llm AND model = :model;

-- price: what a model costs
SELECT * FROM prices WHERE llm = :llm AND model = :model;
