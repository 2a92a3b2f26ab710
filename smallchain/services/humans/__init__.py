"""Ways to reach people, implementing the engine's `Channel` port, and the key that their codes are derived from.

Nothing here decides anything: what people say is handed to the engine.
"""
