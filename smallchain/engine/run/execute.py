"""One model call through a port: the exact request from what is recorded, the endpoint as it is now, the price of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlsplit

from smallchain.engine.agent import strategy
from smallchain.engine.budget.bounds import MAXIMA
from smallchain.engine.llm.endpoint import resolve
from smallchain.engine.memo import Memo
from smallchain.engine.ports import Code, Prices, Provider, Secrets
from smallchain.engine.run.compose import Composition, compose, in_json, json_body
from smallchain.engine.run.conversations import Conversations
from smallchain.engine.specs import Pins, as_of_now, pins_of, typed
from smallchain.model import context
from smallchain.model.canonical import canonical
from smallchain.model.errors import BadInput, Unknown
from smallchain.model.functions import as_openai_tools
from smallchain.model.history import with_own_ids
from smallchain.model.jsonmode import as_canonical
from smallchain.model.llm import Failure, FailureKind, ModelRequest, Reply
from smallchain.model.llmspec import LLMSpec
from smallchain.model.run import Run
from smallchain.store import composed, messages, modelcalls, resources
from smallchain.store.contract import Store, Tx
from smallchain.store.modelcalls import ModelCall


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """What a call came to, and what it cost (None: unknown) by which price list."""

    answer: Reply | Failure
    cost_nanousd: int | None = None
    priced_by: str = ""


@dataclass(frozen=True, slots=True)
class Plain:
    """A request that grows by appending: what stands around the messages, and the messages that are not at hand yet."""

    around: context.Envelope
    part: context.Part
    fresh: dict[int, str]
    """Those of them that the deciding transaction itself appended, by number."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attempt that was decided on: what its request holds, and where it goes as that is written now."""

    run_id: str
    agent: str
    turn: int
    attempt: int
    way: Plain | bytes
    """What the body is made from: appended to, or made already."""
    in_json: bool
    """Whether the reply is to be read as JSON that stands for calls (`tool_mode: json`)."""
    pinned: LLMSpec
    current: LLMSpec
    folder: str
    timeout: str | None


class ModelCaller:
    """Calls models for runs."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], secrets: Secrets, prices: Prices, code: Code) -> None:
        self._store = store
        self._providers = providers
        self._secrets = secrets
        self._prices = prices
        self._code = code
        self.conversations = Conversations()
        """Those of the runs at work."""

    async def compose(self, wanted: Composition) -> str | Failure:
        """Let a person's own strategy make the body of an attempt that is not recorded yet."""
        return await compose(self._code, wanted)

    async def call(self, prepared: Prepared) -> ModelOutcome:
        """Send an attempt once its transaction stands."""
        try:
            endpoint = await resolve(prepared.current, self._secrets, folder=prepared.folder, timeout=prepared.timeout)
        except BadInput as error:
            return ModelOutcome(Failure(FailureKind.UNUSABLE, str(error)))
        body = await self._body(prepared)
        request = ModelRequest(body=body, run_id=prepared.run_id, agent=prepared.agent, turn=prepared.turn, attempt=prepared.attempt)
        answer = await self._providers[prepared.pinned.provider].complete(endpoint, request)
        if isinstance(answer, Failure):
            if answer.kind is FailureKind.UNUSABLE:
                self._secrets.forget()
            return ModelOutcome(answer)
        if prepared.in_json:
            answer = as_canonical(answer, turn=request.turn)
        elif isinstance(prepared.way, Plain) and prepared.way.part.first:
            answer = with_own_ids(answer, body)
        if not (answer.calls or answer.unfit or answer.is_silent):
            self.conversations.forget(prepared.run_id)  # it is over: nothing is sent after it
        return await self._priced(answer, prepared, endpoint.base_url)

    async def _body(self, prepared: Prepared) -> bytes:
        match prepared.way:
            case bytes() as made:
                return made
            case Plain() as plain:
                return context.enclosed(plain.around, await self._conversation(prepared.run_id, plain))
            case _:
                assert_never(prepared.way)

    async def _conversation(self, run_id: str, plain: Plain) -> bytes:
        """The messages of a request, joined: those of the last request, and what came since; what is not at hand is read."""
        upto, first = plain.part.upto, plain.part.first
        known = self.conversations.upto(run_id, first=first)
        if known == 0 or known > upto:
            self.conversations.forget(run_id)
            known = 0
        at_hand = range(known + 1, upto + 1) if known or not first else ()
        wires = [plain.fresh[number] for number in at_hand if number in plain.fresh]
        if len(wires) < upto - known:
            wires = await self._store.read(lambda tx: _sent(tx, run_id, plain.part, known))
        self.conversations.extend(run_id, wires, upto=upto, first=first)
        return self.conversations.joined(run_id)

    async def _priced(self, reply: Reply, prepared: Prepared, base_url: str | None) -> ModelOutcome:
        if reply.usage is None:
            return ModelOutcome(reply)
        written = prepared.current.price
        if written is not None and not isinstance(written, str):
            return ModelOutcome(reply, written.price().cost(reply.usage), "price")
        if prepared.pinned.provider == "scripted":
            return ModelOutcome(reply, 0, "scripted")
        price, source = await self._prices.price(prepared.pinned.provider, prepared.pinned.model or prepared.pinned.name, base_url)
        return ModelOutcome(reply, price.cost(reply.usage) if price else None, source if price else "")


def _sent(tx: Tx, run_id: str, part: context.Part, known: int) -> list[str]:
    """What a request holds behind the message `known`, or all of it where none is known."""
    if known:
        return messages.wire(tx, run_id, part.upto, after=known)
    return [row["wire"] for row in messages.sent(tx, run_id, part)]


def prepare(tx: Tx, run: Run) -> Prepared:
    """What the newest attempt of a run sends and where; raises Unknown when the run is not pinned to what it needs."""
    pins = pins_of(tx, run.root_id)
    opened = modelcalls.get(tx, run.id, run.attempts)
    if opened is None:
        raise Unknown(f"run {run.name!r} has no attempt {run.attempts}")
    llm = opened.llm
    pinned = pins.llm(llm)
    row = resources.get(tx, "llm", llm)
    defaults = resources.get(tx, "defaults", "defaults")
    agent = pins.agent(run.agent)
    if agent is None or pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to its agent and LLM")
    pinned = bounded(pinned, opened.max_output)
    told_in_json = in_json(agent, pinned, pins)
    way: Plain | bytes
    if strategy.is_own(agent):
        way = _kept(tx, run)
    elif told_in_json or opened.summarises:
        way = body_of(tx, run, pins, opened)
    else:
        way = Plain(_around(run, pins, llm, pinned), modelcalls.part_of(opened), messages.fresh(tx, run.id))
    return Prepared(
        run_id=run.id,
        agent=run.agent,
        turn=run.turns,
        attempt=run.attempts,
        way=way,
        in_json=told_in_json,
        pinned=pinned,
        current=as_of_now(pinned, typed(row) if row is not None else pinned),
        folder=pins.folder("llm", llm),
        timeout=typed(defaults).timeout if defaults is not None else None,
    )


def _kept(tx: Tx, run: Run) -> bytes:
    body = composed.get(tx, run.id, run.attempts)
    if body is None:
        raise Unknown(f"run {run.name!r} has no body for its attempt {run.attempts}")
    return body.encode()


def bounded(llm: LLMSpec, max_output: int | None, /) -> LLMSpec:
    """An LLM as an attempt sends it: with the tokens of the reply that a cap makes it ask for, where nothing written bounds them."""
    if max_output is None:
        return llm
    names = [name for name in MAXIMA if name in llm.parameters] or [bounding(llm)]
    return llm.model_copy(update={"parameters": {**llm.parameters, **dict.fromkeys(names, max_output)}})


def bounding(llm: LLMSpec, /) -> str:
    """The parameter that bounds a reply with its reasoning: some models refuse the older name, many servers know no newer one."""
    host = _OPENAI if llm.base_url is None else (urlsplit(llm.base_url).hostname or "")
    return "max_completion_tokens" if f".{host}".endswith(_NEWER) else "max_tokens"


def _around(run: Run, pins: Pins, llm: str, pinned: LLMSpec) -> context.Envelope:
    agent = pins.agent(run.agent)
    if agent is None:
        raise Unknown(f"run {run.name!r} is not pinned to its agent")
    if pinned is not pins.llm(llm):
        return context.envelope(pinned.model or llm, pinned.parameters, as_openai_tools(pins.functions(agent)))
    return _ENVELOPES.get(
        (llm, pins.digest("llm", llm), *pins.mark(agent)),
        lambda: context.envelope(pinned.model or llm, pinned.parameters, as_openai_tools(pins.functions(agent))),
    )


_ENVELOPES: Memo[context.Envelope] = Memo()
_OPENAI = "api.openai.com"
_NEWER = (f".{_OPENAI}", ".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com", ".api.x.ai")


def body_of(tx: Tx, run: Run, pins: Pins, call: ModelCall, /) -> bytes:
    """The exact request of an attempt, from what is recorded: the same bytes whenever it is asked for.

    That of a context strategy of a person's own is not computed here, but kept (`store.composed`).
    """
    agent, pinned = pins.agent(run.agent), pins.llm(call.llm)
    if agent is None or pinned is None:
        raise Unknown(f"run {run.name!r} is not pinned to its agent and LLM")
    pinned = bounded(pinned, call.max_output)
    lines = [(row["wire"], row["template"]) for row in messages.sent(tx, run.id, modelcalls.part_of(call))]
    if call.summarises:
        lines.append((canonical(context.asks_for_summary(pins.templates())), context.SUMMARISE_WORDS))
    if in_json(agent, pinned, pins):
        return json_body(agent, pinned, pins, lines)
    return context.body(_around(run, pins, call.llm, pinned), [wire for wire, _ in lines])
