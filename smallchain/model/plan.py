"""What a change of the written resources would do: put, remove, or hold back; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smallchain.model.manifest import Resource

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """A resource as it stands: the file it is written in, and whether it is the entry of a run that is not over."""

    file: str
    is_live_run: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`remove` is carried out, `held` would be removed but is not, and `why_held` says why."""

    put: tuple[Resource, ...]
    remove: tuple[Key, ...]
    held: tuple[Key, ...]
    why_held: str


def plan(
    wanted: Sequence[Resource], /, *, standing: Mapping[Key, Standing], vanished: frozenset[str], other_folder: bool, accept: bool
) -> Plan:
    """Plan a change of everything that is written.

    `vanished` are files that were there and are gone as a whole; `other_folder`: the config folder is another one than before. Deletion
    is held back when a mistake is likelier than a wish, unless a person accepts it (design section 2).
    """
    keys = {(resource.kind, resource.name) for resource in wanted}
    gone = tuple(key for key in standing if key not in keys)
    why = "" if accept else _doubt(gone, standing, vanished, other_folder)
    return Plan(tuple(wanted), () if why else gone, gone if why else (), why)


def _doubt(gone: tuple[Key, ...], standing: Mapping[Key, Standing], vanished: frozenset[str], other_folder: bool) -> str:
    if gone and other_folder:
        return "the config folder is another one than before"
    with_files = [key for key in gone if standing[key].file in vanished]
    if len(with_files) * 2 > len(standing):
        return "more than half of all resources went with files that vanished"
    live = [name for kind, name in with_files if standing[kind, name].is_live_run]
    if live:
        return f"run '{live[0]}' is live and its entry went with a file that vanished"
    return ""
