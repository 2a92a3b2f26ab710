"""When a deletion is carried out, and when a mistake is likelier than a wish (design section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallchain.model.errors import Place
from smallchain.model.manifest import Resource
from smallchain.model.plan import Key, Plan, Standing, plan

TOOLS = {("tool", name): Standing("tools.yaml") for name in "abcd"}
LIVE: dict[Key, Standing] = {("run", "monday"): Standing("runs.yaml", is_live_run=True)}


def wanted(*keys: Key) -> list[Resource]:
    return [Resource(kind, name, {"name": name}, Place("any.yaml", 1, 1)) for kind, name in keys]


def planned(*keys: Key, standing: Mapping[Key, Standing], **changes: Any) -> Plan:
    facts: dict[str, Any] = {"vanished": frozenset(), "other_folder": False, "accept": False}
    return plan(wanted(*keys), standing=standing, **facts | changes)


def test_what_is_written_is_put_and_nothing_else_happens() -> None:
    found = planned(*TOOLS, standing=TOOLS)

    assert [(each.kind, each.name) for each in found.put] == list(TOOLS)
    assert (found.remove, found.held, found.why_held) == ((), (), "")


def test_an_entry_taken_out_of_its_file_is_removed() -> None:
    found = planned(("tool", "a"), ("tool", "b"), ("tool", "c"), standing=TOOLS)

    assert (found.remove, found.held) == ((("tool", "d"),), ())


def test_however_many_entries_are_taken_out_of_a_file_that_stays_they_are_removed() -> None:
    assert planned(standing=TOOLS).remove == tuple(TOOLS)


def test_a_live_run_taken_out_of_a_file_that_stays_is_removed() -> None:
    assert planned(*TOOLS, standing=TOOLS | LIVE).remove == (("run", "monday"),)


def test_a_small_file_that_vanished_takes_its_entries_along() -> None:
    standing = TOOLS | {("task", "post"): Standing("tasks.yaml")}
    found = planned(*TOOLS, standing=standing, vanished=frozenset({"tasks.yaml"}))

    assert (found.remove, found.held) == ((("task", "post"),), ())


def test_half_of_all_going_with_a_file_is_removed_and_more_than_half_is_held() -> None:
    others: dict[Key, Standing] = {("task", name): Standing("tasks.yaml") for name in "abcd"}
    gone = frozenset({"tools.yaml"})
    half = planned(*others, standing=TOOLS | others, vanished=gone)
    more = planned(*list(others)[:3], standing=TOOLS | dict(list(others.items())[:3]), vanished=gone)

    assert (half.remove, half.held) == (tuple(TOOLS), ())
    assert (more.remove, more.held) == ((), tuple(TOOLS))
    assert "more than half" in more.why_held


def test_what_moved_to_another_file_did_not_go() -> None:
    found = planned(*TOOLS, standing=TOOLS, vanished=frozenset({"tools.yaml"}))

    assert (found.remove, found.held) == ((), ())


def test_a_live_run_whose_file_vanished_is_held() -> None:
    found = planned(*TOOLS, standing=TOOLS | LIVE, vanished=frozenset({"runs.yaml"}))

    assert (found.remove, found.held) == ((), (("run", "monday"),))
    assert "run 'monday' is live" in found.why_held


def test_a_run_that_is_over_goes_with_its_file() -> None:
    over: dict[Key, Standing] = {("run", "monday"): Standing("runs.yaml")}
    found = planned(*TOOLS, standing=TOOLS | over, vanished=frozenset({"runs.yaml"}))

    assert (found.remove, found.held) == ((("run", "monday"),), ())


def test_nothing_is_removed_while_the_folder_is_another_one() -> None:
    found = planned(("tool", "a"), ("tool", "b"), ("tool", "c"), standing=TOOLS, other_folder=True)

    assert (found.remove, found.held) == ((), (("tool", "d"),))
    assert "another one than before" in found.why_held


def test_another_folder_that_says_the_same_is_no_trouble() -> None:
    found = planned(*TOOLS, standing=TOOLS, other_folder=True)

    assert (found.held, found.why_held) == ((), "")


def test_what_is_new_is_put_although_deletions_are_held() -> None:
    found = planned(("task", "new"), standing=TOOLS, vanished=frozenset({"tools.yaml"}))

    assert [each.name for each in found.put] == ["new"]
    assert found.held == tuple(TOOLS)


def test_a_person_who_accepts_gets_what_is_written() -> None:
    every = TOOLS | LIVE
    found = planned(standing=every, vanished=frozenset({"tools.yaml", "runs.yaml"}), other_folder=True, accept=True)

    assert (found.remove, found.held, found.why_held) == (tuple(every), (), "")


def test_in_the_beginning_nothing_stands() -> None:
    found = planned(*TOOLS, standing={})

    assert (len(found.put), found.remove, found.held) == (4, (), ())
