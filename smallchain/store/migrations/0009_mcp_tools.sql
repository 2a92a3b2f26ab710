CREATE TABLE mcp_tools (
  server TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('accepted', 'changed', 'refused', 'unusable')),
  detail TEXT NOT NULL,
  offered INTEGER NOT NULL,
  digest TEXT NOT NULL,
  words TEXT NOT NULL,
  accepted_digest TEXT NOT NULL,
  accepted_words TEXT NOT NULL,
  request_id TEXT NOT NULL,
  seen_at TEXT NOT NULL,
  PRIMARY KEY (server, name)
) STRICT;
CREATE INDEX mcp_tools_asked ON mcp_tools (request_id) WHERE request_id != '';

CREATE TABLE mcp_listings (
  server TEXT PRIMARY KEY,
  digest TEXT NOT NULL
) STRICT;
