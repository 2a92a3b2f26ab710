"""The filter's little language, for any list: words, `key=value`, `!not`, `~fuzzy`; all of them have to hold.

`blog` finds it in any field, `status=failed` in one, `cost>1` and `turns>=10` compare, `!done` leaves out, `~blg7` matches letters in
their order, quotes keep spaces. Case never matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Fields = Mapping[str, str]
"""What a row can be searched by: a text for each name."""

_COMPARES: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
_TERM = re.compile(r"(?P<key>[a-z_]+)(?P<how>!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)
_WORDS = re.compile(r'((?:[^\s"]|"[^"]*"?)+)')


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `key` empty: any field. `how` is `has`, `fuzzy`, or a comparison."""

    value: str
    key: str = ""
    how: str = "has"
    negated: bool = False

    def holds(self, fields: Fields) -> bool:
        """Whether a row with these fields fulfils it."""
        return self._holds(fields) is not self.negated

    def _holds(self, fields: Fields) -> bool:
        if self.key and self.key not in fields:
            return False
        looked_at = [fields[self.key]] if self.key else list(fields.values())
        if self.how == "fuzzy":
            return any(_in_order(self.value, text.casefold()) for text in looked_at)
        compare = _COMPARES.get(self.how)
        if compare is None:
            return any(self.value in text.casefold() for text in looked_at)
        wanted = _number(self.value)
        return wanted is not None and any((found := _number(text)) is not None and compare(found, wanted) for text in looked_at)


@dataclass(frozen=True, slots=True)
class Filter:
    """A typed filter. `text` is as it was typed; without terms, everything passes."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def passes(self, fields: Fields) -> bool:
        """Whether a row with these fields is shown."""
        return all(term.holds(fields) for term in self.terms)

    def highlights(self) -> tuple[str, ...]:
        """The texts to mark where they are found, folded."""
        return tuple(term.value for term in self.terms if term.how == "has" and not term.negated and term.value)


def parse(text: str) -> Filter:
    """A filter from what was typed; anything is one, so that no key press is an error."""
    terms = []
    for match in _WORDS.finditer(text):
        word = match[1].replace('"', "").casefold()
        negated = word.startswith("!") and len(word) > 1
        word = word[1:] if negated else word
        if word.startswith("~"):
            if len(word) > 1:
                terms.append(Term(word[1:], how="fuzzy", negated=negated))
            continue
        term = _TERM.fullmatch(word)
        if term is None:
            if word and word != "!":
                terms.append(Term(word, negated=negated))
            continue
        how = term["how"]
        negated = negated is not (how == "!=")
        terms.append(Term(term["value"], term["key"], "has" if how in ("=", "!=") else how, negated))
    return Filter(text, tuple(terms))


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)


def _number(text: str) -> float | None:
    try:
        return float(text.strip().lstrip("$").replace(",", ""))
    except ValueError:
        return None
