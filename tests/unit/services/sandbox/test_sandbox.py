"""What a machine can't keep is refused, with the next step; nothing is started here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallchain.model.fence import Limits
from smallchain.services.sandbox.groups import Hierarchies
from smallchain.services.sandbox.probe import Found, Layer
from smallchain.services.sandbox.sandbox import Needs, Sandbox
from smallchain.services.sandbox.slots import COUNT, FIRST, Slots
from smallchain.services.sandbox.view import Machine

ORDINARY = Found(Machine((), ()), is_root=False, layer=Layer.BUBBLEWRAP, counts_alone=True)
BARE = replace(ORDINARY, layer=None, why=("bubblewrap is not installed", "unshare does not work: not permitted"), counts_alone=False)


async def fault(found: Found, *, isolation: str = "auto", unfenced_as_root: bool = False, limits: Limits | None = None) -> str:
    sandbox = Sandbox(look=lambda: found, unfenced_as_root=unfenced_as_root)
    return await sandbox.fault(Needs(isolation, limits=limits or Limits()))


async def test_with_rlimits_only_auto_and_required_refuse_and_say_why_and_what_to_do() -> None:
    for isolation in ("auto", "required"):
        words = await fault(BARE, isolation=isolation)
        assert "bubblewrap is not installed; unshare does not work: not permitted" in words
        assert "install bubblewrap, or write `isolation: none`" in words


async def test_without_a_fence_root_needs_a_persons_word_and_an_ordinary_user_does_not() -> None:
    assert await fault(BARE, isolation="none") == ""
    assert "--unfenced-as-root" in await fault(replace(ORDINARY, is_root=True), isolation="none")
    assert await fault(replace(ORDINARY, is_root=True), isolation="none", unfenced_as_root=True) == ""


async def test_what_only_control_groups_keep_is_refused_without_them() -> None:
    grouped = replace(ORDINARY, groups=Hierarchies(1, {"cpu": None}))  # type: ignore[dict-item]

    assert "`limits: cpu`" in await fault(ORDINARY, limits=Limits(cpus=0.5))
    assert await fault(grouped, limits=Limits(cpus=0.5)) == ""
    assert "`limits: processes`" in await fault(replace(ORDINARY, counts_alone=False), limits=Limits(processes=5))
    assert await fault(ORDINARY, limits=Limits(processes=5)) == ""


async def test_a_container_is_not_ours_to_give() -> None:
    assert "`isolation: container`" in await fault(ORDINARY, isolation="container")


async def test_the_machine_is_looked_at_once() -> None:
    looks = []
    sandbox = Sandbox(look=lambda: (looks.append(1), ORDINARY)[1])
    assert sandbox.words(Needs()) == ""
    await sandbox.ready()
    await sandbox.ready()

    assert len(looks) == 1
    assert sandbox.words(Needs()) == "bubblewrap, user namespace, rlimits"
    assert sandbox.words(Needs("none")) == ""


async def test_a_machine_without_a_sandbox_is_looked_at_again_when_somebody_asks_whether_a_tool_can_run() -> None:
    machines = iter([BARE, ORDINARY])
    sandbox = Sandbox(look=lambda: next(machines))

    assert "install bubblewrap" in await sandbox.fault(Needs())
    assert await sandbox.fault(Needs()) == ""


def test_no_user_is_given_out_twice_at_a_time() -> None:
    slots = Slots()
    taken = [slots.take() for _ in range(COUNT)]

    assert sorted(uid for uid in taken if uid is not None) == list(range(FIRST, FIRST + COUNT))
    assert slots.take() is None
    slots.give_back(FIRST)
    assert slots.take() == FIRST


@pytest.mark.parametrize("layer", Layer)
def test_the_layers_are_told_in_words(layer: Layer) -> None:
    assert str(layer) in replace(ORDINARY, layer=layer).words()
    assert replace(ORDINARY, layer=None).words() == ""
