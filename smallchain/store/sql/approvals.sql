-- put: that a call may run; a newer approval takes the place of an older
INSERT INTO approvals (run_id, call_id, request_id, digest, arguments, note, by, at)
VALUES (:run_id, :call_id, :request_id, :digest, :arguments, :note, :by, :at)
ON CONFLICT (run_id, call_id) DO UPDATE SET request_id = excluded.request_id, digest = excluded.digest, arguments = excluded.arguments,
  note = excluded.note, by = excluded.by, at = excluded.at;

-- of_call: what lets a call run
SELECT * FROM approvals WHERE run_id = :run_id AND call_id = :call_id;

-- of_turn: what lets the calls of one reply run
SELECT approvals.* FROM toolcalls JOIN approvals ON approvals.run_id = toolcalls.run_id AND approvals.call_id = toolcalls.id
WHERE toolcalls.run_id = :run_id AND toolcalls.turn = :turn;
