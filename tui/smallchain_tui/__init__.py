"""The dashboard, a guest like the command: it knows `model` and `protocol` only."""
