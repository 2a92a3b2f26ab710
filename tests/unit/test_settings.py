"""The same flags and environment give the same paths in all programs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from smallchain.model.errors import BadInput, Refused
from smallchain.settings import LONGEST_SOCKET_PATH, Callbacks, Settings, add_arguments, client_socket, private_folder

HOME = {"HOME": "/home/ada"}


def test_without_a_word_the_paths_are_those_of_the_xdg_specification() -> None:
    settings = Settings.read(HOME | {"XDG_RUNTIME_DIR": "/run/user/7"})

    assert settings.config_dir == Path("/home/ada/.config/smallchain")
    assert settings.state_dir == Path("/home/ada/.local/state/smallchain")
    assert settings.socket_path == Path("/run/user/7/smallchain/daemon.sock")
    assert not settings.socket_given


def test_the_xdg_variables_move_the_folders() -> None:
    settings = Settings.read(HOME | {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"})

    assert (settings.config_dir, settings.state_dir) == (Path("/c/smallchain"), Path("/s/smallchain"))
    assert settings.socket_path == Path("/s/smallchain/run/daemon.sock")


def test_a_relative_xdg_variable_is_ignored_as_its_specification_says() -> None:
    settings = Settings.read(HOME | {"XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": "run"})

    assert settings == Settings.read(HOME)


def test_flags_come_before_variables() -> None:
    environ = HOME | {"SMALLCHAIN_CONFIG_DIR": "/vc", "SMALLCHAIN_STATE_DIR": "/vs", "SMALLCHAIN_SOCKET": "/v.sock"}

    by_variables = Settings.read(environ)
    by_flags = Settings.read(environ, config_dir="/fc", state_dir="/fs", socket="/f.sock")

    assert by_variables == Settings(Path("/vc"), Path("/vs"), Path("/v.sock"), True)
    assert by_flags == Settings(Path("/fc"), Path("/fs"), Path("/f.sock"), True)


def test_an_empty_variable_is_as_none() -> None:
    assert Settings.read(HOME | {"SMALLCHAIN_STATE_DIR": "", "SMALLCHAIN_SOCKET": ""}) == Settings.read(HOME)


def test_a_state_folder_of_ones_own_has_a_socket_of_its_own() -> None:
    runtime = HOME | {"XDG_RUNTIME_DIR": "/run/user/7"}

    assert Settings.read(runtime, state_dir="/a").socket_path == Path("/a/run/daemon.sock")
    assert Settings.read(runtime | {"SMALLCHAIN_STATE_DIR": "/b"}).socket_path == Path("/b/run/daemon.sock")


def test_paths_are_absolute_from_where_the_person_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert Settings.read(HOME, state_dir="state").state_dir == tmp_path / "state"


def test_a_path_too_long_for_a_socket_gets_a_short_one_in_a_folder_of_our_own(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 120)

    settings = Settings.read(HOME, state_dir=state)
    other = Settings.read(HOME, state_dir=tmp_path / ("y" * 120))

    assert settings.socket_path.parent == Path(f"/tmp/smallchain-{os.geteuid()}")
    assert len(os.fsencode(settings.socket_path)) <= LONGEST_SOCKET_PATH
    assert settings == Settings.read(HOME, state_dir=state)
    assert settings.socket_path != other.socket_path


def test_the_limit_counts_bytes_and_holds_exactly() -> None:
    longest = "/" + "x" * (LONGEST_SOCKET_PATH - 1)

    assert Settings.read(HOME, socket=longest).socket_path == Path(longest)
    assert Settings.read(HOME, socket=longest + "x").socket_path != Path(longest + "x")
    assert Settings.read(HOME, socket="/" + "é" * 60).socket_path.parent.name == f"smallchain-{os.geteuid()}"


def test_a_client_reads_first_where_the_daemon_says_it_listens(tmp_path: Path) -> None:
    settings = Settings.read(HOME, state_dir=tmp_path)
    assert client_socket(settings) == tmp_path / "run" / "daemon.sock"

    settings.socket_file.write_text("/elsewhere/d.sock\n")

    assert client_socket(settings) == Path("/elsewhere/d.sock")


@pytest.mark.parametrize("written", ["", "relative.sock", "/a\n/b", "/a\0b"])
def test_a_socket_file_that_holds_no_path_is_passed_over(tmp_path: Path, written: str) -> None:
    settings = Settings.read(HOME, state_dir=tmp_path)
    settings.socket_file.write_text(written)

    assert client_socket(settings) == settings.socket_path


def test_a_socket_that_was_named_is_the_one(tmp_path: Path) -> None:
    settings = Settings.read(HOME, state_dir=tmp_path, socket=tmp_path / "mine.sock")
    settings.socket_file.write_text("/elsewhere/d.sock")

    assert client_socket(settings) == tmp_path / "mine.sock"


def test_a_short_folder_that_others_could_fill_is_refused(tmp_path: Path) -> None:
    settings = Settings.read(HOME | {"TMPDIR": str(tmp_path)}, state_dir=tmp_path / ("x" * 120))
    folder = settings.socket_path.parent
    assert client_socket(settings) == settings.socket_path

    folder.symlink_to(tmp_path)
    with pytest.raises(Refused, match="not ours alone"):
        client_socket(settings)

    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(Refused, match="mode 777"):
        client_socket(settings)


def test_a_private_folder_is_made_for_us_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        folder = private_folder(tmp_path / "run")
    finally:
        os.umask(before)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


def test_a_private_folder_is_no_link_no_file_and_open_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o750)

    for name, found in (("link", "not a folder"), ("file", "not a folder"), ("open", "open to others")):
        with pytest.raises(Refused, match=found):
            private_folder(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_private_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.chown(tmp_path / "theirs", 4711, 4711)

    with pytest.raises(Refused, match="4711"):
        private_folder(tmp_path / "theirs")


def test_the_flags_are_the_same_for_every_program() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    arguments = parser.parse_args(["--socket", "/s.sock", "--config-dir", "/c", "--state-dir", "/d"])

    assert Settings.of(arguments, HOME) == Settings(Path("/c"), Path("/d"), Path("/s.sock"), True)
    assert Settings.of(parser.parse_args([]), HOME) == Settings.read(HOME)


def test_callbacks_are_heard_nowhere_unless_a_port_is_named() -> None:
    assert Callbacks.read({}) is None
    assert Callbacks.read({"SMALLCHAIN_CALLBACKS": ""}) is None


def test_a_flag_for_callbacks_comes_before_the_variable() -> None:
    variables = {"SMALLCHAIN_CALLBACKS": "8100", "SMALLCHAIN_CALLBACKS_URL": "https://answers.example/"}

    assert Callbacks.read(variables) == Callbacks(8100, "https://answers.example")
    assert Callbacks.read(variables, port="8200", url="http://10.0.0.1/x") == Callbacks(8200, "http://10.0.0.1/x")
    assert Callbacks.read({}, port="8200") == Callbacks(8200, "http://127.0.0.1:8200")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "80 ", "1e3", "\u0661", "9" * 5000])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(BadInput, match="is not a port"):
        Callbacks.read({}, port=port)


@pytest.mark.parametrize(
    "url", ["x", "ftp://x", "http://", "https://x:y", "https://a@x", "https://x?a=b", "https://x#f", "https://x y", "https://x\n"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="is not an address"):
        Callbacks.read({}, port="8100", url=url)


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(BadInput, match="and no port"):
        Callbacks.read({}, url="https://x")
