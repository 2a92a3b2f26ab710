"""The loop of agents: an agent is ready when everything it can reach is."""
