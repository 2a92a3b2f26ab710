"""The `slack` channel: a message with buttons in a Slack channel, answers over Socket Mode, so that nothing listens here.

The one rule: who answered is the user that Slack names, nobody else. What a message looks like is `slackmessage`'s.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from smallchain.engine.ports import Secrets
from smallchain.model.channelspec import SlackParameters
from smallchain.model.delivery import ChannelInUse, Delivered, Delivery, Heard, Said, Undelivered, Verb
from smallchain.model.errors import BadInput, Transient
from smallchain.model.human import RequestKind
from smallchain.protocol.text import one_line
from smallchain.services.humans import slackmessage, words
from smallchain.services.humans.answers import LONGEST_NOTE, LONGEST_TEXT

if TYPE_CHECKING:
    import aiohttp
    from slack_sdk.socket_mode.aiohttp import SocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger(__name__)

_WITHIN_S = 20
_PAGES = 5
_FOR_NOW = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
_HINTS: Mapping[str, str] = {
    "channel_not_found": "look at `to`: it is the id of a channel, as C0123ABC",
    "not_in_channel": "invite the app into the channel: /invite @its-name",
    "is_archived": "the channel is archived",
    "invalid_auth": "look at `token`",
    "not_authed": "look at `token`",
    "token_revoked": "make a new token, and name it in `token`",
    "account_inactive": "the app was removed from the workspace",
    "missing_scope": "give the app the scopes chat:write and channels:history (groups:history for private channels)",
}
_SECRET = re.compile(r"wss?://\S+|xox[a-z]-\S+|xapp-\S+")

Hear = Callable[[Said], Awaitable[Heard]]


class SlackChannel:
    """Implements `engine.ports.Channel`. `secrets` resolves the app-level token of `parameters`. Close it before its loop ends."""

    def __init__(self, *, secrets: Secrets) -> None:
        self._secrets = secrets
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()
        self._bots: dict[str, str] = {}

    async def deliver(self, delivery: Delivery, /) -> Delivered | Undelivered:
        """Post the message, or a reminder in its thread. A second attempt looks first whether the one before had arrived."""
        channel = delivery.channel

        async def send(api: AsyncWebClient) -> Delivered:
            thread = slackmessage.thread(delivery.reference) if delivery.reminder else ""
            if delivery.attempt > 1:
                found = await self._find(api, delivery, thread)
                if found:
                    return Delivered(delivery.reference or found)
            more: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": True} if thread else {}
            title = f"Still open: {words.title(delivery.told)}" if delivery.reminder else words.title(delivery.told)
            blocks = [slackmessage.section(title)] if thread else slackmessage.blocks(delivery.told, channel.name)
            posted = await api.chat_postMessage(
                channel=channel.to,
                text=slackmessage.escaped(title),
                blocks=blocks,
                metadata=slackmessage.metadata(delivery),
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
                **more,
            )
            return Delivered(delivery.reference or f"{posted['channel']} {posted['ts']}")

        return await self._asked(channel, send)

    async def tell_end(self, delivery: Delivery, sentence: str, /) -> None:
        """Put who decided, and when, in the place of the buttons."""

        async def update(api: AsyncWebClient) -> Delivered:
            reference = delivery.reference or await self._find(api, delivery, "")
            if reference:
                blocks = [*slackmessage.body(delivery.told), slackmessage.section(sentence)]
                text = slackmessage.escaped(one_line(f"{words.title(delivery.told)} {sentence}"))
                closed = slackmessage.metadata(delivery, closed=True)
                await api.chat_update(
                    channel=reference.split()[0], ts=slackmessage.thread(reference), text=text, blocks=blocks, metadata=closed
                )
            return Delivered()

        found = await self._asked(delivery.channel, update)
        if isinstance(found, Undelivered):
            log.warning("the end of request %s could not be told: %s", delivery.told.request_id, found.message)

    async def listen(self, channels: Sequence[ChannelInUse], hear: Hear, /) -> None:
        """Hear buttons, forms and replies, one connection for each app-level token; who has none is not heard."""
        apps: dict[str, list[ChannelInUse]] = {}
        if await asyncio.to_thread(_missing):
            return
        for channel in channels:
            token = await self._app_token(channel)
            if token:
                apps.setdefault(token, []).append(channel)
        async with asyncio.TaskGroup() as group:
            for token, heard_there in apps.items():
                group.create_task(self._listen(token, heard_there, hear))

    async def check(self, channel: ChannelInUse, /) -> str:
        """Ask Slack who we are with this token."""

        async def ask(api: AsyncWebClient) -> Delivered:
            await api.auth_test()
            return Delivered()

        found = await self._asked(channel, ask)
        return found.message if isinstance(found, Undelivered) else ""

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _app_token(self, channel: ChannelInUse) -> str:
        reference = _parameters(channel).app_token
        if reference is None:
            return ""
        try:
            return await self._secrets.resolve(reference.model_dump(exclude_none=True))
        except BadInput as error:
            log.warning("channel %r is not heard: %s", channel.name, error)
            return ""

    async def _asked(self, channel: ChannelInUse, act: Callable[[AsyncWebClient], Awaitable[Delivered]]) -> Delivered | Undelivered:
        """Do something at Slack; every failure in words, without the token."""
        if not channel.token:
            return Undelivered(f"channel {channel.name!r} has no `token`", for_now=False)
        missing = await asyncio.to_thread(_missing)
        if missing:
            return Undelivered(f"channel {channel.name!r} {missing}", for_now=False)
        import aiohttp
        from slack_sdk.errors import SlackApiError, SlackClientError

        try:
            async with asyncio.timeout(_WITHIN_S * 2):
                return await act(await self._api(channel))
        except SlackApiError as error:
            return _judged(channel, error)
        except TimeoutError:
            return Undelivered(f"no answer from Slack within {_WITHIN_S} s", for_now=True)
        except (aiohttp.ClientError, OSError, SlackClientError) as error:
            return Undelivered(f"Slack can't be reached: {type(error).__name__}", for_now=True)

    async def _api(self, channel: ChannelInUse) -> AsyncWebClient:
        import aiohttp
        from slack_sdk.web.async_client import AsyncWebClient

        async with self._opening:
            if self._session is None:
                self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WITHIN_S), trust_env=True)
        base_url = _parameters(channel).base_url.rstrip("/") + "/"
        return AsyncWebClient(token=channel.token, base_url=base_url, session=self._session, retry_handlers=[], logger=_discreet())

    async def _find(self, api: AsyncWebClient, delivery: Delivery, thread: str) -> str:
        """The message that an earlier attempt posted, by the delivery in its metadata; empty when there is none."""
        wanted = slackmessage.metadata(delivery)["event_payload"]
        oldest = f"{(delivery.told.opened_at - timedelta(minutes=5)).timestamp():.6f}"
        cursor = ""
        for _ in range(_PAGES):
            options: dict[str, Any] = {"channel": delivery.channel.to, "oldest": oldest, "limit": 200, "include_all_metadata": True}
            options |= {"cursor": cursor} if cursor else {}
            page = await (api.conversations_replies(ts=thread, **options) if thread else api.conversations_history(**options))
            for message in page["messages"]:
                payload = slackmessage.payload(message)
                if payload and (payload.get("delivery"), payload.get("reminder")) == (wanted["delivery"], wanted["reminder"]):
                    return f"{delivery.channel.to} {message['ts']}"
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return ""

    async def _listen(self, app_token: str, channels: Sequence[ChannelInUse], hear: Hear) -> None:
        from slack_sdk.socket_mode.aiohttp import SocketModeClient

        by_name = {channel.name: channel for channel in channels}
        client = SocketModeClient(app_token, logger=_discreet(), web_client=await self._api(channels[0]))

        async def take(socket: SocketModeClient, request: SocketModeRequest) -> None:
            await self._take(socket, request, by_name, hear)

        client.socket_mode_request_listeners.append(take)  # type: ignore[arg-type]
        try:
            await client.connect()  # type: ignore[no-untyped-call]
            await asyncio.get_running_loop().create_future()
        finally:
            await client.close()  # type: ignore[no-untyped-call]

    async def _take(self, socket: SocketModeClient, request: SocketModeRequest, channels: Mapping[str, ChannelInUse], hear: Hear) -> None:
        """One envelope. It is acknowledged once it is heard: what a crash lost, Slack sends again or shows as failed."""
        from slack_sdk.socket_mode.response import SocketModeResponse

        try:
            match request.type, request.payload.get("type"):
                case "interactive", "block_actions":
                    await self._pressed(request.payload, channels, hear)
                case "interactive", "view_submission":
                    await self._filled_in(request.payload, channels, hear)
                case "events_api", _:
                    await self._replied(request.payload.get("event") or {}, channels, hear)
        except Transient as error:
            log.warning("an answer from Slack has to wait: %s", error)
            return
        except (KeyError, TypeError, ValueError) as error:
            log.warning("an envelope from Slack is not of the known form: %s", type(error).__name__)
        await socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    async def _pressed(self, payload: Mapping[str, Any], channels: Mapping[str, ChannelInUse], hear: Hear) -> None:
        action = payload["actions"][0]
        if not str(action.get("action_id", "")).startswith(f"{slackmessage.ACTION}:"):
            return
        value = json.loads(action["value"])
        channel = channels.get(value["channel"])
        if channel is None or channel.to != payload["channel"]["id"]:
            return
        verb = Verb(value["verb"])
        if verb in slackmessage.WITH_WORDS:
            view = slackmessage.form(verb, action["value"])
            await self._asked(channel, _opens(payload["trigger_id"], view))
            return
        said = _said(value, by=payload["user"]["id"], text=value.get("text", ""))
        await self._hear(said, channel, payload["user"]["id"], hear)

    async def _filled_in(self, payload: Mapping[str, Any], channels: Mapping[str, ChannelInUse], hear: Hear) -> None:
        view = payload["view"]
        if view.get("callback_id") != slackmessage.ACTION:
            return
        value = json.loads(view["private_metadata"])
        channel = channels.get(value["channel"])
        if channel is None:
            return
        typed = slackmessage.plainly(view["state"]["values"]["words"]["words"].get("value") or "")
        kept = {"note": typed[:LONGEST_NOTE]} if Verb(value["verb"]) is Verb.DENY else {"text": typed[:LONGEST_TEXT]}
        await self._hear(_said(value, by=payload["user"]["id"], **kept), channel, payload["user"]["id"], hear)

    async def _replied(self, event: Mapping[str, Any], channels: Mapping[str, ChannelInUse], hear: Hear) -> None:
        """A reply in the thread of an open question is its answer."""
        thread, user = event.get("thread_ts"), event.get("user")
        at = next((channel for channel in channels.values() if channel.to == event.get("channel")), None)
        spoken = event.get("type") == "message" and not event.get("bot_id") and event.get("subtype") in (None, "thread_broadcast")
        if at is None or not spoken or not thread or not user or thread == event.get("ts"):
            return
        asked: dict[str, Any] = {}

        async def look(api: AsyncWebClient) -> Delivered:
            bot = self._bots.get(at.token or "") or str((await api.auth_test())["bot_id"])
            self._bots[at.token or ""] = bot
            page = await api.conversations_history(
                channel=at.to, latest=thread, oldest=thread, inclusive=True, limit=1, include_all_metadata=True
            )
            for message in page["messages"]:
                if message.get("ts") == thread and message.get("bot_id") == bot:  # another app's metadata may say anything
                    asked.update(slackmessage.payload(message))
            return Delivered()

        found = await self._asked(at, look)
        if isinstance(found, Undelivered):
            raise Transient(found.message)
        channel = channels.get(asked.get("channel", ""))
        if channel is None or asked.get("kind") != RequestKind.QUESTION or asked.get("closed"):
            return
        text = slackmessage.plainly(str(event.get("text") or "")).strip()[:LONGEST_TEXT]
        if text:
            value = {"request": asked["request"], "channel": channel.name, "verb": Verb.ANSWER}
            await self._hear(_said(value, by=user, text=text), channel, user, hear)

    async def _hear(self, said: Said, channel: ChannelInUse, user: str, hear: Hear) -> None:
        """Say it; whoever is not heard is told why, and only they see it."""
        heard = await hear(said)
        if not heard.counted:
            await self._asked(channel, _whispers(channel.to, user, heard.sentence))


def _opens(trigger: str, view: Mapping[str, Any]) -> Callable[[AsyncWebClient], Awaitable[Delivered]]:
    async def act(api: AsyncWebClient) -> Delivered:
        await api.views_open(trigger_id=trigger, view=dict(view))
        return Delivered()

    return act


def _whispers(to: str, user: str, sentence: str) -> Callable[[AsyncWebClient], Awaitable[Delivered]]:
    async def act(api: AsyncWebClient) -> Delivered:
        await api.chat_postEphemeral(
            channel=to, user=user, text=slackmessage.escaped(one_line(sentence)), blocks=[slackmessage.section(one_line(sentence))]
        )
        return Delivered()

    return act


def _said(value: Mapping[str, Any], *, by: str, text: str = "", note: str = "") -> Said:
    return Said(
        value["request"],
        Verb(value["verb"]),
        by,
        value["channel"],
        text=text,
        note=note,
        for_run=value.get("for_run") is True,
        expect_digest=value.get("digest") or None,
    )


def _parameters(channel: ChannelInUse) -> SlackParameters:
    return SlackParameters.model_validate(channel.parameters)


def _judged(channel: ChannelInUse, error: Any) -> Undelivered:
    """What Slack's error says about trying again (https://docs.slack.dev/reference/methods/chat.postMessage#errors)."""
    response = error.response
    status = int(response.status_code)
    code = str(response.get("error") or f"HTTP {status}") if isinstance(response.data, dict) else f"HTTP {status}"
    wait = str((response.headers or {}).get("Retry-After", ""))
    for_now = code in _FOR_NOW or status == 429 or status >= 500
    hint = _HINTS.get(code, "")
    message = f"Slack answers {one_line(code)[:60]} for channel {channel.name!r}" + (f"; {hint}" if hint else "")
    return Undelivered(message, for_now=for_now, retry_after=timedelta(seconds=int(wait)) if for_now and wait.isdigit() else None)


def _missing() -> str:
    """What to install; the first call imports the package, so it belongs into a thread."""
    try:
        importlib.import_module("slack_sdk.socket_mode.aiohttp")
        importlib.import_module("slack_sdk.web.async_client")
    except ImportError:
        return "needs `pip install 'smallchain[slack]'`"
    return ""


class _Discreet(logging.Filter):
    """Keeps addresses with tickets and tokens, and what stands in messages, out of the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _SECRET.sub("[secret]", one_line(record.getMessage(), cells=200))
        record.args, record.exc_info, record.exc_text = None, None, None
        return record.levelno >= logging.WARNING


def _discreet() -> logging.Logger:
    logger = logging.getLogger(f"{__name__}.sdk")
    logger.setLevel(logging.WARNING)
    if not any(isinstance(each, _Discreet) for each in logger.filters):
        logger.addFilter(_Discreet())
    return logger
