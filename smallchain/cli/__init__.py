"""The command: one process that says what a person wants and shows what the daemon answers, on `protocol` and `model`.

Belongs here: arguments, tables, the start of a daemon. Does not: any decision that the daemon makes. What lies on the way to
the first paint imports the standard library, `protocol` and `settings` only; `tests/architecture` holds it to that.
"""
