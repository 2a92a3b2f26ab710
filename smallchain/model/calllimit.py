"""How many calls may be made, in a run or in a window: `100/day`, or `5` for one run."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from smallchain.model.fields import Section, Whole, fault
from smallchain.model.ids import did_you_mean

PERIODS = ("run", "minute", "hour", "day", "week", "month")
_HINT = "write 100/day, or 5 for one run"
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)


class CallLimit(Section):
    """So many calls."""

    limit: Annotated[Whole, Field(ge=1, le=100_000)] = Field(description="How many")
    per: Literal["run", "minute", "hour", "day", "week", "month"] = Field("run", description="What they are counted over")
    window: Literal["rolling", "calendar"] = Field("rolling", description="The last 24 hours, or since midnight")

    @property
    def shown(self) -> str:
        """As YAML has it: `calls: 100/day`."""
        per = "" if self.per == "run" else f"/{self.per}"
        if per and self.window == "calendar":
            return f"calls: {{limit: {self.limit}, per: {self.per}, window: calendar}}"
        return f"calls: {self.limit}{per}"


def _call_limit(value: Any) -> Any:
    """`100/day` is short for `{limit: 100, per: day}`, and `5` for five in a run."""
    if isinstance(value, bool | float):
        raise fault(f"{value} is no number of calls", hint=_HINT)
    if isinstance(value, int):
        return {"limit": value}
    if not isinstance(value, str):
        return value
    count, slash, per = (part.strip() for part in value.partition("/"))
    if not _COUNT.fullmatch(count):
        raise fault(f"{value[:40]!r} is no number of calls", hint=_HINT)
    if slash and per not in PERIODS:
        raise fault(f"{per[:40]!r} is not a period", hint=did_you_mean(per, PERIODS) or "one of " + ", ".join(PERIODS))
    return {"limit": int(count), "per": per} if slash else {"limit": int(count)}


Calls = Annotated[CallLimit, BeforeValidator(_call_limit, json_schema_input_type=int | str | CallLimit)]
