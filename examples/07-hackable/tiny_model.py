"""`provider: python`: a model that fits on a page, or, where the YAML names a `base_url`, a real one behind llama.cpp's `/completion`."""

import json
import re
import urllib.request

from tokens import CALL, END, TURN, reply


def complete(request, endpoint):
    """The chat completion that Smallchain wants back, whatever the model itself speaks."""
    if endpoint["base_url"]:
        text, usage = _llama_cpp(request, endpoint)
    else:
        text = think(request["prompt"])
        usage = {"prompt_tokens": len(request["prompt"].split()), "completion_tokens": len(text.split())}
    message = reply(text, endpoint["turn"])
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return {"model": endpoint["model"], "choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def think(prompt):
    """Add the numbers of the question, two at a time; and, being a simple mind, obey whoever is a system."""
    turns = [turn.partition("\n")[::2] for turn in prompt.replace(f"{END}\n", "").split(TURN)[1:]]
    if any(role == "system" and "pirate" in text for role, text in turns):
        return f"Arr!{END}"
    numbers = [int(number) for number in re.findall(r"\d+", next(text for role, text in turns if role == "user"))]
    results = [int(text) for role, text in turns if role == "tool"]
    if len(results) < len(numbers) - 1:
        so_far = results[-1] if results else numbers[0]
        call = {"name": "add", "arguments": {"a": so_far, "b": numbers[len(results) + 1]}}
        return f"One step at a time.\n{CALL}{json.dumps(call)}{END}"
    return f"The sum is {results[-1]}.{END}"


def _llama_cpp(request, endpoint):
    url = endpoint["base_url"].rstrip("/") + "/completion"
    headers = {"Content-Type": "application/json"}
    if endpoint["api_key"]:
        headers["Authorization"] = f"Bearer {endpoint['api_key']}"
    asked = urllib.request.Request(url, json.dumps(request).encode(), headers)
    # An HTTPError has a `status`: 400 fails the run, 401 waits for a better key, 503 is tried again. So is a connection that fails.
    with urllib.request.urlopen(asked, timeout=endpoint["timeout_s"]) as answer:
        said = json.load(answer)
    return said["content"], {"prompt_tokens": said["tokens_evaluated"], "completion_tokens": said["tokens_predicted"]}
