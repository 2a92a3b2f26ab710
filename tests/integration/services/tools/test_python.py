"""Python tools, by real interpreters: arguments arrive as variables and as JSON, and are never code."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.python import PythonExecutor, variables
from support.starts import a_start

REAL_PYTHON = os.path.realpath(sys.executable)
HOSTILE = "'\"\n\\ $(touch /tmp/never) `id` {{secret.X}} ${HOME} \x1b[2J \u202e €"


async def run(spec: dict[str, Any], arguments: dict[str, Any] | None = None, /, **changes: Any) -> Outcome:
    return await PythonExecutor(sandbox=Sandbox(unfenced_as_root=True)).execute(a_start({"python": spec}, arguments, **changes))


async def code(text: str, arguments: dict[str, Any] | None = None, /, **changes: Any) -> str:
    outcome = await run({"code": text}, arguments, **changes)
    assert outcome.kind is OutcomeKind.SUCCEEDED, outcome.text
    return outcome.text


async def test_the_seeds_subtract_as_written_prints_the_difference() -> None:
    spec = {"image": "python:3.12", "command": 'python -c "print(a - b)"\n', "requirements": []}

    assert await run(spec, {"a": 5, "b": 3}) == Outcome(OutcomeKind.SUCCEEDED, "2", exit_code=0)


async def test_the_arguments_are_a_json_object_on_standard_input_as_well() -> None:
    given = {"b": [1, {"c": None}], "a": HOSTILE}

    assert json.loads(await code("import sys; print(sys.stdin.read())", given)) == given


async def test_standard_input_can_be_opened_by_its_name() -> None:
    assert (await run({"command": "cat /dev/stdin"}, {"a": 1})).text == '{"a":1}'


@pytest.mark.parametrize("value", [HOSTILE, "", 0, -1.5, True, None, [1, "x"], {"k": HOSTILE}, 2**53 + 1])
async def test_values_arrive_as_they_are(value: Any) -> None:
    assert json.loads(await code("import json; print(json.dumps(value))", {"value": value})) == value


async def test_parameters_named_like_builtins_harm_nothing() -> None:
    assert await code("print(id, type, list)", {"id": 1, "type": "x", "list": [2]}) == "1 x [2]"


async def test_an_absent_optional_argument_is_none() -> None:
    assert await code("print(a, b)", {"a": 1}, parameters=("a", "b")) == "1 None"


def test_names_that_python_cannot_or_must_not_hold_are_left_to_standard_input() -> None:
    hostile = ("class", "None", "a-b", "1a", "", "a b", "__name__", "__builtins__", "__proto__", "__import__", "＿＿name＿＿")

    assert variables(dict.fromkeys((*hostile, "id", "match"), 1), (*hostile, "gone")) == {"gone": None, "id": 1, "match": 1}


async def test_a_name_is_bound_in_the_form_in_which_python_reads_it() -> None:
    assert await code("print(ﬁle)", {"ﬁle": 1}) == "1"


async def test_hostile_names_harm_no_run() -> None:
    names = {"class": 1, "__name__": "x", "__builtins__": {}, "PATH": "/nowhere", "HOME": "/nowhere", "sys": 5, "json": 6}

    assert await code("print(__name__, PATH, len('abc'))", names) == "__main__ /nowhere 3"


async def test_a_traceback_reaches_the_model() -> None:
    outcome = await run({"code": "print('before')\nraise ValueError(a)"}, {"a": "no such city"})

    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILED, 1)
    assert outcome.text.startswith("exit code 1\n")
    assert "ValueError: no such city" in outcome.text
    assert "line 2" in outcome.text
    assert "before" in outcome.text


async def test_a_failing_line_ends_the_command() -> None:
    outcome = await run({"command": 'python -c "import sys; sys.exit(3)"\necho went on'})

    assert outcome.exit_code == 3
    assert "went on" not in outcome.text


async def test_python_is_a_real_interpreter_and_not_the_daemons_environment() -> None:
    told = await run({"command": "python -c 'import sys, os; print(os.path.realpath(sys.executable)); print(sys.prefix)'"})

    executable, prefix = told.text.splitlines()
    assert executable == REAL_PYTHON
    assert prefix == sys.base_prefix
    assert "shims" not in executable


async def test_a_module_in_the_home_folder_shadows_nothing() -> None:
    assert await code("import os; open(os.environ['HOME'] + '/json.py', 'w').write('boom'); import json; print(json.dumps(1))") == "1"


async def test_relative_paths_start_at_the_folder_of_the_yaml_file(tmp_path: Path) -> None:
    assert await code("open('made.txt', 'w').write('x'); import os; print(os.getcwd())", folder=str(tmp_path)) == str(tmp_path)

    assert (tmp_path / "made.txt").read_text() == "x"


def listing(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_without_a_folder_it_starts_in_a_job_folder_that_is_gone_afterwards(tmp_path: Path) -> None:
    executor = PythonExecutor(sandbox=Sandbox(unfenced_as_root=True), jobs=tmp_path)

    where = await executor.execute(a_start({"python": {"code": "import os; print(os.getcwd()); os.mkdir('locked', 0o500)"}}))

    assert where.text.startswith(str(tmp_path / "smallchain-job-"))
    assert listing(tmp_path) == []


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, "either a command or code"),
        ({"command": "true", "code": "1"}, "either a command or code"),
        ({"command": " \n"}, "either a command or code"),
        ({"code": "1", "requirements": ["requests"]}, "nothing here installs packages"),
        (None, "either a command or code"),
    ],
)
async def test_a_spec_that_cannot_run_starts_nothing(spec: Any, told: str) -> None:
    outcome = await run(spec)

    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert told in outcome.text


async def test_a_job_folder_that_cannot_be_made_starts_nothing(tmp_path: Path) -> None:
    outcome = await PythonExecutor(sandbox=Sandbox(unfenced_as_root=True), jobs=tmp_path / "gone").execute(
        a_start({"python": {"code": "1"}})
    )

    assert outcome.kind is OutcomeKind.NOT_STARTED
