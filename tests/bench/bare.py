"""The baseline: a bare loop over the `openai` package, which keeps nothing.

Arguments: URL, agents at once, turns of each, rounds one after another. Says `ready` once it is warm, begins at a line on standard
input, and prints a JSON line with turns a second and CPU milliseconds a turn.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from openai import AsyncOpenAI

NUMBER = {"type": "number"}
PARAMETERS = {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "add", "description": "Add two numbers: a + b.", "parameters": PARAMETERS}}]


async def agent(client: AsyncOpenAI, name: str) -> None:
    """One agent, from its question to its answer."""
    messages: list[Any] = [{"role": "system", "content": "count"}, {"role": "user", "content": f"agent:{name}:"}]
    while True:
        reply = await client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
        message = reply.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return
        for call in message.tool_calls:
            given = json.loads(call.function.arguments)  # type: ignore[union-attr]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(given["a"] + given["b"])})


async def main() -> None:
    """Warm up, wait for the line, run."""
    url, agents, turns, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    async with AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as client:
        await agent(client, "warm")  # connections and imports are not what is measured
        print("ready", flush=True)
        sys.stdin.readline()
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(rounds):
            await asyncio.gather(*(agent(client, f"{number}-{each}") for each in range(agents)))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
    done = agents * turns * rounds
    print(json.dumps({"turns_per_s": done / wall, "cpu_ms_per_turn": 1000 * used / done}))


asyncio.run(main())
