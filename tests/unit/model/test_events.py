"""What is told: the published sample's sentences word for word, and facts that are put in as they are."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from smallchain.model.events import LONGEST, SENTENCES, Level, sentence

ROOT = Path(__file__).parents[3]
TASK = "determine the current weather in tokyo"
PUBLISHED = [
    ("DaemonStarted", {}, "[INFO] Starting Smallchain"),
    ("RunStarted", {"task": TASK}, "[INFO] Executing task: determine the current weather in tokyo"),
    ("AgentStarted", {"agent": "assistant"}, "[INFO] Agent 'assistant' is executing the task"),
    (
        "ToolCallStarted",
        {"agent": "assistant", "tool": "get_current_weather"},
        "[INFO] Agent 'assistant' is using tool: get_current_weather",
    ),
    ("ToolCallSucceeded", {"tool": "get_current_weather"}, "[INFO] Tool 'get_current_weather' executed successfully"),
    ("AgentCompleted", {"agent": "assistant"}, "[INFO] Agent 'assistant' has completed the task"),
    ("TaskCompleted", {"task": TASK}, "[INFO] Task completed: determine the current weather in tokyo"),
    (
        "RunOutput",
        {"output": "The current temperature in Tokyo is 75°F (24°C)"},
        "[INFO] Output: The current temperature in Tokyo is 75°F (24°C)",
    ),
    ("RunSucceeded", {"run": "my first run"}, "[INFO] Run 'my first run' completed successfully"),
]


def places(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


@pytest.mark.parametrize(("reason", "facts", "line"), PUBLISHED, ids=[reason for reason, _, _ in PUBLISHED])
def test_the_published_sample_prints_word_for_word(reason: str, facts: dict[str, str], line: str) -> None:
    level, text = sentence(reason, facts)

    assert f"[{level}] {text}" == line


@pytest.mark.parametrize("reason", SENTENCES)
def test_every_reason_makes_a_sentence_of_its_facts(reason: str) -> None:
    template = SENTENCES[reason][1]
    level, text = sentence(reason, {name: f"<{name}>" for name in places(template)})

    assert level in Level
    assert all(f"<{name}>" in text for name in places(template))
    assert "{" not in text


def test_every_reason_is_told_somewhere() -> None:
    modules = [module for folder in ("smallchain", "daemon") for module in (ROOT / folder).rglob("*.py") if module.name != "events.py"]
    code = "\n".join(module.read_text(encoding="utf-8") for module in modules)

    assert [reason for reason in SENTENCES if f'"{reason}"' not in code] == []


def test_every_reason_that_is_told_has_a_sentence() -> None:
    modules = [module for folder in ("smallchain", "daemon") for module in (ROOT / folder).rglob("*.py")]
    told = {reason for module in modules for reason in re.findall(r'eventlog\.tell\(\s*tx, "(\w+)"', module.read_text(encoding="utf-8"))}

    assert told
    assert told <= SENTENCES.keys()


def test_a_reason_is_a_word_for_machines() -> None:
    assert [reason for reason in SENTENCES if not re.fullmatch(r"([A-Z][a-z]+){2,}|RunsAsRoot|LLM([A-Z][a-z]+)+", reason)] == []


def test_facts_are_never_read_as_templates() -> None:
    assert sentence("RunOutput", {"output": "{run} {0} {output!r} %s"})[1] == "Output: {run} {0} {output!r} %s"


def test_a_sentence_is_bounded_and_shows_that_it_was_cut() -> None:
    text = sentence("RunOutput", {"output": "x" * 100_000})[1]

    assert len(text) == LONGEST
    assert text.endswith("x…")


def test_a_sentence_of_exactly_the_most_is_whole() -> None:
    output = "x" * (LONGEST - len("Output: "))

    assert sentence("RunOutput", {"output": output})[1] == f"Output: {output}"
