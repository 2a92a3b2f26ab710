"""An error is the same error at both ends of the socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smallchain.model import errors
from smallchain.model.errors import BadInput, Place, Problem, SmallchainError, Unknown
from smallchain.protocol import faults
from smallchain.protocol.faults import FAULTS, Unconfirmed, exit_code, from_wire, http_status, to_wire


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.code)
def test_every_error_arrives_as_the_class_it_was_raised_as(fault: faults.Fault) -> None:
    error = fault.error("the run is over", "look at it")

    arrived = from_wire(http_status(error), json.loads(json.dumps(to_wire(error))))

    assert type(arrived) is fault.error
    assert (arrived.message, arrived.hint, arrived.code) == ("the run is over", "look at it", fault.code)
    assert (http_status(arrived), exit_code(arrived)) == (fault.status, fault.exit_code)


def test_every_error_of_the_tree_that_people_meet_has_a_row() -> None:
    leaves = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SmallchainError)]
    coded = {kind("").code for kind in leaves} - {"error"}

    assert coded <= {fault.code for fault in FAULTS}


def test_problems_keep_their_places() -> None:
    problems = (Problem(Place("a.yaml", 2, 11), "a quote opens here", "close it"), Problem(Place("b.yaml"), "is empty"))
    error = BadInput("two problems", problems=problems)

    arrived = from_wire(400, to_wire(error))

    assert isinstance(arrived, BadInput)
    assert arrived.problems == problems


def test_the_exit_codes_are_those_that_scripts_rely_on() -> None:
    codes = {fault.code: fault.exit_code for fault in FAULTS}

    assert codes == {
        "bad_input": 65,
        "unconfirmed": 65,
        "unknown": 1,
        "refused": 1,
        "conflict": 75,
        "busy": 75,
        "damaged": 65,
        "unreachable": 69,
    }
    assert issubclass(Unconfirmed, BadInput)


def test_an_error_of_a_code_nobody_knows_is_still_told() -> None:
    arrived = from_wire(418, {"error": {"code": "teapot", "message": "short and stout"}})

    assert (arrived.code, arrived.message, exit_code(arrived), http_status(arrived)) == ("teapot", "short and stout", 1, 500)


@pytest.mark.parametrize(
    "body",
    [None, [], "no", {}, {"error": None}, {"error": "text"}, {"error": {"code": 7, "message": None, "problems": "x"}}],
)
def test_an_answer_without_an_error_is_an_error_all_the_same(body: Any) -> None:
    arrived = from_wire(502, body)

    assert "502" in arrived.message
    assert exit_code(arrived) == 1


def test_problems_that_are_none_are_left_out() -> None:
    told = {"error": {"code": "bad_input", "message": "m", "problems": [None, {"line": -1, "column": "x", "file": 3}]}}

    arrived = from_wire(400, told)

    assert isinstance(arrived, BadInput)
    assert arrived.problems == (Problem(Place(""), ""),)
    assert not isinstance(arrived, Unknown)
