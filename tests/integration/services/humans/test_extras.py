"""Slack and email are extras: nothing of them is imported before it is used, and without them a sentence says what to install."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ASK = """
import asyncio, json, sys
{without}
from datetime import UTC, datetime
from smallchain.model.delivery import ChannelInUse
from smallchain.services.humans.email import EmailChannel
from smallchain.services.humans.slack import SlackChannel

early = sorted({{"slack_sdk", "aiosmtplib", "aiohttp"}} & {{name for name, found in sys.modules.items() if found is not None}})
channels = {{"slack": SlackChannel(secrets=None), "email": EmailChannel(now=lambda: datetime.now(UTC))}}
mail = {{"smtp": "127.0.0.1:1", "sender": "a@example.com", "security": "none"}}
asked = ChannelInUse("mine", "{type}", "C0123ABC", (), mail if "{type}" == "email" else {{"base_url": "http://127.0.0.1:1/"}}, "token")

async def main():
    said = await channels["{type}"].check(asked)
    await channels["{type}"].listen([asked], None)
    await channels["{type}"].close()
    return said

print(json.dumps([early, asyncio.run(main())]))
"""


def ask(type: str, *, without: str = "") -> tuple[list[str], str]:
    """What an interpreter of its own has imported early, and what the check of a channel says there."""
    program = ASK.format(type=type, without=f"sys.modules[{without!r}] = None" if without else "")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    early, said = json.loads(done.stdout)
    return early, said


@pytest.mark.parametrize(("type", "package"), [("slack", "slack_sdk"), ("email", "aiosmtplib")])
def test_an_extra_is_imported_at_its_first_use_and_its_absence_said_in_a_sentence(type: str, package: str) -> None:
    early, said = ask(type)
    assert early == []
    assert "needs `pip install" not in said

    _, said = ask(type, without=package)
    assert said == f"channel 'mine' needs `pip install 'smallchain[{type}]'`"
