"""What a class of operators says of itself in its source: its version and its parameters. Nothing is imported.

A plan can then refuse a misspelt parameter, or a word where a number belongs, with the line of the factory
file, and still cost no kernel and no model. What only the class itself can tell (a range, a language that the
model has) it tells when it is made. Knows Python's syntax, no operator.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from tenfold.core.config import REQUIRED, Setting

_PLAIN = {"int": int, "float": float, "str": str, "bool": bool, "bytes": bytes}
_ANYTHING = object()
"""A default that is computed: there is one, and that is all that is known of it."""


@dataclass(frozen=True, slots=True)
class Signature:
    origin: str
    """The file of the class."""
    version: str | None
    """None: it has none that can be read off."""
    settings: Mapping[str, Setting]
    """Its parameters; of a type that cannot be told from here anything is taken."""


@cache
def signature(target: str) -> Signature | None:
    """Of `module:Class`; None where there is no such class, or no source."""
    module, _, name = target.partition(":")
    found = _class(module, name)
    if found is None:
        return None
    origin, tree, node = found
    version = None
    for line in node.body:
        if _named(line) == "version" and isinstance(line.value, ast.Constant):  # type: ignore[attr-defined]
            version = str(line.value.value)  # type: ignore[attr-defined]
    return Signature(origin, version, _settings(tree, node))


def _class(module: str, name: str) -> tuple[str, ast.Module, ast.ClassDef] | None:
    tree = _tree(module)
    if tree is None:
        return None
    origin, parsed = tree
    for node in parsed.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return origin, parsed, node
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _class(node.module, alias.name)
    return None


@cache
def _tree(module: str) -> tuple[str, ast.Module] | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return spec.origin, ast.parse(Path(spec.origin).read_bytes())


def _settings(tree: ast.Module, node: ast.ClassDef) -> dict[str, Setting]:
    """The fields of a dataclass, as `core.config.settings_of_dataclass` would say them."""
    found = {}
    for line in node.body:
        name = _named(line)
        if name is None or "ClassVar" in ast.unparse(line.annotation):  # type: ignore[attr-defined]
            continue
        value: ast.expr | None = line.value  # type: ignore[attr-defined]
        default = REQUIRED if _required(value) else _constant(value)
        found[name] = Setting(name, _type(tree, line.annotation), default)  # type: ignore[attr-defined]
    return found


def _named(line: ast.stmt) -> str | None:
    """The name that an annotated line of a class body gives a value or a type."""
    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
        return line.target.id
    return None


def _required(value: ast.expr | None) -> bool:
    if value is None:
        return True
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("field"):
        return not any(word.arg in ("default", "default_factory") for word in value.keywords)
    return False


def _constant(value: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(value) if value is not None else _ANYTHING
    except ValueError:
        return _ANYTHING


def _type(tree: ast.Module, annotation: ast.expr) -> Any:
    """A type that `core.config.read_value` checks; Any where that cannot be told from the source."""
    match annotation:
        case ast.Name(id=name) if name in _PLAIN:
            return _PLAIN[name]
        case ast.Name(id=name):
            return _record(tree, name)
        case ast.Constant(value=None):
            return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            sides = _type(tree, left), _type(tree, right)
            return Any if Any in sides else sides[0] | sides[1]
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inside):
            items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            choices = tuple(_constant(item) for item in items)
            return Any if _ANYTHING in choices else Literal[choices]
        case ast.Subscript(value=ast.Name(id="tuple" | "list" | "dict" as kind), slice=inside):
            items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            inner = tuple(... if _constant(item) is ... else _type(tree, item) for item in items)
            return {"tuple": tuple, "list": list, "dict": dict}[kind][inner]  # type: ignore[index]
    return Any


def _record(tree: ast.Module, name: str) -> Any:
    """A dataclass that the module defines or imports, by its fields alone."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name and _is_dataclass(node):
            fields: list[Any] = []
            for setting in _settings(tree, node).values():
                field: Any = dataclasses.field()
                if setting.default is not REQUIRED:
                    # A factory takes any default; a plain one may not be a list.
                    field = dataclasses.field(default_factory=partial(_same, setting.default))
                fields.append((setting.name, setting.type, field))
            return dataclasses.make_dataclass(name, fields, kw_only=True)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name and (other := _tree(node.module)):
                    return _record(other[1], alias.name)
    return Any


def _same(value: Any) -> Any:
    return value


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(each) for each in node.decorator_list)
