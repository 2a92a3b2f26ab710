"""Values in the person's own editor, as YAML: written to a private file, read back when the editor closes.

The one rule: nothing happens by closing it wrongly. An empty file, or one that is no mapping, changes nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from typing import Any

from smallchain.model.errors import BadInput
from smallchain.protocol.text import is_plain, one_line


def edited(before: dict[str, Any], *, about: str) -> dict[str, Any]:
    """A mapping after a person has edited it; raises BadInput when there is no editor, it fails, or it leaves no mapping."""
    import yaml

    text = yaml.safe_dump(before, allow_unicode=True, sort_keys=False, width=120)
    if not is_plain(text):  # what would hide in the editor is written out as escapes
        text = yaml.safe_dump(before, allow_unicode=False, sort_keys=False, width=120)
    with tempfile.TemporaryDirectory(prefix="smallchain-") as folder:
        path = os.path.join(folder, "arguments.yaml")
        with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(f"# {one_line(about)}\n{text}")
        _open(path)
        with open(path, encoding="utf-8") as file:
            after = file.read()
    try:
        value = yaml.safe_load(after)
    except yaml.YAMLError as error:
        raise BadInput(f"what the editor left is not YAML: {one_line(str(error))}", hint="nothing was decided") from error
    if not isinstance(value, dict):
        raise BadInput("the editor left no arguments", hint="nothing was decided")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"what the editor left is not JSON: {one_line(str(error))}", hint="put quotes around dates") from error
    return value


def _open(path: str) -> None:
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        code = subprocess.run([*words, path], check=False).returncode
    except OSError as error:
        raise BadInput(f"the editor {words[0]!r} can't be started: {error.strerror}", hint="set VISUAL or EDITOR") from error
    if code != 0:
        raise BadInput(f"the editor {words[0]!r} ended with {code}", hint="nothing was decided")
