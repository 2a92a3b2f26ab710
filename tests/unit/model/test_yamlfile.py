"""Every row of the YAML part of the bad inputs that is about text, and the edges that were met while building the reader."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallchain.model.errors import BadInput, Place, Problem
from smallchain.model.yamlfile import read


def faults(text: str | bytes) -> tuple[Problem, ...]:
    """The problems of a text that must have some."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(BadInput) as caught:
        read(data, file="a.yaml")
    return caught.value.problems


def place(problem: Problem) -> tuple[int, int]:
    return problem.place.line, problem.place.column


def value(text: str) -> object:
    return read(text.encode(), file="a.yaml").plain()


PUBLISHED = 'llms:\n  - name: "gpt-4o\n    provider: openai\n\nagents:\n  - name: "assistant"\n    llm: "gpt-4o"\n'


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (PUBLISHED, (2, 11)),
        ('a: "x', (1, 4)),
        ('b: 1\na: "x\nc: "y"\nd: "z"\n', (2, 4)),
        ("k: 'foo\nl: 'bar'\n", (1, 4)),
        ('a: "foo\nb: "" ', (1, 4)),
        ('x: [a, "b, c]\ny: "d"', (1, 8)),
        ('"x: 1\ny: "z"', (1, 1)),
    ],
)
def test_an_unclosed_quote_is_one_error_where_it_opens(text: str, where: tuple[int, int]) -> None:
    (problem,) = faults(text)

    assert place(problem) == where
    assert "quote opens here" in problem.message


def test_a_quote_that_is_meant_to_run_over_lines_is_fine() -> None:
    assert value('a: "one\n  two"\nb: 1') == {"a": "one two", "b": 1}


def test_a_fault_after_a_good_quote_over_lines_stays_where_it_is() -> None:
    (problem,) = faults('a: "one\n  two"\nb: [1\nc: 2')

    assert place(problem)[0] > 2


def test_billion_laughs_are_refused_before_they_are_built() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 8)]

    (problem,) = faults("\n".join(lines))
    assert "50000" in problem.message


def test_more_than_a_hundred_aliases_are_refused() -> None:
    assert value("a: &a x\nb: [" + ",".join(["*a"] * 100) + "]")

    (problem,) = faults("a: &a x\nb: [" + ",".join(["*a"] * 101) + "]")
    assert "100 aliases" in problem.message


@pytest.mark.parametrize(
    "text", ["[" * 2000, "[" * 100_000, "{a: " * 2000, "- " * 2000 + "x", "[\n" * 100_000], ids=lambda text: f"{text[:3]!r}"
)
def test_deep_nesting_is_refused_at_level_51_and_fast(text: str) -> None:
    begin = time.monotonic()

    (problem,) = faults(text)
    assert "deeper than 50" in problem.message
    assert time.monotonic() - begin < 5


def test_nesting_by_aliases_counts_as_nesting() -> None:
    deep = "x: &x " + "[" * 30 + "]" * 30
    (problem,) = faults(deep + "\ny: " + "[" * 30 + "*x" + "]" * 30)

    assert "deeper than 50" in problem.message


def test_a_file_over_one_mebibyte_is_refused_and_the_limit_named() -> None:
    (problem,) = faults("#" * (1024 * 1024 + 1))

    assert "1 MiB" in problem.message


def test_a_key_that_stands_twice_is_an_error_at_the_second() -> None:
    (problem,) = faults("a: 1\nb: 2\na: 3")

    assert place(problem) == (3, 1)
    assert "line 1" in problem.hint


_AMBIGUOUS = (
    "no yes on off y n No YES oN Off 010 -007 0o17 0b11 0x1F 1:30 1:30:00 1_000 1_0.5 1e3 1.5e3 1e+3 2024-01-05 2024-13-45"
    " 2024-01-05T10:00:00 .nan .NaN .inf -.inf +.INF"
)


@pytest.mark.parametrize("text", _AMBIGUOUS.split())
def test_what_yaml_versions_read_differently_is_an_error_with_a_hint_to_quote(text: str) -> None:
    (problem,) = faults(f"a: {text}")

    assert place(problem) == (1, 4)
    assert f'quote it ("{text}")' in problem.hint
    assert value(f'a: "{text}"') == {"a": text}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("3.10", 3.1),
        (".5", 0.5),
        ("1.0e+3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("$2.50", "$2.50"),
        ("gpt-4o", "gpt-4o"),
        ("nobody", "nobody"),
        ("2m", "2m"),
    ],
)
def test_plain_scalars_mean_what_they_say(text: str, meaning: object) -> None:
    assert value(f"a: {text}") == {"a": meaning}


def test_keys_are_always_text() -> None:
    assert value("y: 1\n200: 2\non: 3") == {"y": 1, "200": 2, "on": 3}


@pytest.mark.parametrize("text", ["a: 99999999999999999999", "a: " + "9" * 5000, "a: 1.0e+400"])
def test_numbers_beyond_what_can_be_counted_with_are_refused(text: str) -> None:
    assert "beyond" in faults(text)[0].message


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!env", "!!str", "!foo!bar", "!"])
def test_tags_are_not_allowed(tag: str) -> None:
    (problem,) = faults(f"a: {tag} x")

    assert problem.message == "tags are not allowed"
    assert place(problem) == (1, 4)


@pytest.mark.parametrize(
    ("text", "where"),
    [("a:\n\tb: 1", (2, 1)), ("a: \0", (1, 4)), ("x: 1\na: \x85", (2, 4)), ("a: \x1b[2J", (1, 4)), ("a: b\n\x9b", (2, 1))],
)
def test_tabs_nul_and_control_characters_are_reported_with_their_place(text: str, where: tuple[int, int]) -> None:
    assert [place(problem) for problem in faults(text)] == [where]


def test_escapes_of_control_characters_are_text() -> None:
    assert value('a: "\\e[2J"') == {"a": "\x1b[2J"}


@pytest.mark.parametrize("escape", ["\\ud800", "\\0", "\\U00110000", "\\q"])
def test_escapes_of_what_is_no_character_are_refused(escape: str) -> None:
    assert place(faults(f'a: "{escape}"')[0])[0] == 1


def test_a_byte_that_is_not_utf8_is_reported_with_its_place() -> None:
    (problem,) = faults("a: ü\nb: ".encode() + b"\xe9")

    assert place(problem) == (2, 4)
    assert "0xE9" in problem.message


def test_utf16_is_refused_and_a_utf8_mark_is_not() -> None:
    assert "UTF-8" in faults("a: 1".encode("utf-16"))[0].message
    assert read(b"\xef\xbb\xbfa: 1", file="a.yaml").plain() == {"a": 1}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "\n\n"])
def test_an_empty_file_is_nothing(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n---\nb: 2", "second document"),
        ("<<: {a: 1}", "merge keys"),
        ("? [a]\n: b", "where a key is expected"),
        ("a: &a [*a]", "within itself"),
        ("a: *b", "names no anchor"),
        ("a: [1, 2", "ends in the middle"),
        ("a: b: c", "no key can be"),
        ("a: @x", "not YAML"),
    ],
)
def test_what_has_no_one_meaning_is_refused(text: str, words: str) -> None:
    assert words in faults(text)[0].message


def test_independent_problems_are_all_reported_in_order() -> None:
    assert [place(problem) for problem in faults("a: yes\nb: !x 1\na: 2\nc: 010")] == [(1, 4), (2, 4), (3, 1), (4, 4)]


def test_a_node_knows_where_it_and_its_keys_stand() -> None:
    root = read(b"a:\n  - b: 1\n", file="a.yaml")
    assert isinstance(root.value, dict)
    items = root.value["a"].value
    assert isinstance(items, list)

    assert root.keys == {"a": (1, 1)}
    assert (items[0].line, items[0].column, items[0].keys) == (2, 5, {"b": (2, 5)})


_PIECES = st.sampled_from(
    ["a", ": ", "\n", "  ", "- ", '"', "'", "[", "]", "{", "}", ",", "&a ", "*a", "!t ", "#", "|", "\\", "\t", "1e3", "%", "---\n"]
)


@given(st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode())))
def test_any_bytes_are_a_tree_or_bad_input_with_places(data: bytes) -> None:
    assert all(problem.place.line >= 1 for problem in _problems(data))


def _problems(data: bytes) -> tuple[Problem, ...]:
    try:
        read(data, file="a.yaml")
    except BadInput as error:
        return error.problems or (Problem(Place("a.yaml"), "an error without a problem"),)
    return ()
