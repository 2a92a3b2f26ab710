"""`inbox`: all that waits for a person, each with the command that answers it; watched, or gone through one by one.

The one rule: what a model wrote stands behind a bar, whole, and what hides in it is written out; the words before it are ours.
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from smallchain.cli.commands.kinds import columns_of
from smallchain.cli.console import complain, flush, note, out
from smallchain.cli.render import FORMATS, Item, add_output, age, moment_of, short_id, show_items, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import Client, path_of
from smallchain.protocol.text import mixed_script_words, one_line, sanitised, visible

DESCRIPTION = """\
List the requests that wait for a person, oldest first, each with the command that answers it. --watch goes on with what
comes and tells who decided what; --plain asks about one after the other in numbered lines, for screen readers and terminals
that can't move a cursor."""
EXAMPLES = """
smallchain inbox
smallchain inbox -w
smallchain inbox --plain
smallchain inbox -o json
"""
_NOT_SHOWN = ("table", "wide", "name", "jsonl")
_SKIP = "leave it open"


def add_arguments(parser: ArgumentParser) -> None:
    """How it is printed, and whether it goes on."""
    add_output(parser, formats=("text", *FORMATS))
    way = parser.add_mutually_exclusive_group()
    way.add_argument("-w", "--watch", action="store_true", help="go on with each request that comes or is decided, until interrupted")
    way.add_argument("--plain", action="store_true", help="ask about one after the other, in numbered lines")
    parser.set_defaults(refuse=parser.error)


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "list the inbox"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the open requests."""
    client = session.client
    if arguments.plain:
        if arguments.output != "text":
            arguments.refuse("--plain is read by a person: it takes no -o")
        return _go_through(client)
    newest = client.last_seq() if arguments.watch else 0  # asked first: what comes meanwhile is in the list or after it
    requests = client.items("requests")
    if arguments.watch:
        return _watch(arguments, client, requests, newest)
    if not requests and arguments.output in ("text", *_NOT_SHOWN):
        note("Nothing waits for a person.")
    elif arguments.output == "text":
        for request in requests:
            _show(request)
    else:
        show_items(requests, columns_of("requests"), output=arguments.output)
    return 0


# ---- shown


def _show(request: Item) -> None:
    about = [short_id(request.get("id")), text_of(request.get("kind"))]
    if request.get("run"):
        about.append(f"run '{text_of(request['run'])}'")
    if request.get("tool"):
        about.append(f"tool {text_of(request['tool'])}")
    about.append(f"since {age(request.get('created_at'))}")
    texts = _texts([request.get(name) for name in ("question", "why", "arguments", "choices")])
    if hidden := sum(map(sanitised, texts)):
        about.append(f"sanitised: {hidden}")
    if mixed := [word for text in texts for word in mixed_script_words(text)]:
        about.append(f"mixed alphabets: {', '.join(mixed[:5])}")
    out(one_line("  ".join(about)))
    for line in lines_of(request):
        out(line)
    for command in _answers(request):
        out(one_line(f"  {command}"))
    out("")


def lines_of(request: Item) -> list[str]:
    """What a person needs to decide: the question, the way down to it, the model's words, the arguments one by one."""
    shown = [f"  | {line}" for line in visible(text_of(request.get("question")), multiline=True).split("\n")]
    if request.get("path"):
        shown.append(one_line(f"  path: {text_of(request['path'])}"))
    if request.get("risk") not in (None, "", "normal"):
        shown.append(one_line(f"  risk: {text_of(request['risk'])}"))
    if request.get("why"):
        shown.append("  why, in the model's words:")
        shown += [f"  | {line}" for line in visible(text_of(request["why"]), multiline=True).split("\n")]
    arguments = request.get("arguments")
    difference = request.get("difference")
    if isinstance(difference, list) and difference:
        shown.append("  what changes of its description and its schema:")
        shown += [f"  | {one_line(text_of(line))}" for line in difference]
    elif isinstance(arguments, dict) and arguments:
        shown.append("  arguments:")
        for name, value in arguments.items():
            first, *more = visible(text_of(value), multiline=True).split("\n")
            shown += [f"  | {one_line(name)}: {first}", *(f"  |   {line}" for line in more)]
    choices = request.get("choices")
    if isinstance(choices, list) and choices:
        shown.append(one_line(f"  choices: {', '.join(map(text_of, choices))}"))
    expires = moment_of(request.get("expires_at"))
    if expires is not None:
        then = one_line(text_of(request.get("on_expiry") or ""))
        shown.append(f"  expires: {expires:%Y-%m-%d %H:%M:%S} UTC" + (f" ({then})" if then else ""))
    if request.get("digest") and request.get("kind") != "budget":  # whose digest is the cap's number: nothing to compare
        shown.append(one_line(f"  digest: {text_of(request['digest'])[:16]}"))
    return shown


def _texts(value: object) -> list[str]:
    """Every text within a value, names of arguments included."""
    if isinstance(value, dict):
        return [text for name, inner in value.items() for text in (str(name), *_texts(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _answers(request: Item) -> list[str]:
    """The commands that answer a request, ready to be pasted into a shell."""
    id_, run = shlex.quote(short_id(request.get("id"))), shlex.quote(text_of(request.get("run")))
    match request.get("kind"):
        case "approval" | "tool_changed":
            return [f"smallchain approve {id_}", f"smallchain deny {id_} --note WHY"]
        case "budget":
            wish = request.get("arguments")
            by = shlex.quote(text_of(wish.get("by")) if isinstance(wish, dict) else "")
            return [
                f"smallchain approve {id_}",
                f"smallchain approve {id_} --set by={by} --set for_good=true",
                f"smallchain deny {id_} --note WHY",
            ]
        case "question":
            return [f"smallchain answer {id_} TEXT"]
        case "settle":
            return [f"smallchain settle {id_} {way}" for way in ("--happened RESULT", "--did-not-happen", "--run-again")]
        case "loop" | "quarantine":
            return [f"smallchain resume {run}", f"smallchain cancel {run}"]
        case _:
            return [f"smallchain describe request {id_}"]


# ---- watched


def _watch(arguments: Namespace, client: Client, requests: Sequence[Item], newest: int) -> int:
    from smallchain.cli.commands import watch

    if arguments.output != "text":
        watch.refuse_formats(arguments)
        return watch.watch(client, requests, after=newest, plural="requests", output=arguments.output, ask=lambda: client.items("requests"))
    for request in requests:
        _show(request)
    if not requests:
        note("Nothing waits for a person; waiting for the first.")
    flush()
    known = {text_of(request.get("id")): request for request in requests}
    for listed in watch.changes(client, newest, lambda: client.items("requests")):
        open_now = {text_of(request.get("id")): request for request in listed}
        gone = [id_ for id_ in known if id_ not in open_now]
        for request in client.items("requests", {"name": gone, "all": True}) if gone else ():
            out(one_line(f"{short_id(request.get('id'))}  {how_it_ended(request)}"))
        for id_, request in open_now.items():
            if id_ not in known:
                _show(request)
        known = open_now
        flush()
    return 0


def how_it_ended(request: Item) -> str:
    """What became of a request: who decided it, when, through what, with which note."""
    moment = moment_of(request.get("answered_at"))
    when = f" at {moment:%Y-%m-%d %H:%M:%S} UTC" if moment is not None else ""
    answer = request.get("answer")
    verb = text_of(answer.get("verb")).replace("_", " ") if isinstance(answer, dict) else ""
    word = f"{text_of(request.get('phase'))}{f' ({verb})' if verb else ''}"
    via = f" through {text_of(request['answered_via'])}" if request.get("answered_via") else ""
    remark = f": {text_of(request['note'])}" if request.get("note") else ""
    return f"{word} by {text_of(request.get('answered_by'))}{when}{via}{remark}"


# ---- one by one


def _go_through(client: Client) -> int:
    """Ask about each request in numbered lines; an empty line, or the end of what is typed, leaves it open."""
    requests = client.items("requests")
    count = len(requests)
    out("Nothing waits for a person." if not requests else f"{count} {'request waits' if count == 1 else 'requests wait'} for a person.")
    for number, request in enumerate(requests, 1):
        whose = f", run '{text_of(request['run'])}'" if request.get("run") else ""
        out(one_line(f"Request {number} of {count}: {text_of(request.get('kind'))}{whose}"))
        for line in lines_of(request):
            out(line)
        if not _ask(client, request):
            break
    return 0


def _ask(client: Client, request: Item) -> bool:
    """Put one request before the person; False when there is nobody any more."""
    outcomes = request.get("outcomes")
    choices = [*(outcomes.items() if isinstance(outcomes, dict) else ()), ("skip", _SKIP)]
    for number, (verb, what) in enumerate(choices, 1):
        out(one_line(f"{number}. {text_of(verb).replace('_', ' ')}: {text_of(what)}"))
    while True:
        typed = _typed(f"Type 1 to {len(choices)}: ")
        if typed is None:
            return False
        if typed == "" or typed == str(len(choices)):
            return True
        if typed.isdecimal() and 1 <= int(typed) < len(choices):
            return _send(client, request, choices[int(typed) - 1][0])
        out("That is none of the numbers.")


def _send(client: Client, request: Item, verb: str) -> bool:
    what = {"answer": "Your answer: ", "happened": "Its result: "}.get(verb, "A note, or nothing: ")
    words = _typed(what)
    if words is None:
        return False
    path, body = _act(request, verb, words)
    try:
        answer = client.post(path, body)
    except SmallchainError as error:
        flush()
        complain(f"{verb} '{short_id(request.get('id'))}'", error)
    else:
        out(one_line(text_of(answer.get("sentence")) or "done"))
    return True


def _act(request: Item, verb: str, words: str) -> tuple[str, dict[str, object]]:
    """The route and the body of an answer, bound to what was shown."""
    id_ = text_of(request.get("id"))
    remark: dict[str, object] = {"note": words} if words else {}
    match verb:
        case "approve" | "deny" if request.get("kind") in ("approval", "tool_changed"):
            return path_of(verb, id_), remark | {"expect_digest": text_of(request.get("digest"))}
        case "answer":
            return path_of("answer", id_), {"text": words}
        case "happened":
            return path_of("settle", id_), {"happened": words}
        case "did_not_happen" | "run_again":
            return path_of("settle", id_), remark | {verb: True}
        case _:
            return path_of(verb, text_of(request.get("run"))), remark


def _typed(prompt: str) -> str | None:
    """A line that the person types; None at the end of the input."""
    sys.stdout.write(prompt)
    flush()
    line = sys.stdin.readline()
    if not line:
        out("")
        return None
    return line.strip()
