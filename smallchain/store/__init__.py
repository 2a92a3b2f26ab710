"""The database: the only place with SQL, and the one writer.

Belongs here: named queries (`sql/`), migrations, functions over a transaction (`Tx`), one module a kind of row. Does not:
decisions, sockets, model calls. Every function but `Database`'s own is synchronous and takes a `Tx`; `Database` alone is async.
"""
