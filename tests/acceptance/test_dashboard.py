"""`smallchain-tui` as people use it: the real program in a terminal, against the real daemon; what it shows, what keys do, what it survives."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.daemon import Daemon, program
from support.terminal import TERM, Terminal

TEAM = """
llms:
- name: script
  provider: scripted
  price: {input: $1000, output: $4000}
  replies:
  - when: {agent: publisher, turn: 1}
    reply: {content: The draft was checked twice., tool_calls: [{name: post, arguments: {title: AI news, audience: 12}}]}
  - when: {agent: loud, turn: 1}
    reply: {content: It reaches everybody., tool_calls: [{name: shout, arguments: {title: Loud news, audience: 9000}}]}
  - when: {agent: asker, turn: 1}
    reply: {tool_calls: [{name: ask_human, arguments: {question: "Which market first?", choices: [Europe, Asia]}}]}
  - {when: {agent: broken}, reply: {error: {status: 400, message: the prompt is too long}}}
  - {when: {agent: slow}, reply: {content: late, delay: 1h}}
  - {when: {}, reply: {content: all is done}}
agents:
- {name: publisher, llm: script, tools: [post]}
- {name: loud, llm: script, tools: [shout]}
- {name: asker, llm: script, tools: [ask_human]}
- {name: broken, llm: script}
- {name: slow, llm: script}
tools:
- name: post
  description: publish a post
  parameters: {type: object, properties: {title: {type: string}, audience: {type: integer}}, required: [title]}
  executor: {local_bash: {command: 'echo "posted $title" >> LOG; echo "posted $title"'}}
  approval: required
  effects: once
- name: shout
  description: publish a post to all
  parameters: {type: object, properties: {title: {type: string}, audience: {type: integer}}, required: [title]}
  executor: {local_bash: {command: 'echo "shouted $title" >> LOG; echo "shouted $title"'}}
  approval: required
  risk: high
  effects: once
tasks:
- {name: publish, agent: publisher, user_message: go}
- {name: shout, agent: loud, user_message: go}
- {name: ask, agent: asker, user_message: go}
- {name: break, agent: broken, user_message: go}
- {name: wait, agent: slow, user_message: go}
"""


class House:
    """A daemon with a team, its runs, and the dashboards that look at them."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self.daemon = daemon
        self._stack = stack
        self._made = 0

    def begin(self, task: str, *, name: str = "") -> str:
        """A new run of a task; its name."""
        self._made += 1
        name = name or f"{task}-{self._made}"
        self.daemon.client().post("/v1/runs", {"task": task, "name": name})
        return name

    def asked(self, task: str, *, name: str = "") -> str:
        """The id of what a new run of a task asks a person."""
        run = self.begin(task, name=name)
        return str(self.daemon.until(lambda: self.daemon.items("requests", run=run))[0]["id"])

    def request(self, id: str) -> dict[str, object]:
        """A request as it stands now."""
        return self.daemon.items("requests", name=id, all=True)[0]

    def open(self, *flags: str, columns: int = 160, lines: int = 45, term: str = TERM, **variables: str) -> Terminal:
        """A dashboard in a terminal of its own."""
        self._made += 1
        environ = self.daemon.environ | variables
        words = [*program("smallchain-tui"), *flags]
        name = f"t{self._made}"
        return self._stack.enter_context(
            closing(Terminal(self.daemon.folder, words, environ=environ, columns=columns, lines=lines, term=term, name=name))
        )

    def posts(self) -> list[str]:
        """What the tools have done to the world."""
        log = self.daemon.folder / "log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def house(daemon: Daemon) -> Iterator[House]:
    daemon.drop("team.yaml", TEAM.replace("LOG", str(daemon.folder / "log")))
    daemon.start()
    daemon.until(lambda: len(daemon.items("tasks")) == 5)
    with ExitStack() as stack:
        yield House(daemon, stack)


# ---- what it shows


def test_what_needs_a_person_is_on_top_and_q_says_that_the_runs_go_on(house: House) -> None:
    house.daemon.over(house.begin("break"))
    house.asked("publish", name="morning post")
    house.begin("wait")

    board = house.open()
    screen = board.shows("connected", "morning post", "approval: post", "Failed", "the prompt is too long", "inbox 1")

    rows = [line[:40] for line in screen.splitlines() if re.search(r"morning post|break-|wait-", line[:40])]
    assert ["morning" in rows[0], "break" in rows[1], "wait" in rows[2]] == [True] * 3, screen
    board.press("q")
    assert board.ended() == 0
    board.shows("go on in the daemon")
    assert house.daemon.run("morning post")["status"] == "Waiting"


def test_a_terminal_of_80_columns_has_the_same_in_tabs(house: House) -> None:
    house.asked("publish", name="morning post")

    board = house.open(columns=80, lines=24)

    screen = board.shows("morning post", "Waiting")
    assert all(len(line) <= 80 for line in screen.splitlines())
    board.press("a")
    board.shows("post", "audience=12")


def test_what_happens_meanwhile_is_painted_without_a_key(house: House) -> None:
    board = house.open()
    board.shows("connected")

    house.asked("publish", name="evening post")

    board.shows("evening post", "approval: post", "inbox 1")


# ---- the connection


def test_it_survives_its_daemon_and_goes_on_with_the_next(house: House) -> None:
    house.asked("publish", name="morning post")
    board = house.open()
    board.shows("morning post", "connected")

    house.daemon.kill()
    board.until(lambda screen: "reconnecting" in screen or "daemon stopped" in screen, "told that the daemon is away")
    assert "morning post" in board.screen(), "what was known stays on the screen"
    house.daemon.start()

    board.shows(f"pid {house.daemon.pid}")
    house.asked("publish", name="evening post")
    board.shows("evening post")


def test_without_a_daemon_it_says_how_to_start_one_and_finds_it(house: House) -> None:
    house.asked("publish", name="morning post")
    house.daemon.kill()
    board = house.open()
    board.shows("smallchain start")

    house.daemon.start()

    board.shows("connected", "morning post")


# ---- terminals


def test_a_storm_of_sizes_leaves_it_as_it_was(house: House) -> None:
    house.asked("publish", name="morning post")
    board = house.open()
    board.shows("morning post")
    chance = random.Random(4)

    for _ in range(40):
        board.resize(chance.randint(8, 220), chance.randint(3, 60))
    board.resize(100, 30)

    board.shows("morning post", "Waiting")
    board.press("q")
    assert board.ended() == 0


def test_without_colours_nothing_is_coloured_and_states_are_words(house: House) -> None:
    house.daemon.over(house.begin("break"))

    board = house.open(NO_COLOR="1")

    board.shows("Failed")
    greys = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", board.written())
    assert all(red == green == blue for red, green, blue in greys)
    assert not re.search(rb"\x1b\[(?:\d+;)*(?:3[1-6]|4[1-6]|9[1-6]|10[1-6])m", board.written())


def test_ascii_draws_with_ascii_alone(house: House) -> None:
    house.asked("publish", name="morning post")

    board = house.open("--ascii")

    board.shows("morning post", "Waiting")
    assert {char for char in board.screen() if not char.isascii()} == set()


# ---- hostile text


# ---- the demo


@pytest.fixture
def demo(folder: Path) -> Iterator[Callable[[], Terminal]]:
    """`smallchain demo` on a terminal, with all that it makes in `made`."""
    with ExitStack() as stack:
        (folder / "made").mkdir()
        environ = Daemon(folder / "house", TMPDIR=str(folder / "made")).environ

        yield lambda: stack.enter_context(closing(Terminal(folder, [*program("smallchain"), "demo"], environ=environ)))


def test_the_demo_opens_the_dashboard_on_the_newsroom_and_leaves_nothing_behind(demo: Callable[[], Terminal], folder: Path) -> None:
    terminal = demo()
    terminal.shows("connected", "launch post/publisher-1", "approval: publish_post", "Failed", "Succeeded", "Running")

    terminal.press("q")

    assert terminal.ended() == 0
    assert "That was the `scripted` model" in terminal.screen()
    assert list((folder / "made").iterdir()) == []
