"""A step's settings, read off its signature or its config dataclass, and checked without a library.

The checker covers what settings are made of: numbers, text, truth values, literals, options, lists,
mappings and dataclasses. It knows nothing about files or line numbers; `spec` adds those.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
from collections.abc import Callable, Mapping, Sequence
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
            values[name] = _default(setting, where)
    return values


def _default(setting: Setting, where: str) -> Any:
    """Read like a given value, so that spelling a default out does not change a key (1 for 1.0)."""
    try:
        return read_value(setting.type, setting.default, where)
    except ConfigError:  # `x: int = None` and the like: the author's word stands
        return plain(setting.default)


def read_value(hint: Any, value: Any, where: str) -> Any:
    """`value` if it fits the type (a whole number fits float), else ConfigError."""
    origin = get_origin(hint)
    if hint is Any:
        return plain(value)
    if origin is Literal:
        for choice in get_args(hint):
            if value == choice and type(value) is type(choice):  # True is not 1
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
        records = [choice for choice in get_args(hint) if dataclasses.is_dataclass(choice)]
        if isinstance(value, Mapping) and len(records) == 1:
            return read_value(records[0], value, where)  # says which of its settings is at fault
        raise ConfigError(f"must be {_say(hint)}", where=where, seen=value)
    if _is_list(hint):
        if not isinstance(value, list | tuple):
            raise ConfigError("must be a list", where=where, seen=value)
        item_types = _item_types(hint, len(value))
        if len(item_types) != len(value):
            raise ConfigError(f"must have {len(item_types)} items", where=where, seen=value)
        return [
            read_value(item_type, item, f"{where}[{index}]")
            for index, (item_type, item) in enumerate(zip(item_types, value, strict=True))
        ]
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError("must be a mapping", where=where, seen=value)
        value_type = (get_args(hint) or (str, Any))[1]
        return {str(k): read_value(value_type, v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            value = plain(value)
        if not isinstance(value, Mapping):
            raise ConfigError("must be a mapping", where=where, seen=value)
        return read_settings(settings_of_dataclass(hint), value, where)
    if hint in (type(None), None):
        if value is None:
            return None
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
            if math.isfinite(number):
                return number
            raise ConfigError("must be a finite number", where=where, seen=value)
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(hint, type) and isinstance(value, hint):
        return value
    raise ConfigError(f"must be {_say(hint)}", where=where, seen=value)


def build(hint: Any, value: Any) -> Any:
    """The way back: what `read_value` returned, as the dataclasses and tuples its reader declared."""
    if get_origin(hint) in (Union, types.UnionType):
        for choice in get_args(hint):
            try:
                read_value(choice, value, "")
            except ConfigError:
                continue
            return build(choice, value)
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        settings = settings_of_dataclass(hint)
        return hint(**{name: build(settings[name].type, item) for name, item in value.items()})
    if _is_list(hint) and isinstance(value, list):
        items = [build(*pair) for pair in zip(_item_types(hint, len(value)), value, strict=True)]
        return tuple(items) if hint is tuple or get_origin(hint) is tuple else items
    if get_origin(hint) in (dict, Mapping) and isinstance(value, Mapping):
        item_type = get_args(hint)[1]
        return {name: build(item_type, item) for name, item in value.items()}
    return value


def _is_list(hint: Any) -> bool:
    return hint in (list, tuple, Sequence) or get_origin(hint) in (list, tuple, Sequence)


def _item_types(hint: Any, count: int) -> Sequence[Any]:
    """The type of each of `count` items: `tuple[int, str]` has two, everything else any number."""
    items = get_args(hint)
    if get_origin(hint) is tuple and items[-1:] != (Ellipsis,):
        return items
    return [items[0] if items else Any] * count


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
