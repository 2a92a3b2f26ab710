"""Codes and keys are of one request and of one house."""

from __future__ import annotations

from smallchain.model.codes import callback_key_of, code_of, is_code

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_code_is_eight_characters_that_nobody_mistakes() -> None:
    codes = [code_of(KEY, f"request-{number}") for number in range(500)]

    assert len(set(codes)) == 500
    assert all(len(code) == 8 for code in codes)
    assert not set("".join(codes)) & set("ILOU01")


def test_a_code_is_the_same_whenever_it_is_asked_for_and_of_one_house() -> None:
    assert code_of(KEY, "a") == code_of(KEY, "a")
    assert code_of(KEY, "a") != code_of(OTHER, "a")
    assert callback_key_of(KEY, "a") not in (callback_key_of(OTHER, "a"), callback_key_of(KEY, "b"))


def test_case_and_gaps_do_not_count_and_nothing_else_passes() -> None:
    code = code_of(KEY, "a")

    assert is_code(KEY, "a", code)
    assert is_code(KEY, "a", f" {code[:4].lower()}-{code[4:].lower()} ")
    assert not is_code(KEY, "b", code)
    assert not is_code(KEY, "a", "")
    assert not is_code(KEY, "a", code[:-1])
    assert not is_code(KEY, "a", "ünïcödé!")
