-- all: every file we know of, by path
SELECT * FROM files ORDER BY path;

-- put: a file as it stands
INSERT INTO files (path, source, digest, status, problems, since) VALUES (:path, :source, :digest, :status, :problems, :since)
ON CONFLICT (path) DO UPDATE SET source = excluded.source, digest = excluded.digest, problems = excluded.problems,
  since = CASE WHEN status = excluded.status AND digest = excluded.digest THEN since ELSE excluded.since END, status = excluded.status;

-- delete: a file that is gone
DELETE FROM files WHERE path = :path;
