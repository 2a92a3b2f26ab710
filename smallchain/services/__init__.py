"""The outside, as the engine's ports see it: models, tools, the watched folder. Siblings are unaware of each other.

Belongs here: what opens connections, starts processes, reads folders, and turns what comes back into values. Does not: phases,
decisions, retries, SQL.
"""
