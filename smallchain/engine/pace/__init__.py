"""The loop that shares an LLM between runs: who may call now, in which order, and until when nobody may."""
