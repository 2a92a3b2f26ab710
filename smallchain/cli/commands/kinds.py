"""The kinds that `get` and `describe` know, and the columns of each table.

The one rule: the word in the column is the word in the item, in the YAML and on the dashboard.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

from smallchain.cli.render import Column, Item, age, text_of

_PLURALS = {
    "llm": "llms",
    "agent": "agents",
    "tool": "tools",
    "task": "tasks",
    "run": "runs",
    "toolcall": "toolcalls",
    "request": "requests",
    "grant": "grants",
    "budget": "budgets",
    "spend": "spend",
    "event": "events",
    "file": "files",
    "mcp_server": "mcp_servers",
    "channel": "channels",
    "schedule": "schedules",
    "artifact": "artifacts",
    "template": "templates",
}
KINDS = tuple(_PLURALS.values())


def kind(word: str) -> str:
    """The plural of a kind as a person typed it, for argparse; a wrong word is told the nearest."""
    plural = kind_of(word)
    if plural is not None:
        return plural
    from smallchain.model.ids import did_you_mean
    from smallchain.protocol.text import visible

    near = did_you_mean(_plain(word), (*KINDS, *_PLURALS))
    raise ArgumentTypeError(f"'{visible(word)}' is no kind{f'; {near}' if near else ''} (kinds: {' '.join(KINDS)})")


def kind_of(word: str) -> str | None:
    """The plural of a kind as a person typed it; None for what is no kind."""
    plural = _PLURALS.get(_plain(word), _plain(word))
    return plural if plural in KINDS else None


def columns_of(plural: str) -> tuple[Column, ...]:
    """The columns of a kind's table."""
    return _COLUMNS.get(plural, _PLAIN)


def column(heading: str, key: str, *, wide: bool = False, cells: int | None = None) -> Column:
    """A column that shows one of the item's values."""
    return Column(heading, lambda item: item.get(key), wide, cells)


def spec(item: Item) -> Item:
    """What a person wrote about a thing."""
    found = item.get("spec")
    return found if isinstance(found, dict) else {}


def _whose(item: Item) -> str:
    """Whether a template says what we wrote, or what the YAML says in its place."""
    return "replaced" if item.get("replaced") else "ours"


def _limit(item: Item) -> str:
    """The limit of a cap as it is written, and what people added to it: `$5.00 + $5.00`."""
    return " + ".join(text_of(item[name]) for name in ("limit", "raised") if item.get(name))


def _way(item: Item) -> str:
    """How a tool runs: `builtin add`, or its executor's name."""
    written = spec(item)
    executor = written.get("executor")
    if isinstance(executor, dict) and executor:
        return text_of(next(iter(executor)))
    return f"builtin {text_of(written.get('builtin'))}" if written.get("builtin") else ""


def _in_use(item: Item) -> str:
    """Calls that are out, of those that may be: `3/8`, or `3` where any number may."""
    most = (spec(item).get("limits") or {}).get("concurrency")
    return text_of(item.get("in_use")) + (f"/{text_of(most)}" if most else "")


def _llm_limits(item: Item) -> str:
    """What an LLM may be asked for in a minute: `500 requests, 200000 tokens`."""
    limits = spec(item).get("limits") or {}
    words = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}
    return ", ".join(f"{text_of(limits[key])} {word}" for key, word in words.items() if limits.get(key))


def _moments(item: Item) -> str:
    """When a schedule starts: `0 7 * * 1-5 Europe/Berlin`, or `every 10m`."""
    written = spec(item)
    if written.get("every"):
        return f"every {text_of(written['every'])}"
    return f"{text_of(written['cron'])} {text_of(written.get('time_zone') or 'UTC')}" if written.get("cron") else ""


def _moment(key: str) -> Callable[[Item], str]:
    """One of the item's moments, to the second."""
    return lambda item: text_of(item.get(key))[:19] + "Z" if item.get(key) else ""


def _why_no_start(item: Item) -> str:
    """Why a schedule does not start: what is wrong with it, the run that a start waits for, or what was skipped since the last start."""
    if item.get("detail"):
        return text_of(item["detail"])
    if item.get("waiting_since"):
        return f"a start waits until run '{text_of(item.get('last_run'))}' is over"
    since, skipped = text_of(item.get("last_start_at")), text_of(item.get("skipped_at"))
    return f"skipped: {text_of(item.get('skipped_why'))}" if item.get("skipped_at") and skipped > since else ""


def _place(item: Item) -> str:
    return f"{text_of(item.get('file'))}:{text_of(item.get('line'))}" if item.get("file") and item.get("line") else ""


def _object(item: Item) -> str:
    about = item.get("object")
    return f"{text_of(about.get('kind'))}/{text_of(about.get('name'))}" if isinstance(about, dict) else ""


def _first_problem(item: Item) -> str:
    problems = item.get("problems")
    if not isinstance(problems, list) or not problems or not isinstance(problems[0], dict):
        return ""
    first = problems[0]
    return ":".join(text_of(first.get(key)) for key in ("file", "line", "column")) + f": {text_of(first.get('message'))}"


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


_NAME, _STATUS = column("NAME", "name"), column("STATUS", "status")
_DETAIL = column("DETAIL", "detail", cells=80)
_WRITTEN = Column("FILE", _place, wide=True)
_ID = Column("ID", lambda item: item.get("id"), tail=8)
_AGE = Column("AGE", lambda item: age(item.get("created_at")))
_PLAIN = (_NAME, _STATUS, _DETAIL, _WRITTEN)

EVENTS = (
    column("SEQ", "seq"),
    Column("TIME", lambda item: text_of(item.get("time"))[:19] + "Z"),
    column("LEVEL", "level"),
    column("REASON", "reason"),
    column("RUN", "run", cells=32),
    Column("OBJECT", _object, wide=True),
    column("MESSAGE", "message", cells=160),
)

_COLUMNS: dict[str, tuple[Column, ...]] = {
    "llms": (
        _NAME,
        Column("PROVIDER", lambda item: spec(item).get("provider")),
        Column("MODEL", lambda item: spec(item).get("model")),
        _STATUS,
        Column("IN USE", _in_use, wide=True),
        column("WAITING", "waiting", wide=True),
        Column("HELD UNTIL", lambda item: text_of(item.get("held_until"))[:19] + "Z" if item.get("held_until") else "", wide=True),
        Column("LIMITS", _llm_limits, wide=True),
        Column("FALLBACK", lambda item: spec(item).get("fallback"), wide=True),
        _DETAIL,
        _WRITTEN,
    ),
    "agents": (
        _NAME,
        _STATUS,
        Column("LLM", lambda item: spec(item).get("llm")),
        Column("TOOLS", lambda item: len(spec(item).get("tools") or ())),
        _DETAIL,
        Column("DESCRIPTION", lambda item: spec(item).get("description"), wide=True),
        _WRITTEN,
    ),
    "tools": (
        _NAME,
        _STATUS,
        Column("RUNS", _way),
        Column("EFFECTS", lambda item: spec(item).get("effects")),
        _DETAIL,
        Column("DESCRIPTION", lambda item: spec(item).get("description"), wide=True),
        _WRITTEN,
    ),
    "tasks": (_NAME, Column("AGENT", lambda item: spec(item).get("agent")), _STATUS, _DETAIL, _WRITTEN),
    # The seed's columns: NAME is the agent, and TASK ID one heading.
    "runs": (
        column("RUN", "name"),
        column("NAME", "agent"),
        _STATUS,
        column("TASK ID", "task"),
        column("DEPTH", "depth"),
        column("PHASE", "phase", wide=True),
        Column("COST", lambda item: f"${text_of(item.get('tree_cost_usd') or item.get('cost_usd') or '0.00')}", wide=True),
        Column("AGE", lambda item: age(item.get("created_at")), wide=True),
        column("DETAIL", "detail", wide=True),
    ),
    "toolcalls": (
        _ID,
        column("RUN", "run"),
        column("TOOL", "tool"),
        column("PHASE", "phase"),
        column("ATTEMPTS", "attempts"),
        _AGE,
        column("ARGUMENTS", "arguments", wide=True),
        column("RESULT", "result", cells=60),
    ),
    "requests": (
        _ID,
        column("KIND", "kind"),
        column("RUN", "run"),
        column("TOOL", "tool"),
        column("PHASE", "phase"),
        _AGE,
        column("QUESTION", "question", cells=80),
        column("PATH", "path", wide=True),
        column("CHANNEL", "channel", wide=True),
        Column("EXPIRES", lambda item: text_of(item.get("expires_at"))[:19], wide=True),
        column("ARGUMENTS", "arguments", wide=True),
        column("ANSWERED BY", "answered_by", wide=True),
        column("NOTE", "note", wide=True),
    ),
    "grants": (
        _ID,
        column("TOOL", "tool"),
        column("RUN", "run"),
        _STATUS,
        column("BY", "by"),
        _AGE,
        column("NOTE", "note", cells=60),
        column("VIA", "via", wide=True),
        column("REVOKED BY", "revoked_by", wide=True),
    ),
    "artifacts": (
        _ID,
        _NAME,
        column("RUN", "run"),
        column("TOOL", "tool"),
        column("MEDIA TYPE", "media_type"),
        column("SIZE", "size_bytes"),
        _AGE,
        column("DIGEST", "digest", wide=True),
    ),
    "deliveries": (
        column("CHANNEL", "channel"),
        column("PHASE", "phase"),
        column("ATTEMPTS", "attempts"),
        column("REMINDERS", "reminder"),
        column("DETAIL", "detail", cells=80),
    ),
    "budgets": (
        _NAME,
        _STATUS,
        Column("LIMIT", _limit),
        column("PER", "per"),
        column("SPENT", "spent"),
        column("HELD", "held"),
        column("LEFT", "left"),
        column("ON LIMIT", "on_limit"),
        column("COUNTS", "counts", wide=True),
        column("WINDOW", "window", wide=True),
        Column("NEXT ROOM", _moment("next_room_at"), wide=True),
        Column("NEXT WINDOW", _moment("next_window"), wide=True),
        column("WAITING", "waiting", wide=True),
        _WRITTEN,
    ),
    "work": (
        _NAME,
        column("AGENT", "agent"),
        _STATUS,
        column("PRIORITY", "priority"),
        Column("SINCE", _moment("since")),
        column("RUN", "run", cells=48),
        _DETAIL,
    ),
    "mcp_servers": (
        _NAME,
        Column("TRANSPORT", lambda item: spec(item).get("transport")),
        _STATUS,
        Column("TOOLS", lambda item: len(item.get("tools") or ())),
        column("RESTARTS", "restarts"),
        _DETAIL,
        column("PID", "pid", wide=True),
        Column("EFFECTS", lambda item: spec(item).get("effects") or "once", wide=True),
        column("PROTOCOL", "protocol", wide=True),
        Column("SAYS", lambda item: (item.get("stderr") or [""])[-1], wide=True, cells=60),
        _WRITTEN,
    ),
    "mcp_tools": (
        _NAME,
        column("STATE", "state"),
        column("FUNCTION", "function"),
        Column("DIGEST", lambda item: text_of(item.get("digest"))[:12]),
        column("DETAIL", "detail", cells=60),
        column("DESCRIPTION", "description", cells=80),
    ),
    "schedules": (
        _NAME,
        _STATUS,
        Column("TASK", lambda item: spec(item).get("task")),
        Column("STARTS", _moments),
        Column("NEXT START", _moment("next_start_at")),
        Column("LAST START", _moment("last_start_at")),
        column("LAST RUN", "last_run"),
        column("SKIPPED", "skipped"),
        Column("DETAIL", _why_no_start, cells=80),
        column("PHASE", "last_phase", wide=True),
        Column("OVERLAP", lambda item: spec(item).get("overlap") or "skip", wide=True),
        Column("MISFIRE", lambda item: spec(item).get("misfire") or "once", wide=True),
        Column("JITTER", lambda item: spec(item).get("jitter"), wide=True),
        Column("WAITING SINCE", _moment("waiting_since"), wide=True),
        Column("LAST SKIPPED", _moment("skipped_at"), wide=True),
        column("WHY", "skipped_why", wide=True, cells=80),
        _WRITTEN,
    ),
    "channels": (_NAME, Column("TYPE", lambda item: spec(item).get("type")), _STATUS, _DETAIL, _WRITTEN),
    "files": (
        _NAME,
        _STATUS,
        Column("SINCE", lambda item: age(item.get("since"))),
        Column("PROBLEM", _first_problem),
        Column("PROBLEMS", lambda item: len(item.get("problems") or ()), wide=True),
        column("PATH", "id", wide=True),
    ),
    "spend": (
        _NAME,
        column("CALLS", "calls"),
        column("INPUT", "input_tokens"),
        column("CACHED", "cached_tokens", wide=True),
        column("OUTPUT", "output_tokens"),
        Column("COST", lambda item: f"${text_of(item.get('cost_usd'))}"),
        column("UNPRICED", "unpriced"),
    ),
    "templates": (
        _NAME,
        Column("WORDS", _whose),
        column("TEXT", "text", cells=80),
        column("USED FOR", "used_for", wide=True),
    ),
    "events": EVENTS,
}
