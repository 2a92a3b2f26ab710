"""Shares of folded stacks."""

from __future__ import annotations

from bench.profile import shares


def test_a_function_has_its_own_share_and_that_of_what_it_calls() -> None:
    found = list(shares("main (a.py);step (b.py) 1\nmain (a.py);step (b.py);read (c.py) 3\n"))

    assert [(each["profile"], each["where"], each["share"]) for each in found if each["where"] == "step (b.py)"] == [
        ("own", "step (b.py)", 0.25),
        ("whole", "step (b.py)", 1.0),
    ]


def test_a_thread_that_waits_is_not_counted() -> None:
    (own, *_) = shares("run (a.py);EpollSelector.select (selectors.py) 9\nrun (a.py);work (b.py) 1\n")

    assert (own["where"], own["share"]) == ("work (b.py)", 1.0)


def test_a_function_that_calls_itself_counts_once_a_stack() -> None:
    found = {(each["profile"], each["where"]): each["samples"] for each in shares("walk (a.py);walk (a.py) 2\n")}

    assert found["whole", "walk (a.py)"] == 2
