"""The house's key: 32 random bytes in a file of the state folder, made once; all codes and callback keys are derived from it.

The one rule: only its owner can read it. Who loses it (a state folder restored without it) only makes the codes that are out void.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from smallchain.model.errors import Busy, Damaged

FILE = "people.key"
_LENGTH = 32


def read_or_make(state_dir: Path, /) -> bytes:
    """The key; raises Damaged when the file is another's, can be read by others, or is no key; Busy when the disk is full."""
    path = state_dir / FILE
    try:
        if not path.exists() and not path.is_symlink():
            _make(path)
        return _read(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Busy(f"the disk of {state_dir} is full: no key can be made", hint="make room, then start again") from error
        raise Damaged(
            f"{path} can't be used: {error.strerror}", hint="remove it: a new one is made, and codes that are out are void"
        ) from error


def _make(path: Path) -> None:
    """Whole or not at all; the folder's flock says that nobody else makes one."""
    draft = path.with_name(f".{FILE}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(_LENGTH))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, path)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o077:
            raise Damaged(f"{path} is not ours alone", hint=f"chmod 600 {path}")
        key = os.read(descriptor, _LENGTH + 1)
    finally:
        os.close(descriptor)
    if len(key) != _LENGTH:
        raise Damaged(f"{path} holds no key", hint="remove it: a new one is made, and codes that are out are void")
    return key
