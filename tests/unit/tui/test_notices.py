"""What somebody is told who is not looking: by name, once, and not too often."""

from __future__ import annotations

from typing import Any

from smallchain_tui.viewmodel.notices import EVERY_S, Notices, Of, title


def asks(id: str, tool: str = "publish_post", **changes: Any) -> dict[str, Any]:
    return {"id": id, "tool": tool, "run": "blog-7", "risk": "normal", "kind": "approval"} | changes


def failed(id: str, name: str) -> dict[str, Any]:
    return {"id": id, "name": name}


def test_what_was_there_at_the_start_is_seen_and_not_told() -> None:
    assert Notices().look([asks("a")], [failed("f", "pay")], 0.0)[1] is None


def test_what_asks_is_told_once_by_name() -> None:
    seen, _ = Notices().look([], [], 0.0)
    seen, notice = seen.look([asks("a", risk="high")], [], 1.0)

    assert notice is not None
    assert notice.line == "asks: publish_post HIGH (blog-7)"
    assert notice.ids(Of.REQUEST) == ("a",)
    assert seen.look([asks("a", risk="high")], [], 100.0)[1] is None
    assert seen.look([], [], 100.0)[0].look([asks("a")], [], 200.0)[1] is None, "nor when it was gone for a while"


def test_what_comes_soon_after_is_told_together_with_the_next() -> None:
    seen, _ = Notices().look([], [], 0.0)
    seen, first = seen.look([asks("a")], [], 1.0)
    seen, second = seen.look([asks("a"), asks("b", "send_mail")], [], 2.0)
    seen, third = seen.look([asks("a"), asks("b", "send_mail"), asks("c", "pay")], [failed("f", "crawl")], 1.0 + EVERY_S)

    assert (first is not None, second) == (True, None)
    assert third is not None
    assert third.line == "2 ask: send_mail (blog-7), pay (blog-7); crawl failed"
    assert third.ids(Of.FAILURE) == ("f",)


def test_what_was_decided_before_it_was_told_is_not_told() -> None:
    seen, _ = Notices().look([], [], 0.0)
    seen, _ = seen.look([asks("a")], [], 1.0)
    seen, _ = seen.look([asks("b")], [], 2.0)

    assert seen.look([], [], 60.0)[1] is None


def test_hostile_names_are_harmless_in_a_notice() -> None:
    seen, _ = Notices().look([], [], 0.0)
    _, notice = seen.look([asks("a", tool="x\x1b]0;owned\x07", run="r\n;y")], [], 1.0)

    assert notice is not None
    assert notice.line == "asks: x\\x1b]0;owned\\x07 (r\\n;y)"


def test_many_are_counted() -> None:
    seen, _ = Notices().look([], [], 0.0)
    _, notice = seen.look([asks(str(number)) for number in range(9)], [], 1.0)

    assert notice is not None
    assert notice.line.startswith("9 ask: ")
    assert notice.line.endswith("and 6 more")


def test_the_title_says_first_how_many_wait() -> None:
    assert (title(2, 1), title(0, 0)) == ("(2) smallchain 1 failed", "smallchain")
