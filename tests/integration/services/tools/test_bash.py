"""Bash tools, by a real bash: arguments are unexported variables, and data stays data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.bash import BashExecutor, assignments
from support.starts import a_start

HOSTILE = "'\"\n\\ $(echo broken >&2; exit 9) `exit 9` {{secret.X}} ${HOME} !! ~ * \x1b[2J \r € '; exit 9; '"


async def run(command: str, arguments: dict[str, Any] | None = None, /, **changes: Any) -> Outcome:
    return await BashExecutor(sandbox=Sandbox(unfenced_as_root=True)).execute(
        a_start({"local_bash": {"command": command}}, arguments, **changes)
    )


async def test_the_designs_publish_post_appends_to_the_file_beside_the_yaml(tmp_path: Path) -> None:
    for title in ("first", HOSTILE):
        outcome = await run('echo "$title" >> posts.txt', {"title": title}, folder=str(tmp_path))
        assert outcome == Outcome(OutcomeKind.SUCCEEDED, "(no output)", exit_code=0)

    assert (tmp_path / "posts.txt").read_bytes().decode() == f"first\n{HOSTILE}\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (HOSTILE, HOSTILE), ("", ""), (5, "5"), (-1.5, "-1.5"), (True, "true"), (False, "false"), (None, ""),
        ([1, "it's"], '[1,"it\'s"]'), ({"a": {"b": "€"}}, '{"a":{"b":"€"}}'), ("-n", "-n"), ("a[$(exit 9)]", "a[$(exit 9)]"),
    ],
)  # fmt: skip
async def test_values_arrive_as_texts(value: Any, text: str) -> None:
    assert await run("printf '<%s>' \"$value\"", {"value": value}) == Outcome(OutcomeKind.SUCCEEDED, f"<{text}>", exit_code=0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
async def test_any_text_arrives_unchanged(value: str) -> None:
    outcome = await run("printf '<%s>' \"$value\"", {"value": value})

    assert outcome.text == f"<{value}>"


async def test_arguments_are_not_exported_to_what_the_command_starts() -> None:
    assert (await run("env; echo done", {"title": "x", "lower": "y"})).text.count("title=") == 0


async def test_an_absent_optional_argument_is_empty() -> None:
    assert (await run("printf '<%s>' \"$b\"", {"a": 1}, parameters=("a", "b"))).text == "<>"


async def test_the_arguments_are_a_json_object_on_standard_input_as_well() -> None:
    hostile = {"PATH": "/nowhere", "a-b": HOSTILE, "title": "x"}

    assert json.loads((await run("cat", hostile)).text) == hostile


async def test_names_that_mean_something_to_bash_are_left_to_standard_input() -> None:
    names = [
        "PATH", "IFS", "HOME", "BASH_ENV", "BASHOPTS", "LD_PRELOAD", "PWD", "UID", "EUID", "PPID", "SHELLOPTS", "ENV", "PS4",
        "PROMPT_COMMAND", "OPTIND", "RANDOM", "_", "a-b", "1a", "a b", "a=b", "x[0]", "", "é", "SMALLCHAIN_CALL_ID", "TMOUT", "$(id)",
    ]  # fmt: skip

    assert assignments(dict.fromkeys(names, "x"), tuple(names), taken={}) == ""
    outcome = await run("ls / > /dev/null; echo fine", dict.fromkeys(names, "readonly"))
    assert outcome.text == "fine"


@pytest.mark.parametrize("name", ["id", "type", "class", "__proto__", "if", "done", "function", "a", "echo", "test"])
async def test_other_names_are_variables_even_when_they_are_words_of_the_shell(name: str) -> None:
    assert (await run(f'echo "${name}"', {name: HOSTILE.strip()})).text == HOSTILE.strip()


async def test_an_argument_cannot_replace_what_the_tools_env_gives() -> None:
    outcome = await run('echo "$TOKEN"; env', {"TOKEN": "of the model"}, env={"TOKEN": "of the author"})

    assert outcome.text.startswith("of the author\n")
    assert "of the model" not in outcome.text


def test_a_text_with_a_nul_is_not_bound() -> None:
    assert assignments({"a": "x\0y", "b": "z"}, ("a",), taken={}) == "b='z'\n"


async def test_the_first_failure_ends_the_command() -> None:
    outcome = await run("false | cat\necho went on")

    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILED, 1)
    assert "went on" not in outcome.text


async def test_a_misspelt_variable_is_a_failure_that_names_the_authors_line() -> None:
    outcome = await run('true\necho "$titel"', {"title": "x", "note": "two\nlines"})

    assert outcome.kind is OutcomeKind.FAILED
    assert "line 2: titel: unbound variable" in outcome.text


async def test_an_unclosed_quote_is_told_and_runs_nothing_of_the_arguments() -> None:
    outcome = await run("echo 'open", {"title": "'; echo injected; '"})

    assert outcome.kind is OutcomeKind.FAILED
    assert "unexpected EOF" in outcome.text
    assert "injected" not in outcome.text


async def test_bash_reads_no_startup_file_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "startup").write_text("echo hijacked")

    outcome = await run("echo fine", env={"BASH_ENV": str(tmp_path / "startup"), "ENV": str(tmp_path / "startup")})

    assert outcome.text == "fine"


@pytest.mark.parametrize("spec", [{}, {"command": ""}, {"command": 5}, None, "echo hi"])
async def test_a_spec_without_a_command_starts_nothing(spec: Any) -> None:
    outcome = await BashExecutor(sandbox=Sandbox(unfenced_as_root=True)).execute(a_start({"local_bash": spec}))

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "has no command" in outcome.text
