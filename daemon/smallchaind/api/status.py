"""How the daemon is, and telling it to stop or to look at its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from smallchain import __version__
from smallchain.protocol.faults import problem_to_wire
from smallchain.protocol.messages import StopMessage
from smallchain.store import files, requests, runs, toolcalls
from smallchain.store.contract import Tx
from smallchaind.api import items
from smallchaind.compose import House


def routes(house: House) -> APIRouter:
    """The routes of this family."""
    router = APIRouter()

    @router.get("/v1/status")
    async def status() -> dict[str, Any]:
        """Version, process, paths, the fence, room on the disk, the state of the config folder, runs by status, what waits for people."""

        def look(tx: Tx) -> dict[str, Any]:
            rejected = [row for row in files.everything(tx) if row["status"] == "Rejected"]
            return {
                "runs": runs.counts(tx),
                "inbox": requests.count_all_open(tx),
                "config": {
                    "status": "Held" if rejected else "Ready",
                    "since": min((row["since"] for row in rejected), default=None),
                    "problems": [problem for row in rejected for problem in json.loads(row["problems"])],
                },
            }

        found = await house.database.read(look)
        return {
            "version": __version__,
            "pid": os.getpid(),
            "epoch": house.database.epoch,
            "started_at": items.when(house.started_at),
            "state_dir": str(house.settings.state_dir),
            "config_dir": str(house.settings.config_dir),
            "socket": str(house.settings.socket_path),
            "stopping": house.stopping.is_set(),
            "waiting_for": await _waiting_for(house),
            "fence": (await house.sandbox.ready()).as_json(),
            "disk": {"full_since": items.when(house.database.full_since), "free_bytes": _free_bytes(house.settings.state_dir)},
            **found,
        }

    @router.post("/v1/reconcile")
    async def reconcile() -> dict[str, Any]:
        """Look at the config folder now, and say what is wrong with it, if anything is."""
        answer = await house.config.reconcile()
        return {"held": bool(answer.warnings), "problems": [problem_to_wire(problem) for problem in answer.warnings]}

    @router.post("/v1/stop")
    async def stop(message: StopMessage) -> dict[str, Any]:
        """End the daemon: it admits nothing new and waits for what is out, or not."""
        waiting = await _waiting_for(house)
        house.stopping.set()
        if message.now:
            house.stop_now.set()
        return {"waiting_for": waiting}

    return router


def _free_bytes(folder: Path) -> int | None:
    try:
        about = os.statvfs(folder)
    except OSError:
        return None
    return about.f_bavail * about.f_frsize


async def _waiting_for(house: House) -> list[str]:
    """What a stop would wait for, a sentence each."""
    under_way = [effect for effect in house.driver.under_way() if effect.kind in ("run", "toolcall")]

    def words(tx: Tx) -> list[str]:
        found = []
        for effect in under_way[:50]:
            if effect.kind == "run":
                run = runs.find(tx, effect.target)
                found.append(f"the model's reply to run '{run.name}'" if run else "a model's reply")
            else:
                call = toolcalls.find(tx, effect.target)
                run = runs.find(tx, call.run_id) if call else None
                found.append(f"tool '{call.tool}' of run '{run.name}'" if call and run else "a tool")
        return found

    return await house.database.read(words)
