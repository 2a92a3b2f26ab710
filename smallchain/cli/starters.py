"""What `init` writes: a first smallchain.yaml a template, each complete, commented, and valid as it stands."""

from __future__ import annotations

from typing import NamedTuple


class Starter(NamedTuple):
    """A template: what it shows, the run it begins, and its text."""

    shows: str
    run: str
    text: str


_HELLO = """\
# One agent, one task, one run. The model is scripted: this works offline, without a key, and costs nothing.
# `smallchain schema` prints all that may stand here, for editors; `smallchain validate FILE` checks it.

llms:
  - name: hello-script
    provider: scripted # says what stands below; for a real model see `smallchain init --template openai`
    replies:
      - content: "Hello! I am an agent, and this sentence is all I was asked for."

agents:
  - name: greeter
    system_prompt: "You greet people, in one friendly sentence."
    llm: hello-script

tasks:
  - name: greet # again with `smallchain run greet`
    agent: greeter
    user_message: "Say hello."

runs:
  - name: hello # begun once, when this file is applied
    task: greet
"""

_TOOLS = """\
# An agent with three tools: one that comes with Smallchain, one in Python, one in bash.
# The model is scripted: in its first turn it asks for all three at once, in its second it sums up.

llms:
  - name: tools-script
    provider: scripted # for a real model see `smallchain init --template openai`
    replies:
      - tool_calls:
          - {name: add, arguments: {a: 3, b: 4}}
          - {name: count_words, arguments: {text: "the quick brown fox"}}
          - {name: shout, arguments: {text: "done"}}
      - content: "3 + 4 is 7, the text has 4 words, and shouting works."

agents:
  - name: handyman
    system_prompt: "You solve small problems with your tools."
    llm: tools-script
    tools: [add, count_words, shout] # `add` is built in; the others are below

tools:
  - name: count_words
    description: "Count the words of a text." # the model reads this
    parameters: # JSON Schema; arguments are checked before anything runs
      type: object
      properties:
        text: {type: string, description: "The text"}
      required: [text]
    executor:
      python:
        code: print(len(text.split())) # each argument is a variable; what is printed is the result
    effects: none # harmless twice: after a crash it runs again without asking
    timeout: 10s

  - name: shout
    description: "Write a text in capitals."
    parameters:
      type: object
      properties:
        text: {type: string, description: "The text"}
      required: [text]
    executor:
      local_bash:
        command: echo "${text^^}" # each argument is a variable, never pasted into the command
    effects: none
    timeout: 10s

tasks:
  - name: odd_jobs
    agent: handyman
    user_message: "What is 3 + 4, how many words has 'the quick brown fox', and shout that it is done."

runs:
  - name: odd jobs
    task: odd_jobs
"""

_DELEGATION = """\
# A manager that gives its work to others. Each delegation is a run of its own, with its own conversation.
# The model is scripted by agent and turn, so that all of it works offline.

llms:
  - name: team-script
    provider: scripted # for a real model see `smallchain init --template openai`
    replies:
      - when: {agent: manager, turn: 1}
        reply:
          content: "Two questions that do not depend on each other."
          tool_calls: # both at once
            - {name: delegate_to_researcher, arguments: {message: "What happens to a run when its process dies?"}}
            - {name: delegate_to_researcher, arguments: {message: "How long may a run wait for a person?"}}
      - when: {agent: manager, turn: 2}
        reply:
          tool_calls:
            - {name: delegate_to_writer, arguments: {message: "Write: a crash loses nothing, waiting costs nothing."}}
      - when: {agent: manager, turn: 3}
        reply: {content: "A crash loses nothing, and waiting is free."}
      - when: {agent: researcher, last: "process dies"}
        reply: {content: "Every step is recorded; a new process goes on where the old one was."}
      - when: {agent: researcher, last: "wait for"}
        reply: {content: "For days: a waiting run is rows in a database."}
      - when: {agent: writer}
        reply: {content: "A crash loses nothing, and waiting is free."}

agents:
  - name: manager
    system_prompt: "You lead a small team. You delegate, and you put the results together."
    llm: team-script
    tools: [{agent: researcher}, {agent: writer}] # an agent is a tool
  - name: researcher
    description: "answers one question from what is known" # the manager reads this
    system_prompt: "You answer the one question you are asked, in two sentences."
    llm: team-script
  - name: writer
    description: "writes a sentence from notes"
    system_prompt: "You write short sentences in plain words."
    llm: team-script

tasks:
  - name: explain
    agent: manager
    user_message: "Explain in one sentence why agents need a supervisor."

runs:
  - name: explanation
    task: explain
"""

_OPENAI = """\
# An agent on a real model: any endpoint that speaks OpenAI's chat completions (OpenAI, vLLM, Ollama, llama.cpp, ...).
# The key and the endpoint come from the daemon's environment, which is that of the command that starts it:
#
#   export OPENAI_API_KEY=...
#   export OPENAI_BASE_URL=http://127.0.0.1:11434/v1   # only when it is not OpenAI's own

llms:
  - name: openai-model
    provider: openai
    model: gpt-4o-mini # the endpoint's name for it
    parameters: {temperature: 0} # sent as they are
    price: unknown_ok # or {input: 0.15, output: 0.60}: dollars per million tokens, to see costs

agents:
  - name: assistant
    system_prompt: "You are a helpful assistant. You use your tools rather than guess."
    llm: openai-model
    tools: [add, now] # built in; your own: `smallchain init --template tools`

tasks:
  - name: chat # with other words: smallchain run chat --message 'What time is it?' --wait
    agent: assistant
    user_message: "What is 1234 + 4321, and what time is it?"

runs:
  - name: first question
    task: chat
"""

STARTERS = {
    "hello": Starter("one agent that says one sentence, offline", "hello", _HELLO),
    "tools": Starter("an agent with a built-in, a Python and a bash tool, offline", "odd jobs", _TOOLS),
    "delegation": Starter("agents that give work to each other, offline", "explanation", _DELEGATION),
    "openai": Starter("an agent on a real model", "first question", _OPENAI),
}
