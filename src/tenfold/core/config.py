"""A step's settings, read off its signature or its config dataclass, and checked without a library.

The checker covers what settings are made of: numbers, text, truth values, literals, options, lists,
mappings and dataclasses. It knows nothing about files or line numbers; `spec` adds those.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tenfold.errors import ConfigError, suggestion

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Setting:
    """One knob: its name, type, default (REQUIRED when there is none) and one line of explanation."""

    name: str
    type: Any
    default: Any = REQUIRED
    doc: str = ""


def settings_of_function(
    function: Callable[..., Any], hints: Mapping[str, Any]
) -> dict[str, Setting]:
    """The keyword-only parameters of a step, `ctx` and `config` apart."""
    return {
        name: Setting(name, hints.get(name, Any), parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in ("ctx", "config")
    }


def settings_of_dataclass(cls: type) -> dict[str, Setting]:
    """The fields of a config dataclass. A field's explanation is `metadata={"doc": ...}`, when it has one."""
    hints = get_type_hints(cls)
    settings = {}
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING:
            default = REQUIRED
        settings[field.name] = Setting(
            field.name, hints[field.name], default, field.metadata.get("doc", "")
        )
    return settings


def read_settings(
    settings: Mapping[str, Setting], given: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """`given` with defaults filled in, every value checked; ConfigError on the first fault."""
    for name in given:
        if name not in settings:
            raise ConfigError(
                f"unknown setting {name!r}", where=where, hint=suggestion(name, settings)
            )
    values = {}
    for name, setting in settings.items():
        if name in given:
            values[name] = read_value(setting.type, given[name], f"{where}.{name}")
        elif setting.default is REQUIRED:
            raise ConfigError(f"the setting {name!r} is required", where=where)
        else:
            values[name] = plain(setting.default)
    return values


def read_value(hint: Any, value: Any, where: str) -> Any:
    """`value` if it fits the type (a whole number fits float), else ConfigError."""
    origin = get_origin(hint)
    if hint is Any:
        return plain(value)
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise ConfigError(
            "must be one of " + ", ".join(repr(choice) for choice in get_args(hint)),
            where=where,
            seen=value,
            hint=suggestion(str(value), [str(choice) for choice in get_args(hint)]),
        )
    if origin in (Union, types.UnionType):
        for choice in get_args(hint):
            try:
                return read_value(choice, value, where)
            except ConfigError:
                continue
        raise ConfigError(f"must be {_say(hint)}", where=where, seen=value)
    if origin in (list, tuple) or hint in (list, tuple):
        if not isinstance(value, list | tuple):
            raise ConfigError("must be a list", where=where, seen=value)
        items = get_args(hint)
        return [
            read_value(items[0] if items else Any, item, f"{where}[{index}]")
            for index, item in enumerate(value)
        ]
    if origin is dict or hint is dict or origin is types.MappingProxyType or origin is Mapping:
        if not isinstance(value, Mapping):
            raise ConfigError("must be a mapping", where=where, seen=value)
        value_type = (get_args(hint) or (str, Any))[1]
        return {str(k): read_value(value_type, v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise ConfigError("must be a mapping", where=where, seen=value)
        return read_settings(settings_of_dataclass(hint), value, where)
    if hint in (type(None), None):
        if value is None:
            return None
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(hint, type) and isinstance(value, hint):
        return value
    raise ConfigError(f"must be {_say(hint)}", where=where, seen=value)


def build(cls: type, values: Mapping[str, Any]) -> Any:
    """An instance of a config dataclass from its canonical values; a field that is one itself, likewise.

    Raises ConfigError from the class's own validation.
    """
    hints = get_type_hints(cls)
    return cls(
        **{
            name: build(hints[name], value)
            if isinstance(hints.get(name), type)
            and dataclasses.is_dataclass(hints[name])
            and isinstance(value, Mapping)
            else value
            for name, value in values.items()
        }
    )


def plain(value: Any) -> Any:
    """Dataclasses and tuples as the mappings and lists that canonical JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _say(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_say(choice) for choice in get_args(hint))
    if hint in (type(None), None):
        return "null"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
