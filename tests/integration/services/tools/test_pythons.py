"""Python tools in the image that they name, where Docker or Podman has it, and on this machine where not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallchain.model.toolcall import Outcome, OutcomeKind
from smallchain.model.toolspec import ToolSpec
from smallchain.services.sandbox.sandbox import Sandbox
from smallchain.services.tools.backend import Backends
from smallchain.services.tools.container import Containers
from smallchain.services.tools.python import PythonExecutor
from smallchain.services.tools.pythons import PythonTools
from support.engines import IMAGE, Engine
from support.starts import a_start

HOSTILE = "'\"\n\\ $(touch /tmp/never) `id` {{secret.X}} ${HOME} \x1b[2J \u202e €"
WHERE = "import os; print(os.path.exists('/smallchain'))"


def tools(engine: Engine | None, folder: Path) -> PythonTools:
    environ = engine.environ if engine is not None else {"PATH": str(folder)}
    return PythonTools(
        PythonExecutor(sandbox=Sandbox()),
        Containers(Backends(environ, folder), sandbox=Sandbox(), folder=folder / "containers", home="house"),
    )


async def run(executor: PythonTools, spec: dict[str, Any], arguments: dict[str, Any] | None = None, /, **changes: Any) -> Outcome:
    start = a_start({"python": {"image": IMAGE} | spec}, arguments, **{"isolation": "auto"} | changes)
    outcome = await executor.execute(start)
    await executor.let_go(start)
    return outcome


def a_tool(image: str | None = IMAGE, **changes: Any) -> ToolSpec:
    return ToolSpec.model_validate({"name": "t", "executor": {"python": {"code": "1"} | ({"image": image} if image else {})}} | changes)


async def test_the_seeds_subtract_as_written_runs_in_its_image(engine: Engine, tmp_path: Path) -> None:
    executor = tools(engine, tmp_path)
    spec = {"image": "python:3.12", "command": 'python -c "print(a - b)"\n', "requirements": []}

    assert await run(executor, spec, {"a": 5, "b": 3}) == Outcome(OutcomeKind.SUCCEEDED, "2", exit_code=0)
    assert (await run(executor, {"code": WHERE})).text == "True"
    assert executor.fence(a_tool()) == "a container"
    assert engine.containers() == []


async def test_arguments_are_variables_and_json_and_never_code(engine: Engine, tmp_path: Path) -> None:
    given = {"id": HOSTILE, "b": [1, {"c": None}], "class": 1}
    code = "import json, sys; print(json.dumps([id, b, gone, json.load(sys.stdin)]))"

    told = json.loads((await run(tools(engine, tmp_path), {"code": code}, given, parameters=(*given, "gone"))).text)

    assert told == [HOSTILE, given["b"], None, given]


async def test_its_files_can_only_be_read(engine: Engine, tmp_path: Path) -> None:
    outcome = await run(tools(engine, tmp_path), {"command": "touch /smallchain/made"})

    assert "Read-only file system" in outcome.text


async def test_a_traceback_reaches_the_model(engine: Engine, tmp_path: Path) -> None:
    outcome = await run(tools(engine, tmp_path), {"code": "raise ValueError(a)"}, {"a": "no such city"})

    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILED, 1)
    assert "ValueError: no such city" in outcome.text


@pytest.mark.parametrize("image", [IMAGE, "localhost/nowhere:1"])
async def test_without_its_image_it_runs_on_this_machine_and_says_why(podman: Engine, tmp_path: Path, image: str) -> None:
    executor = tools(podman if image != IMAGE else None, tmp_path)

    assert await executor.check(a_tool(image), folder="") == ""
    assert (await run(executor, {"code": WHERE, "image": image})).text == "False"
    assert executor.instead(a_tool(image)).startswith(f"on this machine's own interpreter, not in the image {image}: ")
    assert executor.fence(a_tool(image)) not in ("", "a container")


@pytest.mark.parametrize("image", [IMAGE, None])
async def test_what_insists_on_a_container_runs_nowhere_else(tmp_path: Path, image: str | None) -> None:
    executor = tools(None, tmp_path)
    fault = await executor.check(a_tool(image, isolation="container"), folder="")

    assert ("neither Docker nor Podman answers" if image else "needs an `image`") in fault
    outcome = await executor.execute(a_start({"python": {"code": "1"} | ({"image": image} if image else {})}, isolation="container"))
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert executor.instead(a_tool(image, isolation="container")) == ""


async def test_packages_are_not_installed_into_an_image(engine: Engine, tmp_path: Path) -> None:
    executor = tools(engine, tmp_path)
    spec = ToolSpec.model_validate({"name": "t", "executor": {"python": {"code": "1", "image": IMAGE, "requirements": ["words"]}}})

    assert "put the packages into the image" in await executor.check(spec, folder="")
    assert (await run(executor, {"code": "1", "requirements": ["words"]})).kind is OutcomeKind.NOT_STARTED


async def test_an_attempt_on_this_machine_is_not_known_to_have_had_a_container(tmp_path: Path) -> None:
    assert await tools(None, tmp_path).look_up(a_start({"python": {"code": "1", "image": IMAGE}})) is None
