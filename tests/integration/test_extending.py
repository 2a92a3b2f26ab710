"""`docs/extending.md`: every snippet of it works, as a file beside the YAML and as an entry point of an installed package."""

from __future__ import annotations

import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from smallchain.model.code import Function
from smallchain.model.lifecycles import RunPhase
from smallchain.model.manifest import parse_manifest
from support.house import House, a_house, is_legal

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = {name: body for name, body in re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)}
MAKERS = ("engine/run/compose.py", "services/llm/python.py", "services/tools/function.py")
PYTHON = {name: body for name, body in FILES.items() if name.endswith(".py")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as opened:
        yield opened


async def outcome(house: House) -> list[Any]:
    """What the runs of the page's YAML come to."""
    reader = await house.run("a reader", RunPhase.SUCCEEDED)
    await house.run("a caller", RunPhase.SUCCEEDED)
    return [reader.output, reader.cost_nanousd, *await house.results("a caller")]


EXPECTED = ["2 messages, the last: what is this", 0, "GOOD DAY! (friendly)"]


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, body in files.items():
        (folder / name).write_text(body)


def install(folder: Path) -> None:
    """What an installer leaves of the page's package."""
    groups = tomllib.loads(FILES["pyproject.toml"])["project"]["entry-points"]
    lines = [line for group, names in groups.items() for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))]
    write(folder, PYTHON)
    write(folder / "own-1.0.dist-info", {"METADATA": "Name: own\nVersion: 1.0\n", "entry_points.txt": "\n".join(lines)})


def test_the_page_has_the_files_that_it_speaks_of() -> None:
    assert set(FILES) == {"strategy.py", "provider.py", "tool.py", "own.yaml", "pyproject.toml"}


async def test_functions_beside_the_yaml_work(house: House) -> None:
    write(house.config, PYTHON)

    await house.apply(FILES["own.yaml"])

    assert await outcome(house) == EXPECTED


async def test_the_entry_points_of_an_installed_package_work(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    named = FILES["own.yaml"].replace('provider: python, model: "provider:answer"', "provider: reader, model: any")
    named = named.replace('"strategy:newest"', "newest-only").replace('"tool:shout"', "louder")

    await house.apply(named)

    assert await outcome(house) == EXPECTED
    assert ":answer" not in named


async def test_a_name_that_no_package_gives_lists_those_there_are(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")

    fault = await house.workers.check(Function("contexts", "newest-olny"))

    assert fault is not None
    assert "did you mean 'newest-only'?" in fault.message


def test_the_strategy_never_parts_a_call_from_its_results() -> None:
    names: dict[str, Any] = {}
    exec(compile(PYTHON["strategy.py"], "strategy.py", "exec"), names)  # noqa: S102 - our own page
    newest = names["newest"]
    assert isinstance(newest, FunctionType)
    agent = {"model": "m", "parameters": {}, "tools": []}
    messages: list[dict[str, Any]] = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    for turn in range(40):
        calls = [{"id": f"{turn}-{n}", "function": {"name": "f", "arguments": "{}"}} for n in range(turn % 3 + 1)]
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": "r"} for call in calls]

        sent = newest(agent, {}, messages)["messages"]

        assert is_legal(sent)
        assert len(sent) <= 23
        assert sent[:2] == messages[:2]
        assert sent[-1] == messages[-1]


@pytest.mark.parametrize("body", re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_the_yaml_of_the_page_is_valid(body: str) -> None:
    assert parse_manifest(body.encode(), file="page.yaml")


def test_what_the_page_says_the_arguments_hold_is_what_they_hold() -> None:
    told = {
        word
        for line in PAGE.splitlines()
        if line.startswith(("| `agent`", "| `run`", "`endpoint` holds", "`call` holds"))
        for word in re.findall(r"`(\w+)`", line)
    }
    code = "".join((Path(__file__).parents[2] / "smallchain" / name).read_text() for name in MAKERS)

    held = set(re.findall(r'^        "(\w+)": ', code, re.MULTILINE))

    assert held <= told
