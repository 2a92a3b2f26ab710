"""One module for each command or close family, imported only when it is called.

Each has `DESCRIPTION`, `EXAMPLES`, `add_arguments(parser)`, `attempted(arguments)`, which says what is tried in the words of
an error, and `execute(arguments, session)`, which returns the exit code.
"""
