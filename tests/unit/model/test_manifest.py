"""From bytes to resources: what a person may write, what is refused, and where the finger points."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model import yamlfile
from smallchain.model.canonical import canonical
from smallchain.model.cap import parse_amount
from smallchain.model.errors import BadInput, Place, Problem
from smallchain.model.manifest import SPECS, LLMSpec, Resource, json_schema, parse_manifest
from smallchain.model.money import Price, Rates

SEED = """\
llms:
  - name: "gpt-4o"
    provider: openai
    model: gpt-4o
    parameters:
      temperature: 0.0

agents:
  - name: "assistant"
    system_prompt: "your goal is to assist the human with their tasks"
    llm: "gpt-4o"
    tools:
      - agent: "calculator_operator"
  - name: calculator_operator
    system_prompt: "you are a skilled calculator operator"
    tools:
      - add
      # - subtract

tools:
  - name: add
    builtin: add

  - name: subtract
    description: "subtract two numbers"
    parameters:
      type: object
      properties:
        a:
          type: number
          description: "The first number"
        b:
          type: number
          description: "The second number"
    executor:
      python: # or docker, local_nodejs, local_bash, etc.
        image: "python:3.12"
        command: |
          python -c "print(a - b)"
        requirements: []

tasks:
  - name: "do_some_math"
    user_message: "add (3 + 4) and (5 + 3) and add the results"
    agent: assistant

runs:
  - name: "my first run"
    task: do_some_math
"""

DESIGN = """\
defaults: {llm: fast, timeout: 2m}
llms:
- {name: fast, provider: openai, model: gpt-4o-mini, base_url: "http://127.0.0.1:8000/v1", api_key: {env: OPENAI_API_KEY},
   parameters: {temperature: 0.0, max_tokens: 500}, price: {input: $2.50, cached_input: $1.25, output: $10.00},   # per million tokens
   limits: {concurrency: 8, requests_per_minute: 500, tokens_per_minute: 200000},
   timeout: 2m, retry_for: 6h, fallback: other, tool_mode: native}
agents:
- {name: publisher, description: what a caller should know, system_prompt: ..., llm: fast,
   tools: [add, {agent: writer}, {mcp: files, only: [read_file]}, {human: marketing}, {tool: publish_post, approval: required}],
   limits: {turns: 50, depth: 5, children: 20, wall_time: 2d}, budget: {limit: $5, per: day, on_limit: wait}, context: full}
tools:
- name: publish_post
  description: publish a post
  parameters: {type: object, properties: {title: {type: string}}, required: [title]}
  executor: {local_bash: {command: 'echo "$title" >> posts.txt'}}     # or python, docker, local_nodejs, http, callback
  approval: required            # or never, or {when: {title: {matches: "^Draft"}}, channel: marketing, expires: 2h, on_expiry: deny}
  deny: {when: {title: {matches: "(?i)confidential"}}}
  risk: high                    # low, normal (default), high
  effects: once                 # none, idempotent, once
  timeout: 30s
  retries: 2
  isolation: auto
  network: false
tasks:
- {name: write_post, agent: publisher, user_message: write about AI news}
runs:
- {name: monday, task: write_post, priority: 5}
mcp_servers:
- {name: files, transport: stdio, command: [mcp-server-filesystem, ./docs],
   env: {TOKEN: {env: FILES_TOKEN}}, approval: never, effects: once}
- {name: remote, transport: http, url: "https://example.com/mcp", headers: {Authorization: {env: REMOTE_AUTH}}}
channels:
- {name: marketing, type: slack, to: C0123ABC, about: the head of marketing, allowed: [U0456DEF], token: {env: SLACK_TOKEN}}
budgets:
- {name: all-of-it, over: everything, limit: $25, per: day, window: rolling, on_limit: ask}
schedules:
- {name: digest, task: write_post, cron: "0 7 * * 1-5", time_zone: Europe/Berlin, overlap: skip, misfire: once}
"""

EXECUTORS = """\
tools:
- {name: t1, executor: {python: {code: "print(1)", requirements: [httpx]}}}
- {name: t2, executor: {docker: {image: alpine, command: [echo, hi]}}}
- {name: t3, executor: {docker: {image: alpine, command: echo hi}}}
- {name: t4, executor: {local_nodejs: {code: "console.log(1)"}}}
- {name: t5, executor: {local_nodejs: {script: ./run.js}}}
- {name: t6, executor: {http: {method: GET, url: "https://example.com/x", headers: {Authorization: {file: ./key}, X-A: b}}}}
- {name: t7, executor: {callback: {url: "https://example.com/hook"}}}
- name: t8
  executor: {local_bash: {command: "true"}}
  approval: {when: {amount: {gt: 100, le: 1000}, to: {one_of: [a, b]}}, channel: c, expires: 2h, on_expiry: escalate,
    remind: [10m, 1h], escalate: {after: 30m, to: d}}
  env: {MODE: fast, KEY: {command: [pass, show, key]}}
  mounts: [{source: data, target: /data}, {source: /srv, target: /srv, read_only: false}]
  limits: {memory: 512MB, processes: 10, cpu: 0.5, output: 1MiB}
agents:
- {name: a, budget: $5/day, tools: [{agent: b, detach: allowed, on_finish: cancel}], context: "my.module:strategy"}
llms:
- {name: s, provider: scripted, replies: [{content: hi, delay: 1s},
   {tool_calls: [{name: add, arguments: {a: 1}}, {name: add, arguments: "{"}]}]}
- {name: f, provider: scripted, replies: [{error: gone}, {error: {status: 429, message: slow down, retry_after: 2s}}]}
- {name: w, provider: scripted, replies: [{when: {agent: a, turn: 1, last: "^hi", any: x}, reply: {content: yo}}]}
- {name: p, provider: openai, model: m, price: unknown_ok}
tasks:
- name: given
  agent: a
  context_window:
  - {role: system, content: be kind}
  - {role: user, content: hi}
  - {role: assistant, content: null, tool_calls: [{id: c1, type: function, function: {name: add, arguments: "{}"}}]}
  - {role: tool, tool_call_id: c1, content: "3"}
schedules:
- {name: often, task: given, every: 10m, jitter: 30s, overlap: replace, misfire: skip}
budgets:
- {name: tokens, over: {agent: a}, limit: 200000 tokens, per: hour, window: calendar, on_limit: stop}
mcp_servers:
- {name: inferred, command: [x]}
"""


def resources(text: str, **options: Any) -> dict[str, Resource]:
    return {f"{found.kind} {found.name}": found for found in parse_manifest(text.encode(), file="a.yaml", **options)}


def spec(text: str, **options: Any) -> dict[str, Any]:
    """The spec of the one resource of a text."""
    (found,) = resources(text, **options).values()
    return found.spec


def faults(text: str) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        parse_manifest(text.encode(), file="a.yaml")
    return caught.value.problems


def fault(text: str) -> str:
    """The one problem of a text, as it is printed."""
    (problem,) = faults(text)
    return str(problem)


def test_the_seed_is_read_as_written() -> None:
    found = resources(SEED)

    assert list(found) == [
        "llm gpt-4o",
        "agent assistant",
        "agent calculator_operator",
        "tool add",
        "tool subtract",
        "task do_some_math",
        "run my first run",
    ]
    assert found["agent calculator_operator"].spec["tools"] == [{"tool": "add"}]
    assert found["tool subtract"].spec["executor"] == {"python": {"image": "python:3.12", "command": 'python -c "print(a - b)"\n'}}
    assert found["run my first run"].place == Place("a.yaml", 48, 11)


def test_the_seed_as_published_is_one_error_at_line_2() -> None:
    assert fault(SEED.replace('- name: "gpt-4o"', '- name: "gpt-4o')).startswith("a.yaml:2:11: a quote opens here and is not closed")


@pytest.mark.parametrize("text", [SEED, DESIGN, EXECUTORS], ids=["seed", "design", "executors"])
def test_a_spec_gives_its_model_back_and_is_stable(text: str) -> None:
    for found in resources(text).values():
        again = SPECS[found.kind].model_validate(json.loads(json.dumps(found.spec)))

        assert again.model_dump(mode="json", exclude_defaults=True) | {"name": found.name} == found.spec


def test_every_word_of_the_example_is_known() -> None:
    found = resources(DESIGN)

    assert {resource.kind for resource in found.values()} == set(SPECS)
    assert found["llm fast"].spec["price"] == {"input": "2.50", "cached_input": "1.25", "output": "10.00"}
    assert found["agent publisher"].spec["tools"][4] == {"tool": "publish_post", "approval": "required"}  # type: ignore[index]


@pytest.mark.parametrize("text", ["", "# nothing", "agents:\n", "llms: []\nruns: ~\n"])
def test_empty_sections_are_no_objects(text: str) -> None:
    assert resources(text) == {}


def test_what_means_the_same_has_the_same_digest() -> None:
    short = resources("agents: [{name: a, budget: $5/day, tools: [add]}]\ntools: [{name: t, builtin: add}]")
    long = resources(
        "tools:\n- {builtin: add, name: t, network: false, retries: 0, env: {}}\n"
        'agents:\n- {tools: [{tool: add}], name: a, context: full, budget: {per: day, limit: "$5.00", on_limit: wait}}'
    )

    assert {key: found.digest for key, found in short.items()} == {key: found.digest for key, found in long.items()}


@pytest.mark.parametrize("change", ["approval: never", "effects: once", "isolation: auto", "timeout: 2m", "description: x", "retries: 1"])
def test_what_means_something_else_has_another_digest(change: str) -> None:
    plain = resources("tools: [{name: t, builtin: add}]")["tool t"]
    changed = resources(f"tools: [{{name: t, builtin: add, {change}}}]")["tool t"]

    assert plain.digest != changed.digest


def test_relative_paths_start_at_the_files_folder() -> None:
    found = resources(EXECUTORS, folder="/etc/sc/team")

    assert found["tool t5"].spec["executor"] == {"local_nodejs": {"script": "/etc/sc/team/run.js"}}
    assert found["tool t8"].spec["mounts"] == [
        {"source": "/etc/sc/team/data", "target": "/data"},
        {"source": "/srv", "target": "/srv", "read_only": False},
    ]
    assert found["tool t6"].spec["executor"]["http"]["headers"]["Authorization"] == {"file": "/etc/sc/team/key"}  # type: ignore[index,call-overload]
    assert found["tool t6"].folder == "/etc/sc/team"


def test_an_mcp_command_is_not_a_path() -> None:
    assert spec("mcp_servers: [{name: m, command: [./x]}]", folder="/etc/sc")["command"] == ["./x"]


def test_a_price_is_given_as_integers() -> None:
    llm = LLMSpec.model_validate(spec("llms: [{name: a, provider: openai, model: m, price: {input: 2.5, output: $10}}]"))
    assert llm.price is not None
    assert not isinstance(llm.price, str)

    assert llm.price.price() == Price(Rates(input=2_500_000_000, output=10_000_000_000))


def test_all_independent_problems_are_reported_at_their_places() -> None:
    text = "llms:\n- name: a\n  provder: x\n  provider: openia\n  limits: {concurency: 3}\nagentz: []\ntasks:\n- {name: t}\n- 5\n"
    found = [(problem.place.line, problem.place.column) for problem in faults(text)]

    assert found == [(3, 3), (4, 13), (5, 12), (6, 1), (8, 3), (9, 3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "llms: [{name: a, provder: x, provider: openai, model: m}]",
            "1:18: LLM 'a': unknown key 'provder'; did you mean 'provider'?",
        ),
        ("toolz: []", "1:1: unknown section 'toolz'; did you mean 'tools'?"),
        ("agents: {name: x}", "1:9: `agents` should be a list"),
        ("- a", "1:1: a manifest is a mapping of sections"),
        ("llms: [{name: a, provider: openai, model: 3.10}]", "1:43: LLM 'a': `model` should be text; quote it: \"3.10\""),
        ("tasks: [{name: t, user_message: x}]", "1:9: task 't': `agent` is missing"),
        ("llms: [{name: a, provider: openai}]", "1:8: LLM 'a': `model` is missing"),
        ("tools: [{name: t}]", "1:9: tool 't': needs exactly one of `builtin`, `executor`; it has none"),
        ("tools: [{name: t, builtin: ad}]", "1:28: tool 't': `builtin` 'ad' is not a built-in tool; did you mean 'add'?"),
        ("tools: [{name: my tool, builtin: add}]", "1:16: tool 'my tool': `name` 'my tool' is not the name of a function"),
        ("tools: [{name: t, executor: {pyton: {code: a}}}]", "unknown key 'pyton' in `executor`; did you mean 'python'?"),
        ("tools: [{name: t, executor: {python: {code: a, command: b}}}]", "it has `command` and `code`"),
        ("tools: [{name: t, executor: {local_bash: {command: [a, b]}}}]", "`executor.local_bash.command` should be text"),
        ("tools: [{name: t, builtin: add, approval: requird}]", "should be one of required, never; did you mean 'required'?"),
        ("tools: [{name: t, builtin: add, retries: 11}]", "`retries` should be at most 10"),
        ("tools: [{name: t, builtin: add, network: 1}]", "`network` should be true or false"),
        ("agents: [{name: a, tools: [add, add]}]", "lists the tool 'add' twice"),
        ("agents: [{name: a, tools: [{agent: b, only: [x]}]}]", "`only` goes with `mcp`"),
        ("agents: [{name: a, tools: [{tool: b, expires: 2h}]}]", "`expires` goes with `human` or `ask_human`"),
        ("agents: [{name: a, tools: [{agent: b, remind: 2h}]}]", "`remind` goes with `human` or `ask_human`"),
        ("agents: [{name: a, tools: [{tool: b, detach: allowed}]}]", "`detach` goes with `agent`"),
        ("agents: [{name: a, limits: {turns: 0}}]", "`limits.turns` should be at least 1"),
        ("agents: [{name: a, context: fulll}]", "`context` 'fulll' is not a context strategy; did you mean 'full'?"),
        ("agents: [{name: a, context: 'my module:f'}]", "`context` 'my module:f' is not a context strategy"),
        ("agents: [{name: a, context: {}}]", "needs exactly one of `window`, `summarise`"),
        ("agents: [{name: a, context: {window: 2, summarise: 3}}]", "needs exactly one of `window`, `summarise`"),
        ("agents: [{name: a, context: {window: 0}}]", "`context.window`"),
        ("agents: [{name: a, context: {summarise: 1}}]", "`context.summarise`"),
        ("llms: [{name: l, provider: python, model: gpt-4o}]", "`model` 'gpt-4o' is not module:callable"),
        ("tasks: [{name: t, agent: a}]", "needs exactly one of `user_message`, `context_window`"),
        ("tasks: [{name: t, agent: a, user_message: x, context_window: [{role: user, content: z}]}]", "needs exactly one of"),
        ("tasks: [{name: t, agent: a, context_window: [{role: tool, tool_call_id: x, content: z}]}]", "that nobody asked"),
        ("llms: [{name: a, provider: scripted}]", "a scripted LLM needs `replies`"),
        ("llms: [{name: a, provider: scripted, replies: [{content: x}, {when: {}, reply: {}}]}]", "all plain or all"),
        ("llms: [{name: a, provider: openai, model: m, parameters: {stream: true}}]", "cannot hold `stream`"),
        ("llms: [{name: a, provider: openai, model: m, base_url: ftp://x}]", "is not a URL"),
        (
            "tools: [{name: t, builtin: add, limits: {calls: 5/fortnight}}]",
            "a.yaml:1:49: tool 't': `limits.calls` 'fortnight' is not a period",
        ),
        ("tools: [{name: t, builtin: add, limits: {calls: 5/dy}}]", "did you mean 'day'?"),
        ("tools: [{name: t, builtin: add, limits: {calls: lots}}]", "'lots' is no number of calls; write 100/day, or 5 for one run"),
        ("tools: [{name: t, builtin: add, limits: {calls: 2.5}}]", "2.5 is no number of calls"),
        ("tools: [{name: t, builtin: add, limits: {calls: 0/day}}]", "`limits.calls` should be at least 1"),
        ("tools: [{name: t, builtin: add, limits: {calls: -1}}]", "`limits.calls` should be at least 1"),
        ("tools: [{name: t, builtin: add, limits: {calls: {per: day}}}]", "`limits.calls.limit`"),
        ("tools: [{name: t, builtin: add, limits: {calls: 100001}}]", "`limits.calls` should be at most 100000"),
        ("agents: [{name: a, tools: [{tool: t, limits: {cals: 5}}]}]", "did you mean 'calls'?"),
        ("agents: [{name: a, tools: [{tool: t, limits: {memory: 1GB}}]}]", "unknown key 'memory'"),
        ("mcp_servers: [{name: m, url: 'https://example.com', limits: {calls: 5, memory: 1GB}}]", "`limits: memory` goes with `command`"),
        ("schedules: [{name: s, task: t, cron: 0 0 30 2 *}]", "is not a cron line"),
        ("schedules: [{name: s, task: t, cron: '* * * * * *'}]", "five fields"),
        ("schedules: [{name: s, task: t, cron: 0 0 31 2 *}]", "is not a cron line: bad day-of-month"),
        ("schedules: [{name: s, task: t, cron: '0 0 31 4,6,9,11 *'}]", "is not a cron line: bad day-of-month"),
        ("schedules: [{name: s, task: t, cron: '0 0 */16 2 1#5'}]", "names a day that never comes"),
        ("schedules: [{name: s, task: t, every: 500ms}]", "is too often"),
        ("schedules: [{name: s, task: t, every: 5m, jitter: 5m}]", "is as long as what lies between two starts"),
        ("schedules: [{name: s, task: t, cron: '0,10 7 * * *', jitter: 10m}]", "is as long as what lies between two starts"),
        ("schedules: [{name: s, task: t, every: 5m, time_zone: Europe/Berlin}]", "`time_zone` goes with `cron`"),
        ("schedules: [{name: s, task: t, every: 5m, time_zone: Europe/Berln}]", "did you mean 'Europe/Berlin'?"),
        ("schedules: [{name: s, task: t, every: 5m, time_zone: ../../etc/passwd}]", "is not a time zone"),
        ("budgets: [{name: b, over: evrything, limit: $5}]", "did you mean 'everything'?"),
        ("budgets: [{name: b, over: {agent: a, llm: b}, limit: $5}]", "needs exactly one of"),
        ("channels: [{name: c, type: slck}]", "did you mean 'slack'?"),
        ("mcp_servers: [{name: m, transport: http, command: [x]}]", "needs `url`"),
        ("runs: [{name: r, task: t, priority: 1.5}]", "`priority` should be a whole number"),
        ("defaults: {lm: a}", "defaults: unknown key 'lm'; did you mean 'llm'?"),
    ],
)
def test_a_mistake_is_told_where_it_is_and_what_to_do(text: str, expected: str) -> None:
    assert expected in fault(text)


def cap(value: str) -> str:
    return f"agents: [{{name: a, budget: {value}}}]"


def shared(words: str) -> str:
    return f"budgets: [{{name: b, {words}}}]"


def price(value: str) -> str:
    return f"llms: [{{name: l, provider: openai, model: m, price: {value}}}]"


def schedule(words: str) -> str:
    return f"schedules: [{{name: s, task: t, {words}}}]"


AMOUNT = "is not an amount; write $5, 200000 tokens or 2h"
DOLLARS = "is not an amount of dollars; write it as $2.50"
MOST = "is out of range; at most $999999999, and nine places behind the point"
TOKENS = "is out of range; write from 1 to 999999999999999 tokens"
LENGTH = "is out of range; a duration lies above zero and within ten years"
UNIT = "has no unit; write $5, 200000 tokens or 2h"
PERIODS = "one of run, minute, hour, day, week, month"
WINDOW = "`window` goes with a `per` that is a time; a run is counted from its start to its end"
OVER = "says nothing here; everything, {agent: N}, {llm: N}, {task: N} or {run: N}"
PRICE = "says nothing here; write {input: $2.50, output: $10}, dollars per million tokens, or unknown_ok"
CRON = 'is not a cron line; five fields: minute, hour, day of month, month, day of week, as "0 7 * * 1-5"'
ZONE = "is not a time zone"
EMPTY = "has no value; write one, or take the line out"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cap("-5"), f"1:28: agent 'a': `budget` -5 {UNIT}"),
        (cap("0"), f"1:28: agent 'a': `budget` 0 {UNIT}"),
        (cap("5"), f"1:28: agent 'a': `budget` 5 {UNIT}"),
        (cap("'$-5'"), f"1:28: agent 'a': `budget` '$-5' {DOLLARS}"),
        (cap("$0"), "1:28: agent 'a': `budget` $0 is no cap that anything fits; write an amount above zero"),
        (cap("$0.000"), "is no cap that anything fits; write an amount above zero"),
        (cap("10 USD"), f"1:28: agent 'a': `budget` '10 USD' {AMOUNT}"),
        (cap("5 dollars"), f"'5 dollars' {AMOUNT}"),
        (cap("€5"), f"'€5' {AMOUNT}"),
        (cap("5$"), f"'5$' {AMOUNT}"),
        (cap("$"), f"'$' {DOLLARS}"),
        (cap("$1e9999"), f"'$1e9999' {DOLLARS}"),
        (cap("'$1,000'"), f"'$1,000' {DOLLARS}"),
        (cap("$٣"), f"'$٣' {DOLLARS}"),
        (cap("$５"), f"'$５' {DOLLARS}"),
        (cap("٣ tokens"), f"'٣ tokens' {AMOUNT}"),
        (cap("1e400"), "1:28: `1e400` is ambiguous"),
        (cap(".nan"), "1:28: `.nan` is ambiguous: it is not a number that can be counted with"),
        (cap("NaN"), AMOUNT),
        (cap("true"), "1:28: agent 'a': `budget` should be a mapping"),
        (cap("{limit: true}"), "1:36: agent 'a': `budget.limit` should be text"),
        (cap(""), f"1:20: agent 'a': `budget` {EMPTY}"),
        (cap("{limit: }"), f"`budget.limit` {EMPTY}"),
        (cap("$9223372036.854775808"), f"'$9223372036.854775808' {MOST}"),
        (cap("$0.0000000001"), f"'$0.0000000001' {MOST}"),
        (cap("$" + "9" * 5000), f"'${'9' * 39}' {MOST}"),
        (cap("0 tokens"), f"'0 tokens' {TOKENS}"),
        (cap("9223372036854775808 tokens"), f"'9223372036854775808 tokens' {TOKENS}"),
        (cap("1.5 tokens"), AMOUNT),
        (cap("0s"), f"'0s' {LENGTH}"),
        (cap("4000d"), f"'4000d' {LENGTH}"),
        (cap("$5/fortnight"), f"1:28: agent 'a': `budget` 'fortnight' is not a period; {PERIODS}"),
        (cap("$5/"), f"'' is not a period; {PERIODS}"),
        (cap("$5/Day"), "'Day' is not a period; did you mean 'day'?"),
        (cap("{limit: $5, per: fortnight}"), "1:45: agent 'a': `budget.per` should be one of run, minute, hour, day, week, month"),
        (cap("{limit: $5/day, per: day}"), "`budget.limit` '$5/day' has a period in it; `per` says it"),
        (cap("{window: rolling}"), "1:28: agent 'a': `budget.limit` is missing"),
        (cap("{limit: $5, window: rolling}"), WINDOW),
        (cap("{limit: $5, per: run, window: calendar}"), WINDOW),
        (cap("{limit: $5, on_limit: beg}"), "`budget.on_limit` should be one of wait, ask, stop"),
        (shared("limit: $5, over: everybody"), f"1:38: budget 'b': `over` 'everybody' {OVER}"),
        (shared("limit: $5, over: 5"), f"`over` '5' {OVER}"),
        (shared("limit: $5, over: [everything]"), OVER),
        (shared("limit: $5, over: {team: x}"), "1:39: budget 'b': unknown key 'team' in `over`"),
        (shared("limit: $5, over: {agents: x}"), "did you mean 'agent'?"),
        (shared("limit: $5, over: {}"), "needs exactly one of `agent`, `llm`, `task`, `run`; it has none"),
        (shared("limit: $5, over: "), f"`over` {EMPTY}"),
        (shared("over: everything"), "1:11: budget 'b': `limit` is missing"),
        (shared("limit: $5"), "1:11: budget 'b': `over` is missing"),
        (shared("limit: $5, over: everything, window: calendar"), WINDOW),
        (price("5"), f"1:53: LLM 'l': `price` '5' {PRICE}"),
        (price("free"), f"`price` 'free' {PRICE}"),
        (price("unknown"), "did you mean 'unknown_ok'?"),
        (price(""), f"`price` {EMPTY}"),
        (price("{input: $1}"), "1:53: LLM 'l': `price.output` is missing"),
        (price("{input: -1, output: 1}"), f"1:61: LLM 'l': `price.input` '-1' {DOLLARS}"),
        (price("{input: .inf, output: 1}"), "1:61: `.inf` is ambiguous"),
        (price("{input: true, output: 1}"), "1:61: LLM 'l': `price.input` should be text"),
        (price("{input: $9999999999, output: 1}"), f"'$9999999999' {MOST}"),
        (price("{input: 1, output: 1, cached: 1}"), "unknown key 'cached' in `price`; did you mean 'cached_input'?"),
        (schedule("every: 0s"), f"1:39: schedule 's': `every` '0s' {LENGTH}"),
        (schedule("every: 10"), "`every` 10 has no unit; write a duration as 30s, 2m, 1h30m or 2d"),
        (schedule("every: 1h30"), "'1h30' is not a duration; write it as 30s, 2m, 1h30m or 2d"),
        (schedule("every: ١h"), "'١h' is not a duration"),
        (schedule("every: "), f"`every` {EMPTY}"),
        (schedule("every: 1h, jitter: 2h"), "`jitter: 2h` is as long as what lies between two starts; choose a shorter one"),
        (schedule("every: 1h, jitter: 0s"), f"`jitter` '0s' {LENGTH}"),
        (schedule("cron: 0 7 30 2 *"), "1:38: schedule 's': `cron` '0 7 30 2 *' is not a cron line: bad day-of-month; five fields"),
        (schedule("cron: 0 7 31 4 *"), "is not a cron line: bad day-of-month; five fields"),
        (schedule("cron: 60 * * * *"), "is not a cron line: bad minute; five fields"),
        (schedule("cron: ٣ 7 * * *"), "is not a cron line: bad minute; five fields"),
        (schedule("cron: '@daily'"), f"'@daily' {CRON}"),
        (schedule("cron: ''"), f"'' {CRON}"),
        (schedule("cron: '" + "1," * 3000 + "1 * * * *'"), CRON),
        (schedule("cron: 0 7 * * *, time_zone: Mars/Phobos"), f"1:60: schedule 's': `time_zone` 'Mars/Phobos' {ZONE}; write it as Europe/Berlin"),
        (schedule("cron: 0 7 * * *, time_zone: Europe/berlin"), "did you mean 'Europe/Berlin'?"),
        (schedule("cron: 0 7 * * *, time_zone: localtime"), f"'localtime' {ZONE}"),
        (schedule("cron: 0 7 * * *, time_zone: right/UTC"), f"'right/UTC' {ZONE}"),
        (schedule("cron: 0 7 * * *, time_zone: CET-1CEST"), ZONE),
        (schedule("cron: 0 7 * * *, time_zone: ''"), ZONE),
    ],
)  # fmt: skip
def test_bad_money_and_times_are_told_with_their_place_their_cause_and_what_to_write(text: str, expected: str) -> None:
    told = fault(text)

    assert expected in told
    assert len(told) < 400


@given(
    st.sampled_from([cap, price, schedule]),
    st.sampled_from(["{}", "{{limit: {}, per: day}}", "{{input: {}, output: 1}}", "every: {}", "every: 1d, jitter: {}", "cron: {}",
                     "cron: 0 7 * * *, time_zone: {}"]),
    st.one_of(st.text(max_size=60), st.from_regex(r"[$]?-?[0-9.]{1,25}( tokens?|/[a-z]+|[a-z]{0,2})", fullmatch=True),
              st.from_regex(r"([0-9*/,\-#L]{1,8} ){4}[0-9*/,\-#L]{1,8}", fullmatch=True), st.integers().map(str), st.floats().map(str)),
)  # fmt: skip
def test_whatever_stands_for_money_or_a_time_is_refused_at_its_place_or_taken_for_good(where: Any, form: str, written: str) -> None:
    text = where(form.format(json.dumps(written)))
    try:
        (resource,) = parse_manifest(text.encode(), file="a.yaml")
    except BadInput as error:
        refused = error.problems
    else:
        refused = ()
        assert_taken(resource)

    assert all(problem.place.line == 1 and problem.place.column for problem in refused)


def assert_taken(resource: Resource) -> None:
    """What was taken is read again, and no cap is beyond what the database can add up."""
    assert canonical(SPECS[resource.kind].model_validate(resource.spec).model_dump(mode="json", exclude_none=True))
    if budget := resource.spec.get("budget"):
        assert 0 < parse_amount(budget["limit"])[1] < 2**60


@pytest.mark.parametrize("timeout", ["0", "-1", "1.0e+12", '"5"', "5 parsecs", "0s", "99999d", "true", "[1]"])
def test_a_timeout_is_a_duration_in_range(timeout: str) -> None:
    assert "`timeout`" in fault(f"tools: [{{name: t, builtin: add, timeout: {timeout}}}]")


@pytest.mark.parametrize("budget", ["-5", "0", "5", "$0", "$-5", "10 USD", "$1e400", "$5/fortnight", "5/day", "0 tokens"])
def test_a_budget_is_an_amount_with_its_unit_above_zero(budget: str) -> None:
    assert fault(f"agents: [{{name: a, budget: {budget}}}]")


_LOADER = "LD_PRELOAD LD_LIBRARY_PATH PATH PYTHONPATH NODE_OPTIONS BASH_ENV ENV IFS DOCKER_HOST DYLD_INSERT_LIBRARIES SMALLCHAIN_CALL_ID"


@pytest.mark.parametrize("variable", _LOADER.split())
def test_variables_that_change_which_code_runs_are_refused(variable: str) -> None:
    text = f"tools: [{{name: t, executor: {{local_bash: {{command: x}}}}, env: {{{variable}: x}}}}]"

    assert f"the variable {variable} is not allowed" in fault(text)


@pytest.mark.parametrize("schema", ["5", "{}", "{type: string}", "{type: object, properties: {a: {type: objekt}}}"])
def test_parameters_are_a_schema_of_an_object(schema: str) -> None:
    assert "JSON Schema" in fault(f"tools: [{{name: t, builtin: add, parameters: {schema}}}]")


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x.json", "file:///etc/passwd", "other.json"])
def test_parameters_fetch_nothing(target: str) -> None:
    text = f"tools: [{{name: t, builtin: add, parameters: {{type: object, properties: {{a: {{$ref: '{target}'}}}}}}}}]"

    assert "something outside" in fault(text)


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "(a)\\1", "a" * 1001])
def test_patterns_run_in_linear_time_and_are_short(pattern: str) -> None:
    text = f"tools: [{{name: t, builtin: add, parameters: {{type: object, properties: {{a: {{pattern: '{pattern}'}}}}}}}}]"

    assert "pattern" in fault(text)
    assert "pattern" in fault(f"tools: [{{name: t, builtin: add, deny: {{when: {{a: {{matches: '{pattern}'}}}}}}}}]")


def test_a_secret_in_clear_text_is_refused_and_not_repeated() -> None:
    text = "llms: [{name: a, provider: openai, model: m, api_key: sk-abcdefghijklmnopqrstuvwxyz}]"

    assert "{env: NAME}" in fault(text)
    assert "sk-abc" not in fault(text)


@pytest.mark.parametrize("name", ["\\e[2J", "a\\u202eb", "a\\nb", "", " a", "x" * 64])
def test_names_hold_nothing_that_hides(name: str) -> None:
    printed = fault(f'llms: [{{name: "{name}", provider: openai, model: m}}]')

    assert "is not a name" in printed
    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_descriptions_may_hold_anything() -> None:
    assert spec('agents: [{name: a, description: "\\e[2J \\u202e"}]')["description"] == "\x1b[2J \u202e"


def test_the_same_name_twice_in_one_file_names_both_lines() -> None:
    assert fault("tools:\n- {name: a, builtin: add}\n- {name: a, builtin: now}") == (
        "a.yaml:3:10: tool 'a' stands at line 2 already; rename or remove one of them"
    )


def test_one_name_may_be_of_several_kinds() -> None:
    assert len(resources("agents: [{name: a}]\ntools: [{name: a, builtin: add}]")) == 2


def test_bad_yaml_is_told_by_itself() -> None:
    assert "second document" in fault("agentz: []\n---\n{}")


@pytest.mark.parametrize("text", [SEED, DESIGN, EXECUTORS], ids=["seed", "design", "executors"])
def test_the_editors_schema_takes_what_is_valid(text: str) -> None:
    schema = json_schema()
    found = jsonschema_rs.Draft7Validator(schema).iter_errors(yamlfile.read(text.encode(), file="a.yaml").plain())

    assert [error.message for error in found] == []


def test_the_editors_schema_refuses_unknown_keys_and_describes_each_field() -> None:
    schema = json_schema()

    assert not jsonschema_rs.Draft7Validator(schema).is_valid({"llms": [{"name": "a", "provider": "openai", "modle": "x"}]})
    assert all("description" in field for field in schema["definitions"]["AgentSpec"]["properties"].values())
