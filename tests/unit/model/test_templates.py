"""The sentences that are ours: replaceable, never empty, and never a way for facts to become templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smallchain.model.templates import TEMPLATES, render

ROOT = Path(__file__).parents[3]


def places(text: str) -> list[str]:
    return re.findall(r"\{([a-z_]+)\}", text)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_makes_a_sentence_of_its_facts(name: str) -> None:
    wanted = places(TEMPLATES[name][1])
    text = render(name, {}, **{place: f"<{place}>" for place in wanted})

    assert text.strip()
    assert places(text) == []
    assert all(f"<{place}>" in text for place in wanted)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_says_what_it_is_for(name: str) -> None:
    assert TEMPLATES[name][0].strip()


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_is_used(name: str) -> None:
    modules = [
        *(ROOT / "smallchain" / "engine").rglob("*.py"),
        *(ROOT / "smallchain" / "model" / file for file in ("jsonmode.py", "context.py")),
    ]
    code = "\n".join(module.read_text(encoding="utf-8") for module in modules)

    assert f'"{name}"' in code


def test_a_sentence_can_be_replaced() -> None:
    assert render("tool_failed", {"tool_failed": "Oh no: {detail}!"}, detail="exit code 1") == "Oh no: exit code 1!"


def test_an_empty_replacement_is_none() -> None:
    assert render("no_output", {"no_output": ""}) == "(no output)"


def test_the_replacement_of_another_changes_nothing() -> None:
    assert render("no_output", {"tool_failed": "Oh no"}) == "(no output)"


def test_a_place_without_a_fact_stays_as_it_is_written() -> None:
    assert render("tool_failed", {"tool_failed": "{detail} {weather} {0} {}"}, detail="x") == "x {weather} {0} {}"


def test_facts_are_never_read_as_templates() -> None:
    assert render("bad_arguments", {}, name="{detail}", detail="{name} {0}") == "Error: the arguments don't fit {detail}: {name} {0}"


@pytest.mark.parametrize("name", [name for name, (_, text) in TEMPLATES.items() if text.startswith("Error")])
def test_what_failed_holds_nothing_that_looks_like_success(name: str) -> None:
    assert "success" not in TEMPLATES[name][1].casefold()


@pytest.mark.parametrize(
    "name",
    sorted(
        TEMPLATES.keys()
        - {"no_output", "child_said_nothing", "approved", "approved_with_edits", "answered", "woke", "json_tools", "json_results"}
        - {"result_cut", "result_cut_short", "artifact_kept", "artifact_not_kept", "was_over_budget", "detached", "work_finished"}
        - {"summarise", "summary"}
    ),
)
def test_a_call_that_did_not_work_is_told_as_an_error(name: str) -> None:
    assert TEMPLATES[name][1].startswith("Error: ")
