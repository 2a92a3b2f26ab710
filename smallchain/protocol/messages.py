"""What travels over the socket, as pydantic models: for the daemon and the dashboard; the command sends plain dicts of this form."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(max_length=1 << 20)]
Word = Annotated[str, Field(max_length=4096)]
_PRIORITY = Field(ge=-1000, le=1000)


class Message(BaseModel):
    """A body; unknown fields are an error, so that a mistyped safety word is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceMessage(Message):
    """A manifest to apply: its absolute path (or a name), the folder its paths start at, its text, and the path as typed."""

    source: Word
    folder: Word = ""
    text: str
    shown: Word = ""


class ApplyMessage(Message):
    """Apply these manifests; each source's earlier copy is replaced whole."""

    sources: list[SourceMessage] = Field(min_length=1, max_length=1000)
    prune: bool = False
    accept_deletes: bool = False
    dry_run: bool = False


class DeleteMessage(Message):
    """Take back what was applied from these sources."""

    sources: list[Word] = Field(min_length=1, max_length=1000)
    prune: bool = False


class RunMessage(Message):
    """Start a task."""

    task: Word
    message: Text | None = Field(None, min_length=1)
    name: Word | None = None
    priority: Annotated[int, _PRIORITY] | None = None


class ActMessage(Message):
    """Do something to a run and its descendants, or to it alone; the note is kept and told."""

    note: Word = ""
    only: bool = False


class ResumeMessage(ActMessage):
    """Let a run go on; `adopt`: with what is written now."""

    adopt: bool = False


class RetryMessage(Message):
    """Go on from a run that failed or was cancelled; `from_start`: repeat all, `confirmed`: also calls that succeeded."""

    from_start: bool = False
    confirmed: bool = False


class ForkMessage(Message):
    """Go on from message `at` of a run."""

    at: Annotated[int, Field(ge=1, le=2**31)]


class PriorityMessage(Message):
    """Higher goes first."""

    priority: Annotated[int, _PRIORITY]


class SettleMessage(Message):
    """Say what became of a call in doubt: one of the three."""

    happened: Text | None = None
    did_not_happen: bool = False
    run_again: bool = False
    note: Word = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.happened is not None) + self.did_not_happen + self.run_again != 1:
            raise ValueError("say one of happened, did_not_happen and run_again")
        return self


class CallbackMessage(Message):
    """Bring the result of a call whose work is done elsewhere: any JSON, or an error in words."""

    result: Any = None
    error: Text | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if ("result" in self.model_fields_set) + (self.error is not None) != 1:
            raise ValueError("say one of result and error")
        return self


class ApproveMessage(Message):
    """Let a call run: as it is, or with other arguments (all of them) in the place of the model's; for the rest of the run, too.

    `expect_digest`: what was looked at, at least its first 12 digits; anything else is refused.
    """

    note: Word = ""
    arguments: dict[str, Any] | None = None
    for_run: bool = False
    expect_digest: Word | None = None


class CheckMessage(Message):
    """Arguments that somebody thinks of putting in the place of the model's, all of them."""

    arguments: dict[str, Any]


class DenyMessage(Message):
    """Let a call not run; the model is told so, with the note."""

    note: Word = ""
    expect_digest: Word | None = None


class AnswerMessage(Message):
    """Answer a question; the model is told these words."""

    text: Text = Field(min_length=1)
    note: Word = ""


class StopMessage(Message):
    """End the daemon; `now`: without waiting for what is out."""

    now: bool = False


class ProblemMessage(BaseModel):
    """A problem and where it stands; line and column from 1, 0 for the file as a whole."""

    file: str
    line: int
    column: int
    message: str
    hint: str


class ErrorBody(BaseModel):
    """What went wrong; `code` is stable."""

    code: str
    message: str
    hint: str
    problems: list[ProblemMessage]


class ErrorAnswer(BaseModel):
    """The answer to a request that failed."""

    error: ErrorBody
