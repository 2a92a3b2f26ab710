"""Where a model is reached: endpoint and key as they are now, provider and model as a run pinned them."""

from __future__ import annotations

from datetime import timedelta

from smallchain.engine.ports import Secrets
from smallchain.model.durations import parse_duration
from smallchain.model.errors import BadInput
from smallchain.model.llm import Endpoint
from smallchain.model.llmspec import LLMSpec

STANDARD_TIMEOUT = timedelta(minutes=10)
RETRY_FOR = timedelta(hours=6)


def timeout_of(spec: LLMSpec, default: str | None, /) -> timedelta:
    """How long one call of an LLM may take; `default`: what the defaults say, if anything."""
    written = spec.timeout or default
    return parse_duration(written) if written else STANDARD_TIMEOUT


def retry_for_of(spec: LLMSpec | None, /) -> timedelta:
    """How long a call of an LLM that fails for now is tried again."""
    return parse_duration(spec.retry_for) if spec is not None and spec.retry_for else RETRY_FOR


async def resolve(spec: LLMSpec, secrets: Secrets, /, *, folder: str, timeout: str | None = None) -> Endpoint:
    """The endpoint of an LLM with its secrets resolved; raises BadInput when one can't be.

    Where the YAML names neither URL nor key, both come from OPENAI_BASE_URL and OPENAI_API_KEY; a URL of its own without a key gets
    none, so that a key never goes to a server it is not for.
    """
    length = timeout_of(spec, timeout)
    base_url, api_key = spec.base_url, None
    if spec.provider == "openai":
        if base_url is None:
            base_url = await _if_set(secrets, "OPENAI_BASE_URL")
        if spec.api_key is not None:
            api_key = await secrets.resolve(spec.api_key.model_dump(exclude_none=True))
        elif spec.base_url is None:
            api_key = await secrets.resolve({"env": "OPENAI_API_KEY"})
    elif spec.api_key is not None:
        api_key = await secrets.resolve(spec.api_key.model_dump(exclude_none=True))
    headers, hidden = {}, []
    for name, value in spec.headers.items():
        headers[name] = value if isinstance(value, str) else await secrets.resolve(value.model_dump(exclude_none=True))
        if not isinstance(value, str):
            hidden.append(headers[name])
    return Endpoint(
        provider=spec.provider,
        model=spec.model or spec.name,
        base_url=base_url,
        api_key=api_key,
        timeout=length,
        script=tuple(reply.model_dump(mode="json", exclude_none=True) for reply in spec.replies),
        folder=folder,
        parameters=spec.parameters,
        headers=headers,
        hidden=tuple(hidden),
    )


async def _if_set(secrets: Secrets, name: str) -> str | None:
    try:
        return await secrets.resolve({"env": name})
    except BadInput:
        return None
