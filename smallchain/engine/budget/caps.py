"""Which caps are over a model call: of its run and those above it, of their agents, of its task, of its LLM, of everything."""

from __future__ import annotations

from smallchain.engine.specs import pins_of, typed
from smallchain.model.cap import Cap, OnLimit, parse_amount
from smallchain.model.run import Run
from smallchain.model.sections import Budget, BudgetSpec
from smallchain.store import resources, runs
from smallchain.store.contract import Tx
from smallchain.store.resources import Written


def caps_over(tx: Tx, run: Run, llm: str, /) -> list[Cap]:
    """Every cap over a call that a run makes of an LLM, each once."""
    line = _line(tx, run)
    found: dict[tuple[str, str], Cap] = {}
    for cap in (*_of_agents(tx, line), *_of_entries(tx, line), *_of_budgets(tx, line, llm)):
        found.setdefault((cap.key, cap.subject), cap)
    return list(found.values())


def written_caps(tx: Tx, /) -> list[tuple[Cap, Written]]:
    """Every cap that is written, and where: those of `budgets`, then agents', then those of runs' entries."""
    found = []
    for row in resources.of_kind(tx, "budget"):
        spec: BudgetSpec = typed(row)
        subject = ""
        if spec.over != "everything" and spec.over.run is not None:
            run = runs.by_name(tx, spec.over.run)
            subject = run.id if run is not None else ""
        counts = ("everything", "") if spec.over == "everything" else spec.over.counts
        found.append((_cap("budget", row.name, spec, subject, counts), row))
    for kind in ("agent", "run"):
        for row in resources.of_kind(tx, kind):
            budget = typed(row).budget
            run = runs.by_name(tx, row.name) if kind == "run" and budget is not None else None
            if budget is not None:
                found.append((_cap(kind, row.name, budget, run.id if run is not None else "", (kind, row.name)), row))
    return found


def _line(tx: Tx, run: Run) -> list[Run]:
    """A run and those above it, the root last."""
    line = [run]
    while line[-1].parent_id:
        above = runs.find(tx, line[-1].parent_id)
        if above is None:
            break
        line.append(above)
    return line


def _of_agents(tx: Tx, line: list[Run]) -> list[Cap]:
    """Those of agents as they are written now; of one that is written no more, as the run is pinned to it: only who takes the budget
    away lets go of it."""
    found, pins = [], pins_of(tx, line[-1].id)
    for each in line:
        row = resources.get(tx, "agent", each.agent) if each.agent else None
        agent = typed(row) if row is not None else pins.agent(each.agent)
        budget = agent.budget if agent is not None else None
        if budget is not None:
            found.append(_cap("agent", each.agent, budget, each.id if budget.per == "run" else "", ("agent", each.agent)))
    return found


def _of_entries(tx: Tx, line: list[Run]) -> list[Cap]:
    found = []
    for each in line:
        row = resources.get(tx, "run", each.name) if each.file else None
        budget = typed(row).budget if row is not None else None
        if budget is not None:
            found.append(_cap("run", each.name, budget, each.id, ("run", each.name)))
    return found


def _of_budgets(tx: Tx, line: list[Run], llm: str) -> list[Cap]:
    found = []
    for row in resources.of_kind(tx, "budget"):
        found += _of_budget(row, line, llm)
    return found


def _of_budget(row: Written, line: list[Run], llm: str) -> list[Cap]:
    spec: BudgetSpec = typed(row)
    counts = ("everything", "") if spec.over == "everything" else spec.over.counts
    kind, name = counts
    root = line[-1]
    match kind:
        case "agent":
            subjects = [each.id for each in line if each.agent == name]
        case "run":
            subjects = [each.id for each in line if each.name == name]
        case "task":
            subjects = [root.id] if root.task == name else []
        case "llm":
            subjects = [root.id] if llm == name else []
        case _:
            subjects = [root.id]
    if subjects and spec.per != "run" and kind != "run":
        subjects = [""]
    return [_cap("budget", row.name, spec, subject, counts) for subject in subjects]


def _cap(kind: str, name: str, budget: Budget, subject: str, counts: tuple[str, str]) -> Cap:
    unit, limit = parse_amount(budget.limit)
    return Cap(kind, name, subject, unit, limit, budget.per, budget.window, OnLimit(budget.on_limit), counts, budget.time_zone)
