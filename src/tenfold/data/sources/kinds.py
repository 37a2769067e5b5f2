"""The kinds of sources, and how a factory file's mapping becomes a connector.

    {kind: jsonl, path: data/*.jsonl, licence: CC-BY-4.0, authority: 0.8, half_life_days: 365}

Knows the kinds by name; a module is imported when its kind is used.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, cast

from tenfold.core.config import build, read_settings, settings_of_dataclass
from tenfold.data.sources.connector import Connector
from tenfold.errors import ConfigError, UnknownName

KINDS: dict[str, str] = {
    "csv": "delimited:Delimited",
    "files": "text_lines:TextFiles",
    "html": "pages:Pages",
    "http": "web:Web",
    "images": "image_files:ImageFiles",
    "jsonl": "json_lines:JsonLines",
    "parquet": "parquet_files:ParquetFiles",
    "pdf": "pdf_files:PdfFiles",
    "sql": "database:Table",
    "warc": "warc_files:WarcFiles",
}
"""Kind -> module:class below tenfold.data.sources."""

_NOT_SETTINGS = ("directory",)


def connector(
    given: Mapping[str, Any], *, where: str = "source", directory: str = ""
) -> Connector:
    """The connector that `given` describes. `directory`: where relative paths start.

    Raises UnknownName for the kind, ConfigError for any other fault, each with `where`.
    """
    kind = given.get("kind")
    if not isinstance(kind, str):
        raise ConfigError(
            "a source needs a kind", where=where, seen=kind, hint="known: " + ", ".join(KINDS)
        )
    if kind not in KINDS:
        raise UnknownName("kind of source", kind, KINDS, where=f"{where}.kind")
    module, _, name = KINDS[kind].partition(":")
    cls = getattr(importlib.import_module(f"tenfold.data.sources.{module}"), name)
    known = {
        setting: about
        for setting, about in settings_of_dataclass(cls).items()
        if setting not in _NOT_SETTINGS
    }
    settings = {setting: value for setting, value in given.items() if setting != "kind"}
    plain = read_settings(known, settings, where)
    try:
        made = cls(**{setting: build(known[setting].type, value) for setting, value in plain.items()})
    except ConfigError as error:
        error.where = where if error.where is None else f"{where}: {error.where}"
        raise
    if any(field.name == "directory" for field in dataclasses.fields(cls)):
        made = dataclasses.replace(made, directory=directory)
    return cast(Connector, made)
