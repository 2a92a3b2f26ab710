"""The config service on a real database and real loops: what becomes of the rows when the files change, and when they lie."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smallchain.model.errors import BadInput, Unconfirmed, Unknown
from support.confighouse import ConfigHouse, config_house

LLM = "llms: [{name: said, provider: scripted, replies: [{content: done}]}]\n"
SLOW = "llms: [{name: slow, provider: scripted, replies: [{content: done, delay: 1h}]}]\n"
"""A model that thinks for an hour: its runs are live until they are cancelled."""
WORK = "agents: [{name: worker, system_prompt: work}]\ntasks: [{name: job, agent: worker, user_message: begin}]\n"
RUN = "runs: [{name: monday, task: job}]\n"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[ConfigHouse]:
    async with config_house(tmp_path) as it:
        yield it


def agents(*names: str, prompt: str = "work") -> str:
    return "agents:\n" + "".join(f"- {{name: {name}, system_prompt: {prompt}}}\n" for name in names)


async def a_live_run(house: ConfigHouse) -> None:
    """A run of `run.yaml` that is in the middle of a model call; agents enough that no file is half of everything."""
    house.write("base.yaml", SLOW + WORK)
    house.write("more.yaml", agents("a", "b", "c", "d", "e", "f"))
    house.write("run.yaml", RUN)
    await house.look()
    await house.until(lambda found: any(found), "AgentStarted")


# ---- what the files say holds


async def test_what_the_files_say_is_there_after_one_look(house: ConfigHouse) -> None:
    house.write("a.yaml", RUN + WORK)
    house.write("b.yaml", LLM)

    answer = await house.look()

    assert answer.applied.created == [("run", "monday"), ("agent", "worker"), ("task", "job"), ("llm", "said")]
    await house.until(lambda found: any(found), "RunSucceeded")
    assert (await house.run("monday"))["output"] == "done"
    assert {file["status"] for file in await house.items("files")} == {"Applied"}


async def test_a_look_at_an_unchanged_folder_changes_nothing_and_tells_nothing(house: ConfigHouse) -> None:
    house.write("a.yaml", LLM + WORK + RUN)
    await house.look()
    await house.until(lambda found: any(found), "RunSucceeded")
    before = await house.events()

    answer = await house.look()

    assert (answer.applied.created, answer.applied.changed, answer.applied.removed) == ([], [], [])
    assert await house.events() == before


async def test_another_wording_of_the_same_is_no_change(house: ConfigHouse) -> None:
    house.write("a.yaml", "agents: [{name: a, tools: [{tool: add}]}]\n")
    await house.look()

    house.write("a.yaml", "# the same\nagents:\n\n- tools: [add]\n  name: 'a'\n")
    answer = await house.look()

    assert answer.applied.changed == []
    assert (await house.items("agents"))[0]["line"] == 5


async def test_an_edit_changes_the_one_thing_it_is_about(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "b"))
    await house.look()

    house.write("a.yaml", agents("a", "b").replace("name: b, system_prompt: work", "name: b, system_prompt: rest"))
    answer = await house.look()

    assert answer.applied.changed == [("agent", "b")]
    assert [item["spec"]["system_prompt"] for item in await house.items("agents")] == ["work", "rest"]


async def test_a_file_under_another_name_is_the_same_resources_in_another_place(house: ConfigHouse) -> None:
    await a_live_run(house)

    (house.root / "run.yaml").rename(house.root / "renamed.yaml")
    answer = await house.look()

    assert (answer.applied.created, answer.applied.changed, answer.applied.removed, answer.applied.held) == ([], [], [], [])
    assert (await house.run("monday"))["status"] == "Running"
    assert not any(file["id"].endswith("/run.yaml") for file in await house.items("files"))


async def test_what_an_edit_takes_out_is_deleted(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "b", "c"))
    await house.look()

    house.write("a.yaml", agents("b"))
    answer = await house.look()

    assert answer.applied.removed == [("agent", "a"), ("agent", "c")]
    assert await house.names("agents") == ["b"]


async def test_a_deleted_file_takes_its_few_resources_along(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    house.write("b.yaml", agents("b", "c"))
    await house.look()

    (house.root / "a.yaml").unlink()
    answer = await house.look()

    assert answer.applied.removed == [("agent", "a")]
    assert [Path(file["id"]).name for file in await house.items("files")] == ["b.yaml"]


# ---- a bad file


async def test_a_bad_file_holds_the_whole_folder_with_one_warning(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    house.write("b.yaml", agents("b"))
    await house.look()

    house.write("a.yaml", agents("a", "new"))
    house.write("b.yaml", "agents:\n- {name: b, sytem_prompt: x}\n- {name: c, lmm: other}\n")
    answer = await house.look()
    await house.look()

    assert await house.names("agents") == ["a", "b"]
    assert len(answer.warnings) == 2
    (told,) = await house.events("ConfigRejected")
    assert told["level"] == "WARNING"
    assert f"{house.root / 'b.yaml'}:2:13: " in told["message"]
    assert "did you mean 'system_prompt'?" in told["message"]
    assert "(and 1 more: `smallchain get files`)" in told["message"]
    files = {Path(file["id"]).name: file for file in await house.items("files")}
    assert {name: file["status"] for name, file in files.items()} == {"a.yaml": "Held", "b.yaml": "Rejected"}
    first = files["b.yaml"]["problems"][0]
    assert (first["file"], first["line"], first["column"]) == (str(house.root / "b.yaml"), 2, 13)
    assert first["hint"] == "did you mean 'system_prompt'?"


async def test_since_when_a_file_is_bad_does_not_move_with_each_look(house: ConfigHouse) -> None:
    house.write("a.yaml", "agents: [")
    await house.look()
    (before,) = await house.items("files")

    await house.look()

    (after,) = await house.items("files")
    assert after["since"] == before["since"]


async def test_another_fault_is_told_anew_and_the_same_fault_after_a_good_version_too(house: ConfigHouse) -> None:
    for text in ("agents: [", "agents: [", "agnts: []\n", agents("a"), "agnts: []\n"):
        house.write("a.yaml", text)
        await house.look()

    assert len(await house.events("ConfigRejected")) == 3


async def test_a_mended_file_lets_everything_in(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    house.write("b.yaml", "agents: [")
    await house.look()
    assert await house.names("agents") == []

    house.write("b.yaml", agents("b"))
    await house.look()

    assert await house.names("agents") == ["a", "b"]
    assert {(file["status"], len(file["problems"])) for file in await house.items("files")} == {("Applied", 0)}


async def test_one_name_in_two_files_holds_the_folder_and_names_both_places(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    house.write("b.yaml", "# second\n" + agents("a"))

    await house.look()

    (told,) = await house.events("ConfigRejected")
    assert f"{house.root / 'b.yaml'}:3:" in told["message"]
    assert f"{house.root / 'a.yaml'}:2:" in told["message"]


@pytest.mark.parametrize("name", [b"bad-\xff.yaml", b"new\nline.yaml", b"\x1b[31mred.yaml"])
async def test_a_file_of_any_name_does_no_harm(house: ConfigHouse, name: bytes) -> None:
    house.write("a.yaml", agents("a"))
    await house.look()
    path = house.root / os.fsdecode(name)
    path.write_text("agents: [")

    await house.look()

    assert len(await house.events("ConfigRejected")) == 1
    assert await house.names("agents") == ["a"]
    path.unlink()
    await house.look()
    assert len(await house.items("files")) == 1


async def test_an_unreadable_kind_of_file_holds_the_folder(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "b", "c"))
    house.write("b.yaml", agents("d"))
    await house.look()

    (house.root / "b.yaml").unlink()
    os.mkfifo(house.root / "b.yaml")
    await house.look()

    assert await house.names("agents") == ["a", "b", "c", "d"]
    assert "is not a regular file" in (await house.events("ConfigRejected"))[0]["message"]


# ---- when nothing is deleted


async def test_nothing_goes_while_the_folder_is_missing_and_it_is_told_once(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    await house.look()

    house.root.rename(house.root.with_name("aside"))
    await house.look()
    await house.look()

    assert await house.names("agents") == ["a"]
    (told,) = await house.events("ConfigFolderGone")
    assert (told["level"], "is missing" in told["message"]) == ("WARNING", True)


async def test_another_folder_in_its_place_adds_but_deletes_nothing_until_accepted(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "b", "c"))
    house.write("b.yaml", agents("d"))
    await house.look()
    house.root.rename(house.root.with_name("aside"))
    house.root.mkdir(mode=0o700)
    house.write("a.yaml", agents("a", "b", "c", "new"))

    answer = await house.look()
    await house.look()

    assert answer.applied.held == [("agent", "d")]
    assert await house.names("agents") == ["a", "b", "c", "d", "new"]
    (told,) = await house.events("DeletesHeld")
    assert told["level"] == "WARNING"
    assert "agent 'd'" in told["message"]
    assert "another one than before" in told["message"]
    assert "apply --accept-deletes" in told["message"]

    answer = await house.look(accept=True)

    assert answer.applied.removed == [("agent", "d")]
    house.write("a.yaml", agents("a", "b", "c"))
    assert (await house.look()).applied.removed == [("agent", "new")]


async def test_the_same_files_in_another_folder_are_no_reason_to_hold_later_edits(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "b", "c"))
    await house.look()
    shutil.copytree(house.root, house.root.with_name("copy"))
    house.root.rename(house.root.with_name("aside"))
    house.root.with_name("copy").rename(house.root)
    await house.look()

    house.write("a.yaml", agents("a", "b"))

    assert (await house.look()).applied.removed == [("agent", "c")]
    assert await house.events("DeletesHeld") == []


async def test_when_more_than_half_went_with_files_nothing_is_deleted(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "b", "c"))
    house.write("b.yaml", agents("d", "e"))
    await house.look()

    (house.root / "a.yaml").unlink()
    answer = await house.look()

    assert answer.applied.held == [("agent", "a"), ("agent", "b"), ("agent", "c")]
    assert len(await house.names("agents")) == 5
    (told,) = await house.events("DeletesHeld")
    assert "more than half" in told["message"]

    house.write("a.yaml", agents("a", "b", "c"))
    assert (await house.look()).applied.held == []


async def test_half_is_not_more_than_half(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    house.write("b.yaml", agents("b"))
    await house.look()

    (house.root / "a.yaml").unlink()

    assert (await house.look()).applied.removed == [("agent", "a")]


async def test_an_empty_folder_of_the_same_inode_deletes_nothing(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    await house.look()

    (house.root / "a.yaml").unlink()

    assert (await house.look()).applied.held == [("agent", "a")]


async def test_a_live_runs_entry_that_went_with_its_file_cancels_nothing_until_accepted(house: ConfigHouse) -> None:
    await a_live_run(house)

    (house.root / "run.yaml").unlink()
    answer = await house.look()

    assert answer.applied.held == [("run", "monday")]
    assert (await house.run("monday"))["status"] == "Running"
    (told,) = await house.events("DeletesHeld")
    assert "run 'monday' is live" in told["message"]

    await house.look(accept=True)

    assert (await house.run("monday"))["status"] == "Cancelled"


async def test_held_deletions_do_not_hold_what_is_new(house: ConfigHouse) -> None:
    await a_live_run(house)
    (house.root / "run.yaml").unlink()
    await house.look()

    house.write("more.yaml", agents("a", "b", "c", "d", "e", "f", "g"))
    await house.look()

    assert "g" in await house.names("agents")
    assert len(await house.events("DeletesHeld")) == 1


async def test_a_finished_runs_entry_may_go_with_its_file_and_its_history_stays(house: ConfigHouse) -> None:
    house.write("base.yaml", LLM + WORK)
    house.write("run.yaml", RUN)
    await house.look()
    await house.until(lambda found: any(found), "RunSucceeded")

    (house.root / "run.yaml").unlink()
    answer = await house.look()

    assert answer.applied.removed == [("run", "monday")]
    assert (await house.run("monday"))["status"] == "Succeeded"


# ---- entries of runs


async def test_editing_an_entry_out_of_its_file_cancels_the_live_run(house: ConfigHouse) -> None:
    await a_live_run(house)

    house.write("run.yaml", "runs: []\n")
    answer = await house.look()

    assert answer.applied.removed == [("run", "monday")]
    run = await house.run("monday")
    assert run["status"] == "Cancelled"
    assert run["detail"] == f"cancelled by the config folder: its entry was removed from {house.root / 'run.yaml'}"


async def test_changing_the_entry_of_a_live_run_changes_nothing_and_warns_once(house: ConfigHouse) -> None:
    await a_live_run(house)
    before = await house.run("monday")

    house.write("run.yaml", "runs: [{name: monday, task: job, user_message: something else, priority: 9}]\n")
    answer = await house.look()
    await house.look()

    assert answer.applied.changed == []
    assert await house.run("monday") == before
    (told,) = await house.events("EntryUnchanged")
    assert told["level"] == "WARNING"
    assert f"{house.root / 'run.yaml'}:1:" in told["message"]


async def test_changing_the_entry_of_a_finished_run_warns_and_runs_nothing(house: ConfigHouse) -> None:
    house.write("a.yaml", LLM + WORK + RUN)
    await house.look()
    await house.until(lambda found: any(found), "RunSucceeded")

    house.write("a.yaml", LLM + WORK + "runs: [{name: monday, task: job, user_message: again}]\n")
    await house.look()

    assert len(await house.events("EntryUnchanged")) == 1
    assert await house.names("runs") == ["monday"]
    assert len(await house.events("RunStarted")) == 1


async def test_applying_a_finished_run_is_a_no_op(house: ConfigHouse) -> None:
    await house.apply(LLM + WORK + RUN)
    await house.until(lambda found: any(found), "RunSucceeded")
    before = await house.events()

    answer = await house.apply(LLM + WORK + RUN)

    assert (answer.applied.created, answer.applied.changed, answer.applied.runs) == ([], [], [])
    assert ("run", "monday") in answer.applied.unchanged
    assert await house.events() == before


async def test_an_entry_that_comes_back_does_not_run_again(house: ConfigHouse) -> None:
    house.write("base.yaml", LLM + WORK)
    for text in (RUN, "runs: []\n", RUN):
        house.write("run.yaml", text)
        await house.look()
        await house.until(lambda found: any(found), "RunSucceeded")

    assert len(await house.events("RunStarted")) == 1
    assert await house.names("runs") == ["monday"]


# ---- `apply` and `delete`


async def test_applying_a_source_again_replaces_it_whole(house: ConfigHouse) -> None:
    await house.apply(agents("a", "b"))
    answer = await house.apply(agents("b", "c"))

    assert (answer.applied.created, answer.applied.removed) == ([("agent", "c")], [("agent", "a")])
    assert len(list((house.root / "applied").iterdir())) == 1
    assert (await house.items("files"))[0]["name"] == "/elsewhere/team.yaml"
    assert (await house.look()).applied.changed == []


async def test_one_source_says_nothing_about_the_others(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    await house.look()
    await house.apply(agents("b"), source="/elsewhere/b.yaml")
    await house.apply(agents("c"), source="/elsewhere/c.yaml")

    assert await house.names("agents") == ["a", "b", "c"]


async def test_a_name_that_stands_in_another_file_is_refused_with_both_places(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", "taken"))
    await house.look()

    with pytest.raises(BadInput) as refused:
        await house.apply(agents("taken"))

    (problem,) = refused.value.problems
    assert str(problem).startswith("team.yaml:2:")
    assert f"agent 'taken' stands in {house.root / 'a.yaml'}:3:" in problem.message
    assert not (house.root / "applied").exists()
    assert await house.names("agents") == ["a", "taken"]


async def test_a_bad_text_is_refused_under_the_name_it_was_typed_and_leaves_no_copy(house: ConfigHouse) -> None:
    await house.apply(agents("a"))

    with pytest.raises(BadInput) as refused:
        await house.apply("agents:\n- {name: a, llmm: x}\n")

    assert str(refused.value.problems[0]).startswith("team.yaml:2:13: ")
    assert await house.names("agents") == ["a"]
    assert (await house.look()).applied.held == []
    assert await house.events("ConfigRejected") == []


async def test_a_bad_file_in_the_folder_refuses_every_apply_and_is_named(house: ConfigHouse) -> None:
    house.write("broken.yaml", "agents: [")

    with pytest.raises(BadInput) as refused:
        await house.apply(agents("a"))

    assert str(house.root / "broken.yaml") in str(refused.value.problems[0])


async def test_a_removal_that_would_cancel_a_live_run_needs_prune(house: ConfigHouse) -> None:
    await house.apply(SLOW + WORK + RUN)
    await house.until(lambda found: any(found), "AgentStarted")

    with pytest.raises(Unconfirmed) as refused:
        await house.apply(SLOW + WORK)
    assert [problem.message for problem in refused.value.problems] == ["run 'monday' is live and would be cancelled"]
    assert "--prune" in refused.value.hint
    await house.look()
    assert (await house.run("monday"))["status"] == "Running"

    answer = await house.apply(SLOW + WORK, prune=True)

    assert answer.applied.removed == [("run", "monday")]
    run = await house.run("monday")
    assert run["status"] == "Cancelled"
    assert run["detail"].startswith("cancelled by ada")


async def test_a_delete_that_would_cancel_a_live_run_needs_prune(house: ConfigHouse) -> None:
    house.write("base.yaml", SLOW + WORK)
    await house.apply(RUN)
    await house.until(lambda found: any(found), "AgentStarted")

    with pytest.raises(Unconfirmed):
        await house.service.delete(["/elsewhere/team.yaml"], by="ada")
    assert (await house.run("monday"))["status"] == "Running"

    await house.service.delete(["/elsewhere/team.yaml"], by="ada", prune=True)

    assert (await house.run("monday"))["status"] == "Cancelled"
    assert list((house.root / "applied").iterdir()) == []


async def test_a_delete_of_most_of_what_there_is_is_a_persons_own_act(house: ConfigHouse) -> None:
    await house.apply(agents("a", "b", "c"))

    answer = await house.service.delete(["/elsewhere/team.yaml"], by="ada")

    assert len(answer.applied.removed) == 3
    assert await house.names("agents") == []


async def test_a_delete_of_what_nobody_applied_is_unknown(house: ConfigHouse) -> None:
    with pytest.raises(Unknown):
        await house.service.delete(["/elsewhere/team.yaml"], by="ada")


async def test_a_dry_run_says_what_would_change_and_changes_nothing(house: ConfigHouse) -> None:
    await house.apply(agents("a", "b"))
    before = (await house.events(), await house.items("agents"), await house.items("files"), sorted((house.root / "applied").iterdir()))

    answer = await house.apply(agents("b", "c") + LLM + RUN, dry_run=True)

    assert set(answer.applied.created) == {("agent", "c"), ("llm", "said"), ("run", "monday")}
    assert answer.applied.removed == [("agent", "a")]
    assert [problem.message for problem in answer.warnings] == ["run 'monday' needs task 'job', which does not exist"]
    assert before == (
        await house.events(),
        await house.items("agents"),
        await house.items("files"),
        sorted((house.root / "applied").iterdir()),
    )
    assert await house.names("runs") == []


async def test_a_missing_reference_is_a_warning_with_a_did_you_mean(house: ConfigHouse) -> None:
    house.write("base.yaml", WORK)
    await house.look()

    answer = await house.apply("tasks: [{name: other, agent: wroker, user_message: x}]\n")

    (warning,) = answer.warnings
    assert warning.message == "task 'other' needs agent 'wroker', which does not exist"
    assert warning.hint == "did you mean 'worker'?"


# ---- the watch


async def test_a_storm_of_saves_is_a_few_applications_and_the_last_state_wins(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a", prompt="begin"))
    await house.look()
    async with house.watching():
        for number in range(1000):
            house.write("a.yaml", agents("a", prompt=f"version {number}"))
            await asyncio.sleep(0)  # as another process would, this leaves the service room to look

        await house.until(lambda found: len(list(found)) > 1, "ConfigApplied")
        last = (await house.items("agents"))[0]["spec"]["system_prompt"]

    assert last == "version 999"
    assert len(await house.events("ConfigApplied")) <= 4
    assert await house.events("ConfigRejected") == []


async def test_a_file_that_is_still_being_written_is_left_alone_until_it_rests(house: ConfigHouse) -> None:
    path = house.root / "a.yaml"
    text = agents("a", "b", "c", "d")
    async with house.watching():
        with path.open("w") as file:
            path.chmod(0o600)
            for start in range(0, len(text), 8):  # every third of these beginnings is a manifest of its own, with fewer agents
                file.write(text[start : start + 8])
                file.flush()
                await asyncio.sleep(0.02)  # a slow writer is what this is about

        await house.until(lambda found: any(found), "ConfigApplied")

    assert await house.names("agents") == ["a", "b", "c", "d"]
    assert len(await house.events("ConfigApplied")) == 1
    assert await house.events("ConfigRejected") == []


async def test_a_file_saved_as_vim_does_is_one_change(house: ConfigHouse) -> None:
    path = house.write("a.yaml", agents("a"))
    await house.look()
    async with house.watching():
        (house.root / "4913").touch()
        (house.root / "4913").unlink()
        path.rename(house.root / "a.yaml~")
        path.write_text(agents("a", "b"))
        path.chmod(0o600)
        (house.root / "a.yaml~").unlink()

        await house.until(lambda found: len(list(found)) == 2, "ConfigApplied")

    assert await house.names("agents") == ["a", "b"]
    assert await house.events("DeletesHeld") == []


async def test_a_folder_that_was_removed_and_made_again_is_found_by_looking(house: ConfigHouse) -> None:
    house.write("a.yaml", agents("a"))
    await house.look()
    async with house.watching():
        shutil.rmtree(house.root)
        await house.until(lambda found: any(found), "ConfigFolderGone")
        house.root.mkdir(mode=0o700)
        house.write("b.yaml", agents("b"))
        await house.until(lambda found: any(found), "DeletesHeld")

        house.write("b.yaml", agents("b", "c"))
        await house.until(lambda found: any("agent 'c'" in event["message"] for event in found), "ConfigApplied")

    assert await house.names("agents") == ["a", "b", "c"]


async def test_a_new_folder_with_a_file_in_it_is_found(house: ConfigHouse) -> None:
    await house.look()
    async with house.watching():
        (house.root / "team" / "writers").mkdir(parents=True)
        house.write("team/writers/a.yaml", agents("a"))

        await house.until(lambda found: any(found), "ConfigApplied")

        house.write("team/writers/a.yaml", agents("a", "b"))

        await house.until(lambda found: len(list(found)) == 2, "ConfigApplied")
    assert await house.names("agents") == ["a", "b"]


async def test_a_link_that_is_swapped_to_other_files_is_seen(house: ConfigHouse) -> None:
    for version, text in (("one", agents("a", "b")), ("two", agents("a", "c"))):
        (house.root / f"..{version}").mkdir()
        house.write(f"..{version}/a.yaml", text)
    (house.root / "..data").symlink_to("..one")
    (house.root / "a.yaml").symlink_to("..data/a.yaml")
    await house.look()
    async with house.watching():
        (house.root / "..new").symlink_to("..two")
        (house.root / "..new").replace(house.root / "..data")

        await house.until(lambda found: len(list(found)) == 2, "ConfigApplied")

    assert await house.names("agents") == ["a", "c"]


async def test_the_watch_does_not_follow_a_link_to_the_whole_machine(house: ConfigHouse, caplog: pytest.LogCaptureFixture) -> None:
    (house.root / "all").symlink_to("/")
    house.write("a.yaml", agents("a"))
    async with house.watching():
        await house.until(lambda found: any(found), "ConfigApplied")
        house.write("a.yaml", agents("a", "b"))
        await house.until(lambda found: len(list(found)) == 2, "ConfigApplied")

    assert caplog.records == []


async def test_the_watch_outlives_a_folder_in_which_everything_goes_wrong(house: ConfigHouse) -> None:
    async with house.watching():
        (house.root / os.fsdecode(b"bad-\xff.yaml")).write_text(agents("x"))
        os.mkfifo(house.root / "pipe.yaml")
        (house.root / "loop.yaml").symlink_to("loop.yaml")
        (house.root / "up").symlink_to("..")
        house.write("a.yaml", "agents: [")
        await house.until(
            lambda found: any("pipe.yaml" in event["message"] or "more:" in event["message"] for event in found), "ConfigRejected"
        )
        for path in house.root.iterdir():
            path.unlink()
        house.write("a.yaml", agents("a"))

        await house.until(lambda found: any(found), "ConfigApplied")
    assert await house.names("agents") == ["a"]


async def test_who_applies_a_file_is_told_about_that_file_alone(house: ConfigHouse) -> None:
    await house.apply("agents: [{name: theirs}]\n", source="/elsewhere/other.yaml")
    await house.apply("agents: [{name: a}, {name: b}]\n")

    answer = await house.apply("agents: [{name: a}, {name: c}]\n")

    assert (answer.applied.created, answer.applied.removed) == ([("agent", "c")], [("agent", "b")])
    assert answer.applied.unchanged == [("agent", "a")]
