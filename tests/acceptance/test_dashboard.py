"""`smallchain-tui` as people use it: the real program in a terminal, against the real daemon; what it shows, what keys do, what it survives."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml

from support.daemon import Daemon, program
from support.hostile import came_through
from support.hostilestory import SHOWN, STORY
from support.terminal import TERM, Terminal, sequences, texts

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
  isolation: none
- name: shout
  description: publish a post to all
  parameters: {type: object, properties: {title: {type: string}, audience: {type: integer}}, required: [title]}
  executor: {local_bash: {command: 'echo "shouted $title" >> LOG; echo "shouted $title"'}}
  approval: required
  risk: high
  effects: once
  isolation: none
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

    def inbox(self, *flags: str) -> Terminal:
        """A dashboard with the cursor in the inbox."""
        board = self.open(*flags)
        board.shows("connected", "waits")
        board.press("a")
        board.shows("┏━  Inbox")
        return board

    def deciding(self, shows: str = "Approve once", *, flags: tuple[str, ...] = ()) -> Terminal:
        """A dashboard on the screen of the first request."""
        board = self.inbox(*flags)
        board.press("Enter")
        board.shows(shows)
        return board

    def press(self, board: Terminal, key: str, *shows: str) -> str:
        """Press a key as a person does, some time after any other, until it shows."""
        for _ in range(3):
            self.rest()
            board.press(key)
            screen = board.until(lambda screen: "not yet" in screen or all(word in screen for word in shows), f"showed {shows} after {key}")
            if all(word in screen for word in shows):
                return screen
        raise AssertionError(f"{key} never counted; the screen is\n{screen}")

    def rest(self) -> None:
        """So long a person rests before a key that is to count."""
        time.sleep(0.6)

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
    screen = board.shows("connected", "morning post", "approval: post", "Failed", "the conversation is longer", "inbox 1")

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


# ---- deciding


def test_an_approval_is_given_by_its_key_and_the_tool_runs_once(house: House) -> None:
    id_ = house.asked("publish", name="morning post")
    board = house.deciding()
    board.shows("AI news", "The draft was checked twice.")

    house.press(board, "y", "approved")

    assert house.daemon.over("morning post")["status"] == "Succeeded"
    assert house.posts() == ["posted AI news"]
    assert house.request(id_)["answered_via"] == "dashboard"


def test_a_denial_takes_a_note_and_the_model_is_told(house: House) -> None:
    id_ = house.asked("publish", name="morning post")
    board = house.deciding()

    house.press(board, "n", "the model is told the note")
    board.type("not on a Friday, y?")
    board.shows("not on a Friday, y?")
    house.press(board, "C-s", "denied")

    assert house.request(id_)["note"] == "not on a Friday, y?"
    house.daemon.over("morning post")
    assert house.posts() == []
    assert any("not on a Friday" in str(message["content"]) for message in house.daemon.messages("morning post"))


def test_edited_arguments_are_checked_and_what_was_approved_is_what_runs(house: House) -> None:
    house.asked("publish", name="morning post")
    board = house.deciding()

    house.press(board, "e", "fits; nothing is changed")
    for key in ("Down", "End", "BSpace"):
        house.press(board, key)
    board.type(' today"')
    board.shows("fits; 1 changed")
    house.press(board, "C-s", "Approve with your edit")
    house.press(board, "y", "approved")

    house.daemon.over("morning post")
    assert house.posts() == ["posted AI news today"]


def test_a_high_risk_wants_its_word_typed_and_a_wrong_one_sends_nothing(house: House) -> None:
    id_ = house.asked("shout", name="loud post")
    board = house.deciding()

    house.press(board, "y", "type shout")
    board.type("shou")
    board.shows("shou")
    house.press(board, "C-s", "type shout first")
    assert house.request(id_)["phase"] == "open"
    board.type("t")
    house.press(board, "C-s", "approved")

    house.daemon.over("loud post")
    assert house.posts() == ["shouted Loud news"]


def test_a_question_is_answered_by_one_of_its_choices(house: House) -> None:
    id_ = house.asked("ask", name="market report")
    board = house.deciding("Your answer")

    house.press(board, "2", "> 2  Asia")
    house.press(board, "C-s", "answer")

    house.daemon.over("market report")
    assert house.request(id_)["answered_via"] == "dashboard"
    assert any(message["role"] == "tool" and "Asia" in str(message["content"]) for message in house.daemon.messages("market report"))


def test_several_are_approved_together_after_a_list_and_high_risks_are_left_out(house: House) -> None:
    for name in ("first post", "second post"):
        house.asked("publish", name=name)
    loud = house.asked("shout", name="loud post")
    board = house.inbox()

    board.press("Space", "Space", "Space")
    house.press(board, "Y", "2 approvals are decided together", "1 left out", "HIGH")
    house.press(board, "y", "type 2")
    board.type("2")
    house.press(board, "C-s", "2 of 2 counted")

    house.daemon.over("first post")
    house.daemon.over("second post")
    assert house.posts() == ["posted AI news", "posted AI news"]
    assert house.request(loud)["phase"] == "open"


# ---- no accident


def test_neither_enter_nor_space_nor_a_paste_nor_what_is_typed_ahead_decides_anything(house: House) -> None:
    id_ = house.asked("publish", name="morning post")
    hasty = house.open()
    hasty.shows("morning post")
    hasty.press("a", "Enter", "y", "y", "y", "Enter", "y")  # in one burst, wherever it leads
    house.rest()

    board = house.deciding()
    for keys in (("Enter",), ("Space",), ("Enter", "Enter", "Space"), ("y", "e", "s", "Enter")):
        board.press(*keys)
        house.rest()
        if "take the edit" in board.screen():
            board.press("Escape")
            house.rest()
    board.paste("y")
    house.rest()
    board.paste("yyyy\ny\n")
    house.rest()
    board.type("yes, go on y")

    house.rest()
    assert house.request(id_)["phase"] == "open"
    assert house.posts() == []


def test_an_answer_is_refused_while_the_daemon_is_away_and_what_was_written_is_kept(house: House) -> None:
    id_ = house.asked("publish", name="morning post")
    board = house.deciding()
    house.press(board, "n", "the model is told the note")
    board.type("wait for Monday")
    board.shows("wait for Monday")

    house.daemon.kill()
    board.until(lambda screen: "reconnecting" in screen or "daemon stopped" in screen, "told that the daemon is away")
    house.press(board, "C-s", "not sent")
    house.daemon.start()

    board.shows(f"pid {house.daemon.pid}", "wait for Monday")
    assert house.request(id_)["phase"] == "open"
    house.press(board, "C-s", "denied")
    assert house.request(id_)["note"] == "wait for Monday"


def test_of_two_dashboards_the_first_decides_and_the_other_says_who_was_first(house: House) -> None:
    house.asked("publish", name="morning post")
    first, second = house.deciding(), house.deciding()

    house.press(first, "y", "approved")

    second.shows("approved by")
    second.press("n")
    house.rest()
    assert "the model is told the note" not in second.screen()
    house.daemon.over("morning post")
    assert house.posts() == ["posted AI news"]


def test_read_only_shows_everything_and_changes_nothing(house: House) -> None:
    id_ = house.asked("publish", name="morning post")
    board = house.deciding(flags=("--read-only",))

    house.rest()
    board.press("y")

    board.shows("not sent")
    assert house.request(id_)["phase"] == "open"


# ---- hostile text


@pytest.fixture
def hostile(daemon: Daemon) -> Iterator[House]:
    """A house in which whatever somebody else writes is hostile: names, prompts, results, errors, questions, notes."""
    daemon.drop("story.yaml", yaml.safe_dump(STORY, allow_unicode=False))
    daemon.start()
    daemon.until(lambda: len(daemon.items("tasks")) == len(STORY["tasks"]))
    with ExitStack() as stack:
        yield House(daemon, stack)


@pytest.mark.long
def test_no_screen_lets_hostile_text_act_on_the_terminal(hostile: House) -> None:
    daemon = hostile.daemon
    daemon.over(hostile.begin("work", name="good"))
    daemon.over(hostile.begin("fail", name="bad"))
    run = hostile.begin("ask", name="asking")
    daemon.until(lambda: len(daemon.items("requests", run=run)) == 2)
    board = hostile.open()
    board.shows("connected", "asking", "good", "bad")

    def look(*keys: str) -> None:
        for key in keys:
            board.press(key)
            hostile.rest()
            seen.append(board.screen())

    seen: list[str] = []
    look("w", "e", "J", "Escape", "1", "?", "Escape")  # the panes, and help
    for key in ("Enter", "Enter"):  # both requests: what hides is written out, edited, given up
        look("a", key, "r", "d", "e", "Escape", "Tab", "Escape", "Escape", "Escape", "j")
    for name in ("good", "bad", "asking"):
        board.press("Escape", "Escape", ":")
        board.type(f"run {name}")
        look("Enter", "1", "Enter", "r", "Escape", "2", "j", "Enter", "r", "y", "Escape", "3", "4", "5", "6", "J", "Escape")
    board.press("Escape", "Escape", "/")
    board.type("asking[/bold]")
    look("Enter", "Escape")
    board.resize(80, 24)
    look("1", "a", "Enter", "r", "Escape", "3", "4")

    assert any(sign in screen for screen in seen for sign in SHOWN), "hostile text was to be seen"
    board.press("C-q")
    assert board.ended() == 0, board.screen()
    written = board.written()
    assert came_through(texts(written)) <= {"U+000D"}
    assert [found for found in set(sequences(written)) if not OURS.fullmatch(found)] == []


OURS = re.compile(
    rb"\x1b\[[\d;:]*[mHABCDGKn]"  # colours, and where the cursor goes
    rb"|\x1b\[\?(?:1049|1000|1002|1003|1004|1006|1015|1016|2004|2026|2031|2048|25|7|9001|2027)(?:[hl]|\$p)"  # modes: asked for, set, unset
    rb"|\x1b\[2[23];2t"  # the title, kept and put back
    rb"|\x1b\[[<>=]\d*u|\x1b\[\?u|\x1b\[c"  # the keyboard's protocol
    rb"|\x1b\]22;[a-z-]*(?:\x07|\x1b\\\\)"  # the shape of the pointer
    rb"|\x1b\][02];[\x20-\x7e]*(?:\x07|\x1b\\\\)"  # the title
)
"""What Textual and we say to a terminal ourselves."""


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
