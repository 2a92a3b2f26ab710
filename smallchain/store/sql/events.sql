-- append: one event
INSERT INTO events (time, level, reason, object_kind, object_name, object_id, run_no, run, message)
VALUES (:time, :level, :reason, :object_kind, :object_name, :object_id,
  (SELECT no FROM runs WHERE id = :run_id), :run, :message);

-- after: events after a sequence number, oldest first
SELECT events.*, runs.id AS run_id FROM events LEFT JOIN runs ON runs.no = events.run_no WHERE seq > :after ORDER BY seq LIMIT :most;

-- after_of_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id, no) AS (
  SELECT id, no FROM runs WHERE id = :run_id UNION SELECT runs.id, runs.no FROM runs JOIN tree ON runs.parent_id = tree.id
)
SELECT events.*, runs.id AS run_id FROM events JOIN runs ON runs.no = events.run_no
WHERE seq > :after AND run_no IN (SELECT no FROM tree) ORDER BY seq LIMIT :most;

-- last: the last sequence number ever given
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS seq;

-- newest_time: when the newest event was told
SELECT time FROM events WHERE seq = (SELECT max(seq) FROM events);

-- tail: the sequence number before the last n events
SELECT coalesce(min(seq), 1) - 1 AS seq FROM (SELECT seq FROM events ORDER BY seq DESC LIMIT :most);

-- tail_of_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id, no) AS (
  SELECT id, no FROM runs WHERE id = :run_id UNION SELECT runs.id, runs.no FROM runs JOIN tree ON runs.parent_id = tree.id
)
SELECT coalesce(min(seq), 1) - 1 AS seq
FROM (SELECT seq FROM events WHERE run_no IN (SELECT no FROM tree) ORDER BY seq DESC LIMIT :most);

-- since: the sequence number before the first event at or after a moment
SELECT coalesce((SELECT min(seq) - 1 FROM events WHERE time >= :time), (SELECT max(seq) FROM events), 0) AS seq;

-- go_on_after: let the next sequence number be above one that was given to events this database has lost
UPDATE sqlite_sequence SET seq = :seq WHERE name = 'events' AND seq < :seq;

-- begin_after: the same, before the first event
INSERT INTO sqlite_sequence (name, seq) SELECT 'events', :seq WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events');
