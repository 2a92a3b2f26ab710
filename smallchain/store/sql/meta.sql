-- get: one fact about the database
SELECT value FROM meta WHERE name = :name;

-- put: set a fact about the database
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- raise_epoch: begin a new life of the daemon
INSERT INTO meta (name, value) VALUES ('epoch', '1') ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT);
