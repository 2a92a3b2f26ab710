-- insert: a request is to be told on a channel; told there already, it stays one telling
INSERT INTO deliveries (id, request_id, channel, phase, attempts, failures, reminder, reference, detail, epoch, mark, due_at, created_at,
  delivered_at, version)
VALUES (:id, :request_id, :channel, :phase, :attempts, :failures, :reminder, :reference, :detail, :epoch, :mark, :due_at, :created_at,
  :delivered_at, :version)
ON CONFLICT (request_id, channel) DO NOTHING;

-- save: what moves of a delivery, against the version that was read
UPDATE deliveries SET phase = :phase, attempts = :attempts, failures = :failures, reminder = :reminder, reference = :reference,
  detail = :detail, epoch = :epoch, mark = :mark, due_at = :due_at, delivered_at = :delivered_at, version = version + 1
WHERE id = :id AND version = :version;

-- get: a delivery by id
SELECT * FROM deliveries WHERE id = :id;

-- of_request: where a request is told, in the order it was
SELECT * FROM deliveries WHERE request_id = :request_id ORDER BY id;

-- of_requests: where these requests (a JSON list of ids) are told, in the order they were
SELECT * FROM deliveries WHERE request_id IN (SELECT value FROM json_each(:ids)) ORDER BY id;

-- live: ids of deliveries that a loop can move
SELECT id FROM deliveries WHERE phase IN ('waiting', 'delivering', 'closing');

-- held: ids of deliveries that wait for their channel to be changed
SELECT id FROM deliveries WHERE phase = 'held' AND channel = :channel;
