-- insert: what a tool call left behind, in the transaction of its outcome
INSERT INTO artifacts (id, run_id, root_id, call_id, name, media_type, size_bytes, digest, created_at, data)
VALUES (:id, :run_id, :root_id, :call_id, :name, :media_type, :size_bytes, :digest, :created_at, :data);

-- size_of_run: bytes that a run's artifacts take
SELECT coalesce(sum(size_bytes), 0) AS size_bytes FROM artifacts WHERE run_id = :run_id;

-- get: an artifact without its bytes
SELECT id, run_id, call_id, name, media_type, size_bytes, digest FROM artifacts WHERE id = :id;

-- get_of_tree: an artifact without its bytes, if a tree of runs made it or went on from those that did
SELECT id, run_id, call_id, name, media_type, size_bytes, digest FROM artifacts
WHERE id = :id AND (root_id = :root_id
  OR EXISTS (SELECT 1 FROM artifacts_inherited WHERE artifacts_inherited.root_id = :root_id AND artifact_id = :id));

-- inherit: the artifacts that one tree of runs could read can be read by another, which goes on from its messages
INSERT OR IGNORE INTO artifacts_inherited (root_id, artifact_id)
SELECT :heir, id FROM artifacts WHERE root_id = :root_id
UNION SELECT :heir, artifact_id FROM artifacts_inherited WHERE artifacts_inherited.root_id = :root_id;

-- data: the bytes of an artifact
SELECT data FROM artifacts WHERE id = :id;

-- piece: some bytes of an artifact, from a place that counts from 1
SELECT substr(data, :start, :length) AS data FROM artifacts WHERE id = :id;

-- by_part: artifacts whose id begins or ends with a text
SELECT id FROM artifacts WHERE substr(id, 1, length(:part)) = :part OR substr(id, -length(:part)) = :part LIMIT 2;

-- list: all artifacts without their bytes, each with its run's name and its call's tool
SELECT artifacts.id, artifacts.run_id, artifacts.call_id, artifacts.name, artifacts.media_type, artifacts.size_bytes, artifacts.digest,
  artifacts.created_at, runs.name AS run, toolcalls.tool AS tool
FROM artifacts JOIN runs ON runs.id = artifacts.run_id LEFT JOIN toolcalls ON toolcalls.id = artifacts.call_id ORDER BY artifacts.id;

-- list_tree: the same, of a run and its descendants
WITH RECURSIVE tree (id) AS (SELECT :run_id UNION SELECT runs.id FROM runs JOIN tree ON runs.parent_id = tree.id)
SELECT artifacts.id, artifacts.run_id, artifacts.call_id, artifacts.name, artifacts.media_type, artifacts.size_bytes, artifacts.digest,
  artifacts.created_at, runs.name AS run, toolcalls.tool AS tool
FROM artifacts JOIN runs ON runs.id = artifacts.run_id LEFT JOIN toolcalls ON toolcalls.id = artifacts.call_id
WHERE artifacts.run_id IN (SELECT id FROM tree) ORDER BY artifacts.id;
