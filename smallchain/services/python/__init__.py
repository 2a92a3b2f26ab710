"""A person's own Python (context strategies, `provider: python`), run in processes of its own, never in the daemon's.

Belongs here: the child's program, feeding and ending it, noticing that a file changed. Does not: what is called when, what an answer
means, retries.
"""
