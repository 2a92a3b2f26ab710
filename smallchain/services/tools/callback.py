"""Handing out: `executor: {callback: {url: ...}}` tells whoever does the work that there is some, and how to bring its result.

The one rule: telling it again must not look like more work: it goes out under the call's own key, whatever became of the first time.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from smallchain.model import callback
from smallchain.model.toolcall import HandOut, Outcome, OutcomeKind, Start
from smallchain.model.toolspec import ToolSpec
from smallchain.services.tools.outbound import Lost, NotSent, Outbound, fault_in_place, retry_after

_REFUSED_FOR_NOW = frozenset({425, 429, 503})
"""What says that the work was not taken on, and may be offered again."""


class CallbackExecutor:
    """Implements `Executor` and `Checked`: an attempt is one telling, and it succeeded when the other side has taken note."""

    def __init__(self, outbound: Outbound, *, now: Callable[[], datetime]) -> None:
        self._outbound = outbound
        self._now = now

    async def execute(self, start: Start, /) -> Outcome:
        """POST what there is to do, once."""
        spec, out = start.executor["callback"], start.hand_out
        if out is None:
            return Outcome(OutcomeKind.NOT_STARTED, "nobody could bring a result; nothing was sent")
        body = json.dumps(_body(start, out), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "smallchain",
            **start.headers,
            "Idempotency-Key": start.idempotency_key,
        }
        if out.secret:
            headers[callback.HEADER] = callback.sign(out.secret.encode(), start.idempotency_key, body, at=self._now())
        yarl: Any = await asyncio.to_thread(importlib.import_module, "yarl")
        where = _shown(spec["url"])
        try:
            answer = await self._outbound.send(
                "POST", yarl.URL(spec["url"]), headers=headers, body=body, allow=spec.get("allow", ()), within=start.timeout
            )
        except (NotSent, ValueError) as error:
            return Outcome(OutcomeKind.NOT_STARTED, f"could not be handed out: {error}")
        except Lost as error:
            return Outcome(OutcomeKind.UNKNOWN, f"handed out, and nobody said that it arrived: {error}")
        if answer.status < 300:
            here = "" if out.url else "; callbacks are off here: `smallchain callback` brings its result"
            return Outcome(OutcomeKind.SUCCEEDED, f"handed out to {where}{here}")
        if answer.status in _REFUSED_FOR_NOW:
            return Outcome(OutcomeKind.NOT_STARTED, f"{where} answered {answer.status}", retry_after=retry_after(answer))
        if answer.status >= 500:
            return Outcome(OutcomeKind.UNKNOWN, f"{where} answered {answer.status}", retry_after=retry_after(answer))
        return Outcome(OutcomeKind.FAILED, f"could not be handed out: {where} answered {answer.status}")

    async def check(self, tool: ToolSpec, /, *, folder: str) -> str:
        """Whether an address that stands in the URL is one that may be told."""
        spec = tool.executor.callback if tool.executor is not None else None
        return fault_in_place(spec.url, spec.allow) if spec is not None and spec.url is not None else ""

    def fence(self, tool: ToolSpec, /) -> str:
        """Nothing of it runs here."""
        return "done elsewhere"


def _body(start: Start, out: HandOut) -> dict[str, Any]:
    answer: dict[str, Any] | None = None
    if out.url:
        answer = {
            "url": out.url,
            "key": out.key.hex(),
            "header": callback.HEADER,
            "sign": "t=SECONDS,v1=HMAC-SHA256(key, call_id + '.' + SECONDS + '.' + body), in hexadecimal; the key is these 32 bytes",
            "body": {"result": "any JSON", "or": {"error": "in words"}},
        }
    return {
        "event": "work",
        "tool": start.tool,
        "call_id": start.call_id,
        "run_id": start.run_id,
        "arguments": start.arguments,
        "expires_at": out.expires_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if out.expires_at else None,
        "answer": answer,
    }


def _shown(url: str) -> str:
    """Scheme and host: the path may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
