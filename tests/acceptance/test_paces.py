"""One endpoint for many runs, as a person sees it: what waits and for what, through `kill -9`, and what `validate` says of a cycle."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from support.daemon import Daemon, Models

SLOW = (
    "llms: [{name: fast, provider: scripted, limits: {concurrency: 1, requests_per_minute: 500}, replies: [{content: done, delay: 1h}]}]\n"
)
JOB = "agents: [{name: worker, llm: fast}]\ntasks: [{name: job, agent: worker, user_message: begin}]\n"
KILLS = 5


def runs(count: int) -> str:
    return "runs:\n" + "".join(f"- {{name: r{number}, task: job}}\n" for number in range(count))


def test_a_run_says_that_it_waits_for_a_place_and_the_llm_how_it_is_used(daemon: Daemon) -> None:
    daemon.drop("team.yaml", SLOW + JOB + runs(3))
    daemon.start()
    daemon.event("LLMAtLimit")
    daemon.until(lambda: len([run for run in daemon.items("runs") if run["status"] == "Waiting"]) == 2)

    waiting = [run for run in daemon.items("runs") if run["status"] == "Waiting"]
    assert {run["detail"] for run in waiting} == {"for a place at LLM 'fast' (1 of 1 calls out)"}
    (llm,) = daemon.ask("get", "llms")["items"]
    assert (llm["in_use"], llm["waiting"], llm["full"], llm["held_until"]) == (1, 2, "1 of 1 calls out", None)
    heading, row = daemon.cli("get", "llms", "-o", "wide").stdout.splitlines()
    assert all(word in heading for word in ("IN USE", "WAITING", "HELD UNTIL", "LIMITS", "FALLBACK"))
    assert all(word in row for word in ("1/1", "500 requests"))
    assert "waiting:" in daemon.cli("describe", "llm", "fast").stdout
    assert daemon.client().get("/v1/status")["runs"] == {"Running": 1, "Waiting": 2}

    daemon.restart()
    daemon.until(lambda: len([run for run in daemon.items("runs") if run["status"] == "Waiting"]) == 2)
    for _ in range(3):
        (calling,) = daemon.until(lambda: [run["name"] for run in daemon.items("runs") if run["phase"] == "calling_model"])
        assert daemon.cli("cancel", calling).returncode == 0
        daemon.over(calling)
    assert {run["status"] for run in daemon.items("runs")} == {"Cancelled"}


@pytest.mark.slow
def test_a_limit_holds_through_any_number_of_kills(daemon: Daemon, models: Callable[..., Models]) -> None:
    server = models(latency=0.02, script={"rules": [{"reply": {"content": "done"}}]})
    llm = f"llms: [{{name: fast, provider: openai, model: m, base_url: '{server.base_url}', limits: {{concurrency: 3}}}}]\n"
    daemon.drop("team.yaml", llm + JOB + runs(60))
    daemon.start()
    chance = random.Random(7)
    for _ in range(KILLS):
        asked = len(server.asked())
        daemon.until(lambda asked=asked: len(server.asked()) > asked + chance.randrange(5))  # type: ignore[misc]
        daemon.restart()
    daemon.until(lambda: all(run["status"] == "Succeeded" for run in daemon.items("runs")))

    # A request that a killed daemon left behind is still with the server when the next one begins.
    assert max(asked["in_flight"] for asked in server.asked()) <= 6
    assert 60 <= len(server.asked()) <= 60 + 3 * KILLS
    assert daemon.items("llms")[0]["waiting"] == 0


def test_fallbacks_in_a_circle_are_an_error_with_both_places(daemon: Daemon) -> None:
    entry = "llms: [{{name: {}, provider: openai, model: m, fallback: {}}}]\n"
    daemon.drop("a.yaml", entry.format("a", "b"))
    daemon.drop("b.yaml", entry.format("b", "a"))
    done = daemon.cli("validate", str(daemon.config))

    assert done.returncode == 65
    assert "a.yaml:1:15" in done.stderr + done.stdout
    assert "b.yaml:1:15" in done.stderr + done.stdout
    assert "falls back to" in done.stderr + done.stdout
