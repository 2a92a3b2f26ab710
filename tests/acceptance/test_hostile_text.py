"""Whatever models, tools, files and people say, no command of ours lets it act on a terminal: each is driven, in each format."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import yaml

from smallchain.cli.commands.kinds import KINDS
from smallchain.cli.main import COMMANDS, parser_of
from smallchain.protocol.client import path_of
from support.daemon import PATIENCE_S, Daemon, a_folder, first_line, program
from support.hostile import HOSTILE, HOSTILE_LINES, IN_A_PATH, came_through, longest_line
from support.hostilestory import SHOWN, STORY

Words = tuple[str, ...]


class House:
    """A daemon among hostile agents, and what a test needs to drive each command anew."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.source = daemon.folder / f"{IN_A_PATH}.yaml"
        self.made = 0

    def fresh(self, task: str) -> str:
        """A new run of a task; its name."""
        self.made += 1
        name = f"{task} {self.made}"
        self.daemon.client().post(path_of("runs"), {"task": task, "name": name})
        return name

    def ended(self, task: str) -> str:
        """A new run that has ended."""
        name = self.fresh(task)
        self.daemon.over(name)
        return name

    def in_doubt(self) -> str:
        """A request about a call in doubt."""
        return next(str(item["id"]) for item in self.daemon.items("requests") if item["kind"] == "settle")

    def asked(self, kind: str = "approval") -> str:
        """A request of a new run."""
        run = self.fresh("ask")
        found = self.daemon.until(lambda: [item["id"] for item in self.daemon.items("requests", run=run) if item["kind"] == kind])
        return str(found[0])

    def granted(self) -> str:
        """A grant."""
        self.daemon.client().post(path_of("approve", self.asked()), {"for_run": True, "note": HOSTILE})
        return str(self.daemon.items("grants")[-1]["id"])

    def decided(self) -> str:
        """A request that a person has decided with hostile words."""
        id_ = self.asked()
        self.daemon.client().post(path_of("approve", id_), {"arguments": {"text": HOSTILE}, "note": HOSTILE})
        return id_

    def written(self) -> str:
        """A file of a hostile name that can be applied."""
        agent = {"name": f"made {self.made}", "description": HOSTILE, "llm": "nowhere"}
        self.made += 1
        self.source.write_text(yaml.safe_dump({"agents": [agent]}), encoding="utf-8")
        return str(self.source)

    def applied(self) -> str:
        """One that is applied."""
        self.written()
        assert self.daemon.cli("apply", "-f", str(self.source)).returncode == 0
        return str(self.source)

    def wrong(self) -> str:
        """A file that is wrong, in hostile words."""
        path = self.daemon.folder / f"wrong {IN_A_PATH}.yaml"
        path.write_text(yaml.safe_dump({"agents": [{"name": HOSTILE, HOSTILE: 1, "llm": [HOSTILE]}], HOSTILE: HOSTILE}), encoding="utf-8")
        return str(path)

    def paused(self) -> str:
        """A paused run."""
        name = self.fresh("wait")
        self.daemon.client().post(path_of("pause", name))
        return name

    def look(self, words: Words, *, code: set[int]) -> bytes:
        """What the command says, all of it looked at."""
        done = subprocess.run([*program("smallchain"), *words], env=self.daemon.environ, capture_output=True, timeout=60, check=False)
        assert done.returncode in code, (words, done.stderr)
        for stream in (done.stdout, done.stderr):
            assert came_through(stream) == set(), words
            assert longest_line(stream) < 20_000 or words[-1] in ("json", "jsonl", "yaml"), words
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with a_folder() as folder, closing(Daemon(folder, USER=f"ada{IN_A_PATH}")) as daemon:
        daemon.drop("story.yaml", yaml.safe_dump(STORY, allow_unicode=False))
        daemon.start()
        house = House(daemon)
        client = daemon.client()
        for name, task in (("good", "work"), ("bad", "fail"), ("locked", "out"), ("calling", "call"), ("doubtful", "doubt")):
            client.post(path_of("runs"), {"task": task, "name": name})
        daemon.over("good")
        daemon.over("bad")
        daemon.until(lambda: daemon.run("calling")["phase"] == "backing_off")
        daemon.until(lambda: [call["phase"] for call in daemon.items("toolcalls", run="doubtful")] == ["executing"] * 4)
        daemon.restart()
        daemon.until(lambda: len(daemon.items("requests")) == 4)
        story = json.loads(json.dumps(STORY))
        story["agents"][0]["system_prompt"] = f"changed {HOSTILE}"
        daemon.drop("story.yaml", yaml.safe_dump(story, allow_unicode=False))
        daemon.until(lambda: client.get(path_of("diff", "good"))["items"])
        (daemon.state / "daemon.log").write_bytes(HOSTILE.encode() + b"\n\xff\x00 last \x1b[2J\n")
        yield house
        print(daemon.last_words())


Case = tuple[Words | Callable[[House], Words], bool]
"""Words, made anew each time where they have to be, and whether hostile text is among what they show."""

CASES: dict[str, list[Case]] = {
    "apply": [
        (lambda house: ("-f", house.written()), True),
        (lambda house: ("-f", house.written(), "--dry-run"), True),
        (lambda house: ("-f", house.wrong()), True),
        (("-f", f"/nowhere/{IN_A_PATH}"), True),
        (("--accept-deletes",), False),
    ],
    "delete": [(lambda house: ("-f", house.applied()), False), (("-f", f"/nowhere/{IN_A_PATH}"), False)],
    "validate": [
        (lambda house: (house.wrong(),), True),
        (lambda house: ("--strict", house.written()), True),
        ((f"/nowhere/{IN_A_PATH}",), True),
    ],
    "schema": [((), False)],
    "run": [
        (("talk", "--wait"), True),
        (("talk", "--follow", "--message", HOSTILE_LINES), True),
        (("talk", "--name", HOSTILE[:50]), True),
        ((HOSTILE,), True),
        (("fail", "--wait"), True),
    ],
    "wait": [(("good",), True), (("bad",), True), (("good", "bad", "doubtful", "--timeout", "1ms"), True), ((HOSTILE,), True)],
    "cancel": [(lambda house: (house.fresh("wait"), "--note", HOSTILE), False), (("good",), False), ((HOSTILE,), True)],
    "pause": [(lambda house: (house.fresh("wait"), "--note", HOSTILE), False), ((HOSTILE,), True)],
    "resume": [(lambda house: (house.paused(), "--adopt"), False), ((HOSTILE,), True)],
    "diff": [(("good",), True), ((HOSTILE,), True)],
    "retry": [(lambda house: (house.ended("fail"),), False), ((HOSTILE,), True)],
    "fork": [(("good", "--at", "2"), False), (("good", "--at", "999"), False), ((HOSTILE, "--at", "1"), True)],
    "set": [(("priority", "doubtful", "3"), False), (("priority", HOSTILE, "3"), True), ((HOSTILE,), True)],
    "get": [((kind,), kind in ("llms", "agents", "tools", "tasks", "runs", "toolcalls", "requests", "events")) for kind in KINDS]
    + [
        (("events", "--pretty"), True),
        (("events", "--pretty", "--local", "--run", "good"), True),
        (("requests", "--all"), True),
        (("toolcalls", "--run", "good"), True),
        (("runs", HOSTILE), True),
        (("runs", "--run", HOSTILE), True),
        (("events", "--since", HOSTILE), True),
        (("runs", "--status", HOSTILE), False),
        ((HOSTILE,), True),
        (("runs", f"--{HOSTILE}"), True),
        (("runs", "-o", HOSTILE), True),
    ],
    "describe": [
        (("llm", "away"), True),
        (("agent", "user 東京"), True),
        (("tool", "echo"), True),
        (("task", "talk"), True),
        (("schedule", "東京 newyear"), False),
        (("run", "good"), True),
        (("run", "bad"), True),
        (lambda house: ("toolcall", house.daemon.items("toolcalls", run="good")[0]["id"]), True),
        (lambda house: ("request", house.in_doubt()), True),
        (lambda house: ("request", house.asked("question")), True),
        (lambda house: ("request", house.decided()), True),
        (lambda house: ("event", str(house.daemon.events()[0]["seq"])), False),
        (("file", "story.yaml"), False),
        (("template", "no_output"), False),
        (("run", HOSTILE), True),
        (("event", HOSTILE), True),
    ],
    "why": [(("good",), False), (("bad",), True), ((HOSTILE,), True)],
    "transcript": [(("good",), True), ((HOSTILE,), True)],
    "inbox": [((), True)],
    "approve": [
        (lambda house: (house.asked(), "--note", HOSTILE), False),
        (lambda house: (house.asked(), "--set", f"text={HOSTILE}", "--for-run"), False),
        (lambda house: (house.decided(),), False),
        ((HOSTILE,), True),
    ],
    "deny": [(lambda house: (house.asked(), "--note", HOSTILE), False), ((HOSTILE,), True)],
    "answer": [(lambda house: (house.asked("question"), HOSTILE), False), ((HOSTILE, "yes"), True)],
    "revoke": [(lambda house: (house.granted(),), False), ((HOSTILE,), True)],
    "settle": [
        (lambda house: (house.in_doubt(), "--happened", HOSTILE_LINES, "--note", HOSTILE), False),
        ((HOSTILE, "--run-again"), True),
    ],
    "callback": [((HOSTILE, "--result", HOSTILE), True), ((HOSTILE, "--error", HOSTILE), True)],
    "start": [((), False)],
    "stop": [],  # the last test
    "restart": [],
    "status": [((), False)],
    "logs": [((), True), (("--tail", "1"), True)],
    "init": [
        (lambda house: (str(house.daemon.folder / f"new {house.fresh('talk')} {IN_A_PATH}"),), True),
        ((f"/proc/{IN_A_PATH}",), True),
        (("--template", HOSTILE), True),
    ],
    "doctor": [((), True)],
    "demo": [],  # its texts are our own, and its test is in test_command
    "completion": [(("bash",), False), (("zsh",), False), (("fish",), False), ((HOSTILE,), True)],
    "version": [((), False)],
}
IN_JSON_ONLY = {
    ("get", "agents"),
    ("get", "tools"),
    ("get", "tasks"),
    ("get", "runs"),
    ("get", "requests"),
    ("get", "requests", "--all"),
    ("inbox",),
}
"""Lists whose tables have no column for what is hostile here, or no room for it."""
ENDS = {0, 1, 2, 3, 65, 124}


def test_every_command_is_driven() -> None:
    assert list(CASES) == list(COMMANDS), "a new command needs its cases here"


@pytest.mark.parametrize(("command", "number"), [(command, number) for command, cases in CASES.items() for number in range(len(cases))])
def test_no_format_of_any_command_lets_hostile_text_through(house: House, command: str, number: int) -> None:
    case, shows = CASES[command][number]
    for output in _formats(command, case):
        words = case(house) if callable(case) else case
        given = (command, *words, *(("-o", output) if output else ()))

        said = house.look(given, code=ENDS).decode()

        cut_away = output in ("table", "wide") and (command, *words) in IN_JSON_ONLY
        assert cut_away or output == "name" or not shows or any(sign in said for sign in SHOWN), f"{given} was to show hostile text\n{said}"


def test_help_and_wrong_commands_are_harmless(house: House) -> None:
    for command in COMMANDS:
        house.look((command, "--help"), code={0})
    for words in ((HOSTILE,), ("help", HOSTILE), (f"--{HOSTILE}",), ("--socket", f"/{IN_A_PATH}", "get", "runs"), ("get", "runs", HOSTILE)):
        assert any(sign in house.look(words, code={1, 2, 69}).decode() for sign in SHOWN)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_offers_nothing_that_hides(house: House, shell: str) -> None:
    for line in ("get runs ", "describe agent ", "settle ", "run ", f"get {HOSTILE} ", "apply -f "):
        words = (f"smallchain {line}",) if shell == "bash" else tuple(line.split(" "))
        house.look(("__complete", shell, *words), code={0})


def test_json_and_yaml_say_the_same_and_read_back_unchanged(house: House) -> None:
    as_json = json.loads(house.look(("transcript", "good", "-o", "json"), code={0}))
    as_yaml = yaml.safe_load(house.look(("transcript", "good", "-o", "yaml"), code={0}))

    assert as_json["messages"][1]["content"] == HOSTILE_LINES
    assert as_json["messages"][-1]["content"] == HOSTILE
    assert as_json == as_yaml


def test_the_reader_of_a_transcript_is_told_how_much_was_hidden(house: House) -> None:
    said = house.look(("transcript", "good"), code={0}).decode()

    assert "sanitised: " in said
    assert "\nApproved by root" not in said
    assert "\n  | Approved by root \\x1b[2J" in said


@pytest.mark.parametrize(
    ("words", "until"),
    [
        *[(("get", "runs", "-w", "-o", output), "talk") for output in ("table", "wide", "name", "json", "jsonl")],
        *[(("get", "toolcalls", "--watch", "-o", output), "") for output in ("table", "wide", "json")],
        *[(("get", "requests", "--watch", "-o", output), "") for output in ("table", "wide", "json")],
        *[(("get", "events", "--follow", "-o", output), "talk") for output in ("table", "wide", "json", "jsonl")],
        (("get", "events", "--follow", "--pretty"), "talk"),
        (("logs", "--follow"), "last"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_followed_is_harmless(house: House, words: Words, until: str) -> None:
    watching = house.daemon.open_cli(*words)
    said = [first_line(watching.stdout)]
    name = house.ended("talk") if until == "talk" else until
    while name not in said[-1]:
        said.append(first_line(watching.stdout))

    watching.send_signal(signal.SIGINT)
    rest, err = watching.communicate(timeout=30)

    assert watching.returncode == 130
    assert came_through("".join([*said, rest, err]).encode()) == set()


@pytest.mark.parametrize("columns", [1, 80, 10_000])
@pytest.mark.parametrize(
    "words",
    [
        ("transcript", "good", "--request"),
        ("transcript", "good", "--reply", "1"),
        ("transcript", "calling", "--curl"),
        ("get", "runs", "-o", "wide"),
        ("inbox",),
        ("get", "--help"),
        ("get", "events", "--pretty"),
    ],
    ids=" ".join,
)
def test_a_terminal_of_any_width_gets_nothing_that_acts_on_it(house: House, words: Words, columns: int) -> None:
    said = _in_a_terminal(house.daemon, words, columns)

    assert said
    assert came_through(said) == set()


@pytest.mark.parametrize("part", ["--request", "--reply"])
def test_into_a_pipe_goes_an_exchange_as_it_was_sent(house: House, part: str) -> None:
    done = house.daemon.cli("transcript", "good", part, "1")

    assert isinstance(json.loads(done.stdout), dict)


def test_a_wrong_file_of_a_hostile_name_is_told_harmlessly_everywhere(house: House) -> None:
    daemon = house.daemon
    bad = daemon.config / f"{IN_A_PATH}.yaml"
    bad.write_text(yaml.safe_dump({"agents": [{"name": "x", HOSTILE: HOSTILE}]}), encoding="utf-8")
    try:
        daemon.until(lambda: daemon.client().get("/v1/status")["config"]["status"] == "Held")
        for words in (
            ("get", "files"),
            ("get", "files", "-o", "wide"),
            ("status",),
            ("doctor",),
            ("get", "events", "--pretty", "--tail", "3"),
        ):
            assert any(sign in house.look(words, code={0, 1}).decode() for sign in SHOWN), words
        for output in ("table", "wide", "name", "json", "yaml", "jsonl"):
            house.look(("get", "files", "-o", output), code={0})
        house.look(("apply", "-f", house.written()), code={65})
        house.look(("describe", "file", bad.name), code={0, 1})
    finally:
        bad.unlink()
        daemon.until(lambda: daemon.client().get("/v1/status")["config"]["status"] == "Ready")


def test_the_life_of_a_daemon_in_a_folder_of_a_hostile_name_is_told_harmlessly() -> None:
    with a_folder() as folder:
        inner = folder / IN_A_PATH
        inner.mkdir()
        with closing(Daemon(inner)) as daemon:
            house = House(daemon)
            for words in (("status",), ("start",), ("status",), ("doctor",), ("logs",), ("restart",), ("stop",), ("stop",), ("status",)):
                house.look(words, code={0, 1, 69})
            assert b"o\\x1b[2Jk<U+202E>" in (daemon.state / "daemon.log").read_bytes()
            assert came_through((daemon.state / "daemon.log").read_bytes()) == set()


def _formats(command: str, case: Words | Callable[[House], Words]) -> list[str]:
    """The choices of the command's -o, from its parser; one call without where there is none, or the case has its own."""
    if not callable(case) and {"--pretty", "-o"} & set(case):
        return [""]
    action = next((action for action in parser_of(command)[1]._actions if action.dest == "output"), None)
    return [str(choice) for choice in action.choices] if action is not None and action.choices else [""]


def _in_a_terminal(daemon: Daemon, words: Words, columns: int) -> bytes:
    """What a command writes to a terminal of so many columns, without the terminal's own carriage returns."""
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([*program("smallchain"), *words], env=daemon.environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said, until = b"", time.monotonic() + PATIENCE_S
        while time.monotonic() < until and select.select([ours], [], [], PATIENCE_S)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            said += part
    os.close(ours)
    assert process.returncode == 0
    return said
