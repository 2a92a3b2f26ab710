"""The fence around processes: which layers work on this machine, and how a command is put behind them.

Belongs here: what a process sees (`view`), the layers as pure plans of arguments (`layers`, `filter`), the groups and users it runs in
(`groups`, `slots`), trying them out (`probe`), and one cell a process (`sandbox`). Does not: running anything, knowing what a tool is.
"""
