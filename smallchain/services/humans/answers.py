"""An answer as programs write it, from JSON or YAML to a `Said`: exactly the words there are, bounded, nothing guessed.

The one rule: who said it and where is never read from here but for a webhook, whose signature vouches for its `by`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from smallchain.model.delivery import Said, Verb
from smallchain.model.errors import BadInput

LONGEST_TEXT = 64 << 10
LONGEST_NOTE = 4 << 10
LONGEST_WHO = 200

Who = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_WHO, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Digest = Annotated[StrictStr, Field(pattern=r"^([0-9a-f]{64})?$")]


class Answer(BaseModel):
    """What is said to a request. `text` is the answer, or what happened; `edits` are whole arguments in the place of the model's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verb: Verb
    by: Who
    text: Annotated[StrictStr, Field(max_length=LONGEST_TEXT)] = ""
    note: Annotated[StrictStr, Field(max_length=LONGEST_NOTE)] = ""
    edits: dict[str, Any] | None = None
    for_run: StrictBool = False
    expect_digest: Digest | None = None


def said(value: Any, /, *, request_id: str, via: str, at: datetime) -> Said:
    """What a signed body says. Raises BadInput with the field that is wrong; an approval has to name the digest it is of."""
    try:
        answer = Answer.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BadInput(f"{where}: {first['msg']}" if where else "the body is no object") from error
    if answer.verb is Verb.APPROVE and answer.expect_digest is None:
        raise BadInput("expect_digest: an approval names the digest of what it approves")
    return Said(
        request_id,
        answer.verb,
        answer.by,
        via,
        text=answer.text,
        note=answer.note,
        edits=answer.edits,
        for_run=answer.for_run,
        expect_digest=answer.expect_digest or None,  # what has no digest is told with an empty one
        at=at,
    )
