-- put: a call is handed out; handed out again after a person said so, nothing of the first time counts any more
INSERT INTO callbacks (call_id, handed_out_at, expires_at, tell_at, refusals, digest, brought_by, brought_at)
VALUES (:call_id, :handed_out_at, :expires_at, :tell_at, 0, '', '', NULL)
ON CONFLICT (call_id) DO UPDATE SET handed_out_at = :handed_out_at, expires_at = :expires_at, tell_at = :tell_at, refusals = 0;

-- get: how a call was handed out, and who brought its result
SELECT * FROM callbacks WHERE call_id = :call_id;

-- tell: when whoever does the work is to be told (again); NULL: no more
UPDATE callbacks SET tell_at = :tell_at, refusals = :refusals WHERE call_id = :call_id;

-- bring: the one result of a call that was handed out
UPDATE callbacks SET digest = :digest, brought_by = :brought_by, brought_at = :brought_at, tell_at = NULL
WHERE call_id = :call_id AND brought_at IS NULL;

-- to_tell: calls of which somebody is to be told
SELECT callbacks.call_id FROM callbacks CROSS JOIN toolcalls ON toolcalls.id = callbacks.call_id
WHERE tell_at IS NOT NULL AND toolcalls.phase = 'awaiting_callback';
