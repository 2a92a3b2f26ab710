"""Every key, by the id of its action: the one table from which screens take their bindings, the help its lines, and `--keys` its print.

The one rule: a key means one thing on a screen. `tui.toml` in the config folder moves keys by action id, and what clashes then is told
before anything is drawn. Never bound, since terminals take them or people expect something else: ctrl+k, ctrl+d as a deletion, F10, F11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smallchain_tui.viewmodel.things import KINDS

if TYPE_CHECKING:
    from textual.binding import BindingType


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does. `id` is `scope.name`, `keys` Textual's names with commas between, `run` Textual's action (without: `name`)."""

    id: str
    keys: str
    what: str
    run: str = ""
    hint: str = ""
    """The word in the status line, where it is worth its place there."""
    priority: bool = False

    @property
    def scope(self) -> str:
        """Where it works."""
        return self.id.partition(".")[0]

    @property
    def action(self) -> str:
        """The action, as Textual calls it: `action_<name>` of the widget or screen that binds it, or of the screen where it says so."""
        return self.run or self.id.partition(".")[2]


ACTIONS = (
    # anywhere, whatever is open
    Action("app.command_palette", "ctrl+p", "find an action by its name", hint="palette"),
    Action("app.quit_at_once", "ctrl+q", "quit; the runs go on", priority=True),
    Action("app.refresh_now", "ctrl+r", "read everything again; look for the daemon now"),
    Action("app.next_theme", "L", "the next theme: dark, light, the terminal's own"),
    Action("app.toggle_mouse", "f9", "mouse off and on: off, the terminal selects text"),
    Action("app.focus_next", "tab", "the next pane"),
    Action("app.focus_previous", "shift+tab", "the pane before"),
    Action("app.copy_or_hint", "ctrl+c", "copy what is selected with the mouse", priority=True),
    Action("app.suspend_process", "ctrl+z", "put the dashboard into the background"),
    # on each screen
    Action("anywhere.help", "question_mark,f1", "what the keys here do", hint="help"),
    Action("anywhere.command_line", "colon", "type a command", hint="command"),
    Action("anywhere.back", "q", "back; at the top: quit, and the runs go on", hint="quit"),
    Action("anywhere.out", "escape", "back; clears a filter or marks first"),
    Action("anywhere.larger", "plus", "make this pane larger"),
    Action("anywhere.smaller", "underscore", "make this pane smaller"),
    # the overview
    Action("overview.pane_1", "1", "runs", "pane('runs')"),
    Action("overview.pane_2", "2", "inbox", "pane('inbox')"),
    Action("overview.pane_3", "3", "events", "pane('events')"),
    Action("overview.pane_4", "4", "spend", "pane('spend')"),
    Action("overview.things", "5", "tools, MCP servers, artifacts, agents, LLMs, channels, files, budgets", hint="tools"),
    Action("overview.inbox", "a", "go to the inbox", "pane('inbox')", hint="inbox"),
    Action("overview.filter", "slash", "filter: text, key=value, !not, ~fuzzy", hint="filter"),
    Action("overview.copy_value", "c", "copy the name or the id"),
    Action("overview.copy_json", "C", "copy as JSON, of all that is marked"),
    Action("overview.export", "x", "write what is marked, else all that is listed, to a file, as JSON"),
    # lists
    Action("lists.down", "j,down", "down", "cursor_down"),
    Action("lists.up", "k,up", "up", "cursor_up"),
    Action("lists.first", "g,home", "the first", "cursor_first"),
    Action("lists.last", "G,end", "the last", "cursor_last"),
    Action("lists.half_down", "ctrl+d", "half a page down", "half_page_down"),
    Action("lists.half_up", "ctrl+u", "half a page up", "half_page_up"),
    Action("lists.page_down", "pagedown", "a page down", "cursor_page_down"),
    Action("lists.page_up", "pageup", "a page up", "cursor_page_up"),
    Action("lists.open", "enter", "go in", "open", hint="open"),
    Action("lists.mark", "space", "mark", hint="mark"),
    Action("lists.mark_range", "v", "mark all up to here"),
    Action("lists.sort", "s", "sort", "screen.sort", hint="sort"),
    Action("lists.wide", "w", "more columns, or fewer", "screen.wide", hint="wide"),
    Action("lists.yaml", "y", "look at it as YAML", "screen.yaml"),
    # runs
    Action("runs.pause", "p", "pause this run", "screen.pause", hint="pause"),
    Action("runs.resume", "R", "resume or retry this run", "screen.resume"),
    Action("runs.cancel", "K", "cancel this run...", "screen.cancel", hint="cancel..."),
    Action("runs.fork", "F", "fork this run...", "screen.fork"),
    Action("runs.start", "S", "run a task...", "screen.start"),
    Action("runs.tree", "t", "this run's tree", "screen.tree"),
    Action("runs.budget", "b", "raise the cap that stands in its way...", "screen.budget"),
    Action("runs.run_events", "e", "events of this run", "screen.run_events"),
    Action("runs.open_request", "o", "what this run asks a person", "screen.open_request"),
    Action("runs.parent", "left_square_bracket", "the parent run", "screen.parent"),
    Action("runs.child", "right_square_bracket", "the first child run", "screen.child"),
    # panes of lines: events, messages, documents, trees
    Action("lines.down", "j,down", "down", "cursor_down"),
    Action("lines.up", "k,up", "up", "cursor_up"),
    Action("lines.first", "g,home", "the first", "cursor_first"),
    Action("lines.last", "G,end", "the last", "cursor_last"),
    Action("lines.half_down", "ctrl+d", "half a page down", "half_page_down"),
    Action("lines.half_up", "ctrl+u", "half a page up", "half_page_up"),
    Action("lines.page_down", "pagedown", "a page down", "cursor_page_down"),
    Action("lines.page_up", "pageup", "a page up", "cursor_page_up"),
    Action("lines.open", "enter", "go in", "open", hint="open"),
    Action("lines.next_hit", "n", "the next hit of the search", "next_hit"),
    Action("lines.previous_hit", "N", "the hit before", "previous_hit"),
    Action("lines.unfold", "space", "unfold or fold it here", "unfold", hint="unfold"),
    Action("lines.unfold_all", "z", "unfold or fold all", "unfold_all"),
    # caps
    Action("bars.budget", "b", "raise this cap...", "screen.budget", hint="raise..."),
    # events
    Action("events.follow", "f", "follow what is new, or hold still", hint="follow"),
    Action("events.minute_on", "m", "a minute on"),
    Action("events.minute_back", "M", "a minute back"),
    Action("events.level", "l", "which levels are shown", hint="level"),
    Action("events.types", "T", "which types are shown...", hint="types"),
    Action("events.raw", "J", "the events' JSON", "raw_events"),
    # tools, MCP servers, artifacts, and the rest of what is written
    *(Action(f"things.kind_{n}", str(n), kind.title, f"kind({n})") for n, kind in enumerate(KINDS, 1)),
    Action("things.filter", "slash", "filter: text, column=value, !not, ~fuzzy", hint="filter"),
    Action("things.budget", "b", "of budgets: raise this one..."),
    Action("things.copy_value", "c", "copy the name, of an artifact the id", hint="copy"),
    Action("things.copy_json", "C", "copy as JSON, of all that is marked"),
    Action("things.export", "x", "write what is marked, else all that is listed, to a file, as JSON"),
    # the inbox
    Action("inbox.down", "j,down", "down", "cursor_down"),
    Action("inbox.up", "k,up", "up", "cursor_up"),
    Action("inbox.first", "g,home", "the first", "cursor_first"),
    Action("inbox.last", "G,end", "the last", "cursor_last"),
    Action("inbox.open", "enter", "look at it (decides nothing)", "open", hint="open"),
    Action("inbox.approve", "y", "look at it, to approve", "open"),
    Action("inbox.deny", "n", "look at it, to deny", "open"),
    Action("inbox.mark", "space", "mark", hint="mark"),
    Action("inbox.mark_range", "v", "mark all up to here"),
    Action("inbox.approve_marked", "Y", "approve what is marked...", "screen.bulk", hint="approve marked..."),
    Action("inbox.snooze", "u", "put it behind the others for ten minutes", hint="snooze"),
    # deciding
    Action("deciding.send", "ctrl+s", "send, or keep, what is written in a field", hint="send"),
    Action("deciding.next_request", "J", "the next request", hint="next"),
    Action("deciding.previous_request", "K", "the request before", hint="previous"),
    Action("deciding.page", "space,pagedown", "a page on", "page(1)"),
    Action("deciding.page_back", "b,pageup", "a page back", "page(-1)"),
    Action("deciding.exactly", "r", "what is hidden, written out", hint="written out"),
    Action("deciding.snooze", "u", "put it off for ten minutes", hint="snooze"),
    Action("deciding.copy_json", "C", "copy the request as JSON"),
    Action("approval.approve", "y", "approve once", hint="approve once"),
    Action("approval.deny", "n", "deny, with a note", hint="deny with note..."),
    Action("approval.edit", "e", "edit the arguments", hint="edit"),
    Action("approval.editor", "ctrl+o", "edit them in $VISUAL or $EDITOR"),
    Action("approval.turn", "d", "the next pane: arguments, diff, context", hint="diff"),
    Action("approval.always", "A", "approve this tool for the rest of this run...", hint="always in this run..."),
    Action("request.choose", "1,2,3,4,5,6,7,8,9", "choose this answer; it is not sent by it", hint="choose"),
    Action("bulk.approve", "y", "approve all that are taken...", hint="approve them..."),
    Action("bulk.deny", "n", "deny all that are taken, with a note...", hint="deny them..."),
    Action("act.go", "y", "do it", hint="do it"),
    Action("act.no", "n,enter", "do not", hint="do not"),
    # run and item
    *(Action(f"detail.tab_{number}", str(number), f"part {number}", f"show_part({number})") for number in range(1, 7)),
    Action("item.budget", "b", "of a budget: raise it..."),
    Action("detail.search", "slash", "search; n and N go on", hint="search"),
    Action("detail.yaml", "y", "as YAML; a document: YAML or JSON", hint="yaml"),
    Action("detail.raw", "r", "hidden characters written out as a program writes them", hint="raw"),
    Action("detail.fold", "left,h", "fold the part around"),
    Action("detail.unfold", "right", "unfold it"),
    Action("detail.copy_value", "c", "copy the value", hint="copy"),
    Action("detail.copy_json", "C", "copy as JSON"),
    Action("detail.export", "x", "write it to a file", hint="export"),
)
SCREENS: Mapping[str, tuple[str, ...]] = {
    "overview: runs": ("app", "anywhere", "overview", "lists", "runs"),
    "overview: inbox": ("app", "anywhere", "overview", "inbox"),
    "overview: events": ("app", "anywhere", "overview", "lines", "events"),
    "overview: budgets": ("app", "anywhere", "overview", "lines", "bars"),
    "things": ("app", "anywhere", "things", "lists"),
    "approval": ("app", "anywhere", "deciding", "approval"),
    "question and request": ("app", "anywhere", "deciding", "request"),
    "bulk": ("app", "anywhere", "deciding", "bulk"),
    "act": ("app", "anywhere", "deciding", "act"),
    "run": ("app", "anywhere", "detail", "lines", "runs"),
    "run: events": ("app", "anywhere", "detail", "lines", "events", "runs"),
    "item": ("app", "anywhere", "detail", "lines", "item"),
}
"""Which scopes are heard at the same time."""

TITLES: Mapping[str, str] = {
    "app": "Everywhere",
    "anywhere": "Each screen",
    "overview": "The overview",
    "lists": "Lists",
    "runs": "The run under the cursor",
    "lines": "Panes of lines",
    "bars": "Budgets",
    "events": "Events",
    "inbox": "The inbox",
    "things": "Tools, MCP servers, artifacts, and the rest",
    "deciding": "Deciding",
    "approval": "An approval",
    "request": "A question, and other requests",
    "bulk": "Several at once",
    "act": "A dialog",
    "detail": "One run, one thing",
    "item": "One thing",
}
"""What the help page calls a scope."""

_BY_ID = {action.id: action for action in ACTIONS}
_FORBIDDEN = frozenset(("ctrl+k", "f10", "f11"))


@dataclass(frozen=True, slots=True)
class Keys:
    """The key map in use: the table, with what `tui.toml` moves."""

    moved: Mapping[str, str]

    def of(self, id: str) -> str:
        """The keys of an action, with commas between; empty: none. Raises KeyError for an id that is not in the table."""
        return self.moved.get(id, _BY_ID[id].keys)

    def names(self, id: str) -> frozenset[str]:
        """The keys of an action, by Textual's names."""
        return frozenset(_split(self.of(id)))

    def shown(self, id: str) -> str:
        """The first key of an action as people write it: `?`, `ctrl+p`."""
        return spelt(self.of(id).partition(",")[0].strip())

    def lines(self, scopes: Iterable[str]) -> list[tuple[str, str, str]]:
        """Keys, what they do, and the action's id, in the table's order."""
        wanted = tuple(scopes)
        return [
            (", ".join(spelt(key.strip()) for key in self.of(each.id).split(",") if key.strip()), each.what, each.id)
            for scope in wanted
            for each in ACTIONS
            if each.scope == scope
        ]

    def faults(self) -> list[str]:
        """What is wrong with the map, a sentence each; empty when all is well."""
        found = []
        for id, keys in self.moved.items():
            if id not in _BY_ID:
                found.append(f"there is no action {id!r}; `smallchain-tui --keys` lists them")
            else:
                found += [f"{id}: {key} is never bound: terminals take it" for key in _split(keys) if key in _FORBIDDEN]
        for screen, scopes in SCREENS.items():
            taken: dict[str, str] = {}
            for action in ACTIONS:
                if action.scope not in scopes:
                    continue
                for key in _split(self.of(action.id)):
                    other = taken.setdefault(key, action.id)
                    if other != action.id:
                        found.append(f"{screen}: {spelt(key)} is both {other} and {action.id}")
        return list(dict.fromkeys(found))


def bindings(*scopes: str) -> list[BindingType]:
    """The bindings of a screen or a widget, by their scopes; `App.set_keymap` moves them by id."""
    from textual.binding import Binding

    return [
        Binding(each.keys, each.action, each.what, show=bool(each.hint), priority=each.priority, id=each.id)
        for scope in scopes
        for each in ACTIONS
        if each.scope == scope
    ]


def hint_of(id: str) -> str:
    """The word that the status line has for an action."""
    return _BY_ID[id].hint


_SPELT = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "plus": "+",
    "underscore": "_",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "period": ".",
    "comma": ",",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
}


def spelt(key: str) -> str:
    """A key as people write it."""
    return _SPELT.get(key, key)


def _split(keys: str) -> list[str]:
    names = {shown: name for name, shown in _SPELT.items()}
    return [names.get(key.strip(), key.strip()) for key in keys.split(",") if key.strip()]


def printed(keys: Keys) -> str:
    """The whole map, for `--keys`: a line an action, in the form that `tui.toml` takes."""
    scopes = dict.fromkeys(action.scope for action in ACTIONS)
    lines = ["# the keys of smallchain-tui; in tui.toml of the config folder, under [keys], an action's id moves its keys"]
    for scope in scopes:
        lines.append("")
        lines += [f'"{id}" = "{keys.of(id)}"'.ljust(48) + f"# {what}" for _, what, id in keys.lines([scope])]
    return "\n".join(lines)
