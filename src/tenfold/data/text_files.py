"""Text from the user's own files: .txt, .md and .rst hold one document each, .jsonl one per line.

Text is UTF-8; anything else is reported with its offset and bytes, never guessed at. Relative patterns
start at the folder of the factory file. Knows nothing about cleaning.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tenfold.core.asset import Document
from tenfold.data.source import Unreadable, document
from tenfold.errors import ConfigError, InputError

SUFFIXES = (".jsonl", ".md", ".rst", ".txt")


def matching(patterns: Sequence[str], directory: Path) -> list[str]:
    """The files the patterns name, sorted, each once, relative to `directory` where they lie below it.

    Raises InputError for a pattern that matches nothing, ConfigError for a kind of file not read here.
    """
    found: set[str] = set()
    for pattern in patterns:
        names = [
            name
            for name in glob.glob(pattern, root_dir=directory, recursive=True)
            if (directory / name).is_file()
        ]
        if not names:
            raise InputError(
                f"no file matches {pattern!r}",
                where="data.collect.paths",
                seen=str(directory),
                hint="patterns start at the folder of the factory file; ** goes into subfolders",
            )
        found.update(Path(name).as_posix() for name in names)
    for name in sorted(found):
        if not name.lower().endswith(SUFFIXES):
            raise ConfigError(
                "not a kind of text file this step reads",
                where="data.collect.paths",
                seen=name,
                hint=f"it reads {', '.join(SUFFIXES)}; narrow the pattern, for instance to **/*.txt",
            )
    return sorted(found)


def fingerprint(patterns: Sequence[str], directory: Path) -> dict[str, str]:
    """File -> SHA-256 of its bytes. Raises what `matching` raises, and InputError for a closed file."""
    digests = {}
    for name in matching(patterns, directory):
        try:
            with (directory / name).open("rb") as stream:
                digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror}", where=name, hint="check its permissions"
            ) from None
    return digests


def text_files(
    patterns: Sequence[str], directory: Path, *, licence: str, text_field: str = "text"
) -> Iterator[Document | Unreadable]:
    """Every document of the matching files. A row of a .jsonl may bring its own `source` and `licence`."""
    for name in matching(patterns, directory):
        try:
            with (directory / name).open("rb") as stream:
                if name.lower().endswith(".jsonl"):
                    for number, line in enumerate(stream, 1):
                        if line.strip():
                            yield _row(line, name, number, licence, text_field)
                else:
                    data = stream.read()
                    text = _decode(data, name, 1)
                    yield text if isinstance(text, Unreadable) else document(text, name, licence)
        except OSError as error:
            yield Unreadable(
                cause="io",
                where=name,
                fact=f"cannot be read: {error.strerror}",
                hint="check its permissions",
            )


def _row(
    line: bytes, name: str, number: int, licence: str, text_field: str
) -> Document | Unreadable:
    where = f"{name}:{number}"
    text = _decode(line, name, number)
    if isinstance(text, Unreadable):
        return text
    try:
        row: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Unreadable(
            cause="json",
            where=where,
            fact=f"not JSON: {error}",
            seen=text[:80],
            hint="a .jsonl file holds one whole JSON object per line",
        )
    value = row.get(text_field) if isinstance(row, dict) else None
    if not isinstance(value, str):
        return Unreadable(
            cause="field",
            where=where,
            fact=f"no text under {text_field!r}",
            seen=sorted(row) if isinstance(row, dict) else type(row).__name__,
            hint="name the field that holds the text with text_field",
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return Unreadable(
            cause="encoding",
            where=where,
            fact=f"half a surrogate pair at character {error.start}: no character at all",
            seen=value[error.start : error.end],
            hint="write the text as UTF-8 or with whole \\uXXXX\\uXXXX pairs",
        )
    source, own = row.get("source"), row.get("licence")
    return document(
        value,
        source if isinstance(source, str) else where,
        own if isinstance(own, str) else licence,
    )


_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"PK": "zip"}


def _decode(data: bytes, name: str, first_line: int) -> str | Unreadable:
    try:
        return data.decode("utf-8-sig" if first_line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        looks = next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), None)
        hint = f"it looks like {looks}; " if looks else ""
        return Unreadable(
            cause="encoding",
            where=f"{name}:{line}",
            fact=f"not UTF-8 at byte {error.start}",
            seen=data[error.start : error.start + 8],
            hint=f"{hint}convert it, for instance with iconv -f LATIN1 -t UTF-8",
        )
