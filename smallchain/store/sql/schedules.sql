-- get: how far a schedule has come
SELECT * FROM schedules WHERE name = :name;

-- insert: a schedule that is new
INSERT INTO schedules (name, timing, since, considered_at, waiting, skipped, skipped_at, skipped_why, version)
VALUES (:name, :timing, :since, :considered_at, :waiting, :skipped, :skipped_at, :skipped_why, :version);

-- save: how far it has come now, against the version that was read
UPDATE schedules SET timing = :timing, since = :since, considered_at = :considered_at, waiting = :waiting, skipped = :skipped,
  skipped_at = :skipped_at, skipped_why = :skipped_why, version = :version
WHERE name = :name AND version = :read;

-- forget: it is no longer written anywhere; what it has started stays
DELETE FROM schedules WHERE name = :name;

-- waiting: names of the schedules that have a start which waits until the last run is over
SELECT name FROM schedules WHERE waiting IS NOT NULL;

-- count_started: for how many moments of a time a run was made
SELECT count(*) AS count FROM schedule_starts WHERE schedule = :schedule AND moment BETWEEN :first AND :last;

-- add_start: the run of a moment; there is one at most
INSERT INTO schedule_starts (schedule, moment, run_id) VALUES (:schedule, :moment, :run_id);

-- starts: what a schedule has started, the newest first
SELECT moment, run_id FROM schedule_starts WHERE schedule = :schedule ORDER BY no DESC LIMIT :most;
