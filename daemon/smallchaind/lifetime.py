"""A daemon's life: take the folder, recover, serve, and on SIGTERM finish what is out and end. `kill -9` needs none of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smallchain.engine import resync
from smallchain.model.errors import Busy, Damaged, SmallchainError, Transient
from smallchain.model.events import DAEMON
from smallchain.settings import Callbacks, Settings, private_folder
from smallchain.store import eventlog, meta, runs
from smallchain.store.contract import Tx
from smallchain.store.lock import StateLock
from smallchain.store.sqliteerrors import of_the_disk
from smallchaind import callbacks, compose, listener, memory, notify
from smallchaind.api.app import create_app
from smallchaind.clock import SystemClock
from smallchaind.compose import House

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_FAULT = 1
EXIT_DAMAGED = 65
EXIT_IO = 74
EXIT_TRY_AGAIN = 75

_MODEL_CALLS_S = 5.0
_GROUND_S = 3.0
_CLEAN = "ended_cleanly"


@dataclass(frozen=True, slots=True)
class Options:
    """What a start can choose. `drain_s`: how long a stop waits for tools. `print_ready`: one line when connections are accepted.
    `accept_rollback`: go on with a database that stands behind what the folder had come to. `callbacks`: where they are heard; None:
    nowhere. `unfenced_as_root`: run tools with `isolation: none` although the daemon is root.
    """

    drain_s: float = 60.0
    print_ready: bool = False
    accept_rollback: bool = False
    callbacks: Callbacks | None = None
    unfenced_as_root: bool = False


async def serve(settings: Settings, options: Options, environ: Mapping[str, str]) -> int:
    """Run a daemon until it is told to stop; its exit code."""
    try:
        private_folder(settings.state_dir.resolve())  # a link to a folder of ours is that folder
        settings.config_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = StateLock.take(settings.state_dir)
    except Busy as error:
        return _say(error, EXIT_TRY_AGAIN)
    except (SmallchainError, OSError) as error:
        return _say(error, EXIT_FAULT)
    try:
        try:
            house = await compose.compose(
                settings,
                SystemClock(),
                environ,
                options.callbacks,
                accept_rollback=options.accept_rollback,
                unfenced_as_root=options.unfenced_as_root,
            )
        except Busy as error:
            return _say(error, EXIT_TRY_AGAIN)
        except (Damaged, sqlite3.Error) as error:
            return _say(error, EXIT_DAMAGED)
        try:
            return await _live(house, lock, options, environ)
        finally:
            await house.close()
    finally:
        lock.release()


async def _live(house: House, lock: StateLock, options: Options, environ: Mapping[str, str]) -> int:
    try:
        hearing = callbacks.bind(options.callbacks.port) if options.callbacks else None
        listening = listener.bind(house.settings)
    except (SmallchainError, OSError) as error:
        return _say(error, EXIT_TRY_AGAIN if isinstance(error, Busy) else EXIT_FAULT)
    await compose.end_orphans(house.database, house.settings)
    await house.driver.transact(lambda tx: _begin(tx, house))
    await house.config.reconcile()
    server = listener.server(create_app(house))
    _listen_to_signals(house)

    def check() -> None:
        house.database.check_file()
        if not lock.still_held() and not house.database.fatal.done():
            house.database.fatal.set_result(Damaged(f"the lock {lock.path} was removed or replaced"))

    tasks = [
        asyncio.create_task(server.serve(sockets=[listening]), name="the socket"),
        asyncio.create_task(_keep("the driver", house.driver.run)),
        asyncio.create_task(_keep("the alarms", house.alarms.run)),
        asyncio.create_task(_keep("the config folder", house.config.run)),
        asyncio.create_task(_keep("the channels' ears", house.ears.run)),
        asyncio.create_task(_keep("the inbox folder", house.inbox.run)),
        asyncio.create_task(_keep("the watch on people's code", lambda: compose.watch_code(house))),
        asyncio.create_task(_keep("the sweep", lambda: compose.sweep(house))),
        asyncio.create_task(_keep("the resync", lambda: resync.run(house.driver, check))),
        asyncio.create_task(_keep("the memory", memory.run)),
        asyncio.create_task(_keep("the ground", lambda: _watch_ground(check, house)), name="the ground"),
    ]
    if options.callbacks and hearing:
        heard = callbacks.CallbackListener(house.callbacks, hosts=callbacks.hosts(options.callbacks), now=house.clock.now)
        tasks.append(asyncio.create_task(heard.serve(hearing), name="the callbacks"))
    told = asyncio.create_task(house.stopping.wait())
    try:
        while not server.started and not tasks[0].done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        if options.print_ready:
            _print_ready(house.settings)
        notify.tell(notify.READY, environ)
        log.info("ready on %s (pid %s, epoch %s)", house.settings.socket_path, os.getpid(), house.database.epoch)
        waited: list[asyncio.Future[Any]] = [*tasks, told, house.database.fatal]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if house.database.fatal.done():
            return _died(house.database.fatal.result())
        for task in tasks:
            if task.done() and not house.stopping.is_set():
                log.error("%s ended", task.get_name(), exc_info=task.exception())
                return EXIT_FAULT
        notify.tell(notify.STOPPING, environ)
        return await _stop(house, options)
    finally:
        house.feed.close()
        server.end()
        told.cancel()
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks, told, return_exceptions=True)
        await house.driver.close()
        listener.unbind(house.settings, listening)


async def _stop(house: House, options: Options) -> int:
    """Admit nothing new, wait for what is out, and say that the end was a clean one."""
    log.info("stopping: waiting up to %s s for tools and %s s for model calls", options.drain_s, _MODEL_CALLS_S)
    house.driver.stop_admitting()
    await house.database.write(lambda tx: eventlog.tell(tx, "DaemonStopping", DAEMON))
    drain = asyncio.create_task(house.driver.drain({"run": _MODEL_CALLS_S, "toolcall": options.drain_s}))
    now = asyncio.create_task(house.stop_now.wait())
    await asyncio.wait([drain, now], return_when=asyncio.FIRST_COMPLETED)
    for task in (drain, now):
        task.cancel()
    await asyncio.gather(drain, now, return_exceptions=True)
    await house.driver.close()
    if house.database.fatal.done():
        return _died(house.database.fatal.result())
    await house.database.write(_end)
    with contextlib.suppress(OSError):
        await house.database.mark()
    return EXIT_OK


def _begin(tx: Tx, house: House) -> None:
    live = runs.count_live(tx)
    if house.database.lost is not None:
        stood, known = house.database.lost
        eventlog.tell(tx, "DatabaseRolledBack", DAEMON, found=str(stood.seq), known=str(known.seq))
    if meta.get(tx, _CLEAN) == "no" and tx.epoch > 1:
        eventlog.tell(tx, "DaemonDied", DAEMON, count=str(live))
    meta.put(tx, _CLEAN, "no")
    eventlog.tell(tx, "DaemonStarted", DAEMON)
    if os.getuid() == 0:
        eventlog.tell(tx, "RunsAsRoot", DAEMON)


def _end(tx: Tx) -> None:
    meta.put(tx, _CLEAN, "yes")
    meta.put(tx, meta.CLEAN_EPOCH, str(tx.epoch))


async def _keep(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Keep one duty going: a fault (or a full disk) ends this round of it, not the daemon."""
    wait = 0.5
    while True:
        try:
            await run()
        except Transient as error:
            log.warning("%s has to wait: %s", name, error)
        except Exception:
            log.exception("a fault in %s; it begins again", name)
        await asyncio.sleep(wait)
        wait = min(wait * 2, 30.0)


async def _watch_ground(check: Callable[[], None], house: House) -> None:
    while True:
        await asyncio.sleep(_GROUND_S)
        check()
        if house.timekeeper.sees_jump():
            await house.driver.transact(lambda tx: None)  # which settles it, as the first of every transaction
            house.alarms.ring()
        with contextlib.suppress(OSError):  # a full disk: the older mark is true as well
            await house.database.mark()


def _listen_to_signals(house: House) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if house.stopping.is_set():
            house.stop_now.set()
        house.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, house.config.ring)


def _print_ready(settings: Settings) -> None:
    try:
        sys.stdout.write(f"ready {os.getpid()} {settings.socket_path}\n")
        sys.stdout.flush()
    except OSError:
        log.warning("nobody read the ready line")


def _died(reason: BaseException) -> int:
    if not of_the_disk(reason):
        return _say(reason, EXIT_DAMAGED)
    log.error("the disk failed: %s. Look at the disk (dmesg), then start again: all that was acknowledged is kept", reason)
    return EXIT_IO


def _say(error: BaseException, code: int) -> int:
    log.error("%s", error)
    return code
