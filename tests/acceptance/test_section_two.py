"""The decisions about what people write (section 2 of the design), each in a test that has its words, on a real daemon."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, Item, Models, Pipe

NOT_YET = "not yet supported by this version"
SAID = "- {name: said, provider: scripted, replies: [{content: done}]}\n"
JOB = "agents: [{name: worker}]\ntasks: [{name: job, agent: worker, user_message: begin}]\n"

StartModels = Callable[..., Models]
MakePipe = Callable[[str], Pipe]


def scripted(name: str, *replies: str) -> str:
    """An LLM that says what it is told to, whatever it is asked."""
    return f"- {{name: {name}, provider: scripted, replies: [{', '.join(replies)}]}}\n"


def calls(*functions: str) -> str:
    """A scripted reply that calls functions; each is written as `name: {arguments}`."""
    listed = ", ".join(f"{{name: {name}, arguments: {arguments}}}" for name, _, arguments in (each.partition(": ") for each in functions))
    return f"{{tool_calls: [{listed}]}}"


def started(daemon: Daemon, *texts: str) -> Daemon:
    """The daemon on a folder with this text."""
    daemon.drop("team.yaml", "".join(texts))
    return daemon.start()


def results(daemon: Daemon, run: str) -> list[str]:
    """What the tools answered in a run."""
    return [message["content"] for message in daemon.messages(run) if message["role"] == "tool"]


def succeeded(daemon: Daemon, run: str) -> Item:
    item = daemon.over(run)
    assert item["status"] == "Succeeded", item["error"]
    return item


# ---- names


def test_names_are_free_text_and_a_run_is_addressed_by_its_name(daemon: Daemon) -> None:
    started(
        daemon,
        "llms:\n" + SAID,
        "agents: [{name: the écrivain}]\n",
        'tasks: [{name: "do it, now/today", agent: the écrivain, user_message: x}]\n',
        'runs: [{name: my first run, task: "do it, now/today"}]\n',
    )
    succeeded(daemon, "my first run")

    assert daemon.cli("wait", "my first run").stdout == "done\n"
    assert daemon.ask("describe", "run", "my first run")["item"]["task"] == "do it, now/today"
    assert daemon.cli("run", "do it, now/today", "--name", "名前 2", "--wait").returncode == 0
    assert daemon.run("名前 2")["agent"] == "the écrivain"


@pytest.mark.parametrize("name", ['"a\\u0007b"', '"a\\u202eb"', f"{'x' * 64}", '" "'])
def test_a_name_with_what_nobody_sees_or_above_63_characters_is_refused(daemon: Daemon, name: str) -> None:
    daemon.start()

    done = daemon.cli("apply", "-f", "-", "--name", "s", stdin=f"agents:\n- name: {name}\n")

    assert done.returncode == 65
    assert re.search(r"^s:2:\d+: ", done.stderr, re.MULTILINE)
    assert daemon.items("agents") == []


def test_a_tools_name_is_a_legal_function_name(daemon: Daemon) -> None:
    daemon.start()

    done = daemon.cli("apply", "-f", "-", "--name", "s", stdin="tools: [{name: my tool, builtin: add}]\n")

    assert done.returncode == 65


def test_run_names_are_unique(daemon: Daemon) -> None:
    started(daemon, "llms:\n" + SAID, JOB)
    assert daemon.cli("run", "job", "--name", "once", "--wait").returncode == 0

    again = daemon.cli("run", "job", "--name", "once")

    assert again.returncode == 1
    assert "there is a run named 'once' already" in again.stderr
    assert [run["name"] for run in daemon.items("runs")] == ["once"]


def test_run_task_makes_task_n_and_steps_over_names_that_are_taken(daemon: Daemon) -> None:
    started(daemon, "llms:\n" + SAID, JOB)
    for words in (["job"], ["job", "--name", "job-2"], ["job"], ["job"]):
        assert daemon.cli("run", *words, "--wait").returncode == 0

    assert [run["name"] for run in daemon.items("runs")] == ["job-1", "job-2", "job-3", "job-4"]


def test_a_name_that_is_made_may_be_longer_than_one_that_is_given(daemon: Daemon) -> None:
    task = "t" * 63
    started(daemon, "llms:\n" + SAID, f"agents: [{{name: worker}}]\ntasks: [{{name: {task}, agent: worker, user_message: x}}]\n")

    assert daemon.cli("run", task, "--wait").returncode == 0

    assert daemon.run(f"{task}-1")["task"] == task


def test_a_child_is_named_after_its_parent_and_its_agent(daemon: Daemon) -> None:
    started(
        daemon,
        "llms:\n",
        scripted("boss", calls("delegate_to_a_writer: {message: one}", "delegate_to_a_writer: {message: two}"), "{content: over}"),
        scripted("said", "{content: done}"),
        "agents: [{name: chief, llm: boss, tools: [{agent: a writer}]}, {name: a writer, llm: said}]\n",
        "tasks: [{name: job, agent: chief, user_message: x}]\nruns: [{name: monday, task: job}]\n",
    )
    succeeded(daemon, "monday")

    assert {run["name"]: (run["parent"], run["agent"], run["depth"]) for run in daemon.items("runs")} == {
        "monday": (None, "chief", 0),
        "monday/a writer-1": ("monday", "a writer", 1),
        "monday/a writer-2": ("monday", "a writer", 1),
    }
    assert len({run["id"] for run in daemon.items("runs")}) == 3
    assert not any("monday" in run["id"] for run in daemon.items("runs"))


# ---- functions the model sees


def test_functions_have_legal_unique_names_and_lead_to_whom_they_name(daemon: Daemon, models: StartModels) -> None:
    rules = [
        {
            "when": {"system": "lead", "turn": 1},
            "reply": {"tool_calls": [{"name": "delegate_to_a_b_2", "arguments": {"message": "hello"}}]},
        },
        {"when": {}, "reply": {"content": "done"}},
    ]
    server = models(script={"rules": rules})
    others = ["a b", "a.b", "Café №1", "東京", "x" * 63]
    started(
        daemon,
        "llms: [{name: m, provider: openai, model: loopback}]\n",
        f"agents:\n- {{name: lead, system_prompt: lead, tools: [{', '.join(f'{{agent: {name}}}' for name in others)}, delegate_to_T]}}\n",
        "".join(f"- {{name: {name}, description: knows {name}}}\n" for name in others),
        "tools: [{name: delegate_to_T, builtin: add}]\n",
        "tasks: [{name: job, agent: lead, user_message: x}]\nruns: [{name: monday, task: job}]\n",
    )
    succeeded(daemon, "monday")

    functions = [tool["function"] for tool in server.bodies()[0]["tools"]]
    names = [function["name"] for function in functions]
    assert names[:3] == ["delegate_to_a_b", "delegate_to_a_b_2", "delegate_to_Cafe_No1"]
    assert names[-1] == "delegate_to_T"
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert len(set(names)) == len(names) == 6
    assert all(function["parameters"]["required"] == ["message"] for function in functions[:-1])
    assert functions[1]["description"] == "knows a.b"
    assert daemon.run("monday/a.b-1")["agent"] == "a.b"


# ---- the model of an agent without `llm`


@pytest.mark.parametrize(
    ("text", "agent", "used"),
    [
        ("defaults: {llm: two}\nllms:\n" + SAID.replace("said", "one") + SAID.replace("said", "two"), "alone", "two"),
        ("llms:\n" + SAID.replace("said", "one"), "alone", "one"),
    ],
    ids=["defaults.llm", "the only LLM"],
)
def test_an_agent_without_llm_takes(daemon: Daemon, text: str, agent: str, used: str) -> None:
    started(daemon, text, "agents: [{name: alone}]\ntasks: [{name: job, agent: alone, user_message: x}]\nruns: [{name: r, task: job}]\n")

    assert succeeded(daemon, "r")["llm"] == used


def test_a_delegate_without_llm_takes_the_calling_agents(daemon: Daemon) -> None:
    started(
        daemon,
        "llms:\n",
        SAID.replace("said", "one"),
        "- {name: two, provider: scripted, replies: [{when: {agent: chief, turn: 1}, reply: ",
        calls("delegate_to_hand: {message: go}"),
        "}, {when: {turn: 1}, reply: {content: from two}}, {when: {turn: 2}, reply: {content: over}}]}\n",
        "agents: [{name: chief, llm: two, tools: [{agent: hand}]}, {name: hand}]\n",
        "tasks: [{name: job, agent: chief, user_message: x}]\nruns: [{name: r, task: job}]\n",
    )
    succeeded(daemon, "r")

    child = daemon.run("r/hand-1")
    assert (child["llm"], child["output"]) == ("two", "from two")


def test_when_nothing_decides_the_llm_the_run_waits_with_a_list_of_them(daemon: Daemon) -> None:
    both = "llms:\n" + SAID.replace("said", "one") + SAID.replace("said", "two")
    started(daemon, both, JOB, "runs: [{name: r, task: job}]\n")

    daemon.event("RunPending", run="r")
    run = daemon.run("r")
    assert run["status"] == "Pending"
    assert "one, two" in run["detail"]
    assert "defaults: {llm: ...}" in run["detail"]

    daemon.drop("team.yaml", "defaults: {llm: two}\n" + both + JOB + "runs: [{name: r, task: job}]\n")
    assert succeeded(daemon, "r")["llm"] == "two"


# ---- arguments of an executor


def test_arguments_come_on_standard_input_and_under_their_own_names(daemon: Daemon) -> None:
    kinds = {"a": "integer", "b": "integer", "id": "string", "note": "string", "PATH": "string"}
    properties = ", ".join(f"{name}: {{type: {kind}}}" for name, kind in kinds.items())
    parameters = f"{{type: object, properties: {{{properties}}}}}"
    started(
        daemon,
        "llms:\n",
        scripted(
            "m",
            calls(
                "minus: {a: 7, b: 5, id: x}",
                'stdin: {a: 7, b: 5, PATH: "/nowhere"}',
                'shell: {a: 7, id: "$(touch pasted); `touch pasted`", PATH: "/nowhere"}',
                "exported: {a: 7}",
            ),
            "{content: over}",
        ),
        "agents: [{name: worker, tools: [minus, stdin, shell, exported]}]\n",
        "tasks: [{name: job, agent: worker, user_message: x}]\nruns: [{name: r, task: job}]\n",
        f"""tools:
- {{name: minus, parameters: &p {parameters}, executor: {{python: {{command: 'python -c "print(a - b, id, note)"'}}}}}}
- {{name: stdin, parameters: *p, executor: {{python: {{code: "import sys, json; print(json.load(sys.stdin))"}}}}}}
- {{name: shell, parameters: *p, executor: {{local_bash: {{command: 'echo "$a|$id|$note|$PATH"'}}}}}}
- {{name: exported, parameters: *p, executor: {{local_bash: {{command: 'env | grep -c "^a=" || true'}}}}}}
""",
    )
    succeeded(daemon, "r")

    minus, stdin, shell, exported = results(daemon, "r")
    assert minus == "2 x None"
    assert stdin == "{'PATH': '/nowhere', 'a': 7, 'b': 5}"
    assert shell.startswith("7|$(touch pasted); `touch pasted`||")
    assert "/nowhere" not in shell
    assert "/usr/bin" in shell
    assert exported == "0"
    assert not list(daemon.folder.rglob("pasted"))


def test_a_tool_with_an_image_runs_on_this_machine_with_one_warning_for_good(daemon: Daemon) -> None:
    text = (
        "llms:\n"
        + scripted("m", calls("minus: {a: 7, b: 5}", "minus: {a: 8, b: 5}"), "{content: over}")
        + "agents: [{name: worker, tools: [minus]}]\n"
        "tasks: [{name: job, agent: worker, user_message: x}]\nruns: [{name: r, task: job}]\ntools:\n- name: minus\n"
        "  parameters: {type: object, properties: {a: {type: integer}, b: {type: integer}}}\n"
        '  executor: {python: {image: "python:3.12", command: \'python -c "print(a - b)"\'}}\n'
    )
    started(daemon, text)
    succeeded(daemon, "r")
    assert results(daemon, "r") == ["2", "3"]

    daemon.restart()
    assert daemon.cli("run", "job", "--wait").returncode == 0

    (told,) = [event for event in daemon.events() if event["reason"] == "ToolImageUnused"]
    assert (told["level"], told["object"]["name"]) == ("WARNING", "minus")
    assert "python:3.12" in told["message"]


# ---- what a run pins


PINNED = """
defaults: {{llm: m}}
llms: [{{name: m, provider: openai, model: {model}, base_url: "{url}", parameters: {{temperature: {temperature}}}}}]
agents: [{{name: worker, system_prompt: {prompt}, tools: [hold, say{more}]}}, {{name: helper, system_prompt: help {prompt}}}]
tools:
- {{name: hold, isolation: none, executor: {{local_bash: {{command: 'echo up > {up}; read line < {go}'}}}}}}
- {{name: say, description: {what}, isolation: none, executor: {{local_bash: {{command: 'echo {what}'}}}}}}
tasks: [{{name: job, agent: worker, user_message: x}}]
runs: [{{name: r, task: job}}]
"""


def test_a_live_run_goes_on_with_what_it_began_with_but_reaches_models_where_they_are_now(
    daemon: Daemon, models: StartModels, pipe: MakePipe, tmp_path: Path
) -> None:
    up, go = pipe("up"), pipe("go")
    rules = [
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "hold"}]}},
        {"when": {"turn": 2}, "reply": {"tool_calls": [{"name": "say"}]}},
        {"when": {}, "reply": {"content": "over"}},
    ]
    first = models(script={"rules": rules})
    facts: dict[str, Any] = {"url": first.base_url, "up": up.path, "go": go.path}
    started(daemon, PINNED.format(model="old", temperature=0.25, prompt="old words", what="old", more="", **facts))
    assert up.heard() == "up"

    with closing(Models(tmp_path, script={"rules": rules})) as second:
        newest = daemon.client().last_seq()
        changed = {**facts, "url": second.base_url}
        daemon.drop("team.yaml", PINNED.format(model="new", temperature=0.75, prompt="new words", what="new", more=", now", **changed))
        daemon.event("ConfigApplied", after=newest)
        pins = {(pin["kind"], pin["name"]): pin["current"] for pin in daemon.ask("describe", "run", "r")["related"]["pins"]}
        go.say()
        succeeded(daemon, "r")

        assert pins == {
            ("agent", "worker"): False,
            ("defaults", "defaults"): True,
            ("llm", "m"): False,
            ("task", "job"): True,
            ("tool", "hold"): True,
            ("tool", "say"): False,
        }
        assert results(daemon, "r")[-1] == "old"
        bodies = [*first.bodies(), *second.bodies()]
        assert (len(first.bodies()), len(second.bodies())) == (1, 2)
        assert {(body["model"], body["temperature"], body["messages"][0]["content"]) for body in bodies} == {("old", 0.25, "old words")}
        assert all(body["tools"] == bodies[0]["tools"] for body in bodies)

        assert daemon.cli("run", "job", "--name", "later").returncode == 0
        assert up.heard() == "up"
        go.say()
        succeeded(daemon, "later")
        assert results(daemon, "later")[-1] == "new"
        last = second.bodies()[-1]
        assert (last["model"], last["temperature"], last["messages"][0]["content"]) == ("new", 0.75, "new words")
        assert [tool["function"]["name"] for tool in last["tools"]] == ["hold", "say", "now"]


def test_a_whole_tree_is_pinned_when_its_root_starts(daemon: Daemon, pipe: MakePipe) -> None:
    up, go = pipe("up"), pipe("go")
    text = (
        "llms:\n"
        + scripted("boss", calls("hold: {}"), calls("delegate_to_hand: {message: go}"), "{content: over}")
        + SAID
        + "agents: [{name: chief, llm: boss, tools: [hold, {agent: hand}]}, {name: hand, llm: said, system_prompt: WORDS}]\n"
        f"tools: [{{name: hold, isolation: none, executor: {{local_bash: {{command: 'echo up > {up.path}; read line < {go.path}'}}}}}}]\n"
        "tasks: [{name: job, agent: chief, user_message: x}]\nruns: [{name: r, task: job}]\n"
    )
    started(daemon, text)
    assert up.heard() == "up"
    newest = daemon.client().last_seq()

    daemon.drop("team.yaml", text.replace("WORDS", "other words"))
    daemon.event("ConfigApplied", after=newest)
    go.say()
    succeeded(daemon, "r")

    assert daemon.messages("r/hand-1")[0]["content"] == "WORDS"


def test_a_tools_timeout_is_the_current_one_also_for_a_live_run(daemon: Daemon, pipe: MakePipe) -> None:
    up, go, never = pipe("up"), pipe("go"), pipe("never")
    text = (
        f"llms:\n{scripted('m', calls('hold: {}'), calls('slow: {}'), '{content: over}')}"
        "agents: [{name: worker, tools: [hold, slow]}]\n"
        "tasks: [{name: job, agent: worker, user_message: x}]\nruns: [{name: r, task: job}]\ntools:\n"
        f"- {{name: hold, isolation: none, executor: {{local_bash: {{command: 'echo up > {up.path}; read line < {go.path}'}}}}}}\n"
        f"- {{name: slow, isolation: none, executor: {{local_bash: {{command: 'echo pinned; read line < {never.path}'}}}}, timeout: 1h}}\n"
    )
    started(daemon, text)
    assert up.heard() == "up"
    newest = daemon.client().last_seq()

    daemon.drop("team.yaml", text.replace("timeout: 1h", "timeout: 1s").replace("echo pinned", "echo current"))
    daemon.event("ConfigApplied", after=newest)
    go.say()
    succeeded(daemon, "r")

    told = results(daemon, "r")[-1]
    assert "timed out after 1s" in told
    assert "pinned" in told


def test_what_was_deleted_serves_the_live_run_to_its_end(daemon: Daemon, pipe: MakePipe) -> None:
    up, go = pipe("up"), pipe("go")
    run = "runs: [{name: r, task: job}]\n"
    daemon.drop("run.yaml", run)
    started(
        daemon,
        "llms:\n" + scripted("m", calls("hold: {}"), calls("say: {}"), "{content: over}"),
        "agents: [{name: worker, tools: [hold, say]}]\ntasks: [{name: job, agent: worker, user_message: x}]\ntools:\n",
        f"- {{name: hold, isolation: none, executor: {{local_bash: {{command: 'echo up > {up.path}; read line < {go.path}'}}}}}}\n",
        "- {name: say, executor: {local_bash: {command: echo still here}}}\n",
    )
    assert up.heard() == "up"

    daemon.drop("team.yaml", "# nothing\n")
    daemon.until(lambda: not daemon.items("tools"))
    go.say()
    succeeded(daemon, "r")

    assert results(daemon, "r")[-1] == "still here"
    assert daemon.cli("run", "job").returncode == 1


# ---- nothing runs as if a safety field were not there


UNSUPPORTED = {
    "a fence around a function": "isolation: required",
    "limits of a function": "limits: {memory: 1GB}",
}


def _team(mark: Path, *, with_fields: bool) -> str:
    """A run for each case, alike but for the one field."""
    sections: dict[str, list[str]] = {name: [] for name in ("llms", "agents", "tools", "tasks", "runs")}
    sections["agents"].append("- {name: other}\n")
    sections["tools"].append(f"- {{name: plain, isolation: none, executor: {{local_bash: {{command: 'touch {mark}'}}}}}}\n")
    for n, field in enumerate(UNSUPPORTED.values()):
        executor = "function: {call: 'no.such:one'}" if with_fields else f"local_bash: {{command: 'touch {mark}'}}"
        listed = f"plain, t_{n}"
        sections["llms"].append(scripted(f"m_{n}", calls("t_N: {a: 7}".replace("N", str(n)), "plain: {}"), "{content: over}"))
        sections["agents"].append(f"- {{name: a_{n}, llm: m_{n}, tools: [{listed}]}}\n")
        sections["tools"].append(f"- {{name: t_{n}, executor: {{{executor}}}, {field if with_fields else 'isolation: none'}}}\n")
        sections["tasks"].append(f"- {{name: j_{n}, agent: a_{n}, user_message: x}}\n")
        sections["runs"].append(f"- {{name: r_{n}, task: j_{n}}}\n")
    extra = "mcp_servers: [{name: files, command: [true]}]\n"
    return extra.replace("[true]", '["true"]') + "".join(f"{name}:\n{''.join(rows)}" for name, rows in sections.items())


def test_what_asks_for_a_guard_that_this_version_lacks_never_runs(daemon: Daemon) -> None:
    mark = daemon.folder / "mark"
    started(daemon, _team(mark, with_fields=True))
    daemon.until(lambda: all(run["detail"] and "being looked at" not in run["detail"] for run in daemon.items("runs")))

    runs = {run["name"]: run for run in daemon.items("runs")}
    assert len(runs) == len(UNSUPPORTED)
    for n, case in enumerate(UNSUPPORTED):
        assert runs[f"r_{n}"]["status"] == "Pending", case
        assert NOT_YET in runs[f"r_{n}"]["detail"], f"{case}: {runs[f'r_{n}']['detail']}"
    assert daemon.items("toolcalls") == []
    assert "AgentStarted" not in {event["reason"] for event in daemon.events()}
    assert not mark.exists()


def test_runs_that_waited_for_a_guard_go_on_when_it_is_no_longer_asked_for(daemon: Daemon) -> None:
    mark = daemon.folder / "mark"
    started(daemon, _team(mark, with_fields=True))
    daemon.until(lambda: all(NOT_YET in run["detail"] for run in daemon.items("runs")))

    daemon.drop("team.yaml", _team(mark, with_fields=False))

    daemon.until(lambda: {run["status"] for run in daemon.items("runs")} == {"Succeeded"})
    assert mark.exists()


HELD = """
{top}
llms:
- {{name: m, provider: scripted, replies: [{{tool_calls: [{{name: hold}}]}}, {{tool_calls: [{{name: post}}]}}, {{content: over}}]}}
agents: [{{name: worker, tools: [hold, {entry}], {agent}}}]
tools:
- {{name: hold, isolation: none, executor: {{local_bash: {{command: 'echo up > {up}; read line < {go}'}}}}}}
- {{name: post, isolation: none, executor: {{local_bash: {{command: 'echo posted >> {log}'}}}}, {field}}}
tasks: [{{name: job, agent: worker, user_message: x}}]
runs: [{{name: r, task: job}}]
"""


@pytest.mark.parametrize(
    "guard",
    [
        {"field": "approval: required"},
        {"field": "deny: {when: {a: {equals: 1}}}"},
        {"entry": "{tool: post, approval: required}"},
        {"top": "defaults: {approval: required}"},
    ],
    ids=lambda guard: next(iter(guard)),
)
def test_a_guard_that_is_added_while_a_run_is_live_holds_its_next_call(daemon: Daemon, pipe: MakePipe, guard: dict[str, str]) -> None:
    up, go, log = pipe("up"), pipe("go"), daemon.folder / "log"
    facts = {"up": up.path, "go": go.path, "log": log, "top": "", "entry": "post", "field": "", "agent": ""}
    started(daemon, HELD.format(**facts))
    assert up.heard() == "up"
    newest = daemon.client().last_seq()

    daemon.drop("team.yaml", HELD.format(**facts | guard))
    daemon.event("ConfigApplied", after=newest)
    go.say()
    (request,) = daemon.until(lambda: daemon.items("requests"))
    run = daemon.run("r")
    assert (request["tool"], run["status"], run["detail"]) == ("post", "Waiting", "for an approval of post")
    daemon.restart()
    assert not log.exists()

    assert daemon.cli("approve", request["id"]).returncode == 0

    succeeded(daemon, "r")
    assert log.read_text() == "posted\n"


OVER = ("over: everything", "over: {agent: worker}", "over: {llm: m}", "over: {task: job}", "over: {run: r}")


@pytest.mark.parametrize(
    "guard",
    [
        *({"top": f"budgets: [{{name: cap, limit: 1 token, {over}}}]"} for over in OVER),
        {"agent": "budget: 1 token/day"},
    ],
    ids=[*OVER, "its agent's own"],
)
def test_a_cap_that_is_added_while_a_run_is_live_holds_its_next_model_call(daemon: Daemon, pipe: MakePipe, guard: dict[str, str]) -> None:
    up, go, log = pipe("up"), pipe("go"), daemon.folder / "log"
    facts = {"up": up.path, "go": go.path, "log": log, "top": "", "entry": "post", "field": "", "agent": ""}
    started(daemon, HELD.format(**facts))
    assert up.heard() == "up"
    newest = daemon.client().last_seq()

    daemon.drop("team.yaml", HELD.format(**facts | guard))
    daemon.event("ConfigApplied", after=newest)
    go.say()

    daemon.until(lambda: daemon.run("r")["status"] == "Failed")
    assert "one call may use" in daemon.run("r")["error"]
    assert len(daemon.ask("describe", "run", "r")["related"]["modelcalls"]) == 1


# ---- secrets


def keyed(reference: str, url: str, *, tools: str = "", extra: str = "") -> str:
    """A run of a model behind a key."""
    llm = f'{{name: m, provider: openai, model: loopback, base_url: "{url}", api_key: {reference}}}'
    task = "tasks: [{name: job, agent: worker, user_message: begin}]\nruns: [{name: r, task: job}]\n"
    return f"llms: [{llm}]\nagents: [{{name: worker, tools: [{tools}]}}]\n{task}{extra}"


SAYS_DONE = {"rules": [{"when": {}, "reply": {"content": "done"}}]}


@pytest.mark.parametrize("kind", ["env file", "environment", "file", "command"])
def test_a_secret_is_resolved_at_its_use(daemon: Daemon, models: StartModels, kind: str) -> None:
    server = models(script=SAYS_DONE)
    env = daemon.config / "env"
    env.write_text("# keys\nIN_FILE='sk-canary-from-file-1111'\nBOTH=sk-canary-from-file-2222\n")
    env.chmod(0o600)
    key = daemon.config / "key"
    key.write_text("sk-canary-alone-3333\n")
    key.chmod(0o600)
    daemon.environ |= {"BOTH": "sk-canary-inherited-4444", "INHERITED": "sk-canary-inherited-5555"}
    reference, end = {
        "env file": ("{env: BOTH}", "2222"),
        "environment": ("{env: INHERITED}", "5555"),
        "file": ("{file: key}", "3333"),
        "command": ("{command: [sh, -c, 'echo sk-canary-said-6666']}", "6666"),
    }[kind]

    started(daemon, keyed(reference, server.base_url))
    succeeded(daemon, "r")

    assert [line["headers"]["authorization"] for line in server.asked()] == [f"...{end}"]


def test_a_secret_that_nobody_set_is_an_error_with_the_ways_to_set_it_and_heals_without_a_restart(
    daemon: Daemon, models: StartModels
) -> None:
    server = models(script=SAYS_DONE)
    started(daemon, keyed("{env: NEW_KEY}", server.base_url))
    daemon.event("ResourceError")

    (llm,) = daemon.items("llms")
    assert llm["status"] == "Error"
    for words in ("NEW_KEY", str(daemon.config / "env"), f"pid {daemon.pid}", "started 20", "restart the daemon"):
        assert words in llm["detail"]
    assert daemon.run("r")["status"] == "Pending"
    pid = daemon.pid

    env = daemon.config / "env"
    env.touch(0o600)
    env.write_text("NEW_KEY=sk-canary-late-7777\n")

    succeeded(daemon, "r")
    assert daemon.pid == pid
    assert daemon.items("llms")[0]["status"] == "Ready"
    assert server.asked()[0]["headers"]["authorization"] == "...7777"


def test_an_env_file_that_others_can_read_is_refused(daemon: Daemon, models: StartModels) -> None:
    server = models(script=SAYS_DONE)
    (daemon.config / "env").write_text("KEY=sk-canary-open-8888\n")
    (daemon.config / "env").chmod(0o644)

    started(daemon, keyed("{env: KEY}", server.base_url))
    told = daemon.event("ResourceError")

    assert "chmod 600" in told["message"]
    assert "canary" not in told["message"]


def test_no_secret_is_anywhere_in_what_is_kept_or_told(daemon: Daemon, models: StartModels) -> None:
    canaries = [f"sk-canary-{word}-9f3b7c" for word in ("model", "tool", "said")]
    rules = [
        {"when": {"turn": 1}, "reply": {"tool_calls": [{"name": "leak"}, {"name": "fail"}, {"name": "arguments"}]}},
        {"when": {}, "reply": {"content": "over"}},
    ]
    server = models(script={"rules": rules})
    env = daemon.config / "env"
    env.write_text(f"MODEL={canaries[0]}\nTOOL={canaries[1]}\n")
    env.chmod(0o600)
    (daemon.folder / "vault").write_text(f"#!/bin/sh\necho {canaries[2]}\n")
    (daemon.folder / "vault").chmod(0o700)
    env_of = f'{{A: {{env: TOOL}}, B: {{command: ["{daemon.folder}/vault"]}}}}'
    commands = {
        "leak": 'echo "$A and $B"; echo "$A" | base64',
        "fail": 'echo "$A" >&2; exit 3',
        "arguments": "cat /proc/$$/cmdline /proc/$PPID/cmdline",
    }
    rows = [f"- {{name: {name}, env: {env_of}, executor: {{local_bash: {{command: '{text}'}}}}}}\n" for name, text in commands.items()]
    started(daemon, keyed("{env: MODEL}", server.base_url, tools=", ".join(commands), extra="tools:\n" + "".join(rows)))
    succeeded(daemon, "r")

    leak, fail, arguments = results(daemon, "r")
    assert leak.splitlines()[0] == "[secret:TOOL] and [secret:vault]"
    assert "[secret:TOOL]" in fail
    assert "secret" not in arguments
    shown = [
        daemon.cli(*words).stdout
        for words in (
            ["get", "events", "--pretty"],
            ["get", "events", "-o", "json"],
            ["get", "llms", "-o", "json"],
            ["get", "tools", "-o", "json"],
            ["get", "toolcalls", "-o", "json"],
            ["describe", "run", "r", "-o", "json"],
            ["transcript", "r"],
            ["describe", "llm", "m"],
        )
    ]
    daemon.terminate()
    with closing(sqlite3.connect(next(daemon.state.glob("*.db")))) as database:
        shown.append("\n".join(database.iterdump()))
    kept = {path: path.read_bytes() for path in daemon.state.rglob("*") if path.is_file()} | {daemon.log: daemon.log.read_bytes()}
    assert len(kept) > 1
    for canary in canaries:
        assert not any(canary in text for text in shown)
        assert [path for path, data in kept.items() if canary.encode() in data] == []
        assert not any(canary in line["body"] for line in server.asked())


# ---- references that are missing


def test_a_missing_reference_is_told_with_a_did_you_mean_and_heals_when_it_appears(daemon: Daemon) -> None:
    daemon.start()
    team = daemon.folder / "team.yaml"
    team.write_text(
        "llms:\n"
        + SAID
        + "agents: [{name: worker, tools: [say]}]\ntasks: [{name: jobs, agent: worker, user_message: x}]\nruns: [{name: r, task: job}]\n"
    )

    applied = daemon.cli("apply", "-f", str(team))
    validated = [daemon.cli("validate", *flags, str(team)).returncode for flags in ([], ["--strict"])]

    assert applied.returncode == 0
    assert f"{team}:6:" not in applied.stderr
    assert f"{team}:5:" in applied.stderr
    assert "run 'r' needs task 'job', which does not exist; did you mean 'jobs'?" in applied.stderr
    assert "agent 'worker' needs tool 'say', which does not exist" in applied.stderr
    assert validated == [0, 65]
    daemon.until(lambda: "task 'job' does not exist; did you mean 'jobs'?" in daemon.run("r")["detail"])
    assert daemon.run("r")["status"] == "Pending"

    daemon.drop("task.yaml", "tasks: [{name: job, agent: worker, user_message: x}]\n")
    daemon.until(lambda: "tool 'say' does not exist" in daemon.run("r")["detail"])

    daemon.drop("tool.yaml", "tools: [{name: say, executor: {local_bash: {command: echo hi}}}]\n")
    succeeded(daemon, "r")


# ---- files


def a_reader(n: int) -> str:
    """A run whose tools read files beside their YAML; all names end in `n`."""
    return (
        f"llms: [{{name: m{n}, provider: scripted, replies: [{calls(f'note{n}: {{}}', f'code{n}: {{}}')}, {{content: over}}]}}]\n"
        f"agents: [{{name: worker{n}, llm: m{n}, tools: [note{n}, code{n}]}}]\n"
        f"tasks: [{{name: job{n}, agent: worker{n}, user_message: x}}]\nruns: [{{name: r{n}, task: job{n}}}]\ntools:\n"
        f"- {{name: note{n}, executor: {{local_bash: {{command: cat note.txt}}}}, env: {{KEY: {{file: secret}}}}, isolation: none}}\n"
        f"- {{name: code{n}, executor: {{python: {{code: 'print(open(\"note.txt\").read())'}}}}, mounts: [{{source: ., target: /here}}]}}\n"
    )


def test_relative_paths_and_the_tools_own_folder_start_at_the_yaml_file(daemon: Daemon) -> None:
    watched, elsewhere = daemon.config / "team", daemon.folder / "elsewhere"
    for n, (folder, said) in enumerate(((watched, "in the config folder"), (elsewhere, "where the file lies")), 1):
        folder.mkdir()
        (folder / "note.txt").write_text(said)
        (folder / "secret").touch(0o600)
        (folder / "secret").write_text("canary")
        (folder / "team.yaml").write_text(a_reader(n))
    daemon.start()

    assert daemon.cli("apply", "-f", str(elsewhere / "team.yaml")).returncode == 0
    succeeded(daemon, "r1")
    succeeded(daemon, "r2")

    assert results(daemon, "r1") == ["in the config folder"] * 2
    assert results(daemon, "r2") == ["where the file lies"] * 2


def test_an_edit_takes_effect_within_a_second(daemon: Daemon) -> None:
    started(daemon, "agents: [{name: a, system_prompt: words 0}]\n")
    took = []
    for number in range(1, 6):
        newest, begun = daemon.client().last_seq(), time.monotonic()
        daemon.drop("team.yaml", f"agents: [{{name: a, system_prompt: words {number}}}]\n")
        daemon.event("ConfigApplied", after=newest)
        took.append(time.monotonic() - begun)

    assert sorted(took)[2] < 1.0, took
    assert max(took[1:]) < 3.0, took
    assert daemon.items("agents")[0]["spec"]["system_prompt"] == "words 5"


def test_a_bad_file_is_shown_with_since_line_column_cause_and_hint(daemon: Daemon) -> None:
    started(daemon, "agents: [{name: a}]\n")
    daemon.drop("red\x1b[31m\nname.yaml", "agents:\n- {name: b, sytem_prompt: x}\n")
    told = daemon.event("ConfigRejected")

    assert told["level"] == "WARNING"
    for words in (["get", "files"], ["get", "files", "-o", "wide"], ["get", "events", "--pretty"]):
        done = daemon.cli(*words)
        assert "\x1b" not in done.stdout
    (bad,) = [file for file in daemon.ask("get", "files")["items"] if file["status"] == "Rejected"]
    (problem,) = bad["problems"]
    assert (problem["line"], problem["column"], problem["hint"]) == (2, 13, "did you mean 'system_prompt'?")
    assert bad["since"] <= told["time"]
    lines = [line for line in daemon.cli("get", "events", "--pretty").stdout.splitlines() if "sytem_prompt" in line]
    assert len(lines) == 1
    assert lines[0].endswith("; the folder stays at its last good version")


@pytest.mark.parametrize("text", ["a: no", "a: 010", "a: 1:30", "a: 1\n  a: 2", "a: !!python/name:os.system x", "<<: {b: 1}"])
def test_what_yaml_would_take_for_something_else_is_an_error_at_its_place(daemon: Daemon, text: str) -> None:
    path = daemon.folder / "team.yaml"
    path.write_text(f"llms:\n- name: m\n  provider: openai\n  model: x\n  parameters:\n    {text}\n".replace("\n  a: 2", "\n    a: 2"))

    done = daemon.cli("validate", str(path))

    assert done.returncode == 65
    assert re.search(rf"^{re.escape(str(path))}:[67]:\d+: ", done.stderr, re.MULTILINE), done.stderr


# ---- `apply` and `delete`


def test_standing_input_needs_a_name_and_is_replaced_under_it(daemon: Daemon) -> None:
    daemon.start()
    assert daemon.cli("apply", "-f", "-", stdin="agents: [{name: a}]\n").returncode == 2

    first = daemon.cli("apply", "-f", "-", "--name", "made", stdin="agents: [{name: a}, {name: b}]\n")
    second = daemon.cli("apply", "-f", "-", "--name", "made", stdin="agents: [{name: b}, {name: c}]\n")

    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout.splitlines() == ["agent/c created", "agent/a removed", "agent/b unchanged"]
    (copy,) = (daemon.config / "applied").iterdir()
    assert re.fullmatch(r"made-[0-9a-f]{8}\.yaml", copy.name)

    deleted = daemon.cli("delete", "-f", "-", "--name", "made")

    assert deleted.returncode == 0
    assert daemon.items("agents") == []
    assert list((daemon.config / "applied").iterdir()) == []


def test_a_source_is_taken_back_by_its_path_even_when_the_file_is_gone(daemon: Daemon) -> None:
    path = daemon.folder / "team.yaml"
    path.write_text("agents: [{name: a}]\n")
    daemon.start()
    assert daemon.cli("apply", "-f", str(path)).returncode == 0
    path.unlink()

    assert daemon.cli("delete", "-f", str(path)).returncode == 0
    assert daemon.items("agents") == []
    again = daemon.cli("delete", "-f", str(path))
    assert (again.returncode, "nothing was applied from" in again.stderr) == (1, True)


def test_a_removal_that_would_cancel_a_live_run_needs_prune(daemon: Daemon) -> None:
    path = daemon.folder / "team.yaml"
    base = "llms:\n" + scripted("slow", "{content: done, delay: 1h}") + JOB
    path.write_text(base + "runs: [{name: live, task: job}]\n")
    daemon.start()
    assert daemon.cli("apply", "-f", str(path)).returncode == 0
    daemon.event("AgentStarted")
    path.write_text(base)

    refused = daemon.cli("apply", "-f", str(path))
    assert refused.returncode == 65
    assert "run 'live' is live and would be cancelled" in refused.stderr
    assert "--prune" in refused.stderr
    assert daemon.run("live")["status"] == "Running"

    assert daemon.cli("apply", "-f", str(path), "--prune").returncode == 0
    assert daemon.run("live")["status"] == "Cancelled"


def test_deletions_that_are_held_are_named_and_done_when_accepted(daemon: Daemon) -> None:
    daemon.drop("a.yaml", "agents: [{name: a}, {name: b}, {name: c}]\n")
    daemon.drop("b.yaml", "agents: [{name: d}]\n")
    daemon.start()
    (daemon.config / "a.yaml").unlink()
    told = daemon.event("DeletesHeld")
    assert "agent 'a', agent 'b', agent 'c'" in told["message"]
    assert len(daemon.items("agents")) == 4

    accepted = daemon.cli("apply", "--accept-deletes")

    assert accepted.stdout.splitlines() == ["agent/a removed", "agent/b removed", "agent/c removed", "agent/d unchanged"]
    assert [agent["name"] for agent in daemon.items("agents")] == ["d"]


def test_a_name_in_another_file_is_refused_with_both_places(daemon: Daemon) -> None:
    mine = daemon.folder / "mine.yaml"
    mine.write_text("agents:\n- name: a\n")
    started(daemon, "agents: [{name: a}]\n")

    refused = daemon.cli("apply", "-f", str(mine))

    assert refused.returncode == 65
    assert f"{mine}:2:" in refused.stderr
    assert f"{daemon.config / 'team.yaml'}:1:" in refused.stderr


# ---- running again


def test_run_task_starts_another_and_an_entry_that_ran_is_left_alone(daemon: Daemon) -> None:
    text = "llms:\n" + SAID + JOB + "runs: [{name: r, task: job}]\n"
    started(daemon, text)
    succeeded(daemon, "r")

    assert daemon.cli("run", "job", "--wait").returncode == 0
    daemon.drop("team.yaml", text.replace("task: job}", "task: job, user_message: something else}"))
    told = daemon.event("EntryUnchanged")

    assert told["level"] == "WARNING"
    assert [(run["name"], run["status"]) for run in daemon.items("runs")] == [("r", "Succeeded"), ("job-1", "Succeeded")]
    assert daemon.messages("r")[0]["content"] == "begin"
