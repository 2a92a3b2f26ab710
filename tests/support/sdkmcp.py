"""An MCP server written with the SDK: `python sdkmcp.py stdio`, or `python sdkmcp.py http PORT`, which prints a line when it hears."""

from __future__ import annotations

import sys

from mcp.server import MCPServer

server = MCPServer("sdk")


@server.tool()
def shout(text: str, times: int = 1) -> str:
    """Say it louder."""
    return " ".join([text.upper()] * times)


@server.tool()
def weigh(things: list[str]) -> dict[str, int]:
    """How long each thing is."""
    return {thing: len(thing) for thing in things}


@server.tool()
def break_down() -> str:
    """Fail."""
    raise ValueError("out of order")


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
