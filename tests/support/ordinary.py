"""To be an ordinary user for a while, when the tests run as root: the tree and the interpreter, which root may keep to itself, are
mounted where everybody can read them, for one process and its children alone."""

from __future__ import annotations

import shlex
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.programs import needed

UID = 61_500
ROOT = Path(__file__).parents[2]


@contextmanager
def ordinary(folder: Path, /) -> Iterator[Ordinary]:
    """Programs of a user with the uid UID, whose home is `folder`, which everybody has to be able to reach."""
    needed("unshare", package="util-linux")
    needed("setpriv", package="util-linux")
    for name in ("python", "tree", "packages", "home"):
        (folder / name).mkdir()
    (folder / "home").chmod(0o777)
    yield Ordinary(folder)


class Ordinary:
    """Makes command lines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.home = folder / "home"
        self.tree = folder / "tree"

    def argv(self, *words: str, **variables: str) -> Sequence[str]:
        """Python with these words, as that user; `variables` are its environment besides the least."""
        folder = self._folder
        mounts = {sys.base_prefix: "python", str(ROOT): "tree", sysconfig.get_path("purelib"): "packages"}
        binds = [f"mount --bind {shlex.quote(source)} {shlex.quote(str(folder / name))}" for source, name in mounts.items()]
        environ = {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LD_LIBRARY_PATH": str(folder / "python" / "lib"),
            "PYTHONPATH": f"{folder / 'tree'}:{folder / 'tree' / 'daemon'}:{folder / 'tree' / 'tests'}:{folder / 'packages'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.home),
            **variables,
        }
        python = folder / "python" / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        drop = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--no-new-privs"]
        assigned = [f"{name}={value}" for name, value in environ.items()]
        command = shlex.join([*drop, "env", "-i", *assigned, str(python), *words])
        return ["unshare", "--mount", "sh", "-euc", "\n".join([*binds, f"exec {command}"])]
