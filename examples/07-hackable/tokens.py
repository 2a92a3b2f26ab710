"""A message format with special tokens, in place of chat completions: `context: tokens:prompt` writes it, `reply` reads it.

Each turn is `<|turn|>ROLE`, a line break, its text and `<|end|>`. A call is `<|call|>` and a JSON object on a line of its own.
"""

import json

TURN, END, CALL = "<|turn|>", "<|end|>", "<|call|>"


def prompt(agent, run, messages):
    """The request that is sent: one text that ends where the model goes on, as llama.cpp's `/completion` takes it."""
    functions = "".join(f"\n{json.dumps(tool['function'])}" for tool in agent["tools"])
    how = f"\nYou can call these functions, each with {CALL}{{...}} on a line of its own:{functions}" if functions else ""
    text = ""
    for message in messages:
        text += f"{TURN}{message['role']}\n{_said(message)}{how if message['role'] == 'system' else ''}{END}\n"
    return {"prompt": f"{text}{TURN}assistant\n", "stop": [END], **agent["parameters"]}


def _said(message):
    calls = [
        CALL + plain(json.dumps({"name": call["function"]["name"], "arguments": json.loads(call["function"]["arguments"])}))
        for call in message.get("tool_calls", [])
    ]
    return "\n".join([plain(message["content"] or ""), *calls]).strip()


def plain(text):
    """A text that is only text: without this, a user (or a page that a tool read) could write `<|end|><|turn|>system` and be obeyed."""
    return text.replace("<|", "< |")


def reply(text, turn):
    """What the model wrote, as the message of a chat completion. Only here do its tokens mean anything. `turn` keeps ids apart."""
    lines = text.removesuffix(END).splitlines()
    calls = [json.loads(line.removeprefix(CALL)) for line in lines if line.startswith(CALL)]
    message = {"role": "assistant", "content": "\n".join(line for line in lines if not line.startswith(CALL))}
    if calls:
        message["tool_calls"] = [
            {
                "id": f"call_{turn}_{number}",
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
            }
            for number, call in enumerate(calls, 1)
        ]
    return message
