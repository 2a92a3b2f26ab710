"""The MCP servers that people use: the reference servers, as they are published."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from smallchain.model.functions import as_openai_tools, functions_of
from smallchain.model.ids import is_function_name
from smallchain.model.manifest import AgentSpec
from smallchain.model.mcp import McpEndpoint, McpTool
from smallchain.model.toolcall import Outcome, OutcomeKind
from support.mcpservers import Kept, kept, start_of
from support.programs import needed, needed_server


async def tools_of(server: Kept) -> dict[str, McpTool]:
    """The tools, all of them usable, and all of them functions that a model can be shown."""
    listed = await server.came()
    assert [fault for _, fault in listed if fault] == []
    agent = AgentSpec.model_validate({"name": "a", "tools": [{"mcp": server.endpoint.name}]})
    functions = functions_of(agent, tools={}, agents={}, servers={server.endpoint.name: [each for each, _ in listed]})
    assert all(map(is_function_name, functions))
    assert "$ref" not in json.dumps(as_openai_tools(functions))
    return {each.name: each for each, _ in listed}


async def call(server: Kept, tools: dict[str, McpTool], name: str, **arguments: object) -> Outcome:
    """What came of a call."""
    return await server.servers.execute(start_of(server.endpoint.name, name, digest=tools[name].digest, **arguments))


async def test_everything(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("everything", (needed_server("mcp-server-everything"), "stdio"))) as server:
        tools = await tools_of(server)
        echoed = await call(server, tools, "echo", message="hello")
        added = await call(server, tools, "get-sum", a=2, b=3)
        image = await call(server, tools, "get-tiny-image")
        structured = await call(server, tools, "get-structured-content", location="New York")

    assert echoed == Outcome(OutcomeKind.SUCCEEDED, "Echo: hello")
    assert "5" in added.text
    (kept_image,) = image.artifacts
    assert kept_image.media_type == "image/png"
    assert kept_image.data.startswith(b"\x89PNG")
    assert "[image 1]" in image.text
    assert "temperature" in structured.text


async def test_filesystem_sees_its_folder_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "note.txt").write_text("remember the milk")
    command = (needed_server("mcp-server-filesystem"), "docs")
    async with kept(tmp_path, McpEndpoint("files", command, folder=str(tmp_path))) as server:
        tools = await tools_of(server)
        read = await call(server, tools, "read_text_file", path=str(folder / "note.txt"))
        outside = await call(server, tools, "read_text_file", path="/etc/passwd")

    assert read.text == "remember the milk"
    assert outside.kind is OutcomeKind.FAILED
    assert "denied" in outside.text


async def test_time(tmp_path: Path) -> None:
    async with kept(tmp_path, McpEndpoint("time", (needed_server("mcp-server-time"),))) as server:
        tools = await tools_of(server)
        found = await call(server, tools, "convert_time", source_timezone="Europe/Berlin", time="12:00", target_timezone="Asia/Tokyo")
        wrong = await call(server, tools, "get_current_time", timezone="Nowhere/Land")

    assert found.kind is OutcomeKind.SUCCEEDED
    assert json.loads(found.text)["target"]["timezone"] == "Asia/Tokyo"
    assert wrong.kind is OutcomeKind.FAILED


async def test_git(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    git = (needed("git"), "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.com")
    repository.mkdir()
    for words in (("init", "--quiet"), ("commit", "--quiet", "--allow-empty", "-m", "the first")):
        subprocess.run([*git, *words], check=True, capture_output=True)  # noqa: ASYNC221 - before anything runs
    command = (needed_server("mcp-server-git"), "--repository", str(repository))
    async with kept(tmp_path, McpEndpoint("git", command)) as server:
        tools = await tools_of(server)
        log = await call(server, tools, "git_log", repo_path=str(repository))
        elsewhere = await call(server, tools, "git_log", repo_path=str(tmp_path))

    assert "the first" in log.text
    assert elsewhere.kind is OutcomeKind.FAILED
