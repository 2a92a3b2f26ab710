"""A request as a message in Slack: Block Kit with buttons, the metadata by which it is found again, and texts in Slack's escapes.

The one rule: what models wrote is `plain_text`, never Slack's markup.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smallchain.model.delivery import Delivery, Told, Verb
from smallchain.model.human import RequestKind
from smallchain.protocol.text import visible
from smallchain.services.humans import words

ACTION = "smallchain"
"""What our buttons and forms are named by."""
_EVENT = "smallchain_request"
_MOST_SHOWN = 10_000
"""Characters of each text; Slack takes 50 blocks of 3,000 (https://docs.slack.dev/reference/block-kit/blocks/section-block/)."""
_BLOCK = 2_800
_MOST_CHOICES = 10
_LONGEST_CHOICE = 300
_BUTTONS: Mapping[Verb, tuple[str, str | None]] = {
    Verb.APPROVE: ("Approve", "primary"),
    Verb.DENY: ("Deny", "danger"),
    Verb.HAPPENED: ("It happened", None),
    Verb.DID_NOT_HAPPEN: ("It did not happen", None),
    Verb.RUN_AGAIN: ("Run it again", None),
    Verb.RESUME: ("Go on", None),
    Verb.CANCEL: ("Cancel the run", "danger"),
}
WITH_WORDS: Mapping[Verb, str] = {Verb.DENY: "Why not? The model is told.", Verb.HAPPENED: "What came out of it?"}
"""Answers that take words, and what is asked for."""


def blocks(told: Told, channel: str) -> list[dict[str, Any]]:
    """The whole message: words, then buttons for the answers that can be given with what is shown."""
    value: dict[str, Any] = {"request": told.request_id, "channel": channel, "digest": told.digest}
    buttons: list[dict[str, Any]] = []
    for verb in words.verbs(told, most=_MOST_SHOWN):
        if verb is Verb.ANSWER:
            fit = [each for each in told.choices[:_MOST_CHOICES] if len(each) <= _LONGEST_CHOICE]
            buttons += [_button(visible(each), {**value, "verb": verb, "text": each}, len(buttons) + n) for n, each in enumerate(fit)]
            continue
        buttons.append(_button(_BUTTONS[verb][0], {**value, "verb": verb}, len(buttons), style=_BUTTONS[verb][1]))
        if verb is Verb.APPROVE and told.kind is RequestKind.APPROVAL:
            buttons.append(_button("Approve for this run", {**value, "verb": verb, "for_run": True}, len(buttons)))
    how = "A reply in this thread is the answer." if Verb.ANSWER in words.verbs(told, most=_MOST_SHOWN) else ""
    if not words.shown_whole(told, most=_MOST_SHOWN):
        how = "The arguments are too long to be approved here."
    rows = [{"type": "actions", "elements": buttons}] if buttons else []
    return [*body(told), *rows, *([section(how)] if how else [])]


def body(told: Told) -> list[dict[str, Any]]:
    """The message without its buttons: what is asked, of what, and what each answer does."""
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _text(words.title(told)[:150])}]
    blocks.append(section("\n".join(f"{name}: {value}" for name, value in words.facts(told))[:_BLOCK]))
    for part in words.parts(told, most=_MOST_SHOWN)[: 3 + _MOST_CHOICES]:
        text = f"{part.heading}:\n{part.text}"
        blocks += [section(text[start : start + _BLOCK]) for start in range(0, len(text), _BLOCK)]
    blocks = blocks[:40]
    lines = "\n".join(words.outcomes(told))[:_BLOCK]
    return [*blocks, section(lines)] if lines else blocks


def form(verb: Verb, value: str) -> dict[str, Any]:
    """The window that opens where an answer has words; `value` is that of the button."""
    return {
        "type": "modal",
        "callback_id": ACTION,
        "private_metadata": value,
        "title": _text(_BUTTONS[verb][0]),
        "submit": _text(_BUTTONS[verb][0]),
        "close": _text("Back"),
        "blocks": [
            {
                "type": "input",
                "block_id": "words",
                "optional": True,
                "label": _text(WITH_WORDS[verb]),
                "element": {"type": "plain_text_input", "action_id": "words", "multiline": True, "max_length": 3000},
            }
        ],
    }


def _button(label: str, value: Mapping[str, Any], number: int, *, style: str | None = None) -> dict[str, Any]:
    found = {
        "type": "button",
        "action_id": f"{ACTION}:{number}",
        "text": _text(label[:75]),
        "value": json.dumps(value, ensure_ascii=False),
    }
    return found | ({"style": style} if style else {})


def section(text: str) -> dict[str, Any]:
    """A block of plain text."""
    return {"type": "section", "text": _text(text)}


def _text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def metadata(delivery: Delivery, *, closed: bool = False) -> dict[str, Any]:
    """What goes with a message unseen: by it, a message is found again, and a reply knows what it answers. `closed`: it is decided."""
    payload = {
        "delivery": delivery.id,
        "reminder": delivery.reminder,
        "request": delivery.told.request_id,
        "channel": delivery.channel.name,
        "kind": str(delivery.told.kind),
        "closed": closed,
    }
    return {"event_type": _EVENT, "event_payload": payload}


def payload(message: Mapping[str, Any]) -> dict[str, Any]:
    """What `metadata` put into a message; empty where it is none of ours."""
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload")
    return payload if metadata.get("event_type") == _EVENT and isinstance(payload, dict) else {}


def thread(reference: str) -> str:
    """The time stamp that names a message in Slack."""
    return reference.partition(" ")[2]


def escaped(text: str) -> str:
    """A text for the one field that Slack reads as markup (https://docs.slack.dev/messaging/formatting-message-text/#escaping)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plainly(text: str) -> str:
    """What a person typed, from Slack's escapes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
