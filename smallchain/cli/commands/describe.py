"""`describe`: all that is known about one thing, and what belongs to it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.commands.kinds import column, columns_of, kind
from smallchain.cli.console import out
from smallchain.cli.render import Column, Item, add_output, pretty_event, show_value, table, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import SmallchainError
from smallchain.protocol.client import path_of
from smallchain.protocol.text import visible, visible_json

DESCRIPTION = "Show all about one thing, by its name, its id, or 6 or more characters of the id's end."
EXAMPLES = """
smallchain describe run 'my first run'
smallchain describe toolcall 9f3c21ab
smallchain describe agent assistant -o yaml
"""
_PINS = (
    column("KIND", "kind"),
    column("NAME", "name"),
    Column("CURRENT", lambda item: "yes" if item.get("current") else "no"),
)
_MODEL_CALLS = (
    column("ATTEMPT", "attempt"),
    column("TURN", "turn"),
    column("LLM", "llm"),
    column("MODEL", "model"),
    column("OUTCOME", "outcome"),
    column("TOKENS IN", "input_tokens"),
    column("OUT", "output_tokens"),
    Column("COST", lambda item: f"${text_of(item['cost_usd'])}" if item.get("cost_usd") is not None else None),
    column("ERROR", "error", cells=60),
)
_PLAN = (column("STATUS", "status"), column("PRIORITY", "priority"), column("ITEM", "item", cells=100), column("NOTE", "note", cells=80))
_LIMITS = (column("LIMIT", "name"), column("USED", "used"), column("OF", "limit"))
_USERS = (column("KIND", "kind"), column("NAME", "name"), column("STATUS", "status"), column("DETAIL", "detail", cells=80))
_ATTEMPTS = (
    column("ATTEMPT", "attempt"),
    Column("OUTCOME", lambda item: item.get("outcome") or "executing"),
    column("EXIT CODE", "exit_code"),
    column("STARTED", "started_at"),
    column("FINISHED", "finished_at"),
    column("DETAIL", "detail", cells=60),
)


def add_arguments(parser: ArgumentParser) -> None:
    """A kind and a name."""
    parser.add_argument("kind", metavar="KIND", type=kind, help="what it is: run, agent, tool, toolcall, request, event, ...")
    parser.add_argument("name", metavar="NAME", help="its name, its id, or 6 or more characters of the id's end; of an event its number")
    add_output(parser, formats=("text", "json", "yaml"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"describe {arguments.kind.removesuffix('s')} '{arguments.name}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the thing."""
    answer = session.client.get(path_of("describe", arguments.kind, arguments.name))
    item = answer.get("item")
    if not isinstance(item, dict):
        raise SmallchainError("the daemon's answer describes nothing", hint="is its version that of this program?")
    if arguments.output != "text":
        show_value(answer, output=arguments.output)
        return 0
    told = answer.get("related")
    related = told if isinstance(told, dict) else {}
    inside = {key: item[key] for key in ("limits", "plan") if isinstance(item.get(key), list)}
    related = {**inside, **related}
    _show_fields({key: value for key, value in item.items() if key not in related}, indent="")
    for heading, found in related.items():
        if isinstance(found, list) and found:
            out(f"\n{visible(heading)}:")
            _show_related(heading, [one for one in found if isinstance(one, dict)])
    return 0


def _show_related(heading: str, items: list[Item]) -> None:
    if heading == "events":
        for event in items:
            out(f"  {pretty_event(event)}")
        return
    match heading:
        case "pins":
            columns: tuple[Column, ...] = _PINS
        case "modelcalls":
            columns = _MODEL_CALLS
        case "used_by":
            columns = _USERS
        case "plan":
            columns = _PLAN
        case "limits":
            columns = _LIMITS
        case "attempts":
            columns = _ATTEMPTS
        case "children":
            columns = columns_of("runs")
        case _:
            columns = columns_of(heading)
    for line in table(columns, items):
        out(f"  {line}")


def _show_fields(item: Item, *, indent: str) -> None:
    """`key: value`, one a line; inner objects indented, of a list each on a line; what is empty left out; several lines behind a bar."""
    shown = {key: value for key, value in item.items() if value not in (None, "", [], {})}
    widest = max((len(key) for key in shown if not _is_block(shown[key])), default=0)
    for key, value in shown.items():
        if isinstance(value, dict):
            out(f"{indent}{visible(key)}:")
            _show_fields(value, indent=indent + "  ")
        elif isinstance(value, list) and _is_block(value):
            out(f"{indent}{visible(key)}:")
            for each in value:
                out(f"{indent}  - {visible(text_of(each))}")
        elif _is_block(value):
            out(f"{indent}{visible(key)}:")
            for line in visible(value, multiline=True).split("\n"):
                out(f"{indent}  | {line}")
        else:
            out(f"{indent}{visible(key) + ':':<{widest + 1}} {visible(_scalar(value))}")


def _is_block(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(each, dict) or (isinstance(each, str) and " " in each) for each in value)
    return isinstance(value, dict) or (isinstance(value, str) and "\n" in value)


def _scalar(value: Any) -> str:
    return visible_json(value) if isinstance(value, list | bool) else text_of(value)
