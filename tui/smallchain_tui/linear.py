"""The inbox in sentences, for terminals that cannot move a cursor and people whose reader speaks lines: numbers choose, nothing redraws.

The one rule: as on the screens, an empty line decides nothing, what was typed before a question was asked answers nothing, and a verdict is
bound to the digest of what was read out.
"""

from __future__ import annotations

import json
import sys
import termios
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from smallchain import __version__
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import Client, path_of
from smallchain.protocol.faults import exit_code
from smallchain.protocol.text import mixed_script_words, one_line, sanitised, visible
from smallchain_tui import twins
from smallchain_tui.viewmodel import attention
from smallchain_tui.viewmodel.budgets import Budget, in_order
from smallchain_tui.viewmodel.budgets import spoken as spoken_budget
from smallchain_tui.viewmodel.connection import same_version
from smallchain_tui.viewmodel.rows import RequestRow, RunRow, text
from smallchain_tui.viewmodel.spend import DAYS, Spend
from smallchain_tui.viewmodel.spend import spoken as spoken_spends
from smallchain_tui.viewmodel.words import count

_LONG = 200
"""Characters of a text that are read out at once; a longer one is asked for."""
_SIGNS = {"-": "Gone: ", "+": "New: "}
_HELP = "Type a number to look at a request, r to read the list again, s for the runs, m for money, q to leave."


class _Left(Exception):
    """The person has left: `q`, or the end of the input."""


class Linear:
    """One sitting at the inbox. `settle` throws away what was typed ahead."""

    def __init__(
        self,
        client: Client,
        out: TextIO,
        ask: TextIO,
        *,
        read_only: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._out = out
        self._ask = ask
        self._why_not = "this is --read-only" if read_only else ""
        self._now = now
        self._settle = settle

    def sit(self) -> int:
        """Serve until the person leaves; the exit code."""
        try:
            self._meet()
            while True:
                self._choose(self._list())
        except SmallchainError as error:
            self._fault(error)
            return exit_code(error)
        except _Left:
            self._say("The runs go on.")
            return 0

    # ---- the list

    def _meet(self) -> None:
        version = text(self._client.get(path_of("status")), "version")
        if not same_version(version, __version__):
            self._why_not = f"the daemon is v{version}, of another version than this program"

    def _list(self) -> list[RequestRow]:
        rows = attention.inbox([RequestRow.of(item) for item in self._client.items("requests")])
        waits = f"{count(len(rows), 'request waits', 'requests wait')}" if rows else "Nothing waits for a person"
        self._say(f"smallchain: connected. {waits}. {_HELP}")
        for number, row in enumerate(rows, 1):
            self._say(f"{number}. {self._title(row)}")
        return rows

    def _title(self, row: RequestRow) -> str:
        what = f"{row.tool}." if row.kind == "approval" else f"{row.kind}: {row.tool or row.question}."
        parts = [what, f"run {row.run}." if row.run else f"{row.path}." if row.path else "", f"risk {row.risk}." if row.risk else ""]
        parts.append(f"waiting {_spoken(self._now() - row.created_at)}." if row.created_at else "")
        parts.append(f"expires in {_spoken(row.expires_at - self._now())}." if row.expires_at else "")
        return " ".join(part for part in parts if part)

    def _choose(self, rows: list[RequestRow]) -> None:
        said = self._hear()
        if said == "s":
            self._runs()
        elif said == "m":
            self._money()
        elif said.isdecimal() and 1 <= int(said) <= len(rows):
            self._look(rows[int(said) - 1], int(said), len(rows))
        elif said not in ("", "r"):
            self._say(f"There is no {said}. {_HELP}")

    def _runs(self) -> None:
        rows = [RunRow.of(item) for item in self._client.items("runs", {"live": True})]
        self._say(f"{count(len(rows), 'run lives', 'runs live')}.")
        for row in attention.ordered(rows, {}):
            self._say(f"{row.name}: {row.status}{f', {row.detail}' if row.detail else ''}.")

    def _money(self) -> None:
        now = self._now()
        since = (now - timedelta(days=DAYS)).isoformat()
        spends = [Spend.of(item) for item in self._client.items("spend", {"by": ["hour", "llm", "agent"], "since": since})]
        budgets = in_order(Budget.of(item) for item in self._client.items("budgets"))
        for line in (*spoken_spends(spends, now=now), *(spoken_budget(each, now=now) for each in budgets)):
            self._say(line)
        if not budgets:
            self._say("No budget is written.")

    # ---- one request

    def _look(self, row: RequestRow, number: int, of: int) -> None:
        self._say(f"Request {number} of {of}. {self._title(row)}")
        texts = self._arguments(row)
        if row.question and row.kind != "approval":
            self._say(f"Asked: {row.question}")
        if row.why:
            self._say(f"Reason: {row.why}")
        self._warn(row)
        if self._why_not:
            self._say(f"Nothing can be decided: {self._why_not}.")
            return
        verbs = list(row.outcomes) or ["answer"]
        leads = {verb: f", {what}" for verb, what in row.outcomes.items()}
        words = [f"{place} {_verb(verb)}{leads.get(verb, '')}." for place, verb in enumerate(verbs, 1)]
        later = len(verbs) + 1
        reads = f" b and a number reads a long text: {', '.join(f'b{place}' for place in range(1, len(texts) + 1))}." if texts else ""
        self._say(f"Choices: {' '.join(words)} {later} later.{reads}")
        self._settle()
        while True:
            said = self._hear()
            if said.startswith("b") and said[1:].isdecimal() and 1 <= int(said[1:]) <= len(texts):
                self._say(texts[int(said[1:]) - 1])
            elif said.isdecimal() and 1 <= int(said) <= len(verbs):
                self._decide(row, verbs[int(said) - 1])
                return
            elif said.isdecimal() and int(said) == later:
                return
            elif said:
                self._say(f"There is no {said}. Type 1 to {later}.")

    def _arguments(self, row: RequestRow) -> list[str]:
        """Read the arguments out; returns the long ones, to be asked for."""
        if row.difference:
            self._say("What changes of its description and its schema:")
            for line in row.difference:
                self._say(f"{_SIGNS.get(line[:1], '')}{line[1:]}")
            return []
        if row.arguments is None:
            return []
        if not isinstance(row.arguments, Mapping):
            self._say(f"Arguments, which are no object: {row.arguments}")
            return []
        long: list[str] = []
        for name, value in row.arguments.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if len(text) <= _LONG and "\n" not in text:
                self._say(f"Argument {name}: {text}")
            else:
                long.append(text)
                self._say(
                    f"Argument {name}: {count(text.count(chr(10)) + 1, 'line')}, {len(text)} characters. Type b{len(long)} to read it."
                )
        return long

    def _warn(self, row: RequestRow) -> None:
        said = _texts([row.arguments, row.question, row.why, list(row.choices)])
        if hidden := sum(map(sanitised, said)):
            self._say(f"Sanitised: {count(hidden, 'character')} that a terminal would not show.")
        if mixed := [word for each in said for word in mixed_script_words(each)]:
            self._say(f"Mixed alphabets in: {', '.join(mixed[:5])}.")

    def _decide(self, row: RequestRow, verb: str) -> None:
        body: dict[str, Any] = {}
        path, twin = path_of(verb, row.id), ""
        if verb == "answer":
            for place, choice in enumerate(row.choices, 1):
                self._say(f"Choice {place}: {choice}")
            text = self._hear("Your answer, in words or the number of a choice; nothing leaves it open:")
            if text.isdecimal() and 1 <= int(text) <= len(row.choices):
                text = row.choices[int(text) - 1]
            if not text:
                self._say("Left open.")
                return
            body, twin = {"text": text}, twins.answer(row.id, text)
        elif verb in ("happened", "did_not_happen", "run_again"):
            result = self._hear("The result that the model is told:") if verb == "happened" else ""
            body = {"happened": result} if verb == "happened" else {verb: True}
            path, twin = path_of("settle", row.id), twins.settle(row.id, verb, result=result)
        elif verb in ("resume", "cancel"):
            path, twin = path_of(verb, row.run), twins.on_run(verb, row.run)
        else:
            if verb == "approve" and row.risk == "high" and not self._word(row.tool):
                self._say("Not approved.")
                return
            note = self._hear("Note for the agent; nothing for none:")
            body = {"note": note, "expect_digest": row.digest} if row.digest else {"note": note}
            twin = twins.approve(row.id, note=note) if verb == "approve" else twins.deny(row.id, note=note)
        try:
            answer = self._client.post(path, body)
        except SmallchainError as error:
            self._fault(error)
            return
        sentence = answer.get("sentence")
        self._say(f"{sentence[:1].upper() + sentence[1:] if isinstance(sentence, str) else 'Done'}. Equivalent: {twin}")

    def _word(self, tool: str) -> bool:
        return self._hear(f"The risk is high. Type {tool} to approve, anything else to leave it:") == tool

    # ---- lines in and out

    def _say(self, text: str) -> None:
        self._out.write(visible(text, multiline=True) + "\n")
        self._out.flush()

    def _fault(self, error: SmallchainError) -> None:
        self._say(f"smallchain: {one_line(error.message)}{f'. {error.hint}' if error.hint else ''}.")

    def _hear(self, question: str = "") -> str:
        if question:
            self._settle()
            self._say(question)
        self._out.write("> ")
        self._out.flush()
        line = self._ask.readline()
        if not line or line.strip() == "q":
            raise _Left
        return line.strip()


def _verb(verb: str) -> str:
    return {"approve": "approve once", "deny": "deny, with a note", "did_not_happen": "it did not happen"}.get(verb, verb.replace("_", " "))


def _texts(value: Any) -> list[str]:
    """All texts in a JSON value, names included."""
    if isinstance(value, Mapping):
        return [found for name, each in value.items() for found in (str(name), *_texts(each))]
    if isinstance(value, list):
        return [found for each in value for found in _texts(each)]
    return [value] if isinstance(value, str) else []


def _spoken(length: timedelta) -> str:
    minutes = max(0, int(length.total_seconds())) // 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return count(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return count(hours, "hour") + (f" {count(rest, 'minute')}" if rest else "")
    return count(hours // 24, "day")


def sit(client: Client, *, read_only: bool) -> int:
    """Serve the person at the standard input; the exit code."""

    def settle() -> None:
        if sys.stdin.isatty():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)

    return Linear(client, sys.stdout, sys.stdin, read_only=read_only, settle=settle).sit()
