-- append: one event
INSERT INTO events (time, level, reason, object_kind, object_name, object_id, run_id, run, message)
VALUES (:time, :level, :reason, :object_kind, :object_name, :object_id, :run_id, :run, :message);

-- after: events after a sequence number, oldest first
SELECT * FROM events WHERE seq > :after ORDER BY seq LIMIT :most;

-- after_of_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT * FROM events WHERE seq > :after AND run_id IN (SELECT id FROM tree) ORDER BY seq LIMIT :most;

-- last: the last sequence number ever given
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS seq;

-- tail: the sequence number before the last n events
SELECT coalesce(min(seq), 1) - 1 AS seq FROM (SELECT seq FROM events ORDER BY seq DESC LIMIT :most);

-- tail_of_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT coalesce(min(seq), 1) - 1 AS seq
FROM (SELECT seq FROM events WHERE run_id IN (SELECT id FROM tree) ORDER BY seq DESC LIMIT :most);

-- since: the sequence number before the first event at or after a moment
SELECT coalesce((SELECT min(seq) - 1 FROM events WHERE time >= :time), (SELECT max(seq) FROM events), 0) AS seq;

-- go_on_after: let the next sequence number be above one that was given to events this database has lost
UPDATE sqlite_sequence SET seq = :seq WHERE name = 'events' AND seq < :seq;

-- begin_after: the same, before the first event
INSERT INTO sqlite_sequence (name, seq) SELECT 'events', :seq WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events');
