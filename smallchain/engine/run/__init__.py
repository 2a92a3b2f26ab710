"""The loop of runs: one agent at work, one step at a time, each step a commit."""
