"""One model call through a port: the exact request from what is recorded, the endpoint as it is now, the price of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smallchain.engine.llm.endpoint import resolve
from smallchain.engine.ports import Prices, Provider, Secrets
from smallchain.engine.specs import Pins, typed
from smallchain.model import context
from smallchain.model.errors import BadInput, Unknown
from smallchain.model.functions import as_openai_tools
from smallchain.model.llm import Failure, FailureKind, ModelRequest, Reply
from smallchain.model.llmspec import LLMSpec
from smallchain.model.run import Run
from smallchain.store import messages, modelcalls, resources, runs
from smallchain.store.contract import Store, Tx


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """What a call came to, and what it cost (None: unknown) by which price list."""

    answer: Reply | Failure
    cost_nanousd: int | None = None
    priced_by: str = ""


@dataclass(frozen=True, slots=True)
class _Prepared:
    request: ModelRequest
    pinned: LLMSpec
    current: LLMSpec
    timeout: str | None


class ModelCaller:
    """Calls models for runs."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], secrets: Secrets, prices: Prices) -> None:
        self._store = store
        self._providers = providers
        self._secrets = secrets
        self._prices = prices

    async def call(self, run_id: str, attempt: int) -> ModelOutcome | None:
        """Send attempt `attempt` of a run; None when the run moved on before it went out."""
        prepared = await self._store.read(lambda tx: prepare(tx, run_id, attempt))
        if prepared is None:
            return None
        try:
            endpoint = await resolve(prepared.current, self._secrets, timeout=prepared.timeout)
        except BadInput as error:
            return ModelOutcome(Failure(FailureKind.UNUSABLE, str(error)))
        answer = await self._providers[prepared.pinned.provider].complete(endpoint, prepared.request)
        if isinstance(answer, Failure):
            if answer.kind is FailureKind.UNUSABLE:
                self._secrets.forget()
            return ModelOutcome(answer)
        return await self._priced(answer, prepared, endpoint.base_url)

    async def _priced(self, reply: Reply, prepared: _Prepared, base_url: str | None) -> ModelOutcome:
        if reply.usage is None:
            return ModelOutcome(reply)
        written = prepared.current.price
        if written is not None and not isinstance(written, str):
            return ModelOutcome(reply, written.price().cost(reply.usage), "price")
        if prepared.pinned.provider == "scripted":
            return ModelOutcome(reply, 0, "scripted")
        price, source = await self._prices.price(prepared.pinned.provider, prepared.pinned.model or "", base_url)
        return ModelOutcome(reply, price.cost(reply.usage) if price else None, source if price else "")


def prepare(tx: Tx, run_id: str, attempt: int) -> _Prepared | None:
    """What an attempt sends and where; None when the run moved on before it went out."""
    run = runs.find(tx, run_id)
    if run is None or run.attempts != attempt or run.is_over:
        return None
    pins = Pins(tx, run.root_id)
    opened = modelcalls.get(tx, run.id, attempt)
    llm = str(opened["llm"]) if opened is not None else run.llm
    pinned = pins.llm(llm)
    if pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to an LLM {llm!r}")
    row = resources.get(tx, "llm", llm)
    now: LLMSpec = typed(row) if row is not None else pinned
    current = now.model_copy(update={"provider": pinned.provider, "model": pinned.model, "parameters": pinned.parameters})
    defaults = resources.get(tx, "defaults", "defaults")
    body = body_of(tx, run, pins, llm, run.messages)
    request = ModelRequest(body=body, run_id=run.id, agent=run.agent, turn=run.turns, attempt=attempt)
    return _Prepared(request, pinned, current, defaults.spec.get("timeout") if defaults else None)


def body_of(tx: Tx, run: Run, pins: Pins, llm: str, upto: int) -> bytes:
    """The exact request to an LLM with the messages 1 to `upto`, from what is recorded: the same bytes whenever it is asked for."""
    agent, pinned = pins.agent(run.agent), pins.llm(llm)
    if agent is None or pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to its agent and LLM")
    around = context.envelope(pinned.model or llm, pinned.parameters, as_openai_tools(pins.functions(agent)))
    return context.body(around, messages.wire(tx, run.id, upto))
