"""The layers as plans: what is put before a command, and what a process then sees; no process is started."""

from __future__ import annotations

import struct

import pytest

from smallchain.model.fence import Mount
from smallchain.services.sandbox import filter, layers
from smallchain.services.sandbox.view import JOB, Machine, View, view_of

MACHINE = Machine(
    roots=(("bin", "usr/bin"), ("lib64", "")),
    present=(("/usr", "/usr"), ("/etc/alternatives", "/etc/alternatives"), ("/etc/resolv.conf", "/run/stub-resolv.conf")),
)
OURS = layers.User(1000, 1000, False)
SLOT = layers.User(60_601, 60_600, True)


def seen(*, shows: tuple[str, ...] = (), mounts: tuple[Mount, ...] = (), network: bool = False, folder: str = "") -> View:
    return view_of(MACHINE, job="/state/jobs/1/job", shows=shows, mounts=mounts, network=network, folder=folder, tmp_bytes=1 << 20)


def wrapped(view: View, *, user: layers.User = OURS, network: bool = False) -> list[str]:
    return layers.bubblewrap(view, user=user, network=network, status_fd=7, filter_fd=8, no_userns=True)


def pairs(argv: list[str], flag: str) -> list[tuple[str, str]]:
    return [(argv[place + 1], argv[place + 2]) for place, word in enumerate(argv) if word == flag]


def test_a_process_sees_programs_and_its_job_to_read_and_nothing_else() -> None:
    view = seen()

    assert {bind.target for bind in view.binds} == {"/usr", "/etc/alternatives", "/lib64", JOB}
    assert all(bind.read_only for bind in view.binds)
    assert view.links == (("usr/bin", "/bin"),)
    assert view.start_in == "/tmp"


def test_name_servers_are_there_only_with_the_network_and_from_where_they_really_lie() -> None:
    assert Mount("/run/stub-resolv.conf", "/etc/resolv.conf") in seen(network=True).binds
    assert "/etc/resolv.conf" not in {bind.target for bind in seen().binds}


def test_an_interpreter_outside_of_usr_is_shown_under_its_own_name() -> None:
    assert Mount("/home/ada/py", "/home/ada/py") in seen(shows=("/home/ada/py", "/usr/lib/python3")).binds
    assert "/usr/lib/python3" not in {bind.target for bind in seen(shows=("/usr/lib/python3",)).binds}


def test_the_folders_above_what_is_bound_are_made_parents_first() -> None:
    assert [path for path in seen(shows=("/home/ada/py",)).folders if path.startswith("/home")] == ["/home", "/home/ada"]


@pytest.mark.parametrize(
    ("folder", "start_in"),
    [("/work/yaml", "/data/yaml"), ("/work", "/data"), ("/workshop", "/tmp"), ("/else", "/tmp"), ("", "/tmp")],
)
def test_a_tool_starts_in_the_yamls_folder_where_a_mount_shows_it(folder: str, start_in: str) -> None:
    assert seen(mounts=(Mount("/work", "/data"),), folder=folder).start_in == start_in


def test_a_mount_is_to_read_unless_it_says_otherwise() -> None:
    argv = wrapped(seen(mounts=(Mount("/a", "/in/a"), Mount("/b", "/in/b", read_only=False))))

    assert ("/a", "/in/a") in pairs(argv, "--ro-bind")
    assert pairs(argv, "--bind") == [("/b", "/in/b")]


def test_an_ordinary_user_has_a_user_namespace_and_root_a_user_of_its_own() -> None:
    ordinary, root = wrapped(seen()), wrapped(seen(), user=SLOT)

    assert {"--unshare-user", "--disable-userns"} <= set(ordinary)
    assert "setpriv" not in ordinary
    assert "--unshare-user" not in root
    assert root[root.index("--") + 1 :] == [
        "setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--reuid=60601", "--regid=60600", "--clear-groups", "--",
    ]  # fmt: skip


def test_the_network_is_unshared_unless_it_is_asked_for() -> None:
    assert "--unshare-net" in wrapped(seen())
    assert "--unshare-net" not in wrapped(seen(network=True), network=True)
    assert "--net" in layers.unshared(seen(), user=OURS, network=False, status="/s", root="/r")
    assert "--net" not in layers.unshared(seen(), user=OURS, network=True, status="/s", root="/r")


def test_names_are_quoted_in_the_script_of_unshare() -> None:
    view = seen(mounts=(Mount("/a'; rm -rf /", "/in/$(b)"),))
    script = layers.unshared(view, user=OURS, network=False, status="/s t", root="/r")[
        layers.unshared(view, user=OURS, network=False, status="/s t", root="/r").index("-euc") + 1
    ]

    assert "mount --bind '/a'\"'\"'; rm -rf /' './in/$(b)'" in script
    assert "exec 9>'/s t'" in script


def test_what_is_not_limited_is_not_said() -> None:
    assert layers.limits(memory_bytes=None, file_bytes=5, processes=None) == ["prlimit", "--core=0", "--nofile=1024", "--fsize=5", "--"]
    assert layers.grouped(()) == []


# ---- the filter, run by a small machine of our own


def answer(program: bytes, number: int, *arguments: int, architecture: int = 0xC000003E) -> int:
    """What the filter answers to a call."""
    lines = [struct.unpack_from("=HBBI", program, place) for place in range(0, len(program), 8)]
    data = struct.pack("=iIQ6Q", number, architecture, 0, *arguments, *([0] * (6 - len(arguments))))
    place, value = 0, 0
    while True:
        code, yes, no, k = lines[place]
        place += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, k)
            case 0x15:
                place += yes if value == k else no
            case 0x35:
                place += yes if value >= k else no
            case 0x45:
                place += yes if value & k else no
            case 0x06:
                return k
            case _:
                raise AssertionError(f"no such instruction: {code:#x}")


ALLOWED, EPERM, ENOSYS = 0x7FFF0000, 0x50001, 0x50026


@pytest.mark.parametrize(
    ("number", "arguments", "wanted"),
    [
        (0, (), ALLOWED),
        (59, (), ALLOWED),
        (165, (), EPERM),
        (272, (), EPERM),
        (101, (), EPERM),
        (425, (), EPERM),
        (435, (), ENOSYS),
        (56, (0x11,), ALLOWED),
        (56, (0x11 | 0x10000000,), EPERM),
        (16, (0, 0x5401), ALLOWED),
        (16, (0, 0x5412), EPERM),
        (16, (0, 0x541C), EPERM),
        (0x40000000 | 59, (), EPERM),
    ],
)
def test_the_filter_refuses_ways_out_and_lets_the_rest_through(number: int, arguments: tuple[int, ...], wanted: int) -> None:
    program = filter.program("x86_64")
    assert program is not None

    assert answer(program, number, *arguments) == wanted


def test_a_call_of_another_architecture_ends_the_process() -> None:
    program = filter.program("x86_64")
    assert program is not None

    assert answer(program, 0, architecture=0x40000003) == 0x80000000


def test_an_unknown_machine_has_no_filter() -> None:
    assert filter.program("riscv64") is None
