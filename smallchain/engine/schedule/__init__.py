"""The loop of schedules: what starts by itself, at its moments."""
