"""The kinds of values that manifest fields hold: names, durations, amounts, secrets, paths, patterns.

The one rule: a field takes one meaning. What could be read in two ways (a bare number as a duration, a clear text as a
secret) is refused with the way to write it.
"""

from __future__ import annotations

import posixpath
import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from smallchain.model.code import CALLABLE, PLUGIN
from smallchain.model.durations import is_written_as_duration, parse_duration
from smallchain.model.errors import BadInput
from smallchain.model.ids import did_you_mean, fault_in_name, is_function_name
from smallchain.model.money import parse_dollars, show_dollars
from smallchain.model.schemas import fault_in_parameters, fault_in_pattern

Flag = StrictBool
Whole = StrictInt
UNSAFE_VARIABLES = frozenset(
    {"PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "GCONV_PATH", "LOCPATH"}
    | {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "NODE_OPTIONS", "NODE_PATH", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT"}
    | {"JAVA_TOOL_OPTIONS", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"}
)
_NO_ZONES = ("localtime", "posixrules", "posix/", "right/")
"""What lies among the files of time zones and is none, or counts leap seconds."""
_UNSAFE_PREFIXES = ("LD_", "DYLD_", "BASH_FUNC_", "SMALLCHAIN_")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CLEAR_SECRET = re.compile(
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b"
)
_SIZE = re.compile(r"[1-9][0-9]{0,11}(?:\.[0-9]{1,3})?(?:[KMGT]i?B?|B)")
CONTEXTS = ("full", "window", "summarise")
_TOKENS = re.compile(r"([1-9][0-9]{0,14}) tokens?")
_ANY_TOKENS = re.compile(r"[0-9]+ tokens?")


def fault(message: str, *, hint: str = "") -> PydanticCustomError:
    """The error a validator raises: a sentence that begins after the field's name, and what to do."""
    return PydanticCustomError("manifest", "{text}", {"text": message, "hint": hint})


class Section(BaseModel):
    """What a person writes as a mapping: no unknown keys, nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
    null_is_a_value: ClassVar[tuple[str, ...]] = ()
    """Fields in which null says something."""

    @field_validator("*", mode="before", check_fields=False)
    @classmethod
    def _has_a_value(cls, value: Any, info: ValidationInfo) -> Any:
        """A key with nothing behind it is no key that is left out: a cap or an approval that somebody began to write is asked about."""
        if value is None and info.field_name not in cls.null_is_a_value:
            raise fault("has no value", hint="write one, or take the line out")
        return value

    @model_validator(mode="before")
    @classmethod
    def _note_known_keys(cls, value: Any, info: ValidationInfo) -> Any:
        """Leave the keys a mapping may have to whoever words the errors: pydantic's own error does not say them."""
        if isinstance(info.context, dict) and isinstance(value, dict):
            info.context.setdefault("known", {})[id(value)] = tuple(cls.model_fields)
        return value


def exactly_one(section: Section, *names: str) -> None:
    """Check that exactly one of some fields is given."""
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        words = ", ".join(f"`{name}`" for name in names)
        found = "has none" if not given else "has " + " and ".join(f"`{name}`" for name in given)
        raise fault(f"needs exactly one of {words}; it {found}")


def _name(value: str) -> str:
    found = fault_in_name(value)
    if found is not None:
        raise fault(f"is not a name: it {found}")
    return value


def _tool_name(value: str) -> str:
    if not is_function_name(value):
        raise fault(f"{value[:64]!r} is not the name of a function", hint="letters, digits, `_` and `-`, at most 64")
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise fault(f"{value} has no unit", hint="write a duration as 30s, 2m, 1h30m or 2d")
    if isinstance(value, str):
        try:
            parse_duration(value)
        except BadInput as error:
            raise fault(error.message, hint=error.hint) from error
        return value.strip()
    return value


def _dollars(value: Any) -> Any:
    """Decimal dollars as `show_dollars` writes them, so that `$2.50`, `2.5` and `"2.50"` are one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = format(Decimal(repr(value)), "f")
    if isinstance(value, str):
        try:
            return show_dollars(parse_dollars(value))
        except BadInput as error:
            raise fault(error.message, hint=error.hint) from error
    return value


def _amount(value: Any) -> Any:
    """`$5`, `200000 tokens` or `2h`; the cap of a budget."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise fault(f"{value} has no unit", hint="write $5, 200000 tokens or 2h")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("$"):
        if "/" in text:
            raise fault(f"{text[:40]!r} has a period in it", hint="`per` says it: `{limit: $5, per: day}`, in short `budget: $5/day`")
        shown = _dollars(text)
        if parse_dollars(shown) == 0:
            raise fault(f"{text} is no cap that anything fits", hint="write an amount above zero")
        return f"${shown}"
    if _TOKENS.fullmatch(text):
        return text
    if _ANY_TOKENS.fullmatch(text):
        raise fault(f"{text[:40]!r} is out of range", hint="write from 1 to 999999999999999 tokens, without a leading zero")
    if not is_written_as_duration(text):
        raise fault(f"{text[:40]!r} is not an amount", hint="write $5, 200000 tokens or 2h")
    return _duration(text)


def _time_zone(value: str) -> str:
    try:
        if value.startswith(_NO_ZONES):
            raise ValueError("a file beside the zones, which other machines do not have or read in another way")
        ZoneInfo(value)
    except (ValueError, OSError, LookupError) as error:
        hint = (
            did_you_mean(value, {zone for zone in available_timezones() if not zone.startswith(_NO_ZONES)}) or "write it as Europe/Berlin"
        )
        raise fault(f"{value[:60]!r} is not a time zone", hint=hint) from error
    return value


def _secret(value: Any) -> Any:
    if isinstance(value, str):
        raise fault("holds a secret in clear text", hint="write {env: NAME}, {file: PATH} or {command: [...]} in its place")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise fault(f"{value[:60]!r} is not the name of an environment variable")
    if value in UNSAFE_VARIABLES or value.startswith(_UNSAFE_PREFIXES):
        raise fault(f"the variable {value} is not allowed: it changes which code runs", hint="choose another name")
    return value


def _path(value: str, info: ValidationInfo) -> str:
    if not value.strip() or "\0" in value:
        raise fault("is not a path")
    folder = info.context.get("folder", "") if isinstance(info.context, dict) else ""
    if not folder or value.startswith(("/", "~")):
        return value
    return posixpath.normpath(posixpath.join(folder, value))


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise fault(f"{value[:80]!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or any(char.isspace() for char in value):
        raise fault(f"{value[:80]!r} is not a URL", hint="it begins with http:// or https://")
    if parts.password is not None:
        raise fault("holds a password in clear text", hint="put it into a header, by reference")
    return value


def _pattern(value: str) -> str:
    found = fault_in_pattern(value)
    if found is not None:
        raise fault(found)
    return value


def _parameters(value: Any) -> Any:
    found = fault_in_parameters(value)
    if found is not None:
        raise fault(found[0], hint=found[1])
    return value


def _size(value: str) -> str:
    if not _SIZE.fullmatch(value):
        raise fault(f"{value[:40]!r} is not a size", hint="write it as 512MB or 2GiB")
    return value


def _context(value: str) -> str:
    if value not in CONTEXTS and not CALLABLE.fullmatch(value):
        near = did_you_mean(value, CONTEXTS)
        if near or not PLUGIN.fullmatch(value):
            raise fault(f"{value[:60]!r} is not a context strategy", hint=near or "full, window, summarise or module:function")
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("should be a number")
    if value != value or value in (float("inf"), float("-inf")):
        raise fault("is not a finite number")
    return value


def one_of_or_installed(words: tuple[str, ...], *, what: str) -> BeforeValidator:
    """One of some words, or the name of an installed package's entry point, which only the daemon can look up."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in words:
            near = did_you_mean(value, words)
            if near or not PLUGIN.fullmatch(value):
                raise fault(f"{value[:40]!r} is not {what}", hint=near or "one of " + ", ".join(words))
        return value

    return BeforeValidator(check, json_schema_input_type=Literal[words] | str)


def one_of(words: tuple[str, ...], *, what: str) -> BeforeValidator:
    """One of some words, with a did-you-mean; `what` says what they are."""

    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in words:
            hint = did_you_mean(value, words) or "one of " + ", ".join(words)
            raise fault(f"{value[:40]!r} is not {what}", hint=hint)
        return value

    return BeforeValidator(check, json_schema_input_type=Literal[words])


def a_word_or(words: tuple[str, ...], *, hint: str) -> BeforeValidator:
    """For `a word | a mapping`: what is neither is told what to write."""

    def check(value: Any) -> Any:
        if isinstance(value, dict | BaseModel) or value in words:
            return value
        near = did_you_mean(value, words) if isinstance(value, str) else ""
        raise fault(f"{str(value)[:40]!r} says nothing here", hint=near or hint)

    return BeforeValidator(check)


def by_shape(value: Any) -> str:
    """Which side of `a word | a mapping` a value is on; pydantic then reports only that side's errors."""
    return "<mapping>" if isinstance(value, dict | BaseModel) else "<text>"


Name = Annotated[str, AfterValidator(_name)]
ToolName = Annotated[str, AfterValidator(_tool_name)]
Duration = Annotated[str, BeforeValidator(_duration, json_schema_input_type=str)]
Dollars = Annotated[str, BeforeValidator(_dollars, json_schema_input_type=str | float)]
Amount = Annotated[str, BeforeValidator(_amount, json_schema_input_type=str)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Variable = Annotated[str, AfterValidator(_variable)]
FilePath = Annotated[str, AfterValidator(_path)]
Url = Annotated[str, AfterValidator(_url)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Size = Annotated[str, AfterValidator(_size)]
ContextStrategy = Annotated[str, AfterValidator(_context)]
Number = Annotated[Any, BeforeValidator(_finite, json_schema_input_type=float)]
Parameters = Annotated[dict[str, Any], BeforeValidator(_parameters, json_schema_input_type=dict[str, Any])]
Effects = Literal["none", "idempotent", "once"]
Isolation = Literal["auto", "required", "container", "none"]
Turns = Annotated[StrictInt, Field(ge=1, le=100_000)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000_000)]


class SecretRef(Section):
    """Where a secret is found when it is used; the secret itself is never stored."""

    env: str | None = Field(None, description="A variable of the daemon's environment or its `env` file")
    file: FilePath | None = Field(None, description="A file that only its owner can read")
    command: tuple[str, ...] | None = Field(None, min_length=1, description="A program and its arguments, whose output is the secret")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "env", "file", "command")
        return self


Secret = Annotated[SecretRef, BeforeValidator(_secret, json_schema_input_type=SecretRef)]


class ContextTurns(Section):
    """A strategy of ours with the turns it counts to; a turn is a reply of the model with the results of its calls."""

    window: Turns | None = Field(None, description="So many of the newest turns are sent; 20 where it is `context: window`")
    summarise: Annotated[Turns, Field(ge=2)] | None = Field(
        None, description="Beyond so many turns the older half is summed up; 40 where it is `context: summarise`"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "window", "summarise")
        return self


Context = Annotated[Annotated[ContextStrategy, Tag("<text>")] | Annotated[ContextTurns, Tag("<mapping>")], Discriminator(by_shape)]
TextOrSecret = Annotated[Annotated[str, Tag("<text>")] | Annotated[SecretRef, Tag("<mapping>")], Discriminator(by_shape)]
Env = dict[Variable, TextOrSecret]
Headers = dict[str, TextOrSecret]


def looks_like_secret(text: str) -> bool:
    """Whether a clear text has the form of a well-known kind of key."""
    return _CLEAR_SECRET.search(text) is not None
