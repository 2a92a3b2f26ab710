"""The loop of LLMs: ready when its secrets resolve and the provider took them; an error is looked at again, never absorbing."""
