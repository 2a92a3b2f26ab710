"""What is told: every reason an event can have, its level, and its sentence, in one table.

The seed's nine lines (`[2024-07-28 12:00:00] [INFO] Starting Smallchain` ...) are among them word for word; every other event prints in
the same form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LONGEST = 4000


class Level(StrEnum):
    """How much an event wants to be seen."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Object:
    """What an event is about."""

    kind: str
    name: str
    id: str = ""


DAEMON = Object("daemon", "smallchaind")

SENTENCES: dict[str, tuple[Level, str]] = {
    # the daemon
    "DaemonStarted": (Level.INFO, "Starting Smallchain"),
    "DaemonStopping": (Level.INFO, "Stopping Smallchain"),
    "DaemonDied": (Level.WARNING, "The daemon ended without stopping; {count} live runs go on where they were"),
    "MachineSlept": (Level.INFO, "The machine slept for {length}; what came due meanwhile is done now, each once"),
    "ClockJumped": (Level.WARNING, "The clock was set {way} by {length}; what is due by it is done, each once"),
    "DatabaseRolledBack": (
        Level.WARNING,
        "The database was put back: it holds {found} of {known} events, and what happened since is not known to it",
    ),
    "RunsAsRoot": (Level.WARNING, "Running as root: fenced tools are users of their own, all else has all rights on this machine"),
    # the watched folder
    "ConfigApplied": (Level.INFO, "Applied {what}"),
    "ConfigRejected": (Level.WARNING, "{problem}; the folder stays at its last good version"),
    "ConfigHealed": (Level.INFO, "The config folder has no fault any more; what it says holds"),
    "ConfigFolderGone": (Level.WARNING, "The config folder {folder} {why}; nothing is deleted"),
    "DeletesHeld": (Level.WARNING, "Not deleted: {what}; {why}. `smallchain apply --accept-deletes` does it"),
    "EntryUnchanged": (
        Level.WARNING,
        "The entry of run '{name}' changed in {place}; a run that exists is not changed by its entry",
    ),
    # what is used
    "ResourceReady": (Level.INFO, "{kind} '{name}' is ready"),
    "ResourcePending": (Level.WARNING, "{kind} '{name}' waits: {detail}"),
    "ResourceError": (Level.ERROR, "{kind} '{name}' can't be used: {detail}"),
    "LLMAtLimit": (Level.INFO, "LLM '{name}' is at its limit ({why}); {runs} for a place"),
    "LLMHasRoom": (Level.INFO, "LLM '{name}' has had room for everybody for a minute"),
    "LLMHeld": (Level.WARNING, "LLM '{name}' takes no calls until {until}: {why}"),
    "ToolUnfenced": (Level.WARNING, "Tool '{name}' runs without a sandbox, with all rights of the daemon's user"),
    "ToolImageUnused": (Level.WARNING, "Tool '{name}' runs {instead}"),
    "McpServerEnded": (Level.WARNING, "MCP server '{name}' ended: {detail}"),
    "McpToolsListed": (Level.INFO, "MCP server '{name}' has {count}: {names}"),
    "McpToolUnusable": (Level.WARNING, "The tool '{tool}' of MCP server '{name}' can't be used: {detail}"),
    "McpToolGone": (Level.WARNING, "MCP server '{name}' lists its tool '{tool}' no more"),
    # what starts by itself
    "ScheduleFired": (Level.INFO, "Schedule '{name}' starts run '{run}', due at {moment}"),
    "ScheduleWaits": (Level.INFO, "Schedule '{name}' holds its start for {moment} until run '{after}' is over"),
    "ScheduleSkipped": (Level.WARNING, "Schedule '{name}' skips {what}: {why}"),
    # a run
    "RunStarted": (Level.INFO, "Executing task: {task}"),
    "AgentStarted": (Level.INFO, "Agent '{agent}' is executing the task"),
    "RunPending": (Level.WARNING, "Run '{run}' waits: {detail}"),
    "RunFellBack": (Level.WARNING, "Run '{run}' calls LLM '{llm}' instead of '{own}': {why}"),
    "RunReturned": (Level.INFO, "Run '{run}' calls its own LLM '{llm}' again: {why}"),
    "RunBackingOff": (Level.WARNING, "Run '{run}' calls the model again {when}: {detail}"),
    "ModelCallInterrupted": (Level.WARNING, "Run '{run}' was calling the model when the daemon ended; it calls again"),
    "ReplyMended": (Level.WARNING, "The reply of the model in run '{run}' was mended: {detail}"),
    "ContextSummarised": (Level.INFO, "Run '{run}' goes on with a summary of its turns up to message {first}"),
    "ContextShortened": (
        Level.WARNING,
        "Run '{run}' calls again without the older half of its turns, up to message {first}: {detail}",
    ),
    "ReplyUnfit": (Level.WARNING, "The reply of the model in run '{run}' was not the wanted JSON, which it is told: {detail}"),
    "AgentCompleted": (Level.INFO, "Agent '{agent}' has completed the task"),
    "TaskCompleted": (Level.INFO, "Task completed: {task}"),
    "RunOutput": (Level.INFO, "Output: {output}"),
    "RunSucceeded": (Level.INFO, "Run '{run}' completed successfully"),
    "RunFailed": (Level.ERROR, "Run '{run}' failed: {error}"),
    "RunCancelled": (Level.WARNING, "Run '{run}' was cancelled by {by}{note}"),
    "RunPaused": (Level.INFO, "Run '{run}' was paused by {by}"),
    "RunResumed": (Level.INFO, "Run '{run}' was resumed by {by}"),
    "RunAdopted": (Level.INFO, "Run '{run}' goes on with what is written now, by {by}: {what}"),
    "RunContinues": (Level.INFO, "Run '{run}' begins with {count} messages of run '{old}', by {by}"),
    "RunPriority": (Level.INFO, "The priority of run '{run}' is {priority}, set by {by}"),
    "WorkBegun": (Level.INFO, "Run '{run}' goes on beside {work}, which is run '{child}'"),
    "RunAwaitsWork": (Level.INFO, "Run '{run}' waits {detail}"),
    "WorkTold": (Level.INFO, "Run '{run}' is told what came of {work}"),
    # a tool call
    "ToolCallHeld": (Level.WARNING, "Tool '{tool}' may not start: {detail}"),
    "RunOverBudget": (Level.WARNING, "Run '{run}' stands still {when}: {detail}"),
    "RunHasRoom": (Level.INFO, "Run '{run}' goes on: there is room under its caps again"),
    "CostAtWorst": (Level.WARNING, "A model call of run '{run}' did not say what it used; it counts as its worst case"),
    "RunAsleep": (Level.INFO, "Run '{run}' sleeps until {until}"),
    "ToolCallStarted": (Level.INFO, "Agent '{agent}' is using tool: {tool}"),
    "ToolCallSucceeded": (Level.INFO, "Tool '{tool}' executed successfully"),
    "ToolCallFailed": (Level.WARNING, "Tool '{tool}' failed: {detail}"),
    "ToolCallTimedOut": (Level.WARNING, "Tool '{tool}' took too long: {detail}"),
    "ToolCallRetried": (Level.WARNING, "Tool '{tool}' is tried again: {detail}"),
    "ToolCallInterrupted": (Level.WARNING, "Tool '{tool}' was running when the daemon ended; it runs again under the same key"),
    "ToolCallHandedOut": (Level.INFO, "Tool '{tool}' is done elsewhere; its result is waited for"),
    "ToolCallTold": (Level.INFO, "Tool '{tool}' was {detail}"),
    "ToolCallLookedUp": (Level.INFO, "Tool '{tool}' was running when the daemon ended; what came of it was looked up"),
    "ToolCallInDoubt": (Level.WARNING, "Tool '{tool}': {detail}; whether it happened is for a person to say"),
    # people
    "RequestOpened": (Level.WARNING, "{Asker} asks a person: {question}"),
    "RequestAnswered": (Level.INFO, "{by} answered about {asker}: {answer}"),
    "RequestWithdrawn": (Level.INFO, "The request about {asker} was withdrawn: {why}"),
    "RequestExpired": (Level.WARNING, "Nobody answered about {asker} in time: {question}; {outcome}"),
    "RequestReminded": (Level.WARNING, "{Asker} still waits for a person: {question}"),
    "RequestEscalated": (Level.WARNING, "Nobody answered about {asker}; channel '{channel}' is asked too: {question}"),
    "RequestDelivered": (Level.INFO, "Channel '{channel}' was told what {asker} asks"),
    "RequestUndelivered": (Level.WARNING, "Channel '{channel}' could not be told what {asker} asks: {detail}"),
    "ToolCallRefused": (Level.WARNING, "Tool '{tool}' was not allowed: {detail}"),
    "ApprovalOutdated": (Level.WARNING, "What was approved of tool '{tool}' is not what would run now: it is asked about again"),
    "GrantMade": (Level.INFO, "Tool '{tool}' may run in run '{run}' without being asked about again, by {by}"),
    "GrantRevoked": (Level.INFO, "Tool '{tool}' is asked about again in run '{run}', by {by}"),
}


def sentence(reason: str, facts: dict[str, str]) -> tuple[Level, str]:
    """Level and sentence of an event; facts are put in as they are, never read as templates, and the whole is bounded."""
    level, template = SENTENCES[reason]
    text = template.format_map(facts)
    return level, text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
