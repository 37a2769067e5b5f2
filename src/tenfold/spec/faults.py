"""Pydantic's findings in the words of a factory file: place, path, what is wrong, what to do.

Every fault of the shape is found at once; nothing here looks at what names refer to.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tenfold.errors import suggestion
from tenfold.spec.models import FactorySpec
from tenfold.spec.place import Fault, Path
from tenfold.spec.read import Tree

_WORDS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
}
_PATTERNS = {
    "factory": "small letters, digits and dashes, as in support-bot",
    "name": "small letters, digits and dashes, as in my-cloud",
    "alias": "name@label in small letters, as in model@champion",
    "not_above": "an alias, as in model@champion",
    "not_below": "an alias, as in model@champion",
    "model": "an asset, or an alias as in model@champion",
    "ledger": "postgresql://..., or null for SQLite in the store",
    "url": "http://... or https://...",
    "api_key_env": "the name of an environment variable, not the key itself",
}
_ASSET_NAME = "letters, digits, _ and -"


def shape_faults(tree: Tree, error: ValidationError) -> list[Fault]:
    """One fault per finding, in no particular order.

    A field that is misspelt is not reported as missing too.
    """
    details = error.errors(include_url=False)
    misspelt: set[tuple[Path, str]] = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            path, _ = _walk(tree.data, detail["loc"])
            near = difflib.get_close_matches(str(path[-1]), known_fields(path[:-1]), n=1)
            misspelt.update((path[:-1], name) for name in near)
    return [
        _fault(tree, detail)
        for detail in details
        if detail["type"] != "missing"
        or (_walk(tree.data, detail["loc"])[0], detail["loc"][-1]) not in misspelt
    ]


def _fault(tree: Tree, detail: ErrorDetails) -> Fault:
    path, value = _walk(tree.data, detail["loc"])
    rest = detail["loc"][-1] if detail["loc"] else ""
    match detail["type"]:
        case "extra_forbidden":
            name = str(rest)
            hint = suggestion(name, known_fields(path[:-1]))
            text = f'unknown field "{name}"' + (f", {hint}" if hint else "")
            return Fault(tree.places.of(path), path[:-1], text)
        case "missing":
            text = f'the field "{rest}" is required'
            return Fault(tree.places.of(path), path, text)
        case "string_pattern_mismatch" | "string_too_long" if rest == "[key]":
            text = f'the name "{path[-1]}" must be made of {_ASSET_NAME}'
            return Fault(tree.places.of(path), path, text)
        case "string_pattern_mismatch":
            field = next((part for part in reversed(path) if isinstance(part, str)), "")
            text = f"must be {_PATTERNS.get(field, _ASSET_NAME)}"
        case "literal_error":
            text = f"must be {detail['ctx']['expected']}"
        case "too_short":
            text = "must not be empty"
        case "tenfold":
            return Fault(tree.places.of_value(path), path, detail["msg"])
        case kind:
            said = detail["msg"].replace("Input should be", "must be").replace("should", "must")
            text = _WORDS.get(kind, said[:1].lower() + said[1:])
    return Fault(tree.places.of_value(path), path, f"{text} (seen: {_short(value)})")


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _walk(data: Any, location: Sequence[str | int]) -> tuple[Path, Any]:
    """The part of pydantic's location that is in the data (it adds union tags and `[key]`)."""
    path: list[str | int] = []
    part: Any
    for part in location:
        if (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            data = data[part]
        else:
            continue
        path.append(part)
    return tuple(path), data


def known_fields(path: Path) -> list[str]:
    """The fields that a factory file may have at `path`."""
    model: type[BaseModel] | None = FactorySpec
    named = False
    for part in path:
        if isinstance(part, int) or named:
            named = False
            continue
        field = model.model_fields.get(part) if model else None
        model, named = _inner(field.annotation) if field else (None, False)
    return sorted(model.model_fields) if model else []


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether the next key is a name chosen by the user."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        model, named = _inner(argument)
        if model:
            return model, named or get_origin(annotation) is dict
    return None, False
