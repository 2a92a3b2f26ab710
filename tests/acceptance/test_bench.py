"""Every bench runs, at a size of seconds: so that `make bench` still works on the day it is needed. How fast things are, nothing here says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import FULL, SMALL
from support.programs import needed

pytestmark = pytest.mark.long
TESTS = Path(__file__).parents[1]
PATIENCE_S = 240.0


def run(*words: str) -> str:
    """What a module of the benchmark writes. One that hangs is told to end, so that it ends what it has started."""
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen([sys.executable, "-m", *words], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    assert out, err
    return out


def test_each_bench_has_a_small_size() -> None:
    assert list(SMALL) == list(FULL)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_bench_runs_and_every_figure_has_a_value(name: str) -> None:
    if name == "containers":
        needed("dockerd", package="docker.io")
        needed("podman")
    machine, *figures = map(json.loads, run("bench", "--small", "--only", name).splitlines())

    assert machine["bench"] == "machine"
    assert figures
    assert [figure for figure in figures if figure["value"] is None] == []
    assert all(isinstance(figure["value"], int | float) and figure["unit"] for figure in figures)


def test_a_soak_of_seconds_loses_nothing_and_says_so(tmp_path: Path) -> None:
    samples = tmp_path / "soak.jsonl"
    size = ["--minutes", "0.15", "--runs", "8", "--fastest", "0.05", "--slowest", "0.2", "--turns", "5", "--every", "2", "--drain", "60"]
    verdict = json.loads(run("bench.soak", *size, "--samples", str(samples)))

    assert {name for name, found in verdict["criteria"].items() if not found["ok"]} <= {"lag"}  # how fast this machine is, nobody knows
    assert verdict["phases"].keys() <= {"succeeded", "failed", "cancelled"}
    assert verdict["phases"]["succeeded"]
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    assert [line["soak"] for line in lines] == ["sample"] * (len(lines) - 1) + ["verdict"]
