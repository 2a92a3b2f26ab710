"""The ways to reach models, each a `Provider` of `engine/ports.py`: one request out, one `Reply` or `Failure` back.

Belongs here: sending, translating what came back (`translate`), saying what a failure means (`classify`), prices.
Does not: retries and backoff (the run's loop), reading secrets, the composition of requests, budgets, what a reply leads to.
"""
