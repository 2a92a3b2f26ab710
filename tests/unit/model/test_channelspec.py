"""Channels as people write them: what each type takes, and what is wrong with it in words, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from smallchain.model.channelspec import EmailParameters, is_address, security_of_imap
from smallchain.model.errors import BadInput
from smallchain.model.manifest import parse_manifest

HOOK = 'type: webhook, to: "https://hooks.example/x", token: {env: KEY}'
SLACK = "type: slack, to: C0123ABC, token: {env: SLACK_TOKEN}"
EMAIL = "type: email, to: boss@example.com"
MAIL = "smtp: mail.example.com:587, sender: agents@example.com"


def channel(text: str) -> dict[str, Any]:
    [found] = parse_manifest(f"channels: [{{name: c, {text}}}]".encode(), file="f.yaml")
    return found.spec


@pytest.mark.parametrize(
    "text",
    [
        "type: terminal",
        "type: terminal, allowed: [me]",
        HOOK,
        'type: webhook, to: "http://127.0.0.1:8080/x", token: {env: KEY}',
        'type: webhook, to: "http://hooks.internal/x", token: {env: KEY}, parameters: {plain_http: true}',
        SLACK + ", allowed: [U0456DEF]",
        SLACK + ", parameters: {app_token: {file: app-token}}",
        EMAIL + f", parameters: {{{MAIL}}}",
        EMAIL + f", token: {{env: PASSWORD}}, allowed: [a@example.com], parameters: {{{MAIL}, imap: mail.example.com:993, poll: 1m}}",
        EMAIL + ", parameters: {smtp: localhost:25, sender: a@example.com, security: none}",
    ],
)
def test_these_are_channels(text: str) -> None:
    assert channel(text)["name"] == "c"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type: terminal, to: me", "`to` is nothing that a terminal channel takes"),
        ("type: terminal, parameters: {color: red}", "`color` is no parameter of a terminal channel"),
        ("type: webhook, token: {env: KEY}", "`to` is missing"),
        ('type: webhook, to: "https://x.example"', "`token` is missing"),
        ('type: webhook, to: "ftp://x.example", token: {env: KEY}', "is not a URL"),
        ('type: webhook, to: "https://a:b@x.example", token: {env: KEY}', "in clear text"),
        ('type: webhook, to: "http://x.example", token: {env: KEY}', "in clear over the network"),
        (HOOK + ", parameters: {plain_htpt: true}", "did you mean 'plain_http'?"),
        ("type: slack, to: '#general', token: {env: T}", "is not the id of a Slack channel"),
        ("type: slack, to: C0123ABC", "`token` is missing"),
        (SLACK + ", parameters: {app_token: xapp-1-A0-1-abc}", "`app_token` holds a secret in clear text"),
        (SLACK + ", parameters: {base_url: x}", "`base_url` 'x' is not a URL"),
        ("type: email", "`smtp` is missing"),
        (f"type: email, parameters: {{{MAIL}}}", "`to` is missing"),
        (f"type: email, to: The Boss, parameters: {{{MAIL}}}", "'The Boss' is not an email address"),
        (EMAIL + f", allowed: [bob], parameters: {{{MAIL}}}", "'bob' is not an email address"),
        (EMAIL + ", parameters: {smtp: mail.example.com, sender: a@example.com}", "is not a server"),
        (EMAIL + ", parameters: {smtp: mail.example.com:99999, sender: a@example.com}", "is not a server"),
        (EMAIL + f", parameters: {{{MAIL}, imap: mail.example.com:993}}", "`token` is missing, with which the mailbox"),
        (EMAIL + f", parameters: {{{MAIL}, security: none}}", "is for servers on this machine"),
        (EMAIL + f", parameters: {{{MAIL}, security: ssl}}", "`security`: input should be"),
        (EMAIL + f", parameters: {{{MAIL}, poll: 30}}", "`poll` 30 has no unit"),
        (EMAIL + f", parameters: {{{MAIL}, mailbox: 'a\"b'}}", "`mailbox`: string should match"),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_where_it_is_written(text: str, words: str) -> None:
    with pytest.raises(BadInput) as found:
        channel(text)

    assert words in str(found.value)
    assert str(found.value).startswith("f.yaml:1:")


def test_two_writings_of_one_channel_are_one() -> None:
    assert channel(EMAIL + f", parameters: {{{MAIL}, poll: 30s, mailbox: INBOX}}") == channel(EMAIL + f", parameters: {{{MAIL}}}")


@pytest.mark.parametrize(
    ("imap", "more", "security"), [("m:993", {}, "tls"), ("m:143", {}, "starttls"), ("m:993", {"imap_security": "starttls"}, "starttls")]
)
def test_the_mailbox_is_spoken_to_as_its_port_wants(imap: str, more: dict[str, str], security: str) -> None:
    found = EmailParameters.model_validate({"smtp": "m:587", "sender": "a@example.com", "imap": imap} | more)

    assert security_of_imap(found) == security


@pytest.mark.parametrize("text", ["a@b\nRCPT TO:<c@d>", "a b@c", "<a@b>", "a@b,c@d", "a@", "@b", "a@-b", "a@b-", "ä@b", "a@" + "b" * 300])
def test_what_could_say_more_to_a_mail_server_is_no_address(text: str) -> None:
    assert not is_address(text)
