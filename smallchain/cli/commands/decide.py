"""`approve`, `deny`, `answer`: a person decides what waits for one.

The one rule: what is sent is bound to what was shown. Changed arguments go with the digest of the request they were made from.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.console import complain, flush, note, out
from smallchain.cli.render import Item, add_output, short_id, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import BadInput, SmallchainError, Unknown
from smallchain.protocol.client import Client, path_of
from smallchain.protocol.faults import exit_code
from smallchain.protocol.text import one_line

DESCRIPTION = """\
Decide what waits for a person; `smallchain inbox` lists it, with ids. The first decision wins, and whoever comes later is
told who was first. approve lets a tool run, as it is or with other arguments; deny keeps it from running, and the model is
told why; answer gives the model your words. An id may be cut to 6 or more characters of its beginning or end."""
EXAMPLES = """
smallchain approve 9f3c21ab
smallchain approve 9f3c21ab --note 'but only this one'
smallchain approve 9f3c21ab --set title='A better title' --set amount=3
smallchain approve 9f3c21ab --edit                 # the arguments in $VISUAL or $EDITOR, as YAML
smallchain approve 9f3c21ab --for-run              # and do not ask again in this run; `smallchain get grants`
smallchain approve 9f3c21ab --expect-digest 3e1f0c9ab2d4
smallchain approve 9f3c21ab 77aa0b12               # several at once, each with a line of its own
smallchain deny 9f3c21ab --note 'not on a Friday'
smallchain answer 9f3c21ab 'the second one'
git log -1 --format=%s | smallchain answer 9f3c21ab -
"""

_ID = "a request, by its id, or 6 or more characters of the id's beginning or end"


def add_arguments(parser: ArgumentParser) -> None:
    """Requests, and what is said to them."""
    if parser.prog.endswith("answer"):
        parser.add_argument("ids", metavar="ID", nargs=1, help=_ID)
        parser.add_argument("text", metavar="TEXT", help="what the model is told; - reads it from standard input")
    else:
        parser.add_argument("ids", metavar="ID", nargs="+", help=_ID)
    parser.add_argument("--note", metavar="TEXT", help="why; it is kept, and the model is told")
    if parser.prog.endswith("approve"):
        edits = parser.add_mutually_exclusive_group()
        edits.add_argument(
            "--set", metavar="KEY=VALUE", action="append", default=[], help="put this argument in place (JSON, else text); repeatable"
        )
        edits.add_argument("--edit", action="store_true", help="change the arguments in an editor")
        parser.add_argument("--for-run", action="store_true", help="let the tool run in this run without asking again")
    if not parser.prog.endswith("answer"):
        parser.add_argument("--expect-digest", metavar="D", help="only if this is what is asked (12 or more digits)")
    add_output(parser, formats=("text", "json", "yaml"))
    parser.set_defaults(refuse=parser.error)


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"{arguments.command} {', '.join(map(repr, arguments.ids))}"


def execute(arguments: Namespace, session: Session) -> int:
    """Decide each; one that cannot be does not keep the others."""
    if len(arguments.ids) > 1 and (getattr(arguments, "set", None) or getattr(arguments, "edit", False)):
        arguments.refuse("--set and --edit change one request's arguments: name one ID")
    client, code, decided = session.client, 0, []
    words = _words(arguments)
    for ref in arguments.ids:
        try:
            answer = decide(client, arguments.command, ref, words | _edits(client, ref, arguments))
        except SmallchainError as error:
            flush()
            complain(f"{arguments.command} '{ref}'", error)
            code = max(code, exit_code(error))
            continue
        decided.append(answer)
        if arguments.output == "text":
            out(one_line(f"{_name(answer, ref)} {text_of(answer.get('sentence'))}"))
    if arguments.output != "text":
        show_value({"items": [answer.get("request") for answer in decided]}, output=arguments.output)
    return code


def decide(client: Client, verb: str, ref: str, words: dict[str, Any]) -> Item:
    """Send one decision; interrupted on its way, it says that nobody knows whether it counted."""
    try:
        return client.post(path_of(verb, ref), words)
    except KeyboardInterrupt:
        note(one_line(f"smallchain: interrupted: whether it counted is not known; `smallchain describe request {ref}` tells"))
        raise


def request_of(client: Client, ref: str) -> Item:
    """An open request by its id or a part of it; raises Unknown."""
    found = client.items("requests", {"name": [ref.removeprefix("request/")], "all": True})
    if len(found) != 1:
        raise Unknown(f"{len(found)} requests go by {ref!r}", hint="write more of the id")
    return found[0]


def value_of(text: str) -> Any:
    """What a person typed for an argument: JSON where it reads as such, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _words(arguments: Namespace) -> dict[str, Any]:
    words: dict[str, Any] = {"note": arguments.note} if arguments.note else {}
    if arguments.command == "answer":
        return words | {"text": sys.stdin.read().rstrip("\n") if arguments.text == "-" else arguments.text}
    if arguments.expect_digest:
        words["expect_digest"] = arguments.expect_digest
    if getattr(arguments, "for_run", False):
        words["for_run"] = True
    return words


def _edits(client: Client, ref: str, arguments: Namespace) -> dict[str, Any]:
    """The arguments as they are to run, and the digest of what they were made from."""
    edit = getattr(arguments, "edit", False)
    pairs = getattr(arguments, "set", [])
    if not edit and not pairs:
        return {}
    request = request_of(client, ref)
    shown = request.get("arguments")
    before = dict(shown) if isinstance(shown, dict) else {}
    after = _in_editor(before, request) if edit else before | dict(_pair(pair) for pair in pairs)
    digest = arguments.expect_digest or text_of(request.get("digest"))
    return {"arguments": after, "expect_digest": digest} if after != before else {"expect_digest": digest}


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput(f"{text!r} changes nothing", hint="write --set NAME=VALUE")
    return name, value_of(value)


def _in_editor(before: dict[str, Any], request: Item) -> dict[str, Any]:
    from smallchain.cli.editor import edited

    return edited(before, about=f"{text_of(request.get('path'))}: save and close to approve with these; empty it to leave it open")


def _name(answer: Item, ref: str) -> str:
    request = answer.get("request")
    return f"request/{short_id(request.get('id')) if isinstance(request, dict) else ref}"
