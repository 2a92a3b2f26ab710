"""How the daemon's process holds its memory, so that one that lives for months stays as large as what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h; see mallopt(3)
_LARGE = 512 * 1024
_SPARE = 2 * 1024 * 1024
_GIVE_BACK_S = 60.0


def settle() -> None:
    """Choose how memory is taken and given back; before the first thread starts.

    A heap for each thread (glibc's way) keeps holes for each: what the loop makes, the writer and the readers free, and none of them
    uses the others' holes. Our threads take turns at one interpreter, so that one heap for all costs no waiting. Large pieces (a
    page of a list, a body) stand outside of it and are given back at once: by itself, glibc takes ever larger ones from the heap
    after it has freed one. The 256 KiB that asyncio reads each socket into (`asyncio/selector_events.py`) are not large: to fetch
    them from the kernel and give them back cost a turn a fifth of its time, as did giving back the end of the heap after each of
    them, so that some of it is kept in hand. On a system with another allocator nothing is chosen.
    """
    with contextlib.suppress(OSError, AttributeError):
        choose = ctypes.CDLL(None).mallopt
        for what, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _SPARE)):
            choose(what, value)
    # A batch of steps makes thousands of values that die with it; with Python's 700, all live ones are looked at again and again.
    gc.set_threshold(20_000, 20, 20)


def give_back() -> None:
    """Give the system what is free between pieces in use; some ms, in which no other thread gets memory.

    By itself the allocator gives back the heap's end alone: one piece that lives long keeps all that is free below it, so that a heap
    which was larger for a moment stays so. malloc_trim(3) looks everywhere; where there is none, nothing is done.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def run() -> None:
    """Give back, once a minute, for ever."""
    while True:
        await asyncio.sleep(_GIVE_BACK_S)
        await asyncio.to_thread(give_back)
