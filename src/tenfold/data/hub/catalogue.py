"""Operators by name, as a factory file lists them: `repair`, or `language: {keep: [en]}`.

Names stand here with the place of their class, so that a plan can check names and parameters and read versions
without importing anything. Knows no operator's parameters; their class does.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tenfold.core.config import build, read_settings, settings_of_dataclass
from tenfold.data.hub.signature import signature
from tenfold.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from tenfold.core.step import Context
    from tenfold.data.privacy.subject_key import SubjectKey

OPERATORS: dict[str, str] = {
    "html": "tenfold.data.html.batches:HtmlMainText",
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
KEYED = ("pii.pseudonymise", "subjects")
"""Operators with a parameter `key`: in a factory file the path of a key file, relative to it; left out, the
key of the store, which `tenfold erase` uses."""

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


def check(entries: Sequence[Entry], where: str) -> None:
    """As far as can be told without importing an operator: names, parameters and their types. Raises
    ConfigError, UnknownName, with the place behind `where` (`where[2].language.keep`)."""
    for number, entry in enumerate(entries):
        try:
            name, given = parse(entry)
        except (ConfigError, UnknownName) as error:
            error.where = error.where or f"{where}[{number}]"
            raise
        at = f"{where}[{number}].{name}"
        if name in KEYED:
            path = given.get("key", "")
            if not isinstance(path, str):
                raise ConfigError("must be the path of a key file", where=f"{at}.key", seen=path)
            given = {**given, "key": path}
        said = signature(_target(name))
        if said is not None:
            read_settings(said.settings, given, at)


def operators(entries: Sequence[Entry], where: str, ctx: Context) -> tuple[Any, ...]:
    """The operators, in order. Imports their modules. Raises ConfigError for a wrong parameter."""
    found = []
    for number, entry in enumerate(entries):
        name, given = parse(entry)
        at = f"{where}[{number}].{name}"
        if name in KEYED:
            given = {**given, "key": _key(given.get("key"), ctx, at)}
        module, _, kind = _target(name).partition(":")
        cls = getattr(_module(module, name), kind, None)
        if cls is None:
            raise ConfigError(f"{module} has no {kind}", where=f"{where}[{number}]")
        plain = read_settings(settings_of_dataclass(cls), given, at)
        try:
            found.append(build(cls, plain))
        except ConfigError as error:
            error.where = error.where or at
            raise
    return tuple(found)


def observe(entries: Sequence[Entry], directory: str | Path) -> dict[str, str]:
    """What makes a snapshot stale, at no import: the version of each operator, read off its source, and the
    fingerprint of each key file that is named. The store's own key never changes.

    Raises ConfigError for a class whose version is not a literal, and for a key file that others may read.
    """
    seen = {}
    for name, given in map(parse, entries):
        seen[name] = _version(name, _target(name))
        if name in KEYED and given.get("key"):
            seen[f"{name}.key"] = str(_named_key(Path(directory) / given["key"], name))
    return seen


def _version(name: str, target: str) -> str:
    said = signature(target)
    if said is not None and said.version is not None:
        return said.version
    module, _, _ = target.partition(":")
    try:
        there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise ConfigError(f"the module of the operator {name!r} is not there", seen=module)
    raise ConfigError(
        f"the operator {name!r} has no version that can be read off its class",
        where=said.origin if said is not None else module,
        hint='write `version: ClassVar[str] = "1"` in its class body',
    )


def _key(path: str | None, ctx: Context, where: str) -> SubjectKey:
    from tenfold.data.privacy.subject_key import open_key

    if path:
        return _named_key(Path(ctx.scratch.get("directory", ".")) / path, where)
    own = ctx.scratch.get("subject_key")
    if own is None:
        raise ConfigError(
            "a store in memory keeps no key",
            where=where,
            hint="name a key file: `key: subject.key`",
        )
    return open_key(own)


def _named_key(path: Path, where: str) -> SubjectKey:
    """A plan makes no key: the one that is named is there, or it is a fault."""
    from tenfold.data.privacy.subject_key import open_key

    if not path.exists():
        raise ConfigError(
            "no such key file",
            where=where,
            seen=str(path),
            hint="64 hex digits that only you may read: `(umask 077; openssl rand -hex 32 > FILE)`; or "
            "leave `key` out",
        )
    return open_key(path)


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
