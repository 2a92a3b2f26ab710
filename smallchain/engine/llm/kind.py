"""The LLM loop, assembled."""

from __future__ import annotations

from collections.abc import Mapping

from smallchain.engine import readiness
from smallchain.engine.backoff import delay
from smallchain.engine.checks import FIRST_RETRY, mark_of
from smallchain.engine.kind import Step, Transact
from smallchain.engine.llm.decide import LLMFacts, decide
from smallchain.engine.llm.endpoint import resolve
from smallchain.engine.ports import Prices, Provider, Secrets
from smallchain.engine.specs import typed, why_unsupported
from smallchain.model.decision import Effect
from smallchain.model.errors import BadInput
from smallchain.model.lifecycles import Readiness
from smallchain.model.llmspec import LLMSpec
from smallchain.model.money import Price
from smallchain.store import ledger, paces, resources
from smallchain.store.contract import Store, Tx
from smallchain.store.resources import Written


class LLMKind:
    """Keeps the readiness of LLMs."""

    name = "llm"

    def __init__(self, store: Store, providers: Mapping[str, Provider], secrets: Secrets, prices: Prices) -> None:
        self._store = store
        self._providers = providers
        self._secrets = secrets
        self._prices = prices

    def step(self, tx: Tx, key: str, /) -> Step:
        """Decide whether a check is due, or record that this version cannot use the LLM."""
        row = resources.get(tx, "llm", key)
        tx.wake(paces.KIND, key)  # its limits may have changed, and those who wait may have to go elsewhere
        if row is None:
            tx.wake("readiness", "")
            return Step()
        facts = LLMFacts(
            name=row.name,
            status=row.status,
            unsupported=why_unsupported(row),
            failures=row.failures,
            checked=row.checked,
            mark=mark_of(tx.epoch, row.digest),
            retry_at=row.updated_at + delay(max(1, row.failures), key=row.id, at_least=FIRST_RETRY),
        )
        decision = decide(facts, now=tx.now)
        if decision.cause == "missing" and (row.status, row.detail) != (Readiness.PENDING, decision.detail):
            readiness.record(tx, row, Readiness.PENDING, detail=decision.detail, checked=facts.mark)
        return Step(effects=decision.effects, look_at=decision.look_at)

    async def perform(self, effect: Effect, transact: Transact, /) -> None:
        """Resolve the secrets and, after a refusal, ask the provider whether it takes them now."""
        row = await self._store.read(lambda tx: resources.get(tx, "llm", effect.target))
        if row is None:
            return
        fault = await self._fault(row)
        price, source = await self._price(row) if fault is None else (None, "")

        def record(tx: Tx) -> None:
            now = resources.get(tx, "llm", row.name)
            if now is None or now.digest != row.digest:
                return
            if fault is None:
                spec: LLMSpec = typed(row)
                ledger.put_price(tx, row.name, spec.model or row.name, price, source)
            status = Readiness.READY if fault is None else Readiness.ERROR
            failures = now.failures if fault is None else now.failures + 1
            readiness.record(tx, now, status, detail=fault or "", failures=failures, checked=mark_of(tx.epoch, row.digest))

        await transact(record)

    def lost(self, tx: Tx, effect: Effect, error: str, /) -> None:
        """A check that could not be made is an error, looked at again."""
        broken(tx, effect.target, error)

    def keys(self, tx: Tx, /) -> list[str]:
        """All LLMs."""
        return resources.names(tx, "llm")

    async def _price(self, row: Written) -> tuple[Price | None, str]:
        """What a list says that the model costs, for who caps money; nothing where the price is written, or no list is asked."""
        spec: LLMSpec = typed(row)
        if not (spec.price is None or isinstance(spec.price, str)) or spec.provider != "openai":
            return None, ""
        endpoint = await resolve(spec, self._secrets, folder=row.folder)
        return await self._prices.price(spec.provider, endpoint.model, endpoint.base_url)

    async def _fault(self, row: Written) -> str | None:
        spec: LLMSpec = typed(row)
        try:
            endpoint = await resolve(spec, self._secrets, folder=row.folder)
        except BadInput as error:
            return str(error)
        if row.failures == 0 and not is_own(spec):
            return None
        self._secrets.forget()
        failure = await self._providers[spec.provider].check(endpoint)
        return failure.message if failure is not None else None


def broken(tx: Tx, name: str, detail: str, /) -> None:
    """Record that the provider refuses an LLM (a bad key, an exhausted quota); its runs wait until it is ready again."""
    row = resources.get(tx, "llm", name)
    if row is not None:
        mark = mark_of(tx.epoch, row.digest)
        readiness.record(tx, row, Readiness.ERROR, detail=detail, failures=row.failures + 1, checked=mark)


def works(tx: Tx, name: str, /) -> None:
    """Record that a call went through: the next error is the first again."""
    row = resources.get(tx, "llm", name)
    if row is not None and (row.failures or row.status is not Readiness.READY):
        readiness.record(tx, row, Readiness.READY, detail="", failures=0, checked=mark_of(tx.epoch, row.digest))


def is_own(spec: LLMSpec, /) -> bool:
    """Whether an LLM is reached through a person's own code, which can be looked at without asking anybody."""
    return spec.provider not in ("openai", "scripted")


def code_changed(tx: Tx, /) -> list[str]:
    """Check every LLM that is reached through a person's own code, since its files may say something else now; their names."""
    own = [row for row in resources.of_kind(tx, "llm") if is_own(typed(row))]
    for row in own:
        resources.set_status(tx, row, row.status, detail=row.detail, checked="")
    return [row.name for row in own]


def look_again(tx: Tx, /) -> None:
    """Check every LLM that is not ready at once: the secrets may have changed."""
    for row in resources.of_kind(tx, "llm"):
        if row.status is not Readiness.READY:
            resources.set_status(tx, row, row.status, detail=row.detail, checked="")
