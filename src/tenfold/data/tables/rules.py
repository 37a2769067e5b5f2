"""Rules that a table keeps, in a form that people read and edit.

    columns:
      age: {type: whole, required: true, low: 17, high: 90}
      sex: {type: text, allowed: [Female, Male]}
    key: [id]
    orders: [[start, end]]
    decides: [[education, education_num]]
    references: [{column: country, table: countries, key: code}]

Knows the form, not how rules are drafted or checked.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from tenfold.errors import InputError, suggestion

TYPES = ("number", "whole", "truth", "time", "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    type: str
    """`number`, `whole`, `truth`, `time` or `text`"""
    required: bool = False
    """No value may be missing."""
    unique: bool = False
    low: float | None = None
    """Smallest number; seconds since 1970 for times."""
    high: float | None = None
    allowed: tuple[str, ...] | None = None
    """The only texts there are."""
    pattern: str | None = None
    """A regular expression that whole texts match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key: every value of `column` stands in column `key` of another table."""

    column: str
    table: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    columns: Mapping[str, ColumnRule]
    key: tuple[str, ...] = ()
    """Columns that together are different in every row."""
    orders: tuple[tuple[str, str], ...] = ()
    """The first column is never above the second."""
    decides: tuple[tuple[str, str], ...] = ()
    """Rows that agree in the first column agree in the second."""
    references: tuple[Reference, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """Mappings and lists; what says nothing is left out."""
        columns = {}
        for name, rule in self.columns.items():
            plain = {key: value for key, value in dataclasses.asdict(rule).items() if value}
            for bound in ("low", "high"):
                if getattr(rule, bound) is not None:
                    plain[bound] = getattr(rule, bound)
            if rule.allowed is not None:
                plain["allowed"] = list(rule.allowed)
            columns[name] = plain
        whole: dict[str, Any] = {"columns": columns}
        if self.key:
            whole["key"] = list(self.key)
        for name in ("orders", "decides"):
            if pairs := getattr(self, name):
                whole[name] = [list(pair) for pair in pairs]
        if self.references:
            whole["references"] = [dataclasses.asdict(each) for each in self.references]
        return whole

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_plain(), sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str, where: str = "rules") -> Rules:
    """JSON is YAML too. Raises InputError with the place of the fault."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {error}", where=where) from None
    return from_plain(plain, where)


def from_plain(plain: Any, where: str = "rules") -> Rules:
    whole = _mapping(plain, where)
    _known(whole, ("columns", "key", "orders", "decides", "references"), where)
    columns = {
        str(name): _column(rule, f"{where}.columns.{name}")
        for name, rule in _mapping(whole.get("columns", {}), f"{where}.columns").items()
    }
    references = []
    for number, each in enumerate(_list(whole.get("references", []), f"{where}.references")):
        place = f"{where}.references[{number}]"
        one = _mapping(each, place)
        _known(one, ("column", "table", "key"), place)
        if len(one) != 3:
            raise InputError("a reference needs column, table and key", where=place, seen=one)
        references.append(Reference(**{key: str(value) for key, value in one.items()}))
    return Rules(
        columns=columns,
        key=tuple(map(str, _list(whole.get("key", []), f"{where}.key"))),
        orders=_pairs(whole.get("orders", []), f"{where}.orders"),
        decides=_pairs(whole.get("decides", []), f"{where}.decides"),
        references=tuple(references),
    )


def _column(plain: Any, where: str) -> ColumnRule:
    rule = dict(_mapping(plain, where))
    _known(rule, [each.name for each in dataclasses.fields(ColumnRule)], where)
    if rule.get("type") not in TYPES:
        raise InputError(
            f"type must be one of {', '.join(TYPES)}", where=where, seen=rule.get("type")
        )
    for name in ("required", "unique"):
        if not isinstance(rule.get(name, False), bool):
            raise InputError(f"{name} must be true or false", where=where, seen=rule[name])
    for name in ("low", "high"):
        value = rule.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"{name} must be a number", where=where, seen=value)
    if rule.get("allowed") is not None:
        rule["allowed"] = tuple(map(_text, _list(rule["allowed"], f"{where}.allowed")))
    if rule.get("pattern") is not None:
        try:
            re.compile(str(rule["pattern"]))
        except re.error as error:
            raise InputError(
                f"not a regular expression: {error}", where=where, seen=rule["pattern"]
            ) from None
    return ColumnRule(**rule)


def _text(value: Any) -> str:
    """YAML reads bare yes, no and 12 as what they are not."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError("a mapping is expected here", where=where, seen=value)
    return value


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InputError("a list is expected here", where=where, seen=value)
    return value


def _pairs(value: Any, where: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for number, each in enumerate(_list(value, where)):
        pair = _list(each, f"{where}[{number}]")
        if len(pair) != 2:
            raise InputError("two columns are expected", where=f"{where}[{number}]", seen=each)
        pairs.append((str(pair[0]), str(pair[1])))
    return tuple(pairs)


def _known(given: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for name in given:
        if name not in names:
            raise InputError(
                "no such rule", where=where, seen=name, hint=suggestion(str(name), names)
            )
