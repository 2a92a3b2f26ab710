"""Every sentence that Smallchain itself ever adds to a context, under a name; replaceable under `defaults: templates:`.

There are no other hidden words: what a person, an agent's prompt, the model or a tool did not say is one of these, and the
transcript marks it as ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TEMPLATES: dict[str, tuple[str, str]] = {
    "no_output": ("a tool that succeeded without saying anything", "(no output)"),
    "tool_failed": ("a tool that failed", "Error: {detail}"),
    "tool_timed_out": ("a tool that took too long", "Error: {detail}"),
    "tool_out_of_memory": ("a tool that needed more memory than it may have", "Error: {detail}"),
    "tool_killed": ("a tool that crashed or was killed", "Error: {detail}"),
    "tool_flooded": ("a tool that printed without end", "Error: {detail}"),
    "tool_not_started": ("a tool of which nothing ran", "Error: {detail}"),
    "tool_unknown": ("a tool of which it is not known whether it did its work", "Error: {detail}"),
    "result_cut": (
        "a result that is longer than what a model is told",
        "{result}\n[cut after {shown} of {size} characters; {what} is artifact {id}]",
    ),
    "result_cut_short": (
        "the same, where there was no room to keep the rest",
        "{result}\n[cut after {shown} of {size} characters; the rest was not kept: {why}]",
    ),
    "artifact_kept": (
        "a result with something beside it, such as an image",
        "{result}\n[artifact {id}: {name}, {media_type}, {size} bytes]",
    ),
    "artifact_not_kept": ("the same, where there was no room to keep it", "{result}\n[{name}, {size} bytes, was not kept: {why}]"),
    "unknown_function": (
        "a call of a function that does not exist",
        "Error: there is no function named {name}. The functions are: {names}",
    ),
    "bad_arguments": ("arguments that don't fit the schema", "Error: the arguments don't fit {name}: {detail}"),
    "too_many_calls": (
        "more calls in one reply than are carried out",
        "Error: this call was not carried out: {most} calls in one reply are the most",
    ),
    "too_deep": ("a delegation beyond the limit of depth", "Error: {name} was not carried out: {detail}; do this part yourself"),
    "too_many_children": (
        "a delegation beyond the limit of children",
        "Error: {name} was not carried out: {detail}; do this part yourself",
    ),
    "calls_used_up": ("a call for which a limit of calls leaves no room", "Error: {name} was not carried out: {detail}"),
    "child_failed": ("a delegate that failed", "Error: {agent} failed: {detail}"),
    "child_cancelled": ("a delegate that was cancelled", "Error: {agent} was {detail}"),
    "child_said_nothing": ("a delegate that answered with nothing", "(no answer)"),
    "detached": (
        "a delegation that goes on beside its caller",
        "{work} has begun in the background; what comes of it will be told to you between your turns.",
    ),
    "work_finished": ("detached work that has ended, told between turns", "[{work}, {agent}, {outcome}]\n{result}"),
    "settled_not": ("a call in doubt that did not happen", "Error: {name} was interrupted and did not happen{note}"),
    "call_cancelled_unknown": (
        "a call that was running when its run was cancelled, and is not to be made twice",
        "Error: the call was cancelled while it ran; whether it happened is not known",
    ),
    "approved": ("the result of a call that a person let through", "[approved by {by}{note}]\n{result}"),
    "approved_with_edits": (
        "the result of a call whose arguments a person changed",
        "[approved by {by} with other arguments ({changes}){note}]\n{result}",
    ),
    "denied": ("a call that a person denied", "Error: {name} was not carried out: {by} denied it{note}"),
    "expired": ("a call that nobody approved in time", "Error: {name} was not carried out: nobody approved it within {detail}"),
    "unanswered": ("a question that nobody answered in time", "Error: nobody answered {name} within {detail}"),
    "withdrawn": (
        "a call that waited for a person when its run was cancelled",
        "Error: {name} was not carried out: the request to a person was withdrawn",
    ),
    "refused_by_policy": ("a call that a rule forbids", "Error: {name} was not carried out: {detail}"),
    "was_over_budget": (
        "a run that stood still at a cap, when it goes on",
        "You stood still until {now}, because {detail}. Spend what is left with care.",
    ),
    "summarise": (
        "`context: summarise`: what asks for a summary, at the end of a request of its own",
        "Don't go on with the work now, and call nothing. Sum up the conversation above for yourself: what was asked, what was done and "
        "found (with names, numbers and places as they are), what was decided and why, what is open. Only this summary will be left of it.",
    ),
    "summary": ("`context: summarise`: what stands for the older turns from then on", "[summary of the work so far]\n{summary}"),
    "woke": ("a sleep that is over", "You slept until {until}; it is {now} now."),
    "answered": ("a question that a person answered", "{answer}"),
    "json_tools": (
        "`tool_mode: json`: what a model is told that it can call, at the end of the system message",
        'You can call functions. Answer with one JSON object and nothing else: {"answer": "TEXT", "calls": [{"name": "FUNCTION", '
        '"arguments": {...}}]}. List in "calls" what is to be called; the next message brings the results. When you are done, leave '
        '"calls" empty and write your reply as "answer". The functions, with JSON Schemas of their arguments:\n{functions}',
    ),
    "json_results": ("`tool_mode: json`: the results of the calls of a reply", "The results of your calls:\n{results}"),
    "reply_not_json": (
        "`tool_mode: json`: a reply that is not the wanted object",
        'Error: your reply was not used: {detail}. Answer with one JSON object {"answer": "...", "calls": [...]} and nothing else.',
    ),
    "call_cancelled": ("a call of a run that was cancelled", "Error: the call was cancelled"),
}

_PLACE = re.compile(r"\{([a-z_]+)\}")


def render(name: str, overrides: Mapping[str, str], /, **facts: str) -> str:
    """The sentence of a template with its facts put in as they are; a place without a fact stays as written."""
    text = overrides.get(name) or TEMPLATES[name][1]
    return _PLACE.sub(lambda place: facts.get(place[1], place[0]), text)
