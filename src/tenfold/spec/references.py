"""Names in a factory file that must refer to one of its assets: releases, serving, triggers, checks.

Works on plain data, so that it finds what it can in a file that has other faults too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tenfold.errors import suggestion
from tenfold.spec.place import Fault, Path
from tenfold.spec.read import Tree

_TRIGGER_ASSETS = ("new_data_for", "drift_of", "red_check_on")


def reference_faults(tree: Tree) -> list[Fault]:
    """Unknown assets, with the nearest known one; aliases (with `@`) may come to exist later."""
    assets = tree.data.get("assets")
    if not isinstance(assets, dict):
        return []
    faults = []
    for path, name in _references(tree.data):
        if isinstance(name, str) and "@" not in name and name not in assets:
            hint = suggestion(name, assets)
            text = f'unknown asset "{name}"' + (f", {hint}" if hint else "")
            faults.append(Fault(tree.places.of_value(path), path, text))
    return faults + _twice(tree)


def _references(data: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    for index, release in _mappings(data.get("release")):
        if "asset" in release:
            yield ("release", index, "asset"), release["asset"]
        yield from _names(release, ("release", index), "requires")
    serve = data.get("serve")
    if isinstance(serve, dict) and "model" in serve:
        yield ("serve", "model"), serve["model"]
    for index, trigger in _mappings(data.get("watch")):
        for field in _TRIGGER_ASSETS:
            if field in trigger:
                yield ("watch", index, field), trigger[field]
        yield from _names(trigger, ("watch", index), "rebuild")


def _mappings(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield index, item


def _names(holder: dict[str, Any], path: Path, field: str) -> Iterator[tuple[Path, Any]]:
    names = holder.get(field)
    for index, name in enumerate(names if isinstance(names, list) else []):
        yield (*path, field, index), name


def _twice(tree: Tree) -> list[Fault]:
    """An alias released twice, or two backends of one name: the second could only surprise."""
    faults = []
    serve = tree.data.get("serve")
    for holder, field, items in (
        (("release",), "alias", tree.data.get("release")),
        (("serve", "backends"), "name", serve.get("backends") if isinstance(serve, dict) else None),
    ):
        seen: dict[Any, int] = {}
        for index, item in _mappings(items):
            name = item.get(field)
            path: Path = (*holder, index, field)
            if isinstance(name, str) and name in seen:
                first = tree.places.of_value((*holder, seen[name], field))
                text = f'"{name}" stands here twice, first at {first}'
                faults.append(Fault(tree.places.of_value(path), path, text))
            elif isinstance(name, str):
                seen[name] = index
    return faults
