"""The loop of MCP servers: each is kept running and connected; its tools may be used as a person knows them."""
