"""`make bench`: turns a second and CPU a turn of the daemon, each beside the bare loop in the same run; one JSON object a line.

An agent of N turns makes N model requests that ask for `add`, and a last one. The daemon commits reply and result (SQLite, FULL) before
the next step. Started runs wait paused: they are made over the socket, and the time counts from the first to the last end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from smallchain.protocol.client import Client

HERE = Path(__file__).parent
SCENE = """
llms: [{{name: model, provider: openai, model: gpt-4o, base_url: "{url}"}}]
agents: [{{name: counter, system_prompt: count, tools: [add], limits: {{turns: 100000}}}}]
tasks: [{{name: count, agent: counter, user_message: go}}]
"""


def measure(agents: int, turns: int) -> dict[str, object]:
    """One size, the bare loop first and the daemon after it, against one server."""
    folder = Path(tempfile.mkdtemp(prefix="sc-bench-"))
    server = subprocess.Popen([sys.executable, str(HERE / "server.py"), str(turns)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        words = [sys.executable, str(HERE / "bare.py"), url, str(agents), str(turns)]
        bare = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        ours = _daemon(folder, url, agents, turns)
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "bench": "turns",
        "agents": agents,
        "turns": turns,
        "bare": bare,
        "daemon": ours,
        "turns_ratio": round(ours["turns_per_s"] / bare["turns_per_s"], 3),
        "cpu_ratio": round(ours["cpu_ms_per_turn"] / bare["cpu_ms_per_turn"], 3),
    }


def _daemon(folder: Path, url: str, agents: int, turns: int) -> dict[str, float]:
    (folder / "c").mkdir()
    (folder / "c" / "scene.yaml").write_text(SCENE.format(url=url), encoding="utf-8")
    words = [sys.executable, "-m", "smallchaind", "--config-dir", str(folder / "c"), "--state-dir", str(folder / "s"), "--print-ready"]
    daemon = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        client = Client(folder / "s" / "run" / "daemon.sock")
        _run(client, 1)  # connections and imports are not what is measured
        _run(client, agents, paused=True)
        cpu, io = _cpu(daemon.pid), _written(daemon.pid)
        began = time.perf_counter()
        for run in client.items("runs", {"status": "Paused"}):
            client.post(f"/v1/resume/{run['id']}")
        _await(client, agents + 1)
        wall = time.perf_counter() - began
        done = agents * turns
        return {
            "turns_per_s": round(done / wall, 1),
            "cpu_ms_per_turn": round(1000 * (_cpu(daemon.pid) - cpu) / done, 3),
            "written_bytes_per_turn": round((_written(daemon.pid) - io) / done),
            "rss_mib": round(_rss_kib(daemon.pid) / 1024, 1),
        }
    finally:
        daemon.terminate()
        daemon.wait()


def _run(client: Client, count: int, *, paused: bool = False) -> None:
    for _ in range(count):
        made = client.post("/v1/runs", {"task": "count"})
        if paused:
            client.post(f"/v1/pause/{made['run']['id']}")
    if not paused:
        _await(client, count)


def _await(client: Client, count: int) -> None:
    while True:
        runs = client.get("/v1/status")["runs"]
        if runs.get("Succeeded", 0) >= count:
            return
        assert not runs.get("Failed"), runs
        time.sleep(0.05)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _written(pid: int) -> int:
    lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(lines["write_bytes"])


def _rss_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


if __name__ == "__main__":
    for size in [(1, 100), (50, 10), (500, 10)]:
        print(json.dumps(measure(*size)), flush=True)
