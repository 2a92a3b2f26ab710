"""What the daemon loads before it is ready: nothing that only some of its work needs."""

from __future__ import annotations

import subprocess
import sys

LOOK = "import sys, smallchaind.lifetime; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
LATER = {"mcp", "mcp_types", "httpx2", "openai", "aiohttp", "textual", "genai_prices"}


def test_the_daemon_is_ready_without_what_only_some_work_needs() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=60, check=True)

    assert LATER & set(done.stdout.split()) == set()
