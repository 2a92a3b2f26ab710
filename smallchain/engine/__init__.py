"""The control loops: observe, decide, record, act. One folder a kind; `decide.py` is pure, `execute.py` goes through a port.

Belongs here: what moves rows from phase to phase. Does not: SQL, sockets, concrete providers and executors.
"""
