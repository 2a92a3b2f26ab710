"""The words hold: commands that the pages quote parse with the real parsers, links lead somewhere, YAML that is shown is valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from smallchain.cli.main import COMMANDS, parser_of
from smallchain.model.errors import BadInput
from smallchain.model.manifest import parse_manifest
from smallchain.model.references import missing

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "changes/*.md")
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(smallchaind? [^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_ENDS = ("|", ">", ">>", "<", "&&", "||", ";", "&")
_PLACEHOLDER = re.compile(r"^[A-Z]+(\.\.\.)?$|^\.\.\.$")


def _names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def _commands(text: str) -> list[str]:
    """Every line of a shell block, every prompt of a captured session, and every command quoted in a sentence, that calls us."""
    lines: list[str] = []
    for language, body in _FENCE.findall(text):
        if language == "sh":
            lines += body.splitlines()
        elif language == "console":
            lines += [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
    lines += _INLINE.findall(_FENCE.sub("", text))
    found = []
    for line in lines:
        for part in re.split(r"[;|]\s+|\$\(", line):
            if re.match(r"smallchain\s", part.strip()):
                found.append(part.strip())
    return found


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if word in _ENDS or set(word) <= set("|&;<>()"):
            break
        words.append(word)
    return words[1:]


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_every_command_that_a_page_quotes_parses(page: Path) -> None:
    for command in _commands(page.read_text(encoding="utf-8")):
        words = _words(command)
        if words[0].startswith("-") or _PLACEHOLDER.match(words[0]):
            continue
        assert words[0] in COMMANDS, f"{page.name}: {command}"
        if len(words) == 1:
            continue  # the command named in a sentence, or one that takes nothing
        _, parser = parser_of(words[0])
        given = ["1" if word == "N" else word for word in words[1:]]

        try:
            parser.parse(given)
        except SystemExit:
            pytest.fail(f"{page.name}: `{command}` does not parse")


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_every_link_leads_to_a_file_that_is_there(page: Path) -> None:
    targets = [link.split("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]

    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_every_page_of_a_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")

    assert [page.name for page in folder.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index] == []


def test_every_example_is_in_the_index() -> None:
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

    folders = [path.parent.name for path in ROOT.glob("examples/*/smallchain.yaml")]

    assert [name for name in folders if f"({name}/README.md)" not in index] == []


def test_the_readme_shows_the_seeds_sample_word_for_word() -> None:
    shown = [body for language, body in _FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8")) if language == "yaml"]

    assert shown == [(ROOT / "tests" / "data" / "seed.yaml").read_text(encoding="utf-8")]


def test_the_yaml_of_the_guide_is_valid_where_it_is_meant_to_be() -> None:
    guide = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")

    diary, broken = [body for language, body in _FENCE.findall(guide) if language == "yaml"]

    assert parse_manifest(diary.encode(), file="diary.yaml")
    with pytest.raises(BadInput) as caught:
        parse_manifest(broken.encode(), file="broken.yaml")
    assert str(caught.value.problems[0]) in guide.replace("/home/ada/.config/smallchain/", "")


def test_the_yaml_about_people_is_valid_and_lacks_only_what_it_leaves_out() -> None:
    page = (ROOT / "docs" / "people.md").read_text(encoding="utf-8")

    (shown,) = [body for language, body in _FENCE.findall(page) if language == "yaml"]

    found = parse_manifest(shown.encode(), file="people.yaml")
    assert [problem.message for problem in missing(found)] == ["agent 'publisher' needs agent 'writer', which does not exist"]


def test_every_target_that_the_pages_name_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    named = {
        target for page in PAGES for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert named <= targets


def test_every_test_that_a_page_names_is_there() -> None:
    tests = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }

    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))}

    assert sorted(named - tests - {"test_a_waiting_call_asks_again_after_a_crash"}) == []  # the guide's example of a name


def test_no_page_speaks_of_a_folder_on_one_persons_machine() -> None:
    homes = re.compile(r"/(?:root|Users)/\w|/home/(?!ada\b)\w")

    assert [page.name for page in PAGES if homes.search(page.read_text(encoding="utf-8"))] == []
