"""The baseline: a bare loop over the `openai` package, which keeps nothing. Prints one JSON line with turns/s and CPU ms a turn."""

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


async def agent(client: AsyncOpenAI) -> None:
    """One agent, from its question to its answer."""
    messages: list[Any] = [{"role": "system", "content": "count"}, {"role": "user", "content": "go"}]
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
    """Arguments: URL, agents, turns."""
    url, agents, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    async with AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as client:
        await agent(client)  # connections and imports are not what is measured
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(agent(client) for _ in range(agents)))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"turns_per_s": round(agents * turns / wall, 1), "cpu_ms_per_turn": round(1000 * used / (agents * turns), 3)}))


asyncio.run(main())
