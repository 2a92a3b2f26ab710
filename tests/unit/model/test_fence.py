"""Of several isolations the strictest holds."""

from __future__ import annotations

import pytest

from smallchain.model.fence import strictest


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ((None, None), "auto"),
        (("none", None), "auto"),
        (("none", "none"), "none"),
        (("none", "required"), "required"),
        (("required", "auto"), "required"),
        (("required", "container"), "container"),
    ],
)
def test_a_fence_that_was_asked_for_is_kept_whoever_asked(asked: tuple[str | None, ...], holds: str) -> None:
    assert strictest(*asked) == holds
