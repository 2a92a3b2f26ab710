"""Several approvals at once: only what can be judged from a line, one by one, with a result each."""

from __future__ import annotations

from typing import Any

from smallchain.model.delivery import Verb
from smallchain_tui.viewmodel.bulk import Many, Result, preflight
from smallchain_tui.viewmodel.decision import Decision, Stage, Verdict


def item(id: str, **changes: Any) -> dict[str, Any]:
    whole = {"id": id, "kind": "approval", "digest": f"{id}" * 16, "risk": "normal", "tool": "post", "run": "blog", "run_id": "r"}
    return whole | {"phase": "open", "arguments": {"title": "news"}} | changes


def test_what_needs_a_look_of_its_own_is_left_out_and_named() -> None:
    bulk = preflight(
        [
            item("aaaa"),
            item("bbbb", risk="high"),
            item("cccc", kind="question", arguments=None),
            item("dddd", phase="answered"),
            item("eeee", arguments={"title": "a\u202eb"}),
            item("ffff", arguments={"to": "p\u0430ypal"}),
            item("gggg", arguments={"body": "x" * 500}),
            item("hhhh", arguments="no object"),
        ]
    )

    assert [row.asked.id for row in bulk.taken] == ["aaaa"]
    assert [row.left_out for row in bulk.left_out] == [
        "HIGH risk is opened alone",
        "a question is answered by itself",
        "it is decided already",
        "1 hidden character: open it",
        "mixed alphabets (p\u0430ypal): open it",
        "its arguments are longer than a line: open it",
        "its arguments are no object",
    ]


def test_each_is_sent_with_its_own_digest_and_the_note_of_all() -> None:
    bulk = preflight([item("aaaa"), item("bbbb")])
    first = bulk.next()

    assert first is not None
    assert bulk.act(first, Verdict(Verb.APPROVE), "fine") == ("approve", "aaaa", {"note": "fine", "expect_digest": "aaaa" * 16})
    second = bulk.told("aaaa", Result(True, "approved")).next()
    assert second is not None
    assert second.asked.id == "bbbb"


def test_one_that_does_not_count_does_not_keep_the_others_and_what_is_stopped_is_not_sent() -> None:
    bulk = preflight([item("aaaa"), item("bbbb"), item("cccc"), item("dddd", risk="high")])
    bulk = bulk.told("aaaa", Result(False, "already denied by ann")).told("bbbb", Result(True, "approved")).stop("no daemon")

    assert bulk.next() is None
    assert bulk.summary() == "1 of 3 counted, 1 did not, 1 not sent, 1 left out (no daemon)"


def test_to_approve_many_their_number_is_typed() -> None:
    decision = Decision(Many(3), quiet_since=0.0).press(Verdict(Verb.APPROVE), 1.0, why_not=None)

    assert decision.stage is Stage.CONFIRMING
    assert decision.write(2.0, typed="2").send(3.0, why_not=None).stage is Stage.CONFIRMING
    assert decision.write(2.0, typed="3").send(3.0, why_not=None).stage is Stage.HELD
