"""What SQLite's errors mean here: of the disk, of the file, or of another program that holds the lock."""

from __future__ import annotations

SEE_LOGS = "see `smallchain logs`; the daemon ends and checks the file at its start"
FULL = 13  # SQLITE_FULL, https://www.sqlite.org/rescode.html
LOCKED = {5, 6}  # SQLITE_BUSY and SQLITE_LOCKED: another program holds the write lock
_IOERR, _CANTOPEN = 10, 14
FATAL = {_IOERR, _CANTOPEN, 11, 26}  # with SQLITE_CORRUPT, NOTADB: what is known of the file is no longer true


def code(error: BaseException) -> int:
    """SQLite's primary result code of an error, or 0."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def of_the_disk(error: BaseException) -> bool:
    """Whether an error is one of reading or writing the disk, and not of what stands on it."""
    return code(error) in (_IOERR, _CANTOPEN)
