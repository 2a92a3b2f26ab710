"""The ways to reach people and to hear them: terminal, webhook, Slack, email (each a `Channel` of `engine/ports.py`), the inbox folder,
and the key that codes and callback keys are derived from.

Belongs here: telling a request where people are, and turning what they answer there into a `Said`. Does not: whether an answer
counts, reminders, retries, what is told to whom (the engine's), reading secrets.
"""
