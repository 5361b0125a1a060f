"""Keys, text and JSON become values of declared types: what a configuration is read from."""

from __future__ import annotations

import difflib
import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from harness.errors import ConfigError

SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def check_key(key: str, known: list[str]) -> None:
    """Refuses a key that is not among the known ones, with what may have been meant.

    Raises:
        ConfigError: a key that is not known, or the beginning of several.
    """
    if key in known:
        return
    inside = [candidate for candidate in known if candidate.startswith(f"{key}.")]
    if inside:
        raise ConfigError(f"'{key}' is a group of keys", fix=f"set one of {', '.join(inside)}")
    # `rate` for `train.rate`: the last word alone is what people remember
    last: dict[str, list[str]] = {}
    for candidate in known:
        last.setdefault(candidate.split(".")[-1], []).append(candidate)
    word = difflib.get_close_matches(key.split(".")[-1], list(last), n=1, cutoff=0.6)
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.8) or (last[word[0]] if word else [])
    meant = " or ".join(f"'{candidate}'" for candidate in close)
    beside = [candidate for candidate in known if candidate.split(".")[0] == key.split(".")[0]] or known
    raise ConfigError(f"unknown key '{key}'", fix=f"did you mean {meant}?" if close else f"known: {', '.join(beside)}")


def parse(text: str, kind: Any, key: str) -> Any:
    """`text` as the type `kind`: numbers, words of a Literal, optional values ("none"), tuples as `96x128` or `1,2`.

    Raises:
        ConfigError: a text that is no such value, told with its key.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if text.lower() in ("none", "auto") and type(None) in arguments:
            return None
        return parse(text, _present(arguments), key)
    if origin is Literal:
        if text not in arguments:
            raise ConfigError(f"{key}={text}", fix=f"one of {', '.join(map(str, arguments))}")
        return text
    if origin is tuple:
        words = text.replace("x", ",").strip("()").split(",")
        kinds = [arguments[0]] * len(words) if arguments[-1] is Ellipsis else list(arguments)
        if len(words) != len(kinds):
            raise ConfigError(f"{key}={text}", fix=f"{len(kinds)} values, as 96x128")
        return tuple(parse(word.strip(), inner, key) for word, inner in zip(words, kinds, strict=True))
    if kind is bool:
        if text.lower() not in SWITCHES:
            raise ConfigError(f"{key}={text}", fix="true or false")
        return SWITCHES[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"{key}={text} is no {kind.__name__}", fix="give a number") from error


def from_values(value: Any, kind: Any, key: str = "") -> Any:
    """The `kind` whose `dataclasses.asdict` went through JSON and came back as `value`.

    Raises:
        ConfigError: a key that `kind` does not have, or a value of another type, told with its `key`.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None and type(None) in arguments else from_values(value, _present(arguments), key)
    if is_dataclass(kind):
        _check(isinstance(value, dict), value, key)
        hints = typing.get_type_hints(kind)
        unknown = set(value) - set(hints)
        if unknown:
            problem = f"unknown keys {sorted(unknown)} in the configuration"
            raise ConfigError(problem, fix="use the version that wrote it")
        needed = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
        if not needed <= set(value):
            problem = f"no {', '.join(sorted(needed - set(value)))} in {key or 'the configuration'}"
            raise ConfigError(problem, fix="the file is damaged, or of another version")
        found = {name: from_values(inner, hints[name], f"{key}.{name}".lstrip(".")) for name, inner in value.items()}
        return typing.cast(Any, kind)(**found)
    if origin is tuple:
        _check(isinstance(value, list | tuple), value, key)
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        _check(len(kinds) == len(value), value, key)
        return tuple(from_values(part, inner, key) for part, inner in zip(value, kinds, strict=True))
    if origin is Literal:
        _check(any(value == choice and type(value) is type(choice) for choice in arguments), value, key)
    elif kind in (bool, int, float, str):
        _check(type(value) is kind or (kind is float and type(value) is int and abs(value) < 2**53), value, key)
        _check(not isinstance(value, float) or math.isfinite(value), value, key)
    return value


def _check(fits: bool, value: Any, key: str) -> None:
    if not fits:
        problem = f"{key or 'the configuration'}={str(value)[:60]!r} in the configuration is of another type"
        raise ConfigError(problem, fix="the file is damaged, or of another version")


def _present(options: tuple[Any, ...]) -> Any:
    """The type of an optional value that is there."""
    return next(option for option in options if option is not type(None))
