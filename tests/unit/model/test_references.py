"""How resources of all files stand together."""

from __future__ import annotations

import pytest

from smallchain.model.errors import Problem
from smallchain.model.manifest import Resource, parse_manifest
from smallchain.model.references import clashes, missing, references, unsupported, warnings


def resources(*texts: str) -> list[Resource]:
    return [found for number, text in enumerate(texts, 1) for found in parse_manifest(text.encode(), file=f"{number}.yaml")]


def printed(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


def reason(text: str) -> str | None:
    """Why this version cannot keep the one resource of a text."""
    (found,) = resources(text)
    return unsupported(found.kind, found.spec)


def test_the_same_name_in_two_files_names_both_places() -> None:
    found = clashes(resources("tools: [{name: a, builtin: add}]", "\ntools: [{name: a, builtin: now}]"))

    assert printed(found) == ["2.yaml:2:16: tool 'a' stands in 1.yaml:1:16 already; rename or remove one of them"]


def test_two_files_with_defaults_clash() -> None:
    assert len(clashes(resources("defaults: {llm: a}", "defaults: {llm: b}"))) == 1


def test_a_tool_and_an_mcp_servers_tool_of_one_function_name_clash() -> None:
    (problem,) = clashes(resources("agents: [{name: a, tools: [files__read, {mcp: files, only: [read]}]}]"))

    assert "'files__read'" in problem.message


def llm(name: str, fallback: str) -> str:
    return f"llms: [{{name: {name}, provider: openai, model: m, fallback: {fallback}}}]"


def test_llms_that_fall_back_to_each_other_are_an_error_told_once_with_both_places() -> None:
    (problem,) = clashes(resources(llm("a", "b"), f"\n{llm('b', 'c')}", llm("c", "a"), llm("d", "a")))

    assert str(problem) == (
        "1.yaml:1:15: LLM 'a' falls back to LLM 'b' (2.yaml:2:15), and so to itself: 'a' > 'b' > 'c' > 'a'; take one `fallback` out"
    )


def test_an_llm_that_falls_back_to_itself_is_an_error() -> None:
    (problem,) = clashes(resources(llm("a", "a")))

    assert problem.message == "LLM 'a' falls back to itself: 'a' > 'a'"


def test_a_chain_of_fallbacks_that_ends_is_none() -> None:
    assert clashes(resources(llm("a", "b"), llm("b", "c"), "llms: [{name: c, provider: openai, model: m}]", llm("d", "b"))) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agents: [{name: a, llm: fastt}]", "agent 'a' needs LLM 'fastt', which does not exist; did you mean 'fast'?"),
        ("agents: [{name: a, tools: [subtrac]}]", "needs tool 'subtrac', which does not exist; did you mean 'subtract'?"),
        ("agents: [{name: a, tools: [{agent: writr}]}]", "needs agent 'writr', which does not exist; did you mean 'writer'?"),
        ("agents: [{name: a, tools: [{mcp: files}]}]", "needs MCP server 'files', which does not exist"),
        ("agents: [{name: a, tools: [{human: boss}]}]", "needs channel 'boss', which does not exist"),
        ("tasks: [{name: t, agent: nobody, user_message: x}]", "task 't' needs agent 'nobody', which does not exist"),
        ("runs: [{name: r, task: no task}]", "run 'r' needs task 'no task', which does not exist"),
        ("schedules: [{name: s, task: no task, every: 5m}]", "schedule 's' needs task 'no task'"),
        (
            "llms: [{name: l, provider: openai, model: m, fallback: fst}]",
            "LLM 'l' needs LLM 'fst', which does not exist; did you mean 'fast'?",
        ),
        ("budgets: [{name: b, over: {llm: gone}, limit: $5}]", "budget 'b' needs LLM 'gone'"),
        ("defaults: {llm: gone}", "`defaults` needs LLM 'gone'"),
        ("tools: [{name: t, builtin: add, approval: {channel: gone}}]", "tool 't' needs channel 'gone'"),
    ],
)
def test_a_missing_reference_is_told_with_what_is_near(text: str, expected: str) -> None:
    there = "llms: [{name: fast, provider: openai, model: m}]\nagents: [{name: writer}]"
    (problem,) = missing(resources(there, text))

    assert expected in str(problem)


def test_all_missing_references_are_listed_together() -> None:
    assert len(missing(resources("agents: [{name: a, llm: x, tools: [t, {agent: b}]}]\nruns: [{name: r, task: t}]"))) == 4


def test_a_builtin_needs_no_entry_under_tools() -> None:
    assert missing(resources("agents: [{name: a, tools: [add, now]}]")) == ()


def test_the_order_of_files_does_not_matter() -> None:
    assert missing(resources("runs: [{name: r, task: t}]", "tasks: [{name: t, agent: a, user_message: x}]", "agents: [{name: a}]")) == ()


def test_references_are_given_once_each_in_order() -> None:
    (agent,) = resources("agents: [{name: a, llm: l, tools: [t, {agent: b}, {tool: u, approval: {channel: c}}]}]")

    assert references("agent", agent.spec) == (("llm", "l"), ("tool", "t"), ("agent", "b"), ("tool", "u"), ("channel", "c"))


@pytest.mark.parametrize(
    ("text", "cyclic"),
    [
        ("agents: [{name: a, tools: [{agent: a}]}]", ["a"]),
        ("agents: [{name: a, tools: [{agent: b}]}, {name: b, tools: [{agent: c}]}, {name: c, tools: [{agent: b}]}]", ["b", "c"]),
        ("agents: [{name: a, tools: [{agent: b}, {agent: c}]}, {name: b, tools: [{agent: c}]}, {name: c}]", []),
    ],
)
def test_agents_that_can_call_themselves_are_warned_about(text: str, cyclic: list[str]) -> None:
    assert [problem.message.split("'")[1] for problem in warnings(resources(text))] == cyclic


def test_a_key_in_clear_text_is_warned_about_and_not_repeated() -> None:
    key = "sk-proj-abcdefghijklmnop1234"
    (problem,) = warnings(resources(f"tools: [{{name: t, executor: {{local_bash: {{command: x}}}}, env: {{KEY: {key}}}}}]"))

    assert "`env.KEY`" in problem.message
    assert key not in str(problem)


BASH = "executor: {local_bash: {command: x}}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mcp_servers: [{name: m, command: [x], isolation: container}]", "`isolation: container`"),
        ("tools: [{name: t, executor: {function: {call: 'a:b'}}, limits: {memory: 1GB}}]", "a fence around `executor: function`"),
    ],
)
def test_nothing_runs_as_if_a_safety_field_were_not_there(text: str, what: str) -> None:
    assert reason(text) == f"{what} is not yet supported by this version"


@pytest.mark.parametrize(
    "text",
    [
        f"tools: [{{name: t, {BASH}, approval: never, isolation: none, network: false, effects: once, timeout: 5s, retries: 1}}]",
        "tools: [{name: t, executor: {python: {code: a, image: 'python:3.12', requirements: []}}, isolation: auto}]",
        "tools: [{name: t, builtin: add}]",
        "agents: [{name: a, tools: [add, {agent: b, detach: allowed, on_finish: cancel}], limits: {turns: 5, depth: 2, children: 3}, context: full}]",
        "agents: [{name: a, limits: {wall_time: 2h, wall_time_total: 2d}}]",
        "agents: [{name: a, context: window}]",
        "agents: [{name: a, context: {window: 3}}]",
        "agents: [{name: a, context: summarise}]",
        "agents: [{name: a, context: {summarise: 3}}]",
        "llms: [{name: l, provider: scripted, replies: [{content: x}]}]",
        "llms: [{name: l, provider: openai, model: m, limits: {concurrency: 8, tokens_per_minute: 9}, fallback: o}]",
        "llms: [{name: l, provider: openai, model: m, tool_mode: native, price: unknown_ok, retry_for: 1h}]",
        "llms: [{name: l, provider: openai, model: m, tool_mode: json}]",
        "llms: [{name: l, provider: python, model: 'a.b:c'}]",
        "agents: [{name: a, context: 'my.module:strategy'}]",
        "tasks: [{name: t, agent: a, user_message: x}]",
        "runs: [{name: r, task: t, priority: 5}]",
        "schedules: [{name: s, task: t, cron: 0 7 * * 1-5, time_zone: Europe/Berlin, overlap: queue, misfire: skip, jitter: 5m}]",
        "defaults: {llm: a, timeout: 2m, approval: never, isolation: auto}",
    ],
)
def test_what_this_version_keeps_is_not_held_back(text: str) -> None:
    assert reason(text) is None
