"""YAML text -> plain JSON values with the place of every one of them, and every fault on the way.

YAML 1.2's core schema decides what a bare word is, not PyYAML's 1.1: `1e-3` is a number, `no` and `12:30`
are text. Duplicate keys, keys that are not text, tags, dates and infinities are faults: none of them can be
meant in a factory file. Knows nothing about factories.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from tenfold.spec.place import Fault, Path, Place, Places, Spot

MAX_NODES = 200_000
"""Nodes after aliases are expanded. A hand-written file has hundreds; a YAML bomb has billions."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C scanner where PyYAML was built with it: ten times faster, the same places."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


@dataclass(slots=True)
class Tree:
    """Plain values, where they stand, and what was wrong with the text."""

    data: Any
    places: Places
    faults: list[Fault] = field(default_factory=list)


def read(text: str, file: str) -> Tree:
    """The tree of one YAML document. A syntax error leaves `data` None and one fault."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        said = ", ".join(part for part in (error.problem, error.context) if part)
        return _failed(place, f"not valid YAML: {said}")
    except yaml.reader.ReaderError as error:
        at = text[: error.position]
        place = Place(file, at.count("\n") + 1, len(at) - at.rfind("\n"))
        return _failed(
            place, f"not valid YAML: the character {chr(error.character)!r} may not stand here"
        )
    finally:
        loader.dispose()
    start = Place(file, 1, 1)
    if node is None:
        return Tree(None, Places({(): Spot(start, start)}))
    walk = _Walk(file)
    data = walk.value(node, (), start)
    return Tree(data, walk.places, walk.faults)


def _failed(place: Place, text: str) -> Tree:
    return Tree(None, Places({(): Spot(place, place)}), [Fault(place, (), text)])


class _Walk:
    def __init__(self, file: str) -> None:
        self.file = file
        self.places = Places()
        self.faults: list[Fault] = []
        self.open: set[int] = set()
        """Nodes being expanded, to find an alias inside its own anchor."""
        self.num_nodes = 0

    def place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def fault(self, node: yaml.Node, path: Path, text: str) -> None:
        self.faults.append(Fault(self.place(node), path, text))

    def value(self, node: yaml.Node, path: Path, name: Place) -> Any:
        self.places[path] = Spot(name, self.place(node))
        self.num_nodes += 1
        if self.num_nodes > MAX_NODES:
            if self.num_nodes == MAX_NODES + 1:
                self.fault(node, path, f"aliases expand to more than {MAX_NODES:,} values")
            return None
        if id(node) in self.open:
            self.fault(node, path, "an alias stands inside its own anchor")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [
                    self.value(item, (*path, index), self.place(item))
                    for index, item in enumerate(node.value)
                ]
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            raise AssertionError(f"YAML has three kinds of nodes, and {node!r} is none of them")
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        own_places: dict[str, Place] = {}
        for key_node, value_node in node.value:
            if key_node.tag.endswith(":merge"):
                merged = self.merge(value_node, path) | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, path, "a key must be text")
                continue
            key = key_node.value
            if not key_node.tag.endswith(":str"):
                self.fault(key_node, path, f"the key {key} must be text: write '{key}' in quotes")
            if key in own:
                self.fault(
                    key_node,
                    (*path, key),
                    f'duplicate key "{key}", first at {own_places[key]}: remove one',
                )
                continue
            own_places[key] = self.place(key_node)
            if key in merged:
                self.places.drop((*path, key))
            own[key] = self.value(value_node, (*path, key), own_places[key])
        return merged | own

    def merge(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """`<<: *other`: keys taken over from another mapping, or from a list of them (first wins)."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                self.fault(source, path, "<< takes a mapping")
                continue
            if id(source) in self.open:
                self.fault(source, path, "an alias stands inside its own anchor")
                continue
            self.open.add(id(source))
            result |= self.mapping(source, path)
            self.open.discard(id(source))
        return result

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = node.value
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                sign = -1 if text.startswith("-") else 1
                digits = text.lstrip("+-")
                base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
                if len(digits) > 400:
                    self.fault(node, path, "a number of more than 400 digits")
                    return None
                return sign * int(digits[2:] if base != 10 else digits, base)
            case "float":
                number = float(re.sub(r"\.(?=[inIN])", "", text))
                if math.isfinite(number):
                    return number
                self.fault(node, path, f"{text} is not a finite number")
                return None
            case tag:
                self.fault(node, path, f"the tag {tag} has no meaning here")
                return None
