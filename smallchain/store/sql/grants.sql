-- insert: that a tool may run in a run without being asked about again
INSERT INTO grants (id, run_id, tool, target, by, via, note, created_at, revoked_at, revoked_by)
VALUES (:id, :run_id, :tool, :target, :by, :via, :note, :created_at, :revoked_at, :revoked_by);

-- of_target: whether a run has a grant for a tool as it is pinned
SELECT * FROM grants WHERE run_id = :run_id AND target = :target AND revoked_at IS NULL ORDER BY id LIMIT 1;

-- get: a grant by id
SELECT * FROM grants WHERE id = :id;

-- by_part: grants whose id begins or ends with a text
SELECT id FROM grants WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- revoke: it does not hold any more
UPDATE grants SET revoked_at = :now, revoked_by = :by WHERE id = :id AND revoked_at IS NULL;

-- list: all grants, each with its run's name and whether it has ended
SELECT grants.*, runs.name AS run, runs.phase AS run_phase FROM grants JOIN runs ON runs.id = grants.run_id ORDER BY grants.id;
