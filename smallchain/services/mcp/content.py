"""What a tool of a server answered, as the outcome of its attempt: all text joined, everything else kept with a stand-in for the model."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import mcp_types as types

from smallchain.model.artifact import Artifact
from smallchain.model.toolcall import Outcome, OutcomeKind

KEPT = 256 << 10
"""Characters of an answer that are kept."""


def outcome_of(result: types.CallToolResult, /) -> Outcome:
    """The outcome of an answer; `isError` is a failure in the tool's own words."""
    answer = _Answer()
    for block in result.content:
        answer.take(block)
    answer.take_structure(result.structured_content)
    text = "\n".join(answer.texts).replace("\0", "\ufffd").encode("utf-8", "replace").decode().strip()
    kind = OutcomeKind.FAILED if result.is_error else OutcomeKind.SUCCEEDED
    empty = "it failed and said nothing" if result.is_error else "(no output)"
    return Outcome(kind, text[:KEPT] or empty, cut=len(text) > KEPT, artifacts=tuple(answer.artifacts))


class _Answer:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.artifacts: list[Artifact] = []

    def take(self, block: types.ContentBlock) -> None:
        match block:
            case types.TextContent(text=text):
                self.texts.append(text)
            case types.ImageContent(data=data, mime_type=kind):
                self._keep("image", kind, data)
            case types.AudioContent(data=data, mime_type=kind):
                self._keep("audio", kind, data)
            case types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, text=text)):
                self.texts.append(f"[resource {uri}]\n{text}")
            case types.EmbeddedResource(resource=types.BlobResourceContents(uri=uri, blob=data, mime_type=kind)):
                self._keep(f"resource {uri}", kind or "application/octet-stream", data)
            case types.ResourceLink(name=name, uri=uri):
                self.texts.append(f"[link to the resource {name}: {uri}]")

    def take_structure(self, value: Any) -> None:
        """The structured form, unless the texts say the same: servers are asked to send both, and wrap a plain text in an object."""
        said_before = isinstance(value, dict) and value and all(each in self.texts for each in value.values())
        if value is None or said_before or any(_reads_as(text, value) for text in self.texts):
            return
        self.texts.append(json.dumps(value, ensure_ascii=False))

    def _keep(self, what: str, media_type: str, data: str) -> None:
        try:
            whole = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            self.texts.append(f"[{what} ({media_type}): it is not base64, so it is not kept]")
            return
        name = f"{what} {len(self.artifacts) + 1}"
        self.artifacts.append(Artifact(name, media_type, whole))
        self.texts.append(f"[{name}]")


def _reads_as(text: str, value: Any) -> bool:
    try:
        return bool(json.loads(text) == value)
    except (ValueError, RecursionError):
        return False
