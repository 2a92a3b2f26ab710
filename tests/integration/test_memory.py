"""How the daemon holds its memory, seen in a process of its own: what is chosen there stays for its life."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

_HEAPS = """\
import ctypes, sys, tempfile, threading
from smallchaind import memory

if sys.argv[1] == "settled":
    memory.settle()
ours, all_there = [], threading.Barrier(8)

def work():
    ours.append([bytes(4096) for _ in range(100)])
    all_there.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
c = ctypes.CDLL(None)
c.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(c.fopen(file.name.encode(), b"w"))
    c.malloc_info(0, stream)
    c.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""

_READS = """\
import resource, socket
from smallchaind import memory

memory.settle()
ours, theirs = socket.socketpair()

def read(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        theirs.send(b"a reply")
        ours.recv(256 * 1024)  # as asyncio does
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

read(10)
print(read(1000))
"""

_HOLES = """\
import os
from smallchaind import memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

memory.settle()
pieces = [bytes(20_000) for _ in range(2_000)]  # larger than what Python keeps by itself, smaller than what stands outside of the heap
kept = pieces[::50] + pieces[-1:]
del pieces
before = resident()
memory.give_back()
print(before - resident())
"""


def heaps(how: str) -> int:
    """How many heaps a process with eight threads has, by what its allocator says."""
    done = subprocess.run([sys.executable, "-c", _HEAPS, how], capture_output=True, check=True, timeout=60, text=True)
    return int(done.stdout)


glibc = pytest.mark.skipif(not hasattr(__import__("ctypes").CDLL(None), "malloc_info"), reason="glibc's allocator is not here")


@glibc
def test_all_threads_share_one_heap() -> None:
    assert heaps("settled") == 1
    assert heaps("as it comes") > 1


def test_reading_a_reply_asks_the_kernel_for_no_memory() -> None:
    done = subprocess.run([sys.executable, "-c", _READS], capture_output=True, check=True, timeout=60, text=True)

    assert int(done.stdout) < 100


@glibc
def test_holes_between_pieces_in_use_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _HOLES], capture_output=True, check=True, timeout=60, text=True)

    assert int(done.stdout) > 20_000_000  # of some 40 MB that were freed between those that stayed


def test_the_collector_waits_for_more_than_a_batch() -> None:
    before = gc.get_threshold()
    code = "import gc; from smallchaind import memory; memory.settle(); print(gc.get_threshold()[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60, text=True)

    assert int(done.stdout) > 10 * before[0]
