"""`validate`: checks YAML offline, as the daemon would: what is wrong, and what would wait.

The one rule: what heals by itself (a missing reference, a part that comes later) is a warning, unless `--strict` asks for more.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from smallchain.cli.console import note, out
from smallchain.cli.session import Session
from smallchain.cli.sources import read_sources, usage_fault
from smallchain.model.errors import BadInput, Problem
from smallchain.protocol.faults import EXIT_BAD_INPUT
from smallchain.protocol.text import visible

if TYPE_CHECKING:
    from smallchain.model.manifest import Resource

DESCRIPTION = """\
Check YAML without a daemon. All files are looked at together, as they would be in one folder. Exits 65 if something is
wrong; a reference to what is not there is a warning, since applying it later heals it."""
EXAMPLES = """
smallchain validate smallchain.yaml
smallchain validate -f agents/ -f tools/ --strict
generate-agents | smallchain validate -
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Sources, by position or behind `-f`."""
    parser.add_argument("paths", metavar="FILE|DIR|-", nargs="*", help="a YAML file, a folder of them, or - for standard input")
    parser.add_argument("-f", "--file", metavar="FILE|DIR|-", dest="files", action="append", default=[], help="the same")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.set_defaults(refuse=parser.error)


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"validate {', '.join([*arguments.paths, *arguments.files])}"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the problems and what was found."""
    files = [*arguments.paths, *arguments.files]
    if not files:
        arguments.refuse("nothing to validate: name a file, a folder, or -")
    name = "standard input" if "-" in files else None
    fault = usage_fault(files, name)
    if fault is not None:
        arguments.refuse(visible(fault))
    resources, errors = _parsed(files, name)
    warnings = _warnings(resources)
    for problem in errors:
        note(visible(str(problem)))
    for problem in warnings:
        note(visible(f"{problem.place}: warning: {problem.message}" + (f"; {problem.hint}" if problem.hint else "")))
    wrong = len(errors) + (len(warnings) if arguments.strict else 0)
    if wrong:
        note(f"smallchain: {wrong} problem{'s' if wrong > 1 else ''} in {visible(', '.join(files))}")
        return EXIT_BAD_INPUT
    out(visible(f"{', '.join(files)}: valid ({_counted(resources)})"))
    return 0


def _parsed(files: list[str], name: str | None) -> tuple[list[Resource], list[Problem]]:
    from smallchain.model import references
    from smallchain.model.manifest import parse_manifest

    resources: list[Resource] = []
    errors: list[Problem] = []
    for source in read_sources(files, name):
        try:
            resources += parse_manifest(source.data, file=source.shown, folder=source.folder)
        except BadInput as error:
            errors += error.problems
    return resources, [*errors, *references.clashes(resources)]


def _warnings(resources: list[Resource]) -> list[Problem]:
    from smallchain.model import references

    later = [(resource, references.unsupported(resource.kind, resource.spec)) for resource in resources]
    waits = [Problem(resource.place, f"{resource.kind} '{resource.name}' would wait: {why}") for resource, why in later if why]
    return [*references.missing(resources), *references.warnings(resources), *waits]


def _counted(resources: list[Resource]) -> str:
    counts: dict[str, int] = {}
    for resource in resources:
        counts[resource.kind] = counts.get(resource.kind, 0) + 1
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()) or "nothing declared"
