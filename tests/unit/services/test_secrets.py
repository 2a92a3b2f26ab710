"""Secrets: where they come from, who may read them, what is told when there is none, and how they are masked."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from smallchain.model.errors import BadInput
from smallchain.services.secrets import SecretStore
from support.starts import FixedClock

STARTED = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> SecretStore:
    environ = {"PATH": os.defpath, "HOME": str(tmp_path / "home"), "KEY": "from-the-environment"}
    return SecretStore(config_dir=tmp_path, environ=environ, pid=4711, started_at=STARTED, clock=clock)


Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write(name: str, text: str, mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        path.chmod(mode)
        return path

    return write


async def test_the_env_file_comes_before_the_inherited_environment(store: SecretStore, write: Writer) -> None:
    assert await store.resolve({"env": "KEY"}) == "from-the-environment"

    write("env", "KEY=from-the-file\n")
    assert await store.resolve({"env": "KEY"}) == "from-the-file"


async def test_an_edit_of_the_env_file_holds_at_the_next_use(store: SecretStore, write: Writer) -> None:
    for value in ("one", "two", "six"):
        write("env", f"KEY={value}\n")
        assert await store.resolve({"env": "KEY"}) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=plain", "plain"), ("export KEY=plain", "plain"), ("  KEY = plain  ", "plain"), ("KEY='a b # c'", "a b # c"),
        ('KEY="a=b" # why', "a=b"), ("KEY=a#b", "a#b"), ("KEY=a # why", "a"), ("KEY=a=b=", "a=b="), ("KEY=plain\r", "plain"),
        ("# KEY=no\n\nKEY=plain", "plain"), ("\ufeffKEY=plain", "plain"), ("KEY=one\nKEY=two", "two"), ('KEY="half', '"half'),
        ("KEY=", "from-the-environment"), ("KEY=  # none", "from-the-environment"), ("OTHER=x", "from-the-environment"),
    ],
)  # fmt: skip
async def test_lines_of_the_env_file_are_read_as_people_write_them(store: SecretStore, write: Writer, line: str, value: str) -> None:
    write("env", line + "\n")

    assert await store.resolve({"env": "KEY"}) == value


async def test_a_bad_line_of_the_env_file_is_told_by_its_number_and_not_shown(store: SecretStore, write: Writer) -> None:
    write("env", "KEY=x\nsk-canary-secret\n")

    with pytest.raises(BadInput) as caught:
        await store.resolve({"env": "KEY"})
    assert "env:2: this line is not KEY=VALUE" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_an_unset_variable_names_the_daemon_and_both_ways_to_set_it(store: SecretStore, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        await store.resolve({"env": "OPENAI_API_KEY"})

    told = str(caught.value)
    assert "OPENAI_API_KEY" in told
    assert "pid 4711, started 2026-01-01T12:00:00Z" in told
    assert f"add the line OPENAI_API_KEY=... to {tmp_path / 'env'}" in told
    assert "restart the daemon from a shell that exports it" in told


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
@pytest.mark.parametrize("reference", [{"env": "KEY"}, {"file": "env"}])
async def test_a_file_that_others_can_read_is_refused(store: SecretStore, write: Writer, mode: int, reference: dict[str, Any]) -> None:
    path = write("env", "KEY=canary-secret\n", mode)

    with pytest.raises(BadInput) as caught:
        await store.resolve(reference)
    assert f"mode {mode:04o}" in str(caught.value)
    assert f"chmod 600 '{path}'" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_file_is_the_secret_without_its_last_line_end(store: SecretStore, write: Writer, tmp_path: Path) -> None:
    path = write("token", "abc def\n")
    (tmp_path / "home").mkdir()
    write("home/token", "at-home\r\n", 0o400)

    assert await store.resolve({"file": str(path)}) == "abc def"
    assert await store.resolve({"file": "token"}) == "abc def"
    assert await store.resolve({"file": "~/token"}) == "at-home"


async def test_a_file_that_holds_no_secret_is_told(store: SecretStore, write: Writer, tmp_path: Path) -> None:
    write("empty", "\n")
    write("large", "x" * 70_000)
    write("latin", "x").write_bytes(b"\xff\xfe")
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "fifo", 0o600)
    told = {
        "gone": "there is no file", "empty": "is empty", "large": "larger than 64 KiB", "latin": "not UTF-8",
        "folder": "is not a file", "fifo": "is not a file", "bad\0name": "cannot read",
    }  # fmt: skip

    for name, text in told.items():
        with pytest.raises(BadInput, match=text):
            await store.resolve({"file": name})


async def test_a_commands_answer_is_kept_for_five_minutes(store: SecretStore, clock: FixedClock, tmp_path: Path) -> None:
    reference = {"command": ["sh", "-c", f"echo asked >> '{tmp_path}/log'; echo answer"]}
    log = tmp_path / "log"

    assert await asyncio.gather(*(store.resolve(reference) for _ in range(5))) == ["answer"] * 5
    clock.moment += timedelta(minutes=4, seconds=59)
    await store.resolve(reference)
    assert log.read_text() == "asked\n"
    clock.moment += timedelta(seconds=1)
    await store.resolve(reference)
    assert log.read_text() == "asked\n" * 2


async def test_forgetting_asks_a_command_again(store: SecretStore, tmp_path: Path) -> None:
    reference = {"command": ["sh", "-c", f"echo asked >> '{tmp_path}/log'; echo answer"]}

    await store.resolve(reference)
    store.forget()
    await store.resolve(reference)

    assert (tmp_path / "log").read_text() == "asked\n" * 2


async def test_a_command_is_run_without_a_shell_and_with_the_daemons_environment(store: SecretStore) -> None:
    assert await store.resolve({"command": ["echo", "$KEY; id"]}) == "$KEY; id"
    assert await store.resolve({"command": ["printenv", "KEY"]}) == "from-the-environment"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["sh", "-c", "echo canary; echo locked >&2; exit 3"], "ended with exit code 3: locked"),
        (["sh", "-c", "kill -9 $$"], "ended with signal 9"),
        (["true"], "printed nothing"),
        (["sh", "-c", "head -c 70000 /dev/zero | tr '\\0' x"], "printed more than 64 KiB"),
        (["no-such-program"], "could not start"),
    ],
)
async def test_a_command_that_fails_is_told_without_its_output(store: SecretStore, argv: list[str], text: str) -> None:
    with pytest.raises(BadInput) as caught:
        await store.resolve({"command": argv})

    assert text in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "reference",
    [{}, {"env": 5}, {"env": "A", "file": "b"}, {"command": []}, {"command": "echo x"}, {"command": ["echo", 5]}, {"vault": "x"}],
)
async def test_what_is_no_reference_is_told(store: SecretStore, reference: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="not a reference to a secret"):
        await store.resolve(reference)


async def test_resolved_secrets_are_masked_in_every_form(store: SecretStore, write: Writer) -> None:
    secret = 'sk-"quoted"\\€-canary-value'
    write("env", f"KEY='{secret}'\n")
    await store.resolve({"env": "KEY"})
    data = secret.encode()
    shown = [
        secret, json.dumps(secret), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(),
        quote(secret), quote_plus(secret), quote(secret, safe="").replace("%5C", "%5c").replace("%E2%82%AC", "%e2%82%ac"),
        base64.b64encode(b"user:" + data).decode(), base64.b64encode(b"u:" + data + b"!!").decode(), secret + secret,
    ]  # fmt: skip

    for text in shown:
        masked = store.mask(f"before {text} after")
        assert "[secret:KEY]" in masked
        assert "canary" not in masked
        assert masked.startswith("before ")
        assert masked.endswith(" after")
    assert store.mask(shown[0]) == "[secret:KEY]"
    assert store.mask(shown[2]) == "[secret:KEY]"


async def test_a_secret_within_another_is_masked_as_the_longer_one(store: SecretStore, write: Writer) -> None:
    write("env", "SHORT=secret\nLONG=secret-and-more\n")
    await store.resolve({"env": "SHORT"})
    await store.resolve({"env": "LONG"})

    assert store.mask("secret-and-more, secret") == "[secret:LONG], [secret:SHORT]"


async def test_what_is_short_or_unknown_is_not_masked(store: SecretStore, write: Writer) -> None:
    write("env", "KEY=12345\n")
    await store.resolve({"env": "KEY"})

    assert store.mask("12345 and others") == "12345 and others"
