"""The watched folder: read as it rests, planned as a whole, applied in one transaction.

Belongs here: files, watching, planning, applying. Does not: what the loops then do with it.
"""
