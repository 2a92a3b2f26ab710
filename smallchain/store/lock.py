"""One daemon per state folder: an flock on an open file, checked to be still the file that has the name."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from smallchain.model.errors import Busy


class StateLock:
    """Holds the state folder until `release` or the process's end; the file names the holder's pid."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def take(cls, state_dir: Path) -> StateLock:
        """Lock the folder, whichever path it was reached by; raises Busy with the holder's pid when another has it."""
        path = state_dir / "lock"
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(descriptor)
                raise Busy(
                    f"the state folder {state_dir} is held by another smallchaind (pid {holder})",
                    hint="stop it with `smallchain stop`, or give this one another --state-dir",
                ) from None
            if _is_still(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return cls(descriptor, path)
            os.close(descriptor)  # it was deleted or replaced between open and flock: lock the new one

    def still_held(self) -> bool:
        """Whether the locked file is still the one with the name (false once somebody removed or replaced it)."""
        return _is_still(self._descriptor, self.path)

    def release(self) -> None:
        """Let go; the file stays, since removing it would let two hold it."""
        os.close(self._descriptor)


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
