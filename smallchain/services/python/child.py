"""The program of a worker process: it loads a person's modules and calls their functions, one call at a time.

Started as `python -P -m smallchain.services.python.child FOLDER`, it reads frames (4 bytes of length, big endian, then JSON) from
what was its standard input and writes one frame for each to what was its standard output. Both are moved away first, so that code
which prints reaches standard error only. It needs the standard library alone, and ends with the daemon.
"""

from __future__ import annotations

import ctypes
import importlib
import inspect
import json
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
_LONGEST_WORDS = 500


def main() -> None:
    """Answer calls until the daemon closes the pipe or ends."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    frames, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    folder = sys.argv[1]
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    child = _Child(folder)
    while (asked := _read(frames)) is not None:
        answer = child.answer(asked)
        data = json.dumps(answer, ensure_ascii=True, allow_nan=False).encode()
        answers.write(struct.pack(">I", len(data)) + data)
        answers.flush()


def _read(frames: IO[bytes]) -> Any:
    head = frames.read(4)
    if len(head) < 4:
        return None
    return json.loads(frames.read(struct.unpack(">I", head)[0]))


class _Child:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._started_ns = time.time_ns()
        self._seen = 0
        self._functions: dict[str, Callable[..., Any]] = {}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """`{"value": ...}` or `{"error": {...}}`, with `files` when more modules are loaded than before."""
        target = asked["target"]
        try:
            function = self._load(target)
        except BaseException as error:  # noqa: BLE001 - it is a person's code: whatever it raises is told
            return {"error": _told("not_loaded", error, self._folder), "files": self._files(error, target)}
        if asked.get("arguments") is None:
            return self._with_files({"value": None})
        try:
            value = function(*asked["arguments"])
            if inspect.iscoroutine(value):
                import asyncio

                value = asyncio.run(value)
        except BaseException as error:  # noqa: BLE001 - as above
            return self._with_files({"error": _told("raised", error, self._folder)})
        try:
            if isinstance(value, bytes):
                value = value.decode()
            json.dumps(value, allow_nan=False).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            what = f"it returned {type(value).__name__}, which is not JSON: {error}"
            return self._with_files({"error": {"kind": "no_answer", "message": what[:_LONGEST_WORDS]}})
        return self._with_files({"value": value})

    def _load(self, target: str) -> Callable[..., Any]:
        if target not in self._functions:
            module_name, _, name = target.partition(":")
            found = importlib.import_module(module_name)
            for part in name.split("."):
                found = getattr(found, part)
            if not callable(found):
                raise TypeError(f"{target} is not a function")
            self._functions[target] = found
        return self._functions[target]

    def _with_files(self, answer: dict[str, Any]) -> dict[str, Any]:
        if len(sys.modules) != self._seen:
            self._seen = len(sys.modules)
            answer["files"] = _marked(self._loaded(), self._started_ns)
        return answer

    def _loaded(self) -> set[str]:
        """The files of the modules that stand in the folder, those of an interpreter that stands there too left out."""
        inside, packages = os.path.join(self._folder, ""), os.path.join(sys.prefix, "")
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        return {file for file in files if isinstance(file, str) and file.startswith(inside) and not file.startswith(packages)}

    def _files(self, error: BaseException, target: str) -> list[list[Any]]:
        """What a change of can heal a load that failed: the files it went through, and the folders in which one may be missing."""
        inside = os.path.join(self._folder, "")
        files = self._loaded() | {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
        if isinstance(error, SyntaxError) and error.filename:
            files.add(error.filename)
        files = {file for file in files if file.startswith(inside)}
        base = os.path.join(self._folder, *target.partition(":")[0].split("."))
        files |= {f"{base}.py", os.path.join(base, "__init__.py"), self._folder}
        return _marked(files, self._started_ns)


def _marked(files: set[str], started_ns: int) -> list[list[Any]]:
    """Each file with the mark by which a change is seen; one that was written since this process started has none that counts."""
    return [[file, None if _fresh(file, started_ns) else mark_of(file)] for file in sorted(files)]


def _fresh(file: str, started_ns: int) -> bool:
    try:
        return started_ns <= os.stat(file).st_mtime_ns <= time.time_ns()
    except OSError:
        return False


def mark_of(file: str) -> str:
    """What changes when a file does; `-` where there is none."""
    try:
        facts = os.stat(file)
    except OSError:
        return "-"
    return f"{facts.st_mtime_ns} {facts.st_size} {facts.st_ino}"


def _told(kind: str, error: BaseException, folder: str) -> dict[str, Any]:
    """An exception as its traceback's last line, and the innermost place in the person's own files."""
    last = traceback.format_exception_only(error)[-1].strip()
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{error.filename}:{error.lineno}"
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith(os.path.join(folder, "")):
                where = f"{frame.filename}:{frame.lineno}"
    message = " ".join(last.split())[:_LONGEST_WORDS] + (f" ({where})" if where else "")
    found: dict[str, Any] = {"kind": kind, "message": message}
    for name, types in (("status", int), ("retry_after", int | float)):
        value = getattr(error, name, None)
        if isinstance(value, types) and not isinstance(value, bool) and 0 <= value < 1e9:
            found[name] = value
    return found


if __name__ == "__main__":
    main()
