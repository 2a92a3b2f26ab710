"""The soak's model: a loopback server that takes its time, plays a worker and its helper, and breaks at random in every way we know.

It prints its base URL; a line `calm` on standard input ends the faults, and each `count` is answered with requests and faults so far.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from support.modelserver import Answer, Asked, ModelServer, call, fails, says

_HTML = "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"


class Faulty:
    """A brain that answers after `fastest` to `slowest` seconds; a share of its answers are faults."""

    def __init__(self, chance: random.Random, *, fastest: float, slowest: float, share: float, turns: int) -> None:
        self.share = share
        self.told: Counter[str] = Counter()
        self._chance = chance
        self._fastest, self._slowest = fastest, slowest
        self._turns = turns
        self._faults: dict[str, Callable[[Asked], Answer]] = {
            "429": lambda asked: fails(429, "slow down", headers={"retry-after": str(chance.randint(1, 3))}),
            "500": lambda asked: fails(500),
            "503": lambda asked: fails(503, "overloaded"),
            "529": lambda asked: fails(529, "overloaded"),
            "reset": lambda asked: Answer(fault="reset"),
            "reset_mid_body": lambda asked: replace(self._sane(asked), fault="reset_mid_body"),
            "cut": lambda asked: replace(self._sane(asked), fault="half_body"),
            "garbage": lambda asked: Answer(fault="garbage"),
            "silence": lambda asked: Answer(fault="silence"),
            "html": lambda asked: Answer(200, _HTML, {"content-type": "text/html"}),
            "no_choices": lambda asked: Answer(body={"choices": []}),
            "empty": lambda asked: says(""),
            "unknown_tool": lambda asked: says(None, call("call_x", "no_such_tool", a=1)),
            "bad_arguments": lambda asked: says(None, {"id": "b", "type": "function", "function": {"name": "add", "arguments": '{"a": '}}),
            "same_ids": lambda asked: says(None, call("same", "add", a=asked.turn, b=1), call("same", "add", a=asked.turn, b=2)),
            "no_id": lambda asked: says(None, call("", "add", a=asked.turn, b=3)),
            "late": lambda asked: replace(self._sane(asked), delay=2 * slowest),
        }

    def __call__(self, asked: Asked) -> Answer:
        self.told["requests"] += 1
        if self._chance.random() < self.share:
            kind = self._chance.choice(list(self._faults))
            self.told[kind] += 1
            answer = self._faults[kind](asked)
        else:
            answer = self._sane(asked)
        return replace(answer, delay=answer.delay + self._chance.uniform(self._fastest, self._slowest))

    def _sane(self, asked: Asked) -> Answer:
        chance, turn = self._chance, asked.turn
        if "helper" in asked.system:
            return says(None, call(f"call_{turn}", "add", a=turn, b=1)) if turn <= 2 else says("helped")
        if turn > self._turns * chance.uniform(0.5, 1.5):
            return says("done")
        tool = chance.choices(("add", "note", "count_words", "act", "delegate_to_helper", "two"), (82, 5, 3, 3, 4, 3))[0]
        match tool:
            case "note":
                return says(None, call(f"call_{turn}", "note", text=f"turn {turn}"))
            case "count_words":
                return says(None, call(f"call_{turn}", "count_words", text="one two " * (turn % 7)))
            case "act":
                return says(None, call(f"call_{turn}", "act", what=f"turn {turn}"))
            case "delegate_to_helper":
                return says("I let it be done.", call(f"call_{turn}", "delegate_to_helper", message=f"help with turn {turn}"))
            case "two":
                first = call(f"call_{turn}a", "add", a=turn, b=1)
                return says("Two at once.", first, call(f"call_{turn}b", "note", text=f"both of turn {turn}"))
        return says(None, call(f"call_{turn}", "add", a=turn, b=chance.randint(0, 999)))


async def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fastest", type=float, required=True)
    parser.add_argument("--slowest", type=float, required=True)
    parser.add_argument("--faults", type=float, required=True)
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    brain = Faulty(chance, fastest=given.fastest, slowest=given.slowest, share=given.faults, turns=given.turns)
    async with ModelServer(brain) as server:
        print(server.base_url, flush=True)
        forgetting = asyncio.create_task(_forget(server))
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line == "calm\n":
                brain.share = 0.0
            print(json.dumps(brain.told), flush=True)
        forgetting.cancel()


async def _forget(server: ModelServer) -> None:
    """An hour's requests would not fit into memory."""
    while True:
        await asyncio.sleep(1.0)
        server.requests.clear()
        server.checks.clear()


if __name__ == "__main__":
    asyncio.run(main())
