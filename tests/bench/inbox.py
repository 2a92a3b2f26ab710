"""People, by the ten thousand requests: how soon a run goes on once it is approved, and how soon the inbox is listed.

The requests are approvals of a built-in tool, asked by a real daemon for one run and copied in the stopped database (`parked.copy`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.parked import FIRST, copy
from bench.processes import a_model
from bench.report import Figure, Target, percentile
from support.daemon import Daemon, a_folder

_SCENE = """\
llms: [{{name: model, provider: openai, model: gpt-4o, base_url: "{url}"}}]
agents: [{{name: doer, system_prompt: do, tools: [add]}}]
tools: [{{name: add, builtin: add, approval: required}}]
tasks: [{{name: doing, agent: doer, user_message: "agent:{name}:"}}]
runs: [{{name: {name}, task: doing}}]
"""


def inbox(count: int, answers: int, listed: int, repeats: int) -> Iterator[Figure]:
    """List the inbox with `listed` open requests, then approve `answers` of them one after the other beside `count` others."""
    with a_model(turns=1) as model, a_folder() as folder:
        daemon = Daemon(folder)
        try:
            (daemon.config / "scene.yaml").write_text(_SCENE.format(url=model.url, name=FIRST), encoding="utf-8")
            daemon.start("--log-level", "warning")
            daemon.until(lambda: daemon.items("requests"))
            daemon.terminate()
            database = daemon.state / "smallchain.db"
            copy(database, 1, listed - 1)
            daemon.start("--log-level", "warning")
            yield from _listing(daemon, listed, repeats)
            daemon.terminate()
            copy(database, listed, count - listed)
            daemon.start("--log-level", "warning")
            client = daemon.client()
            from_sent: list[float] = []
            from_answer: list[float] = []
            first, *following = client.items("requests")[: answers + 1]
            began = time.monotonic()
            client.post(f"/v1/approve/{first['id']}")  # what a first model call imports is no part of it
            model.asked_at(first["run"], after=began)
            for request in following:
                sent = time.monotonic()
                client.post(f"/v1/approve/{request['id']}", {"expect_digest": request["digest"]})
                answered = time.monotonic()
                asked = model.asked_at(request["run"], after=sent)
                from_sent.append(1000 * (asked - sent))
                from_answer.append(1000 * max(0.0, asked - answered))
            at = {"requests": count, "answers": answers}
            for share, name, target in ((0.5, "p50", Target("value", "<=", 20)), (0.99, "p99", None)):
                yield Figure("inbox", f"approval_to_request_{name}_ms", "ms", [percentile(from_answer, share)], at=at, target=target)
                yield Figure("inbox", f"approval_sent_to_request_{name}_ms", "ms", [percentile(from_sent, share)], at=at, target=target)
        finally:
            if daemon.process is not None:
                daemon.kill()


def _listing(daemon: Daemon, listed: int, repeats: int) -> Iterator[Figure]:
    client = daemon.client()
    samples = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = client.items("requests")
        samples.append(1000 * (time.perf_counter() - began))
        assert len(found) == listed
    yield Figure("inbox", "list_ms", "ms", samples, at={"requests": listed}, target=Target("value", "<=", 200))
