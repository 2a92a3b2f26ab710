"""The socket's routes, one file a family; each reads or changes rows in one transaction and knows no loop."""
