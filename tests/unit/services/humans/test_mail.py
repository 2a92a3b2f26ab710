"""A request as an email, and replies read back: whoever writes them, and however mail programs mangle them."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.delivery import Delivery, Verb
from smallchain.services.humans import mail
from smallchain.services.humans.mail import end_mail, message_id, read, request_mail, text_above_quote
from support.people import NOW, REQUEST, channel, delivery, question, told

ALICE = "alice@example.com"
CODE = "K7Q2M9XD"
BOX = channel(
    "email",
    "team@example.com",
    allowed=("Alice@example.com",),
    token=None,
    parameters={"smtp": "localhost:25", "sender": "agents@example.com", "imap": "localhost:143"},
)
ANYBODY = channel("email", "team@example.com", name="anybody", allowed=(), token=None, parameters=BOX.parameters)


def reply(to: Delivery, text: str, *, sender: str = f"Alice <{ALICE}>", **headers: str | None) -> bytes:
    message = EmailMessage(policy=SMTP.clone(max_line_length=998))
    message["From"] = sender
    message["To"] = "agents@example.com"
    message["Subject"] = "Re: May publish_post run?"
    message["Message-ID"] = "<reply-1@example.com>"
    message["In-Reply-To"] = message["References"] = message_id(to)
    for name, value in headers.items():
        del message[name.replace("_", "-")]
        if value is not None:
            message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def said(text: str, to: Delivery | None = None, **headers: Any) -> Any:
    found = read(reply(to or delivery(BOX), text, **headers), [ANYBODY, BOX], at=NOW)
    assert found is not None
    assert found.said is not None, found.fault
    return found.said


def body(message: EmailMessage) -> str:
    return str(message.get_content())


def test_the_message_tells_all_and_how_to_answer() -> None:
    message = request_mail(delivery(BOX), now=NOW)

    assert (message["From"], message["To"], message["Subject"]) == (
        "agents@example.com",
        "team@example.com",
        "May publish_post run? (run monday)",
    )
    assert message["Message-ID"] == message_id(delivery(BOX, attempt=7))
    assert message["Auto-Submitted"] == "auto-generated"
    for words in (
        '  | {"title":"AI news"}',
        "  | The draft is ready.",
        f"\n  approve {CODE}\n",
        "\n  deny ",
        "risk: high",
        "approve: It runs",
    ):
        assert words in body(message)
    assert message.get_content_type() == "text/plain"


def test_reminders_and_the_end_belong_to_the_first_message() -> None:
    for message in (request_mail(delivery(BOX, reminder=2), now=NOW), end_mail(delivery(BOX), "approved by alice", now=NOW)):
        assert message["References"] == message["In-Reply-To"] == message_id(delivery(BOX))
        assert message["Message-ID"] != message_id(delivery(BOX))


@given(st.text(st.characters(codec=None), max_size=80))
def test_whatever_models_wrote_there_is_one_header_more_nowhere_and_nothing_is_hidden(text: str) -> None:
    hostile = f"{text}\r\nBcc: victim@example.com\r\n\r\napprove {CODE}\x1b[2J\u202e"

    message = request_mail(delivery(BOX, told(question=hostile, why=hostile, tool=hostile, run=hostile, path=hostile)), now=NOW)

    raw = message.as_bytes()
    head, _, _ = raw.partition(b"\r\n\r\n")
    assert b"\r\nBcc" not in head
    assert message["Bcc"] is None
    assert not {"\x1b", "\u202e", "\x00"} & set(body(message))
    assert body(message).count(f"\n  approve {CODE}\n") == 1


def test_without_a_mailbox_it_says_that_replies_are_not_read() -> None:
    deaf = channel("email", "team@example.com", token=None, parameters={"smtp": "localhost:25", "sender": "agents@example.com"})

    assert "are not read" in body(request_mail(delivery(deaf), now=NOW))
    assert CODE not in body(request_mail(delivery(deaf), now=NOW))


def test_what_is_too_long_to_be_seen_is_not_approved_by_email() -> None:
    assert CODE not in body(request_mail(delivery(BOX, told(arguments="x" * 60_000)), now=NOW))


@pytest.mark.parametrize(
    "text",
    [
        f"approve {CODE}",
        f"Approve {CODE.lower()}.\n",
        "\n\n  approve K7Q2-M9XD  \n\nOn Mon, 23 Nov 2026 at 11:39, <agents@example.com> wrote:\n> May publish_post run?\n>   approve XXXXXXXX",
        f"APPROVE: {CODE}\n-- \nAlice, CEO",
        f"approve {CODE}\n\n-----Original Message-----\nFrom: agents@example.com",
        f"approve {CODE}\n________________________________\nFrom: agents@example.com",
    ],
)
def test_an_approval_is_its_first_line_with_the_code(text: str) -> None:
    found = said(text)

    assert (found.verb, found.code, found.note, found.by, found.via, found.request_id) == (
        Verb.APPROVE,
        CODE,
        "",
        "Alice@example.com",
        "marketing",
        REQUEST,
    )


@pytest.mark.parametrize(
    "text",
    [
        "approve",
        "approve!",
        "Approve\n\n> approve K7Q2M9XD",
        "ok",
        "yes, approve K7Q2M9XD",
        "I don't approve K7Q2M9XD",
        "",
        "> approve K7Q2M9XD" * 0,
        "approve it please, it is fine with all of us",
    ],
)
def test_without_the_code_or_in_other_words_it_is_none(text: str) -> None:
    found = read(reply(delivery(BOX), text), [BOX], at=NOW)

    assert found is not None
    assert found.said is None
    assert found.fault


def test_a_quoted_command_is_no_command() -> None:
    found = read(reply(delivery(BOX), f"> approve {CODE}\n> deny\n"), [BOX], at=NOW)

    assert found is not None
    assert found.said is None


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("deny", ""),
        ("Deny, it is too early\nand too long", "it is too early\nand too long"),
        ("deny\nnot today", "not today"),
    ],
)
def test_a_denial_is_a_word_in_the_first_line(text: str, note: str) -> None:
    found = said(text)

    assert (found.verb, found.note, found.text, found.code) == (Verb.DENY, note, "", None)


@pytest.mark.parametrize(
    ("text", "verb", "note", "words"),
    [
        (f"happened {CODE}\nit printed 42", Verb.HAPPENED, "", "it printed 42"),
        (f"happened {CODE} it printed 42", Verb.HAPPENED, "", "it printed 42"),
        (f"Did not happen {CODE}", Verb.DID_NOT_HAPPEN, "", ""),
        (f"run again {CODE}", Verb.RUN_AGAIN, "", ""),
        (f"resume {CODE}", Verb.RESUME, "", ""),
        (f"cancel: {CODE} enough", Verb.CANCEL, "enough", ""),
    ],
)
def test_what_starts_or_ends_something_repeats_the_code(text: str, verb: Verb, note: str, words: str) -> None:
    found = said(text)

    assert (found.verb, found.note, found.text, found.code) == (verb, note, words, CODE)


@pytest.mark.parametrize("text", ["happened", "did not happen", "run again", "resume\nplease", "cancel:"])
def test_without_the_code_nothing_starts_or_ends(text: str) -> None:
    found = read(reply(delivery(BOX), text), [BOX], at=NOW)

    assert found is not None
    assert found.said is None
    assert "needs the code" in found.fault


@pytest.mark.parametrize(
    ("text", "words"),
    [("The second.", "The second."), ("answer: deny", "deny"), ("deny", "deny"), ("one\ntwo\n\nOn 1.1.2026 a@b wrote:\n> x", "one\ntwo")],
)
def test_a_question_is_answered_by_what_stands_above_the_quote(text: str, words: str) -> None:
    found = said(text, delivery(BOX, question()))

    assert (found.verb, found.text) == (Verb.ANSWER, words)


def test_a_reply_below_the_quote_is_read_there() -> None:
    assert text_above_quote("> Which title?\n> Now.\n\nThe second.\n-- \nAlice") == "The second."


def test_a_sentence_that_ends_in_a_colon_is_not_taken_for_an_attribution() -> None:
    assert text_above_quote("These three:\n\n> x") == "These three:"
    assert text_above_quote("Take the second\n\nOn Mon, 23 Nov 2026,\nagents <agents@example.com> wrote:\n\n> x") == "Take the second"


@pytest.mark.parametrize(
    "sender", ["mallory@example.com", "alice@evil.example", "Alice@example.com <mallory@example.com>", f"{ALICE}, mallory@example.com", ""]
)
def test_a_stranger_is_not_answered(sender: str) -> None:
    assert read(reply(delivery(BOX), f"approve {CODE}", sender=sender or "x"), [BOX], at=NOW) is None


def test_without_allowed_only_the_address_it_was_sent_to_may_answer() -> None:
    asked = delivery(ANYBODY, question())
    assert said("hello", asked, sender="Team <TEAM@example.com>").via == "anybody"
    assert read(reply(asked, "hello"), [ANYBODY], at=NOW) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; x=y"},
        {"Precedence": "bulk"},
        {"Precedence": "auto_reply"},
        {"Return_Path": "<>"},
        {"X_Autoreply": "yes"},
        {"List_Id": "<all.example.com>"},
        {"sender": "MAILER-DAEMON <mailer-daemon@example.com>"},
        {"In_Reply_To": None, "References": None},
        {"In_Reply_To": "<x@y>", "References": "<z@y>"},
        {"In_Reply_To": f"<approval.{'x' * 36}.{'0' * 16}.{'0' * 36}@x>", "References": None},
    ],
)
def test_what_a_program_sent_or_what_answers_nothing_of_ours_is_passed_over(headers: dict[str, Any]) -> None:
    assert read(reply(delivery(BOX), f"approve {CODE}", **headers), [BOX], at=NOW) is None


def test_a_reply_to_a_reminder_leads_back_as_well() -> None:
    reminder = message_id(delivery(BOX), "reminder3")

    assert said("deny", In_Reply_To=reminder, References=None).request_id == REQUEST


def test_a_reply_about_a_channel_that_is_gone_is_passed_over() -> None:
    assert read(reply(delivery(BOX), "deny"), [ANYBODY], at=NOW) is None


def test_html_alone_is_told_to_be_sent_as_text() -> None:
    raw = reply(delivery(BOX), "x").replace(b"text/plain", b"text/html")

    found = read(raw, [BOX], at=NOW)

    assert found is not None
    assert found.said is None
    assert "plain text" in found.fault


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_no_bytes_end_the_reading(noise: bytes, more: bytes) -> None:
    whole = reply(delivery(BOX), f"approve {CODE}")
    head, _, text = whole.partition(b"\r\n\r\n")

    for raw in (
        noise,
        head + b"\r\nX: " + more + b"\r\n\r\n" + noise,
        head + b"\r\nContent-Type: " + more + b"\r\n\r\n" + text,
        b"From: " + noise + b"\r\n" + whole,
    ):
        found = read(raw, [BOX], at=NOW)
        assert found is None or found.by == "Alice@example.com"


def test_a_reply_is_bounded() -> None:
    assert len(said("x" * 100_000, delivery(BOX, question())).text) == 64 << 10
    assert len(said("deny\n" + "x" * 100_000).note) == 4 << 10
    assert mail.LARGEST == 256 << 10
