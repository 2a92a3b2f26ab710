"""One model call through a port: the exact request from what is recorded, the endpoint as it is now, the price of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from smallchain.engine.agent import strategy
from smallchain.engine.llm.endpoint import resolve
from smallchain.engine.ports import Code, Prices, Provider, Secrets
from smallchain.engine.run.compose import Composition, compose, composition_of, in_json, json_body
from smallchain.engine.specs import Pins, typed
from smallchain.model import context
from smallchain.model.errors import BadInput, Unknown
from smallchain.model.functions import as_openai_tools
from smallchain.model.jsonmode import as_canonical
from smallchain.model.llm import Failure, FailureKind, ModelRequest, Reply
from smallchain.model.llmspec import LLMSpec
from smallchain.model.run import Run
from smallchain.store import messages, resources, runs
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
    folder: str
    composition: Composition | None
    """What makes the body, where the agent's strategy is a person's own; the request has none yet."""
    in_json: bool


class ModelCaller:
    """Calls models for runs."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], secrets: Secrets, prices: Prices, code: Code) -> None:
        self._store = store
        self._providers = providers
        self._secrets = secrets
        self._prices = prices
        self._code = code

    async def call(self, run_id: str, attempt: int) -> ModelOutcome | None:
        """Send attempt `attempt` of a run; None when the run moved on before it went out."""
        prepared = await self._store.read(lambda tx: prepare(tx, run_id, attempt))
        if prepared is None:
            return None
        try:
            endpoint = await resolve(prepared.current, self._secrets, folder=prepared.folder, timeout=prepared.timeout)
        except BadInput as error:
            return ModelOutcome(Failure(FailureKind.UNUSABLE, str(error)))
        request = prepared.request
        if prepared.composition is not None:
            body = await compose(self._store, self._code, prepared.composition, run_id=run_id, attempt=attempt)
            if not isinstance(body, bytes):
                return ModelOutcome(body) if body is not None else None
            request = replace(request, body=body)
        answer = await self._providers[prepared.pinned.provider].complete(endpoint, request)
        if isinstance(answer, Failure):
            if answer.kind is FailureKind.UNUSABLE:
                self._secrets.forget()
            return ModelOutcome(answer)
        if prepared.in_json:
            answer = as_canonical(answer, turn=request.turn)
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
    pinned = pins.llm(run.llm)
    if pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to an LLM {run.llm!r}")
    row = resources.get(tx, "llm", run.llm)
    now: LLMSpec = typed(row) if row is not None else pinned
    current = now.model_copy(update={"provider": pinned.provider, "model": pinned.model, "parameters": pinned.parameters})
    defaults = resources.get(tx, "defaults", "defaults")
    agent = pins.agent(run.agent)
    own = agent is not None and strategy.is_own(agent)
    body = b"" if own else body_of(tx, run, pins, run.messages)
    return _Prepared(
        ModelRequest(body=body, run_id=run.id, agent=run.agent, turn=run.turns, attempt=attempt),
        pinned,
        current,
        defaults.spec.get("timeout") if defaults else None,
        pins.folder("llm", run.llm),
        composition_of(tx, run, agent, pinned, pins) if agent is not None and own else None,
        agent is not None and in_json(agent, pinned, pins),
    )


def body_of(tx: Tx, run: Run, pins: Pins, upto: int) -> bytes:
    """The exact request with the messages 1 to `upto`, from what is recorded: the same bytes whenever it is asked for.

    That of a context strategy of a person's own is not computed here, but kept (`store.composed`).
    """
    agent, pinned = pins.agent(run.agent), pins.llm(run.llm)
    if agent is None or pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to its agent and LLM")
    if in_json(agent, pinned, pins):
        return json_body(tx, run, agent, pinned, pins, upto)
    around = context.envelope(pinned.model or run.llm, pinned.parameters, as_openai_tools(pins.functions(agent)))
    return context.body(around, messages.wire(tx, run.id, upto))
