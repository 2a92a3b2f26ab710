"""`transcript`: what was said in a run, message by message, each line of it behind a bar.

The one rule: what this program added to a context is marked as ours, and nothing a model or a tool says can look like a heading.
"""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from smallchain.cli.console import out
from smallchain.cli.render import Item, add_output, show_value, text_of
from smallchain.cli.session import Session
from smallchain.model.errors import Refused, SmallchainError, Unknown
from smallchain.protocol.client import path_of
from smallchain.protocol.text import one_line, sanitised, visible, visible_json

DESCRIPTION = "Show what was said in a run: to the model, by the model, by its tools."
EXAMPLES = """
smallchain transcript 'my first run'
smallchain transcript 'my first run/calculator_operator-1' -o json
smallchain transcript 'my first run' --request     # the exact body of the last model call
smallchain transcript 'my first run' --request 2 | jq .messages
smallchain transcript 'my first run' --curl        # the same as a command to run by hand
smallchain transcript 'my first run' --reply 2     # what came back, as it came
"""


def add_arguments(parser: ArgumentParser) -> None:
    """A run, and one of its model calls where that is wanted."""
    parser.add_argument("run", metavar="RUN", help="the run, by its name, its id, or 6 or more characters of the id's end")
    one = parser.add_mutually_exclusive_group()
    for flag, what in (
        ("--request", "the exact request of model call N (the last when no N is given)"),
        ("--reply", "the raw reply to model call N"),
        ("--curl", "the request of model call N as a curl command"),
    ):
        one.add_argument(flag, metavar="N", nargs="?", type=int, const=0, help=what)
    add_output(parser, formats=("text", "json", "yaml", "jsonl"))


def attempted(arguments: Namespace) -> str:
    """For errors."""
    return f"show the transcript of run '{arguments.run}'"


def execute(arguments: Namespace, session: Session) -> int:
    """Print the transcript, or one exchange with the model."""
    for part in ("request", "reply", "curl"):
        number = getattr(arguments, part)
        if number is not None:
            return _show_exchange(arguments.run, part, number, session)
    answer = session.client.get(path_of("transcript", arguments.run))
    messages = answer.get("messages")
    if not isinstance(messages, list):
        raise SmallchainError("the daemon's answer holds no messages", hint="is its version that of this program?")
    if arguments.output == "jsonl":
        for message in messages:
            out(visible_json(message))
    elif arguments.output != "text":
        show_value(answer, output=arguments.output)
    else:
        _show_run(answer.get("run"))
        for message in messages:
            _show_message(message)
    return 0


def _show_exchange(run: str, part: str, number: int, session: Session) -> int:
    exchange = session.client.get(path_of("exchange", run), {"attempt": number} if number else None)
    if part != "reply" and exchange.get("request") is None:
        raise Unknown(
            f"model call {text_of(exchange.get('attempt'))} was never made: {text_of(exchange.get('error')) or 'it is being prepared'}"
        )
    text = _curl(exchange) if part == "curl" else text_of(exchange.get(part))
    if sys.stdout.isatty():
        text = visible(text, multiline=True)  # into a file or a pipe goes every byte as it is
    out(text)
    return 0


def _curl(exchange: dict[str, Any]) -> str:
    provider = text_of(exchange.get("provider"))
    if provider not in ("", "openai"):
        raise Refused(
            f"LLM {text_of(exchange.get('llm'))!r} is not reached by a URL of ours: its provider is {provider}", hint="see --request"
        )
    base = text_of(exchange.get("base_url")).rstrip("/")
    where = shlex.quote(f"{base}/chat/completions") if base else '"${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions"'
    key = _key(exchange.get("api_key"), base)
    body = shlex.quote(text_of(exchange.get("request")))
    authorization = f'  -H "Authorization: Bearer {key}" \\\n' if key else ""
    return f"curl {where} \\\n{authorization}  -H 'Content-Type: application/json' \\\n  --data-binary {body}"


def _key(reference: Any, base: str) -> str:
    """The API key as the shell finds it, by the LLM's own reference; a URL without one is sent none, as the daemon does."""
    if not isinstance(reference, dict):
        return "" if base else "$OPENAI_API_KEY"
    if reference.get("env"):
        return f"${{{text_of(reference['env'])}}}"
    if reference.get("file"):
        return f"$(cat {shlex.quote(text_of(reference['file']))})"
    command = reference.get("command")
    return f"$({shlex.join(text_of(word) for word in command)})" if isinstance(command, list) else "$OPENAI_API_KEY"


def _show_run(run: Any) -> None:
    if isinstance(run, dict):
        out(one_line(f"run {text_of(run.get('name'))}: {text_of(run.get('status'))}, agent {text_of(run.get('agent'))}"))


def _show_message(message: Item) -> None:
    marks = [text_of(message.get("role"))]
    for key, words in (("tool", ""), ("model", ""), ("finish_reason", "finish "), ("cost_usd", "$")):
        if message.get(key):
            marks.append(words + text_of(message[key]))
    if message.get("ours"):
        marks.append(f"ours: template {text_of(message.get('template'))}" if message.get("template") else "ours")
    content = text_of(message.get("content"))
    if hidden := sanitised(content):
        marks.append(f"sanitised: {hidden}")
    out("")
    out(one_line(f"{text_of(message.get('seq'))}  {text_of(message.get('time'))[:19]}  {'  '.join(marks)}"))
    if content:
        for line in visible(content, multiline=True).split("\n"):
            out(f"  | {line}")
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict):
            out(one_line(f"  > {text_of(call.get('name'))}({text_of(call.get('arguments'))})"))
