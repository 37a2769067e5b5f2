"""Operators by name, as a factory file lists them: `text.repair`, or `text.language: {keep: [en]}`.

Names stand here with the place of their class, so that a plan can check names and read versions without
importing anything: a version is a literal in the source. Knows no operator's parameters; their class does.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from tenfold.core.config import build, read_settings, settings_of_dataclass
from tenfold.errors import ConfigError, UnknownName

OPERATORS: dict[str, str] = {
    "image": "tenfold.data.images.facts:ImageFacts",
    "image.augment": "tenfold.data.images.augment:AugmentImages",
    "language": "tenfold.data.text.language:Language",
    "pii.find": "tenfold.data.privacy.recognise:PiiFind",
    "pii.pseudonymise": "tenfold.data.privacy.pseudonymise:PiiPseudonymise",
    "pii.redact": "tenfold.data.privacy.recognise:PiiRedact",
    "repair": "tenfold.data.text.repair:Repair",
    "rules": "tenfold.data.text.rules:Rules",
    "split": "tenfold.data.out.split:Split",
    "subjects": "tenfold.data.privacy.subjects:Subjects",
    "text.slips": "tenfold.data.augment.slips:Slips",
    "text.templates": "tenfold.data.augment.templates:FillTemplates",
}
"""Operator name -> `module:Class`."""

Entry: TypeAlias = "str | Mapping[str, Mapping[str, Any]]"
"""A name, or one name with its parameters. A name with a colon is a `module:Class` of the user's."""


def parse(entry: Entry) -> tuple[str, Mapping[str, Any]]:
    """(name, parameters). Raises ConfigError, UnknownName with the nearest name."""
    if isinstance(entry, str):
        name, parameters = entry, {}
    elif len(entry) == 1:
        [(name, given)] = entry.items()
        parameters = dict(given)
    else:
        raise ConfigError(
            "an operator is a name, or one name with its parameters",
            seen=sorted(entry),
            hint="begin each operator with a dash of its own",
        )
    _target(name)
    return name, parameters


def operators(entries: Sequence[Entry], where: str) -> tuple[Any, ...]:
    """The operators, in order. Imports their modules. Raises ConfigError for a wrong parameter."""
    found = []
    for number, entry in enumerate(entries):
        name, given = parse(entry)
        module, _, kind = _target(name).partition(":")
        cls = getattr(_module(module, name), kind, None)
        if cls is None:
            raise ConfigError(f"{module} has no {kind}", where=f"{where}[{number}]")
        plain = read_settings(settings_of_dataclass(cls), given, f"{where}[{number}].{name}")
        found.append(build(cls, plain))
    return tuple(found)


def versions(entries: Sequence[Entry]) -> dict[str, str]:
    """Operator -> version, read off its source: a raised version is a new key, and costs no import.

    Raises ConfigError for a class whose version is not a literal.
    """
    return {name: _version(name, _target(name)) for name, _ in map(parse, entries)}


@cache
def _version(name: str, target: str) -> str:
    module, _, kind = target.partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise ConfigError(f"the module of the operator {name!r} is not there", seen=module)
    for node in ast.parse(Path(spec.origin).read_bytes()).body:
        if isinstance(node, ast.ClassDef) and node.name == kind:
            for line in node.body:
                if (
                    isinstance(line, ast.AnnAssign)
                    and isinstance(line.target, ast.Name)
                    and line.target.id == "version"
                    and isinstance(line.value, ast.Constant)
                ):
                    return str(line.value.value)
    raise ConfigError(
        f"the operator {name!r} has no version that can be read off its class",
        where=spec.origin,
        hint='write `version: ClassVar[str] = "1"` in its class body',
    )


def _target(name: str) -> str:
    if ":" in name:
        return name
    try:
        return OPERATORS[name]
    except KeyError:
        raise UnknownName("operator", name, OPERATORS) from None


def _module(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ConfigError(
            f"the module of the operator {name!r} is not there", seen=module
        ) from None
