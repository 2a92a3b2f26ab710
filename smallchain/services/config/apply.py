"""One transaction that makes the database say what the files say: resources, runs, files and events, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smallchain.engine.budget.caps import written_caps
from smallchain.engine.run.acts import cancel, create_from_entry
from smallchain.model.canonical import digest as digest_of
from smallchain.model.errors import Place, Problem, Unconfirmed
from smallchain.model.events import Object
from smallchain.model.manifest import Resource
from smallchain.model.plan import Key, Plan, Standing, plan
from smallchain.model.sections import RunSpec
from smallchain.services.config.folder import ConfigFile
from smallchain.store import eventlog, files, ledger, meta, resources, runs
from smallchain.store.contract import Tx

_INODE = "config_inode"
_HELD = "held_deletes"
_REJECTED = "rejected_problems"


@dataclass(slots=True)
class Applied:
    """What an application did, as kinds and names; `seq` is the last event."""

    created: list[Key] = field(default_factory=list)
    changed: list[Key] = field(default_factory=list)
    removed: list[Key] = field(default_factory=list)
    unchanged: list[Key] = field(default_factory=list)
    held: list[Key] = field(default_factory=list)
    runs: list[tuple[str, str]] = field(default_factory=list)
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files say. `changed_sources`: removals from these would be a person's own act, and cancel a live run only with
    `prune`; None for the watched folder, where editing is the act."""

    files: Sequence[ConfigFile]
    resources: Sequence[Resource]
    inode: str
    accept: bool = False
    prune: bool = False
    changed_sources: frozenset[str] | None = None
    by: str = "the config folder"


def apply(tx: Tx, wanted: Wanted, /) -> Applied:
    """Carry out what the files say; raises Unconfirmed when a removal would cancel a live run and nobody said `prune`."""
    known_inode = meta.get(tx, _INODE)
    vanished = frozenset(row["source"] or row["path"] for row in files.everything(tx)) - {each.shown for each in wanted.files}
    if wanted.changed_sources is not None:
        vanished -= wanted.changed_sources
    planned = plan(
        wanted.resources,
        standing=_standing(tx),
        vanished=vanished,
        other_folder=known_inode not in ("", wanted.inode),
        accept=wanted.accept,
    )
    if wanted.changed_sources is not None and not wanted.prune:
        _refuse_to_cancel(tx, planned, wanted.changed_sources)
    result = Applied(held=list(planned.held))
    caps = {cap.key for cap, _ in written_caps(tx)}
    if any(row["status"] != "Applied" for row in files.everything(tx)):
        eventlog.tell(tx, "ConfigHealed", Object("file", "the config folder"))
    for resource in planned.put:
        _put(tx, resource, result)
    for key in planned.remove:
        _remove(tx, key, result, wanted.by)
    for gone in sorted(caps - {cap.key for cap, _ in written_caps(tx)}):
        ledger.let_go(tx, gone)
    _record_files(tx, wanted, planned)
    if meta.get(tx, _REJECTED):
        meta.put(tx, _REJECTED, "")
    _tell(tx, wanted, planned, result)
    if not planned.held:
        meta.put(tx, _INODE, wanted.inode)
    if result.created or result.changed or result.removed:
        tx.wake("readiness", "")
    if ("defaults", "defaults") in (*result.created, *result.changed, *result.removed):
        for name in resources.names(tx, "tool"):  # the defaults hold for what their entries leave out
            tx.wake("tool", name)
    if wanted.changed_sources is not None:  # who applies a file is told about that file
        theirs = {(each.kind, each.name) for each in wanted.resources if each.place.file in wanted.changed_sources}
        result.unchanged = [key for key in result.unchanged if key in theirs]
    result.seq = eventlog.last(tx)
    return result


def _standing(tx: Tx) -> dict[Key, Standing]:
    found: dict[Key, Standing] = {}
    for row in resources.everything(tx):
        run = runs.by_name(tx, row.name) if row.kind == "run" else None
        found[row.kind, row.name] = Standing(row.file, run is not None and bool(run.file) and not run.is_over)
    return found


def _refuse_to_cancel(tx: Tx, planned: Plan, sources: frozenset[str]) -> None:
    standing = _standing(tx)
    live = [name for kind, name in planned.remove if standing[kind, name].is_live_run and standing[kind, name].file in sources]
    if live:
        problems = tuple(Problem(Place(standing["run", name].file), f"run '{name}' is live and would be cancelled") for name in live)
        raise Unconfirmed("removing these entries would cancel live runs", hint="add --prune to do it", problems=problems)


def _put(tx: Tx, resource: Resource, result: Applied) -> None:
    before = resources.get(tx, "agent", resource.name) if resource.kind == "agent" else None
    outcome = resources.put(
        tx,
        kind=resource.kind,
        name=resource.name,
        spec=dict(resource.spec),
        folder=resource.folder,
        file=resource.place.file,
        line=resource.place.line,
    )
    key = (resource.kind, resource.name)
    if before is not None and before.spec.get("limits") != resource.spec.get("limits"):
        for id in runs.live_of_agent(tx, resource.name):  # they may end sooner now, or later
            tx.wake("run", id)
    if resource.kind == "run":
        outcome = _put_run(tx, resource, outcome, result)
    {"created": result.created, "changed": result.changed, "unchanged": result.unchanged}[outcome].append(key)


def _put_run(tx: Tx, resource: Resource, outcome: str, result: Applied) -> str:
    """A run is made once for its name; a run that exists is never changed by its entry."""
    mark = resource.digest
    run = runs.by_name(tx, resource.name)
    if run is None:
        spec = RunSpec.model_validate(resource.spec)
        made = create_from_entry(tx, spec, file=resource.place.file, digest=mark)
        result.runs.append((made.name, made.id))
        return "created"
    if run.spec_digest != mark and outcome != "unchanged":
        eventlog.tell(tx, "EntryUnchanged", eventlog.about(run), of=run, name=run.name, place=str(resource.place))
    return "unchanged"


def _remove(tx: Tx, key: Key, result: Applied, by: str) -> None:
    kind, name = key
    row = resources.get(tx, kind, name)
    resources.delete(tx, kind, name)
    result.removed.append(key)
    if kind != "run":
        return
    run = runs.by_name(tx, name)
    if run is not None and run.file and not run.is_over:
        cancel(tx, run, by=by, note=f"its entry was removed from {row.file if row else run.file}")


def _record_files(tx: Tx, wanted: Wanted, planned: Plan) -> None:
    present = {each.path for each in wanted.files}
    for each in wanted.files:
        files.put(tx, each.path, source=each.source, digest=each.digest, status="Applied")
    if not planned.held:
        for row in files.everything(tx):
            if row["path"] not in present:
                files.delete(tx, row["path"])


def _tell(tx: Tx, wanted: Wanted, planned: Plan, result: Applied) -> None:
    lists = ((result.created, "created"), (result.changed, "changed"), (result.removed, "removed"))
    parts = [f"{len(keys)} {word}" for keys, word in lists if keys]
    folder = Object("file", "the config folder")
    if parts:
        names = ", ".join(f"{kind} '{name}'" for kind, name in (*result.created, *result.changed, *result.removed)[:6])
        more = len(result.created) + len(result.changed) + len(result.removed) - 6
        eventlog.tell(tx, "ConfigApplied", folder, what=f"{', '.join(parts)}: {names}" + (f" and {more} more" if more > 0 else ""))
    mark = digest_of([list(key) for key in planned.held]) if planned.held else ""
    if mark and meta.get(tx, _HELD) != mark:
        what = ", ".join(f"{kind} '{name}'" for kind, name in planned.held[:6])
        more = len(planned.held) - 6
        eventlog.tell(tx, "DeletesHeld", folder, what=what + (f" and {more} more" if more > 0 else ""), why=planned.why_held)
    if meta.get(tx, _HELD) != mark:
        meta.put(tx, _HELD, mark)


def reject(tx: Tx, all_files: Sequence[ConfigFile], problems: Sequence[Problem], unread: dict[str, Problem], /) -> None:
    """Hold the folder at its last good version: record what is wrong where, and tell it in one event, once."""
    before = {row["path"]: row for row in files.everything(tx)}
    by_shown: dict[str, list[Problem]] = {}
    for problem in problems:
        by_shown.setdefault(problem.place.file, []).append(problem)
    for each in all_files:
        wrong = tuple(by_shown.get(each.shown, ()))
        known = before.get(each.path)
        if wrong:
            files.put(tx, each.path, source=each.source, digest=each.digest, status="Rejected", problems=wrong)
        elif known is None or known["digest"] != each.digest or known["status"] != "Applied":
            files.put(tx, each.path, source=each.source, digest=each.digest, status="Held")
    for path, problem in unread.items():
        files.put(tx, path, source="", digest="", status="Rejected", problems=(problem,))
    found = [*problems, *unread.values()]
    mark = digest_of([str(problem) for problem in found])
    if meta.get(tx, _REJECTED) != mark:
        meta.put(tx, _REJECTED, mark)
        more = f" (and {len(found) - 1} more: `smallchain get files`)" if len(found) > 1 else ""
        eventlog.tell(tx, "ConfigRejected", Object("file", found[0].place.file), problem=f"{found[0]}{more}")


def folder_gone(tx: Tx, folder: str, why: str, /) -> None:
    """Tell that there is no folder to look at."""
    eventlog.tell(tx, "ConfigFolderGone", Object("file", folder), folder=folder, why=why)
