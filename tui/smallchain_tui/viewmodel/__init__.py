"""What the screens show, as plain values: no Textual, no I/O, no clock of its own.

Belongs here: rows, order, filters, words, the ring of events, machines of screens. Does not: drawing, keys, the socket.
"""
