"""A request as a file to decide in with any editor, and the file as it was saved, read back.

The one rule: what models and tools wrote stands in quotes on lines of its own, between comment lines that never change, so that
it can be neither YAML nor a mode line of an editor (vim reads the first and last five lines, emacs the last 3,000 characters).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smallchain.model import canonical, yamlfile
from smallchain.model.delivery import VERBS, Said, Told, Verb
from smallchain.model.errors import BadInput, Place, Problem
from smallchain.model.ids import did_you_mean
from smallchain.protocol.text import is_plain
from smallchain.services.humans.answers import LONGEST_NOTE, LONGEST_TEXT

VIA = "file"
LARGEST = yamlfile.LARGEST_FILE
_SHOWN = (100_000, 2_000)
"""How many characters of each text are shown, and how many where so many make too large a file."""
_DEEPEST = 30
_LONGEST_KEY = 80
_MOST_VALUES = 10_000
"""What is written to be changed stays far within what `yamlfile` reads: 50 levels, keys of 1,024 characters, 50,000 values."""
_MOST_CHOICES = 50
_LONGEST_CHOICE = 500
_ELSEWHERE = "`smallchain inbox` shows all of them; `smallchain approve` decides"
_TEXTS = frozenset({Verb.ANSWER, Verb.HAPPENED})
_SAID = ("decision", "note", "digest", "text", "for_run", "arguments")
_NAME = re.compile(r"[a-z_]{1,20}(?:-[A-Za-z0-9_-]{1,64})?-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.yaml")
_MODE_LINE = re.compile(r"(?i)local variables|\b(?:vim?|ex)(?=[:<=>0-9])|-\*-")
_QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\ufffe": "\\ufffe", "\uffff": "\\uffff"})
_BARE_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
_HEAD = """\
# smallchain: a request to you. Fill in `decision:` and save; that decides it, once.
# What stands below the second line of dashes is for reading. Delete nothing; leave it empty to decide later.
# Changed `arguments:` of an approval run in the place of the model's, and the model is told so.
# If what you saved cannot be taken, a file of this name ending in .problem.txt says why.
# ------------------------------------------------------------------------------------------
"""
_MIDDLE = """\
# ------------------------------------------------------------------------------------------
# Written by models and tools: never trust it to be true. Invisible characters are written as escapes.
"""
_END = """\
# ------------------------------------------------------------------------------------------
# The end of the request.
# Somebody else may decide it while you write: then what you save is moved to the folder `late`,
# with a line that says who decided. From a shell, `smallchain inbox` lists what is open.
# ------------------------------------------------------------------------------------------
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """What stands in a saved file. `verb` None: not decided yet."""

    verb: Verb | None
    note: str
    digest: str | None
    text: str
    for_run: bool
    arguments: Any
    """None where the file has none."""


def name_of(told: Told) -> str:
    """The file's name: what a listing should show, and the id, which says whose answer it is."""
    tool = re.sub(r"[^A-Za-z0-9_-]+", "_", told.tool)[:40].strip("-")
    return f"{told.kind}{f'-{tool}' if tool else ''}-{told.request_id}.yaml"


def request_in(name: str) -> str | None:
    """The request's id in a file's name; None for a name that is not of ours (an editor's litter)."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None


def render(told: Told) -> bytes:
    """The file of an open request, which reads back as what it was made of."""
    if _editable(told) and len(told.arguments) <= LARGEST // 4 and sum(map(told.arguments.count, ",[{")) <= _MOST_VALUES:
        arguments = json.loads(told.arguments)
        if _fits(arguments, _DEEPEST):  # else shown, and not to be changed here
            whole = _whole(told, "".join(_lines("arguments", arguments, 0)), _SHOWN[0])
            if len(whole) <= LARGEST // 2:
                return whole
    for most in _SHOWN:
        shown = f"arguments_to_read: {_text(_shortened(told.arguments, most))}\n" if told.arguments else ""
        whole = _whole(told, shown, most)
        if len(whole) <= LARGEST // 2:
            break
    return whole


def read(data: bytes, *, name: str) -> Draft:
    """What was saved. Raises BadInput with every problem at its line."""
    root = yamlfile.read(data, file=name)
    if not isinstance(root.value, dict):
        raise yamlfile.bad_input([Problem(Place(name, root.line), "this is not the file of a request any more", "put it back as it was")])
    problems: list[Problem] = []
    keys = root.keys

    def field(key: str, kind: type, empty: Any) -> Any:
        assert isinstance(root.value, dict)
        node = root.value.get(key)
        if node is None or node.value is None:
            return empty
        value = node.raw if kind is str and node.raw is not None else node.plain()
        if not isinstance(value, kind):
            what = {str: "text", bool: "true or false", dict: "a mapping"}[kind]
            problems.append(Problem(Place(name, node.line, node.column), f"`{key}` should be {what}"))
            return empty
        return value

    def bounded(key: str, most: int) -> str:
        text: str = field(key, str, "")
        if len(text) > most:
            problems.append(Problem(Place(name, keys[key][0]), f"`{key}` has more than {most} characters"))
        return text

    word = field("decision", str, "").strip().lower().replace(" ", "_").replace("-", "_")
    if word and word not in set(Verb):
        node = root.value["decision"]
        hint = did_you_mean(word, [str(verb) for verb in Verb]) or "the comment above it has the words"
        problems.append(Problem(Place(name, node.line, node.column), f"`decision`: {word[:40]!r} is no decision", hint))
        word = ""
    draft = Draft(
        Verb(word) if word else None,
        bounded("note", LONGEST_NOTE),
        field("digest", str, None),
        bounded("text", LONGEST_TEXT),
        field("for_run", bool, False),
        field("arguments", dict, None),
    )
    if problems:
        raise yamlfile.bad_input(problems)
    return draft


def said(draft: Draft, told: Told | None, /, *, request_id: str, by: str) -> Said:
    """What a decided draft says. `told` is the request while it is open. Raises BadInput for what it can't be answered with."""
    assert draft.verb is not None
    if told is not None:
        if draft.verb not in VERBS[told.kind]:
            raise BadInput(f"`decision`: a request of kind {told.kind} takes {_words(told)}, not {draft.verb}")
        if draft.verb is Verb.APPROVE and draft.digest is None and told.digest:
            raise BadInput("`digest` is gone", hint=f"put it back as it was: {told.digest}")
        if draft.verb is Verb.ANSWER and not draft.text.strip():
            raise BadInput("`text` is empty", hint="write the answer there, and save again")
        if draft.verb is Verb.APPROVE and draft.arguments is None and told.arguments:
            fresh = render(told)
            if b"\narguments:" in fresh:
                raise BadInput("`arguments` are gone", hint="put them back; to approve nothing, deny")
            if _text(told.arguments).encode() not in fresh:
                raise BadInput("the arguments are too long to be shown in a file, and nobody approves what nobody saw", hint=_ELSEWHERE)
    edits = None
    if draft.verb is Verb.APPROVE and draft.arguments is not None and (told is None or not _same(draft.arguments, told.arguments)):
        edits = draft.arguments
    return Said(
        request_id,
        draft.verb,
        by,
        VIA,
        text=draft.text,
        note=draft.note,
        edits=edits,
        for_run=draft.for_run,
        expect_digest=draft.digest,
    )


def too_late(data: bytes, sentence: str) -> bytes:
    """A file that was saved too late, with who was faster in its first line."""
    return f"# too late: {_text(sentence)}\n".encode() + data


def _whole(told: Told, arguments: str, most: int) -> bytes:
    verbs = VERBS[told.kind]
    parts = [_HEAD, f"decision:     # {_words(told)}\n", "note:         # optional; the model is told\n"]
    parts.append(f"digest: {_text(told.digest)}\n" if told.digest else "")
    if _TEXTS & set(verbs):
        parts.append("text:         # " + ("the answer\n" if Verb.ANSWER in verbs else "with `happened`: what came out of it\n"))
    if told.digest and Verb.APPROVE in verbs:
        parts.append("for_run: false   # true: this tool need not ask again in this run\n")
    parts.append(_MIDDLE)
    fields: dict[str, Any] = {"kind": str(told.kind), "run": told.run, "path": told.path, "tool": told.tool, "risk": told.risk}
    fields |= {
        "question": told.question,
        "choices": [_shortened(each, _LONGEST_CHOICE) for each in told.choices[:_MOST_CHOICES]],
        "why": told.why,
    }
    fields |= {"outcomes": {str(verb): sentence for verb, sentence in told.outcomes}}
    fields |= {"opened_at": _time(told.opened_at), "expires_at": _time(told.expires_at), "on_expiry": told.on_expiry}
    for key, value in fields.items():
        if value:
            parts += _lines(key, _shortened(value, most), 0)
    return "".join([*parts, arguments, _END]).encode()


def _words(told: Told) -> str:
    return " or ".join(VERBS[told.kind]) if len(VERBS[told.kind]) < 3 else ", ".join(VERBS[told.kind])


def _editable(told: Told) -> bool:
    return bool(told.arguments) and Verb.APPROVE in VERBS[told.kind] and told.arguments.startswith("{")


def _fits(value: Any, levels: int) -> bool:
    """Whether a value can be written as YAML that is read back as it was."""
    if isinstance(value, dict):
        return levels > 0 and all(len(key) <= _LONGEST_KEY and _fits(each, levels - 1) for key, each in value.items())
    if isinstance(value, list):
        return levels > 0 and all(_fits(each, levels - 1) for each in value)
    return True


def _same(value: Any, arguments: str) -> bool:
    return canonical.canonical(value) == arguments


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""


def _shortened(value: Any, most: int) -> Any:
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]}… ({len(value) - most} more characters: `smallchain inbox` has all)"
    return value


def _lines(key: str | None, value: Any, depth: int) -> Iterator[str]:
    """A value as block YAML; `key` None: an item of a list."""
    start = "  " * depth + ("-" if key is None else f"{_key(key)}:")
    if isinstance(value, dict) and value:
        yield f"{start}\n"
        for inner, each in value.items():
            yield from _lines(inner, each, depth + 1)
    elif isinstance(value, list) and value:
        yield f"{start}\n"
        for each in value:
            yield from _lines(None, each, depth + 1)
    else:
        yield f"{start} {_scalar(value)}\n"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) and not _MODE_LINE.search(key) else _text(key)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        number = repr(value)
        return number if "e" not in number or "." in number else number.replace("e", ".0e")
    return json.dumps(value)  # null, true, false, whole numbers, and what is empty: {} and []


def _text(text: str) -> str:
    """A text as a double-quoted scalar on one line (YAML 1.1, 5.7): what is not seen, and what an editor could obey, is escaped."""
    plain = is_plain(text) and "\t" not in text
    quoted = text.translate(_QUOTED) if plain else "".join(_char(char) for char in text)
    return '"' + _MODE_LINE.sub(lambda found: found[0][0] + f"\\x{ord(found[0][1]):02x}" + found[0][2:], quoted) + '"'


@functools.lru_cache(maxsize=4096)
def _char(char: str) -> str:
    code = ord(char)
    if code in _QUOTED:
        return _QUOTED[code]
    if code == 0 or 0xD800 <= code <= 0xDFFF:  # which no YAML of ours holds
        return "\\uFFFD"
    if char != "\t" and is_plain(char):
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
