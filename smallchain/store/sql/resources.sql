-- put_spec: keep what a person wrote, under its digest
INSERT INTO specs (digest, kind, name, folder, spec) VALUES (:digest, :kind, :name, :folder, :spec) ON CONFLICT (digest) DO NOTHING;

-- spec: what a digest stands for
SELECT * FROM specs WHERE digest = :digest;

-- insert: a resource that is new
INSERT INTO resources (id, kind, name, digest, file, line, generation, status, detail, failures, checked, created_at, updated_at, version)
VALUES (:id, :kind, :name, :digest, :file, :line, 1, :status, :detail, 0, '', :now, :now, 1);

-- change: a resource whose words or place changed
UPDATE resources SET digest = :digest, file = :file, line = :line, generation = generation + (digest != :digest), updated_at = :now,
  failures = CASE WHEN digest != :digest THEN 0 ELSE failures END, checked = CASE WHEN digest != :digest THEN '' ELSE checked END,
  version = version + 1
WHERE kind = :kind AND name = :name;

-- delete: a resource that is no longer written anywhere
DELETE FROM resources WHERE kind = :kind AND name = :name;

-- set_status: whether it can be used, against the version that was read
UPDATE resources SET status = :status, detail = :detail, failures = :failures, checked = :checked, updated_at = :now,
  version = version + 1
WHERE kind = :kind AND name = :name AND version = :version;

-- get: a resource with its words
SELECT resources.*, specs.spec, specs.folder FROM resources JOIN specs USING (digest)
WHERE resources.kind = :kind AND resources.name = :name;

-- digest: what tells a resource's words apart
SELECT digest FROM resources WHERE kind = :kind AND name = :name;

-- over_call: what tells the words apart that have a rule over a call: of its agent, its tool or MCP server, and the defaults
SELECT kind, digest FROM resources
WHERE (kind = 'agent' AND name = :agent) OR (kind = :kind AND name = :name) OR (kind = 'defaults' AND name = 'defaults');

-- of_kind: all of a kind with their words, by name
SELECT resources.*, specs.spec, specs.folder FROM resources JOIN specs USING (digest) WHERE resources.kind = :kind ORDER BY resources.name;

-- all: every resource with its words
SELECT resources.*, specs.spec, specs.folder FROM resources JOIN specs USING (digest) ORDER BY resources.kind, resources.name;

-- names: names of a kind
SELECT name FROM resources WHERE kind = :kind;

-- pin: what a run's tree goes on with
INSERT INTO pins (root_id, kind, name, digest) VALUES (:root_id, :kind, :name, :digest)
ON CONFLICT (root_id, kind, name) DO UPDATE SET digest = excluded.digest;

-- pinned: what a run's tree goes on with
SELECT kind, name, digest FROM pins WHERE root_id = :root_id;

-- pins: all that a run's tree goes on with, and whether it is still what is written
SELECT pins.kind, pins.name, pins.digest, (pins.digest = coalesce(resources.digest, mcp_listings.digest)) AS current FROM pins
LEFT JOIN resources ON resources.kind = pins.kind AND resources.name = pins.name
LEFT JOIN mcp_listings ON pins.kind = 'mcp_tools' AND mcp_listings.server = pins.name
WHERE pins.root_id = :root_id ORDER BY pins.kind, pins.name;
