"""A system call filter for fenced processes: calls that no tool needs and that have been ways out of a sandbox answer EPERM; pure.

A classic BPF program for seccomp(2), written by hand, since no library for it is in the standard library: it holds the architecture and
the number against a list. `clone` with CLONE_NEWUSER is refused by its flags, `clone3` is "not there" (its flags lie behind a pointer,
which a filter can't read; the C library then uses `clone`). The numbers are those of Linux' arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import re
import struct

_CLONE_NEWUSER = 0x10000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Where in `struct seccomp_data` they lie; of arguments, the lower half (both architectures are little-endian)."""
_X32 = 0x40000000
"""From here on, x86-64 names the same calls again (x32)."""

_REFUSED = re.findall(
    r"\w+",
    "acct add_key adjtimex bpf clock_adjtime clock_settime delete_module fanotify_init finit_module fsconfig fsmount fsopen"
    " fspick init_module io_uring_enter io_uring_register io_uring_setup kcmp kexec_file_load kexec_load keyctl mbind"
    " migrate_pages mount mount_setattr move_mount move_pages open_by_handle_at open_tree perf_event_open pivot_root"
    " process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key set_mempolicy setdomainname"
    " sethostname setns settimeofday swapoff swapon syslog umount2 unshare userfaultfd vhangup iopl ioperm",
)
_X86_64 = dict(
    zip(
        _REFUSED,
        (163, 248, 159, 321, 305, 227, 176, 300, 313, 431, 432, 430, 433, 175, 426, 427, 425, 312, 320, 246, 250, 237, 256, 165, 442, 429,
         279, 304, 428, 298, 155, 310, 311, 101, 179, 443, 169, 249, 238, 171, 170, 308, 164, 168, 167, 103, 166, 272, 323, 153, 172, 173),
        strict=True,
    )
) | {"clone": 56, "clone3": 435, "ioctl": 16}  # fmt: skip
_AARCH64 = dict(
    zip(
        _REFUSED[:-2],
        (89, 217, 171, 280, 266, 112, 106, 262, 273, 431, 432, 430, 433, 105, 426, 427, 425, 272, 294, 104, 219, 235, 238, 40, 442, 429,
         239, 265, 428, 241, 41, 270, 271, 117, 60, 443, 142, 218, 237, 162, 161, 268, 170, 225, 224, 116, 39, 97, 282, 58),
        strict=True,
    )
) | {"clone": 220, "clone3": 435, "ioctl": 29}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
"""The architecture as the kernel tells it (AUDIT_ARCH_*, linux/audit.h), and the numbers."""


def program(machine: str, /) -> bytes | None:
    """The filter for a machine as `uname -m` names it; None where there is none."""
    if machine not in _MACHINES:
        return None
    architecture, numbers = _MACHINES[machine]
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _EPERM),
        (_EQUAL, 0, 1, numbers["clone3"]),
        (_RETURN, 0, 0, _ENOSYS),
        (_EQUAL, 0, 4, numbers["clone"]),
        (_LOAD, 0, 0, _FIRST),
        (_BITS, 0, 1, _CLONE_NEWUSER),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, 5, numbers["ioctl"]),
        (_LOAD, 0, 0, _SECOND),
        (_EQUAL, 1, 0, _TIOCSTI),
        (_EQUAL, 0, 1, _TIOCLINUX),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for name in _REFUSED:
        if name in numbers:
            lines += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _EPERM)]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
