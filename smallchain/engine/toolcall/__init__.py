"""The loop of tool calls: admitted, started once recorded, ended with exactly one result."""
