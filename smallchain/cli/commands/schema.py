"""`schema`: the JSON Schema (draft 7) of the YAML, for editors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from smallchain.cli.render import show_json
from smallchain.cli.session import Session

DESCRIPTION = "Print the JSON Schema (draft 7) of the YAML. Editors with the YAML language server check and complete by it."
EXAMPLES = """
smallchain schema > smallchain.schema.json
# then, as the first line of a YAML file:
#   # yaml-language-server: $schema=./smallchain.schema.json
"""


def add_arguments(parser: ArgumentParser) -> None:
    """None."""


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return "print the schema"


def execute(arguments: Namespace, session: Session) -> int:
    """Print it."""
    from smallchain.model.manifest import json_schema

    show_json(json_schema())
    return 0
