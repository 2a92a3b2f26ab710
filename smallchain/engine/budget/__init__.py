"""Budgets: whether a model call fits under every cap, what it holds while it is out, and what it has cost."""
