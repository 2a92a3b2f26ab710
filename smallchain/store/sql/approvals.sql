-- put: that a call may run; a newer approval takes the place of an older
INSERT INTO approvals (run_id, call_id, request_id, digest, arguments, note, by, at)
VALUES (:run_id, :call_id, :request_id, :digest, :arguments, :note, :by, :at)
ON CONFLICT (run_id, call_id) DO UPDATE SET request_id = excluded.request_id, digest = excluded.digest, arguments = excluded.arguments,
  note = excluded.note, by = excluded.by, at = excluded.at;

-- of_run: what lets the calls of a run run
SELECT * FROM approvals WHERE run_id = :run_id;
