-- put: look at a row again at a moment
INSERT INTO alarms (kind, key, due_at) VALUES (:kind, :key, :due_at)
ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at WHERE due_at != excluded.due_at;

-- drop: no need to look again
DELETE FROM alarms WHERE kind = :kind AND key = :key;

-- of: when a row is looked at again
SELECT due_at FROM alarms WHERE kind = :kind AND key = :key;

-- due: what is to be looked at by a moment, oldest first
SELECT kind, key FROM alarms WHERE due_at <= :now ORDER BY due_at LIMIT :most;

-- nearest: the next moment at which anything is due
SELECT min(due_at) AS due_at FROM alarms;
