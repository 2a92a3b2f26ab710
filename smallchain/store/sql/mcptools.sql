-- of_server: the tools of a server, by name
SELECT * FROM mcp_tools WHERE server = :server ORDER BY name;

-- of_request: the tool that a request asks about
SELECT * FROM mcp_tools WHERE request_id = :request_id AND request_id != '';

-- put: a tool as it stands
INSERT INTO mcp_tools (server, name, state, detail, offered, digest, words, accepted_digest, accepted_words, request_id, seen_at)
VALUES (:server, :name, :state, :detail, :offered, :digest, :words, :accepted_digest, :accepted_words, :request_id, :seen_at)
ON CONFLICT (server, name) DO UPDATE SET state = excluded.state, detail = excluded.detail, offered = excluded.offered,
  digest = excluded.digest, words = excluded.words, accepted_digest = excluded.accepted_digest,
  accepted_words = excluded.accepted_words, request_id = excluded.request_id, seen_at = excluded.seen_at;

-- forget_one: a tool that nobody has accepted and the server lists no more
DELETE FROM mcp_tools WHERE server = :server AND name = :name;

-- forget: all tools of a server that is written nowhere any more
DELETE FROM mcp_tools WHERE server = :server;

-- listing: what tells apart what a server's accepted tools are
SELECT digest FROM mcp_listings WHERE server = :server;

-- put_listing: what a server's accepted tools are now
INSERT INTO mcp_listings (server, digest) VALUES (:server, :digest) ON CONFLICT (server) DO UPDATE SET digest = excluded.digest;

-- forget_listing: of a server that is written nowhere any more
DELETE FROM mcp_listings WHERE server = :server;

-- waiting: ids of calls at MCP servers that are ready, or were not let through yet
SELECT id FROM toolcalls WHERE target_kind = 'mcp' AND phase IN ('pending', 'ready')
  AND toolcalls.phase NOT IN ('succeeded', 'failed', 'rejected', 'cancelled', 'timed_out');
