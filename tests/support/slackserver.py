"""A Slack on the loopback: the Web API's methods that we use, with Slack's limits, and Socket Mode over a real WebSocket.

In a test: `async with SlackServer() as slack: ... slack.base_url ... slack.press(...)`. What it refuses, Slack refuses
(https://docs.slack.dev/reference/methods, https://docs.slack.dev/apis/events-api/using-socket-mode).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

BOT_TOKEN = "xoxb-1-loopback-bot-token"
APP_TOKEN = "xapp-1-loopback-app-token"
CHANNEL = "C0123ABC"
BOT = "B0BOT"
_BLOCK_LIMITS = {"header": 150, "section": 3000}

Message = dict[str, Any]


class SlackServer:
    """One workspace with one channel. `fail` makes the next calls of a method fail: an error's name, or an HTTP status."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.whispers: list[Message] = []
        self.views: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fail: dict[str, list[str | int | tuple[int, dict[str, str]]]] = {}
        self.acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.connections = 0
        self._clock = itertools.count(1)
        self._sockets: set[web.WebSocketResponse] = set()
        self._changed = asyncio.Condition()
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._call)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.port = 0

    @property
    def base_url(self) -> str:
        """Of the Web API."""
        return f"http://127.0.0.1:{self.port}/api/"

    async def __aenter__(self) -> SlackServer:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.hang_up()
        await self._runner.cleanup()

    # ---- what people do

    async def press(self, message: Message, label: str, *, user: str) -> None:
        """Press a button of a message, and wait until the app acknowledges it."""
        button = next(b for b in self.buttons(message) if b["text"]["text"] == label)
        payload = {
            "type": "block_actions",
            "user": {"id": user},
            "trigger_id": f"trigger-of-{user}",
            "channel": {"id": CHANNEL},
            "message": {"ts": message["ts"]},
            "actions": [{"action_id": button["action_id"], "value": button["value"], "type": "button"}],
        }
        await self.send("interactive", payload)

    async def fill_in(self, typed: str | None, *, user: str) -> None:
        """Submit the form that was opened last for somebody."""
        view = next(v for v in reversed(self.views) if v["trigger_id"] == f"trigger-of-{user}")["view"]
        [block] = view["blocks"]
        values = {block["block_id"]: {block["element"]["action_id"]: {"type": "plain_text_input", "value": typed}}}
        payload = {"type": "view_submission", "user": {"id": user}, "view": view | {"state": {"values": values}}}
        await self.send("interactive", payload)

    async def reply(self, message: Message, text: str, /, **changes: Any) -> None:
        """Write into the thread of a message."""
        event = {"type": "message", "channel": CHANNEL, "user": "U0456DEF", "text": text, "ts": self._ts(), "thread_ts": message["ts"]}
        await self.send("events_api", {"type": "event_callback", "event": event | changes})

    async def send(self, kind: str, payload: dict[str, Any], *, acknowledged: bool = True) -> str:
        """Send an envelope to the app over one of its sockets; its id."""
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self._sockets)
        envelope = str(uuid.uuid4())
        self.acks[envelope] = asyncio.get_running_loop().create_future()
        socket = next(iter(self._sockets))
        await socket.send_json({"envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": False})
        if acknowledged:
            async with asyncio.timeout(10):
                await self.acks[envelope]
        return envelope

    async def hang_up(self) -> None:
        """End all sockets, as Slack does every few hours."""
        for socket in list(self._sockets):
            await socket.close()

    async def connected(self, count: int) -> None:
        """Wait until an app has connected so many times."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: self.connections >= count and self._sockets)

    @staticmethod
    def buttons(message: Message) -> list[dict[str, Any]]:
        """The buttons of a message."""
        return [element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]]

    @staticmethod
    def texts(message: Message) -> str:
        """All that is read in a message, buttons aside."""
        return "\n".join(block["text"]["text"] for block in message["blocks"] if "text" in block)

    # ---- what the app calls

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        values = dict(request.query)
        if request.content_type == "application/json":
            values |= await request.json()
        elif request.can_read_body:
            values |= {name: str(value) for name, value in (await request.post()).items()}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or values.pop("token", "")
        self.calls.append((method, values))
        planned = self.fail.get(method) or []
        if planned:
            fault = planned.pop(0)
            status, headers = fault if isinstance(fault, tuple) else (fault, {}) if isinstance(fault, int) else (200, {})
            return web.json_response(
                {"ok": False, "error": fault if isinstance(fault, str) else "ratelimited"}, status=status, headers=headers
            )
        if token != (APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN):
            return web.json_response({"ok": False, "error": "invalid_auth"})
        answer = getattr(self, "_" + method.replace(".", "_"), lambda _: {"ok": False, "error": "unknown_method"})(values)
        return web.json_response({"ok": True} | answer)

    def _auth_test(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"bot_id": BOT, "user_id": "U0BOT", "team": "loopback"}

    def _apps_connections_open(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"ws://127.0.0.1:{self.port}/link?ticket={uuid.uuid4()}"}

    def _chat_postMessage(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["channel"] != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        if fault := _fault_in_blocks(values["blocks"]):
            return {"ok": False, "error": fault}
        message = values | {"ts": self._ts(), "bot_id": BOT}
        self.messages.append(message)
        return {"channel": CHANNEL, "ts": message["ts"], "message": message}

    def _chat_update(self, values: dict[str, Any]) -> dict[str, Any]:
        if fault := _fault_in_blocks(values["blocks"]):
            return {"ok": False, "error": fault}
        for message in self.messages:
            if message["ts"] == values["ts"] and values["channel"] == CHANNEL:
                message.update(values)
                return {"channel": CHANNEL, "ts": message["ts"]}
        return {"ok": False, "error": "message_not_found"}

    def _chat_postEphemeral(self, values: dict[str, Any]) -> dict[str, Any]:
        self.whispers.append(values)
        return {}

    def _views_open(self, values: dict[str, Any]) -> dict[str, Any]:
        view = values["view"]
        if any(len(view[name]["text"]) > 24 for name in ("title", "submit", "close")) or len(view["private_metadata"]) > 3000:
            return {"ok": False, "error": "invalid_arguments"}
        self.views.append(values)
        return {"view": view}

    def _conversations_history(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._listed([m for m in self.messages if not m.get("thread_ts") or m.get("reply_broadcast")], values)

    def _conversations_replies(self, values: dict[str, Any]) -> dict[str, Any]:
        return self._listed([m for m in self.messages if values["ts"] in (m["ts"], m.get("thread_ts"))], values)

    def _listed(self, found: list[Message], values: dict[str, Any]) -> dict[str, Any]:
        inclusive = str(values.get("inclusive", "")).lower() in ("true", "1")
        oldest, latest = float(values.get("oldest") or 0), float(values.get("latest") or "inf")
        kept = [m for m in reversed(found) if oldest < float(m["ts"]) < latest or (inclusive and float(m["ts"]) in (oldest, latest))]
        start, size = int(values.get("cursor") or 0), int(values.get("limit") or 100)
        page = kept[start : start + size]
        if str(values.get("include_all_metadata", "")).lower() not in ("true", "1"):
            page = [{name: value for name, value in m.items() if name != "metadata"} for m in page]
        more = str(start + size) if start + size < len(kept) else ""
        return {"messages": page, "has_more": bool(more), "response_metadata": {"next_cursor": more}}

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        async with self._changed:
            self._sockets.add(socket)
            self.connections += 1
            self._changed.notify_all()
        try:
            async for told in socket:
                if told.type is WSMsgType.TEXT:
                    answer = json.loads(told.data)
                    self.acks[answer["envelope_id"]].set_result(answer)
        finally:
            self._sockets.discard(socket)
        return socket

    def _ts(self) -> str:
        return f"1795500000.{next(self._clock):06d}"


def _fault_in_blocks(blocks: list[dict[str, Any]]) -> str:
    if len(blocks) > 50:
        return "invalid_blocks"
    for block in blocks:
        texts = [(block["text"], _BLOCK_LIMITS.get(block["type"], 3000))] if "text" in block else []
        elements = block.get("elements", ())
        texts += [(element["text"], 75) for element in elements]
        if any(not 0 < len(text["text"]) <= most or text["type"] not in ("plain_text", "mrkdwn") for text, most in texts):
            return "invalid_blocks"
        ids = [element["action_id"] for element in elements]
        if len(ids) > 25 or len(set(ids)) < len(ids) or any(len(element["value"]) > 2000 for element in elements):
            return "invalid_blocks"
    return ""
