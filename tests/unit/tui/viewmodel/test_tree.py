from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smallchain.protocol.text import width
from smallchain_tui.viewmodel.glyphs import Glyphs
from smallchain_tui.viewmodel.line import text_of
from smallchain_tui.viewmodel.tree import heading, tree, tree_line
from support.hostile import HOSTILE, came_through
from support.tuirows import call_item, child, run

NOW = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
GLYPHS = Glyphs(ascii=True)
RUNS = [
    run("blog-7", agent="manager", cost_usd="0.20", status="Waiting"),
    child("blog-7/writer-1", "blog-7", agent="writer", cost_usd="0.08", created_at="2026-11-23T09:02:00Z", status="Succeeded"),
    child("blog-7/researcher-1", "blog-7", agent="researcher", cost_usd="0.30", created_at="2026-11-23T09:01:00Z"),
    child("blog-7/researcher-1/reader-1", "blog-7/researcher-1", agent="reader", cost_usd="0.11"),
    run("other", cost_usd="5.00"),
]


def drawn(cells: int = 120, **how: object) -> list[str]:
    nodes = tree(RUNS, [call_item("a", "blog-7/researcher-1")], root="id of blog-7", **how)  # type: ignore[arg-type]
    return [text_of(tree_line(node, cells, GLYPHS, whole_nanousd=nodes[0].total_nanousd, now=NOW)).rstrip() for node in nodes]


def test_a_branch_costs_what_all_below_it_cost_together() -> None:
    totals = {node.name: node.total_nanousd // 10_000_000 for node in tree(RUNS, root="id of blog-7", with_calls=False)}

    assert totals == {"blog-7": 69, "blog-7/researcher-1": 41, "blog-7/researcher-1/reader-1": 11, "blog-7/writer-1": 8}


def test_children_stand_below_their_parent_in_the_order_of_their_making() -> None:
    lines = drawn()

    assert [line[:24].rstrip() for line in lines] == [
        "blog-7",
        "|- researcher  researche",
        "|  |- reader  reader-1",
        "|  `- search",
        "`- writer  writer-1",
    ]


def test_a_line_says_status_by_glyph_and_word_cost_own_cost_and_time() -> None:
    line = drawn()[1]

    assert all(words in line for words in ("* Running", "$0.41", "$0.30", "5m"))


def test_a_folded_branch_says_how_many_are_in_it_and_keeps_its_cost() -> None:
    lines = drawn(folded={"id of blog-7/researcher-1"})

    assert len(lines) == 3
    assert "(+2)" in lines[1]
    assert "$0.41" in lines[1]


def test_a_call_that_made_a_run_is_not_shown_beside_it() -> None:
    calls = [call_item("a", "blog-7", child="blog-7/writer-1")]

    assert [node.kind for node in tree(RUNS, calls, root="id of blog-7")] == ["run"] * 4


def test_without_a_root_every_run_without_a_parent_here_begins_a_tree() -> None:
    assert [node.name for node in tree(RUNS, with_calls=False) if node.depth == 0] == ["blog-7", "other"]


def test_a_chain_deeper_than_any_limit_is_walked() -> None:
    chain = [run("r0")] + [child(f"r{depth}", f"r{depth - 1}", cost_usd="0.01") for depth in range(1, 3000)]
    nodes = tree(chain, root="id of r0")

    assert nodes[0].total_nanousd == 2999 * 10_000_000
    assert nodes[-1].depth <= 40


@pytest.mark.parametrize("cells", [30, 58, 76, 120, 156])
def test_hostile_names_break_no_line(cells: int) -> None:
    nodes = tree([run(HOSTILE, agent=HOSTILE), child("x", HOSTILE, agent=HOSTILE, status=HOSTILE)])
    lines = [text_of(tree_line(node, cells, GLYPHS, whole_nanousd=0, now=NOW)) for node in nodes]

    assert came_through("\n".join(lines).encode()) == set()
    assert all(width(line) <= max(cells, 48) for line in (*lines, text_of(heading(cells))))
