"""The daemon: composes store, engine and services into one process behind a Unix socket.

Belongs here: what knows concrete classes (`compose`), a process's life (`lifetime`), the socket's routes (`api`). Does not: decisions.
"""
