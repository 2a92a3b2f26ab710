"""The loop of tools: a tool is ready when this version can keep all that its entry asks for."""
