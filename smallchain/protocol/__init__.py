"""The socket's language, on `model` alone: how errors travel, how a client speaks, how hostile text is made visible.

Belongs here: what both ends of the socket must agree on. Does not: what the daemon does with it, what a screen looks like.
"""
