"""What is kept of an outcome beside what the model is told of it, and what the model may read of it later.

The one rule: a result is cut in one place, here, and what is cut off is kept whole or said to be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from smallchain.engine.ports import Secrets
from smallchain.engine.specs import pins_of
from smallchain.engine.toolcall import working
from smallchain.engine.toolcall.ending import end
from smallchain.engine.toolcall.planning import update_plan
from smallchain.engine.toolcall.spending import check_budget, check_current_spend_since
from smallchain.model.artifact import LARGEST, MOST_OF_CALL, MOST_OF_RUN, MOST_READ, TEXT, TOLD, Artifact, Kept, without_halves
from smallchain.model.builtins import (
    CANCEL_WORK,
    CHECK_BUDGET,
    CHECK_SPEND,
    LIST_WORK,
    READ_ARTIFACT,
    SET_PRIORITY,
    UPDATE_PLAN,
    WAIT_FOR_WORK,
)
from smallchain.model.run import Run
from smallchain.model.templates import render
from smallchain.model.toolcall import Outcome, OutcomeKind, ToolCall
from smallchain.store import artifacts, toolcalls
from smallchain.store.contract import Tx

_LEAST_READ = 8
"""Bytes: wherever one begins to read, so many hold a whole character."""


def masked(outcome: Outcome, secrets: Secrets, /) -> Outcome:
    """An outcome without the secrets that are known: in its text, and in the bytes and the names of its artifacts."""
    text = secrets.mask(outcome.text)
    kept = tuple(_masked(artifact, secrets) for artifact in outcome.artifacts)
    return outcome if (text, kept) == (outcome.text, outcome.artifacts) else replace(outcome, text=text, artifacts=kept)


def keep(tx: Tx, run: Run, call: ToolCall, outcome: Outcome, /) -> tuple[str, str]:
    """Store an outcome's artifacts, and its text where that is cut.

    Returns what the model is told, and the template of ours in it (empty: none of it is ours).
    """
    room = _Room(tx, run, call)
    words = pins_of(tx, run.root_id).templates()
    text, template = outcome.text, ""
    if len(text) > TOLD:
        facts = {"result": text[:TOLD], "shown": str(TOLD), "size": str(len(text))}
        kept = room.put(Artifact(f"{call.function}.txt", TEXT, text.encode("utf-8", "replace")))
        if isinstance(kept, Kept):
            template, facts["id"] = "result_cut", kept.id
            facts["what"] = "what is kept of it" if outcome.cut else "the whole"
        else:
            template, facts["why"] = "result_cut_short", kept
        text = render(template, words, **facts)
    for artifact in outcome.artifacts:
        facts = {"result": text, "name": artifact.name, "media_type": artifact.media_type, "size": str(len(artifact.data))}
        kept = room.put(artifact)
        if isinstance(kept, Kept):
            template = "artifact_kept"
            facts |= {"id": kept.id, "name": kept.name, "media_type": kept.media_type}
        else:
            template, facts["why"] = "artifact_not_kept", kept
        text = render(template, words, **facts).lstrip("\n")
    return text, template


def finish(tx: Tx, run: Run, call: ToolCall, cause: str, outcome: Outcome, /, *, template: str = "") -> ToolCall:
    """End a call with what came of it: the text that the model is told, and all that is kept beside it."""
    text, added = keep(tx, run, call, outcome)
    if template:
        return end(tx, run, call, cause, template, detail=text)
    if text.strip():
        return toolcalls.move(tx, call, cause, result=text, template=added)
    return end(tx, run, call, cause, "no_output")


def read_artifact(tx: Tx, run: Run, arguments: Mapping[str, Any], /) -> Outcome:
    """Some bytes of an artifact as text; of the run's own tree, or of the runs whose messages it goes on from."""
    id = str(arguments.get("id", "")).strip()
    kept = artifacts.of_tree(tx, id, run.root_id)
    if kept is None:
        return Outcome(OutcomeKind.FAILED, f"there is no artifact {id[:64]!r} of this run")
    offset, length = _number(arguments.get("offset"), 0), _number(arguments.get("length"), MOST_READ)
    if offset is None or length is None or length < 1:
        return Outcome(OutcomeKind.FAILED, "`offset` counts bytes from 0, and `length` from 1")
    if offset >= kept.size_bytes:
        return Outcome(OutcomeKind.FAILED, f"artifact {id} has {kept.size_bytes} bytes; there is nothing at {offset}")
    data = artifacts.piece(tx, id, offset=offset, length=min(max(length, _LEAST_READ), MOST_READ))
    whole = without_halves(data, at_start=offset > 0, at_end=offset + len(data) < kept.size_bytes)
    try:
        text = whole.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return Outcome(OutcomeKind.FAILED, f"artifact {id} is {kept.media_type}, {kept.size_bytes} bytes, and no text")
    start = offset + data.find(whole) if whole else offset
    end = start + len(whole)
    return Outcome(OutcomeKind.SUCCEEDED, f"[{kept.name}: bytes {start} to {end} of {kept.size_bytes}]\n{text}")


LOOKS: Mapping[str, Callable[[Tx, Run, Mapping[str, Any]], Outcome]] = {
    READ_ARTIFACT: read_artifact,
    UPDATE_PLAN: update_plan,
    CHECK_BUDGET: check_budget,
    CHECK_SPEND: check_current_spend_since,
    LIST_WORK: working.list_work,
    CANCEL_WORK: working.cancel_work,
    SET_PRIORITY: working.set_priority,
    WAIT_FOR_WORK: working.wait_for_work,
}
"""The built-in tools that look at what is recorded, or add to it: they are answered in the transaction of their call."""


class _Room:
    """What may still be kept of a call."""

    def __init__(self, tx: Tx, run: Run, call: ToolCall) -> None:
        self._tx = tx
        self._run = run
        self._call = call
        self._count = 0
        self._used: int | None = None

    def put(self, artifact: Artifact) -> Kept | str:
        """Store an artifact, or say why it is not stored."""
        size = len(artifact.data)
        if self._used is None:
            self._used = artifacts.size_of_run(self._tx, self._run.id)
        if size > LARGEST:
            return f"an artifact has at most {LARGEST >> 20} MiB"
        if self._count >= MOST_OF_CALL:
            return f"a call keeps at most {MOST_OF_CALL} artifacts"
        if self._used + size > MOST_OF_RUN:
            return f"a run keeps at most {MOST_OF_RUN >> 20} MiB of artifacts"
        self._count, self._used = self._count + 1, self._used + size
        return artifacts.put(self._tx, self._run, self._call, artifact)


def _masked(artifact: Artifact, secrets: Secrets) -> Artifact:
    """Any bytes go there and back as text this way, unchanged (PEP 383)."""
    data = secrets.mask(artifact.data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return Artifact(secrets.mask(artifact.name), secrets.mask(artifact.media_type), data)


def _number(value: Any, otherwise: int) -> int | None:
    """A whole number from 0 on, also as text, as models write it; None for what is none."""
    if value is None or value == "":
        return otherwise
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 18:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None
