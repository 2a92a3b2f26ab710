"""What exists: the facts, the words for them, and the rules over them.

Belongs here: parsing, names, lifecycles, money, pure functions. Does not: I/O, the clock, chance, SQL, sockets.
"""
