"""Layers of a factory file: `extends:` below it and `--set` above it, merged with their places.

Mappings are merged key by key; everything else is replaced. `null` over a mapping removes it. A path in
`extends:` is relative to the file that names it. Knows nothing about what a factory contains.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any

from tenfold.errors import suggestion
from tenfold.spec.place import Fault, Path, Place, Places, Spot, read_path, write_path
from tenfold.spec.read import Tree, read


def read_layers(path: FilePath, above: tuple[FilePath, ...] = ()) -> Tree:
    """The file with everything it extends merged under it. Faults are collected, never raised."""
    start = Place(str(path), 1, 1)
    lonely = Tree(None, Places({(): Spot(start, start)}))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        lonely.faults.append(Fault(start, (), f"not UTF-8 text: byte {error.start} is not valid"))
        return lonely
    except OSError as error:
        fact = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        lonely.faults.append(Fault(Place(str(path)), (), f"cannot be read: {fact}"))
        return lonely
    tree = read(text, str(path))
    if not isinstance(tree.data, dict):
        if not tree.faults:
            tree.faults.append(Fault(start, (), "a factory file must be a mapping of fields"))
        return tree
    base = _bases(tree, path, (*above, path))
    return tree if base is None else merge(base, tree)


def _bases(tree: Tree, path: FilePath, above: tuple[FilePath, ...]) -> Tree | None:
    """What the file extends, merged in order; None when it extends nothing."""
    given = tree.data.get("extends")
    names = given if isinstance(given, list) else [given]
    if given is None or not all(isinstance(name, str) for name in names):
        return None  # a wrong type is the model's to report
    base: Tree | None = None
    for index, name in enumerate(names):
        at: Path = ("extends", index) if isinstance(given, list) else ("extends",)
        place = tree.places.of_value(at)
        target = FilePath(os.path.normpath(path.parent / name))
        chain = [_identity(file) for file in above]
        if _identity(target) in chain:
            circle = [str(f) for f in above[chain.index(_identity(target)) :]] + [str(target)]
            tree.faults.append(Fault(place, at, f"a file extends itself: {' -> '.join(circle)}"))
            continue
        if not target.exists():
            tree.faults.append(Fault(place, at, f'there is no file "{target}"'))
            continue
        layer = read_layers(target, above)
        if isinstance(layer.data, dict):
            layer.data.pop("extends", None)
            layer.places.drop(("extends",))
        base = layer if base is None else merge(base, layer)
    return base


def _identity(path: FilePath) -> str:
    return os.path.realpath(path)


def merge(base: Tree, top: Tree) -> Tree:
    """`top` over `base`. Both are used up."""
    faults = base.faults + top.faults
    if not isinstance(base.data, dict) or not isinstance(top.data, dict):
        return Tree(top.data if top.data is not None else base.data, top.places, faults)
    replaced: set[Path] = set()
    data = _merged(base.data, top.data, (), replaced)
    kept = {
        path: spot
        for path, spot in base.places.items()
        if not any(path[:depth] in replaced for depth in range(1, len(path) + 1))
    }
    return Tree(data, Places({**kept, **top.places}), faults)


def _merged(
    base: dict[str, Any], top: dict[str, Any], path: Path, replaced: set[Path]
) -> dict[str, Any]:
    result = dict(base)
    for key, value in top.items():
        at = (*path, key)
        below = base.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            result[key] = _merged(below, value, at, replaced)
            continue
        replaced.add(at)
        if isinstance(below, dict) and value is None:
            del result[key]
        else:
            result[key] = value
    return result


def override(tree: Tree, sets: Sequence[str]) -> None:
    """Apply `path=value` overrides in order. The value is YAML; an unknown path is a fault."""
    for text in sets:
        place = Place(f"--set {text}")
        target, equals, value_text = text.partition("=")
        path = read_path(target.strip())
        if not equals or not path:
            tree.faults.append(
                Fault(place, (), "must be path=value, as in assets.base.config.steps=50")
            )
            continue
        value = read(value_text, place.file)
        if value.faults:
            fact = value.faults[0].text
            tree.faults.append(Fault(place, path, fact))
            continue
        if isinstance(tree.data, dict):
            _set(tree, path, value.data, place)


def _set(tree: Tree, path: Path, value: Any, place: Place) -> None:
    holder: Any = tree.data
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        here = path[:depth]
        if isinstance(holder, list):
            if not isinstance(part, int) or part >= len(holder):
                have = f"it has {len(holder)} items" if isinstance(part, int) else "it is a list"
                text = f"unknown path {write_path(path)}: {have}"
                tree.faults.append(Fault(place, here, text))
                return
        elif isinstance(part, int) or not isinstance(holder, dict):
            text = f"unknown path {write_path(path)}: this is not a {'list' if isinstance(part, int) else 'mapping'}"
            tree.faults.append(Fault(place, here, text))
            return
        elif here == ("assets",) and part not in holder:
            hint = suggestion(str(part), holder)
            tree.faults.append(
                Fault(place, here, f'unknown asset "{part}"' + (f", {hint}" if hint else ""))
            )
            return
        if last:
            holder[part] = value
            tree.places.drop(path)
            tree.places[path] = Spot(place, place)
        else:
            # A mapping that the file leaves out may be given by --set; whether it may be is the model's word.
            if isinstance(holder, dict) and holder.get(part) is None:
                holder[part] = {}
                tree.places[path[: depth + 1]] = Spot(place, place)
            holder = holder[part]
