"""What can be typed after `:`; each word does what a key or the palette does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from smallchain.model.ids import did_you_mean
from smallchain_tui import themes
from smallchain_tui.screens.overview import TABS, OverviewScreen
from smallchain_tui.viewmodel import attention
from smallchain_tui.viewmodel.things import KINDS
from smallchain_tui.widgets.runstable import RunsTable

if TYPE_CHECKING:
    from smallchain_tui.app import Dashboard

_VERBS = ("pause", "resume", "cancel", "retry", "fork")


def carry_out(app: Dashboard, text: str) -> None:
    """Do what was typed, or say what could have been meant."""
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    does = COMMANDS.get(word.casefold())
    if does is None:
        near = did_you_mean(word, COMMANDS)
        app.tell(f"there is no command {word!r}; {near or 'the commands are ' + ', '.join(COMMANDS)}", severity="error")
        return
    said = does(app, rest)
    if said:
        app.tell(said, severity="error")


def _run(app: Dashboard, name: str) -> str | None:
    row = app.state.run_named(name) or next((each for each in app.state.runs.values() if name and each.id.endswith(name)), None)
    if row is None:
        names = [each.name for each in app.state.runs.values()]
        return f"there is no run {name!r}; {did_you_mean(name, names) or ':run NAME opens one'}"
    app.open_run(row.name)
    return None


def _filter(app: Dashboard, text: str) -> str | None:
    overview = _overview(app)
    overview.query_one(RunsTable).apply_filter(text)
    return None


def _sort(app: Dashboard, name: str) -> str | None:
    if name not in attention.ORDERS:
        return f"runs are sorted by {', '.join(attention.ORDERS)}"
    _overview(app).sort_by(name)
    return None


def _theme(app: Dashboard, name: str) -> str | None:
    found = next((each for each in themes.NAMES if name and each.endswith(name)), None)
    if found is None:
        return "the themes are " + ", ".join(each.removeprefix("smallchain-") for each in themes.NAMES)
    app.theme = found
    return None


def _pane(name: str) -> Callable[[Dashboard, str], str | None]:
    def show(app: Dashboard, rest: str) -> str | None:
        _overview(app).action_pane(name)
        return None

    return show


def _things(name: str) -> Callable[[Dashboard, str], str | None]:
    def show(app: Dashboard, rest: str) -> str | None:
        _overview(app)
        app.open_things(name)
        return None

    return show


def _act(verb: str) -> Callable[[Dashboard, str], str | None]:
    def act(app: Dashboard, name: str) -> str | None:
        if app.state.run_named(name) is None:
            return f"there is no run {name!r}; {did_you_mean(name, [row.name for row in app.state.runs.values()]) or f':{verb} NAME'}"
        app.open_act(verb, name)
        return None

    return act


def _budget(app: Dashboard, name: str) -> str | None:
    if app.state.run_named(name) is None:
        return f"there is no run {name!r}; {did_you_mean(name, [row.name for row in app.state.runs.values()]) or ':budget NAME'}"
    app.open_budget(run=name)
    return None


def _task(app: Dashboard, name: str) -> str | None:
    app.open_act("start", name)
    return None


def _quit(app: Dashboard, rest: str) -> str | None:
    app.action_quit_at_once()
    return None


def _help(app: Dashboard, rest: str) -> str | None:
    _overview(app).action_help()
    return None


def _overview(app: Dashboard) -> OverviewScreen:
    """The overview, brought to the front."""
    while len(app.screen_stack) > 2:
        app.pop_screen()
    found = app.screen_stack[-1]
    assert isinstance(found, OverviewScreen)
    return found


COMMANDS: dict[str, Callable[[Dashboard, str], str | None]] = {
    "run": _run,
    "task": _task,
    "filter": _filter,
    "sort": _sort,
    "theme": _theme,
    **{name: _pane(name) for name in TABS},
    **{kind.name: _things(kind.name) for kind in KINDS},
    **{verb: _act(verb) for verb in _VERBS},
    "budget": _budget,
    "help": _help,
    "quit": _quit,
    "q": _quit,
}

MEANINGS: tuple[tuple[str, str], ...] = (
    ("run NAME", "open a run, by its name or the end of its id"),
    (", ".join(TABS), "a pane of the overview"),
    *((kind.name, f"the list of {kind.title if kind.title[:2].isupper() else kind.title.lower()}") for kind in KINDS),
    ("filter TEXT", "filter the runs; without a text: all"),
    ("sort NAME", ", ".join(attention.ORDERS[:4]) + ", ..."),
    ("task TASK", "start a run of it"),
    *((f"{verb} RUN", "as its key does, which asks first") for verb in _VERBS),
    ("budget RUN", "raise the cap that stands in its way"),
    ("theme NAME", ", ".join(name.removeprefix("smallchain-") for name in themes.NAMES)),
    ("help, quit", "this page; leave, and the runs go on"),
)
"""The same for people, as the help page has it."""
