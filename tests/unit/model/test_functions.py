"""The functions a model sees: legal, unique, and in the order the agent lists them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.functions import Function, as_openai_tools, functions_of, tool_named
from smallchain.model.ids import fault_in_name, is_function_name
from smallchain.model.manifest import AgentSpec, ChannelSpec, ToolSpec

ADD = ToolSpec(name="add", builtin="add")


def functions(agent: AgentSpec, *, tools: tuple[ToolSpec, ...] = (), agents: tuple[str, ...] = ()) -> dict[str, Function]:
    return functions_of(agent, tools={tool.name: tool for tool in tools}, agents={name: AgentSpec(name=name) for name in agents})


def agent(*tools: object) -> AgentSpec:
    return AgentSpec.model_validate({"name": "a", "tools": list(tools)})


def test_functions_stand_in_the_agents_order() -> None:
    found = functions(agent("now", {"agent": "calculator operator"}, "add"), tools=(ADD,), agents=("calculator operator",))

    assert list(found) == ["now", "delegate_to_calculator_operator", "add"]


def test_a_delegation_takes_one_required_message_and_tells_what_the_agent_is_for() -> None:
    agents = {"writer": AgentSpec(name="writer", description="writes posts"), "other": AgentSpec(name="other")}
    found = functions_of(agent({"agent": "writer"}, {"agent": "other"}), tools={}, agents=agents)

    assert found["delegate_to_writer"].parameters["required"] == ["message"]
    assert found["delegate_to_writer"].description == "writes posts"
    assert found["delegate_to_other"].description == "Delegate to the agent 'other'."


def test_a_question_has_optional_choices() -> None:
    channel = ChannelSpec(name="the boss", type="terminal", about="who decides")
    found = functions_of(agent({"human": "the boss"}), tools={}, agents={}, channels={"the boss": channel})

    assert list(found["ask_the_boss"].parameters["properties"]) == ["question", "choices"]
    assert found["ask_the_boss"].parameters["required"] == ["question"]
    assert "who decides" in found["ask_the_boss"].description


def test_a_builtin_needs_no_entry_under_tools_and_an_entry_wins() -> None:
    mine = ToolSpec.model_validate({"name": "add", "description": "mine", "executor": {"local_bash": {"command": "x"}}})

    assert functions(agent("add"))["add"].parameters["required"] == ["a", "b"]
    assert functions(agent("add"), tools=(mine,))["add"].description == "mine"
    assert tool_named("nothing", {}) is None


def test_what_is_missing_is_left_out() -> None:
    assert functions(agent("nothing", {"agent": "nobody"}, {"human": "none"}, {"mcp": "none"})) == {}


def test_two_names_of_one_slug_are_numbered() -> None:
    found = functions(agent({"agent": "a b"}, {"agent": "a.b"}, {"agent": "a/b"}), agents=("a b", "a.b", "a/b"))

    assert list(found) == ["delegate_to_a_b", "delegate_to_a_b_2", "delegate_to_a_b_3"]
    assert found["delegate_to_a_b_2"].target == "a.b"


def test_a_made_name_gives_way_to_a_tools_own() -> None:
    tool = ToolSpec(name="delegate_to_b", builtin="add")
    found = functions(agent({"agent": "b"}, "delegate_to_b"), tools=(tool,), agents=("b",))

    assert {name: function.kind for name, function in found.items()} == {"delegate_to_b_2": "agent", "delegate_to_b": "tool"}


def test_long_names_are_cut_and_stay_apart() -> None:
    names = ("x" * 60 + "one", "x" * 60 + "two")
    found = functions(agent(*({"agent": name} for name in names)), agents=names)

    assert len(found) == 2
    assert all(len(name) <= 64 for name in found)


@given(st.lists(st.text(min_size=1, max_size=63).filter(lambda name: fault_in_name(name) is None), unique=True, max_size=6))
def test_every_function_name_is_legal_and_every_agent_has_one(names: list[str]) -> None:
    found = functions(agent(*({"agent": name} for name in names)), agents=tuple(names))

    assert all(is_function_name(name) for name in found)
    assert [function.target for function in found.values()] == names


def test_functions_are_written_as_chat_completions_take_them() -> None:
    (tool,) = as_openai_tools(functions(agent("now")))

    assert tool["type"] == "function"
    assert tool["function"]["name"] == "now"
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}
