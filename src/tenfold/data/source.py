"""What every source yields: documents, and the ones it could not read with the cause.

A source is a function `(...) -> Iterator[Document | Unreadable]`. It never decides whether an unreadable
document stops the step; the step's `on_error` does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tenfold.core.asset import Document
from tenfold.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """One document that could not be read."""

    cause: str
    """`encoding`, `json`, `field`, `syntax` or `io`: the suffix of the metric `unreadable.<cause>`."""
    where: str
    """`file:line`, or the file."""
    fact: str
    seen: object = None
    hint: str = ""

    def error(self) -> InputError:
        hint = f"{self.hint}, or set on_error: skip to go on without it".lstrip(", ")
        return InputError(self.fact, where=self.where, seen=self.seen, hint=hint)


def document(text: str, source: str, licence: str, **meta: object) -> Document:
    """A document named after its source and its text, so that a changed text is another document."""
    name = hashlib.sha256(f"{source}\0{text}".encode()).hexdigest()[:16]
    return Document(id=name, text=text, source=source, licence=licence, meta=meta)
