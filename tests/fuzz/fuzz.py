"""Coverage-guided fuzzing of the borders where strangers' bytes come in: `python tests/fuzz/fuzz.py TARGET --seconds N`.

atheris (https://github.com/google/atheris) mutates the corpus in `tests/data/replies` and keeps what reaches new code. A target may answer
with a value or with an error of ours; anything else is a finding, and gets a test before it is mended. `make fuzz` runs all targets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "data" / "replies"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

with atheris.instrument_imports(include=["smallchain"], enable_loader_override=False):
    from smallchain.engine.toolcall import arguments
    from smallchain.model import canonical, yamlfile
    from smallchain.model.errors import BadInput
    from smallchain.model.llm import Failure, Reply
    from smallchain.protocol import text
    from smallchain.services.llm.classify import classify
    from smallchain.services.llm.translate import translate


def reply(data: bytes) -> None:
    """Whatever a model server sends is a reply that can be sent back, or a failure in words."""
    found = translate(data, asked=data[:64])
    if isinstance(found, Failure):
        assert found.message
        return
    assert isinstance(found, Reply)
    canonical.canonical(found.message)
    ids = [call.id for call in found.calls]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in found.message.get("tool_calls", ()))


def refusal(data: bytes) -> None:
    """Whatever an error's body says, it is sorted, and its words are bounded."""
    found = classify(400 + data[0] % 200 if data else 500, data, {"retry-after": data[:40].decode("latin-1")})
    assert 0 < len(found.message) <= 1000
    found.message.encode()


def call(data: bytes) -> None:
    """Arguments are an object or bad input."""
    try:
        assert isinstance(arguments.read(data.decode("utf-8", "surrogateescape")), dict)
    except BadInput as error:
        if not str(error):
            raise AssertionError("a refusal without words") from error


def strict_json(data: bytes) -> None:
    """What the socket takes can be written again, and is then the same."""
    try:
        value = canonical.parse(data)
    except BadInput:
        return
    assert canonical.parse(canonical.canonical(value)) == value


def yaml(data: bytes) -> None:
    """A file is read, or its fault has a place."""
    try:
        yamlfile.read(data, file="fuzzed.yaml")
    except BadInput as error:
        if not error.problems:
            raise AssertionError("a fault without a place") from error


def shown(data: bytes) -> None:
    """Hostile text is shown on one line, without a control character."""
    line = text.one_line(data.decode("utf-8", "replace"))
    assert not any(unicodedata.category(char) == "Cc" for char in line)
    assert "\u202e" not in line


TARGETS: dict[str, Callable[[bytes], None]] = {each.__name__: each for each in (reply, refusal, call, strict_json, yaml, shown)}


def main() -> None:
    """Fuzz one target here, or each in a process of its own."""
    parser = argparse.ArgumentParser(description="coverage-guided fuzzing")
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    if options.target == "all":
        failed = [name for name in TARGETS if _apart(name, options.seconds)]
        sys.exit(f"a finding in {', '.join(failed)}" if failed else 0)
    with tempfile.TemporaryDirectory(prefix="smallchain-fuzz-") as found:
        flags = [f"-max_total_time={options.seconds}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
        findings = f"-artifact_prefix={ROOT}/build/fuzz-{options.target}-"
        atheris.Setup([sys.argv[0], *flags, findings, found, str(CORPUS)], TARGETS[options.target])
        atheris.Fuzz()


def _apart(name: str, seconds: int) -> int:
    print(f"---- {name}, {seconds} s", flush=True)
    (ROOT / "build").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, __file__, name, "--seconds", str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    lines = done.stdout.decode(errors="replace").splitlines()
    units = [line for line in lines if line.startswith("stat::number_of_executed_units")]
    print("\n".join(lines[-60:] if done.returncode else units), flush=True)
    return done.returncode


if __name__ == "__main__":
    main()
