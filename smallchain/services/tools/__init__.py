"""Running tools: executors that implement `engine.ports.Executor`, one file each, and the one way to run a child process.

Belongs here: starting, feeding, watching and ending what a tool runs, and saying how it ended in words a model can act on.
Does not: deciding whether a tool may run or run again, recording attempts, resolving secrets, or pasting data into code.
"""
