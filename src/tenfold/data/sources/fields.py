"""Which field of an object or row is what: its text, its time, its licence. The rest is meta.

Shared by JSON Lines, Parquet, tables of databases and web services. Knows no format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.moment import moment
from tenfold.data.sources.packing import Found, as_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    text: str | None
    """Null: the whole row is the record."""
    time: str | None = None
    licence: str | None = None

    def record(
        self,
        value: Mapping[str, Any],
        place: str,
        raw: bytes | None = None,
        repaired: tuple[str, ...] = (),
    ) -> Found | Quarantined:
        """`raw`: its bytes as they came, for quarantine; null: made of the values."""
        time = moment(value.get(self.time)) if self.time else None
        own = value.get(self.licence) if self.licence else None
        licence = own if isinstance(own, str) and own else None
        if self.text is None:
            return Found(place, dict(value), time, {}, repaired, licence)
        text = value.get(self.text)
        if not isinstance(text, str):
            fact = f"no text under {self.text!r}, it has: {', '.join(map(str, value))}"[:300]
            return Quarantined(place, "field", fact.encode("utf-8", "replace").decode(), _raw(raw, value))
        if not text or text.isspace():
            return Quarantined(place, "empty", f"nothing but blanks under {self.text!r}", _raw(raw, value))
        if "\0" in text:
            text, repaired = text.replace("\0", "\ufffd"), (*repaired, "nul")
        meta = {name: item for name, item in value.items() if name != self.text}
        return Found(place, text, time, meta, repaired, licence)


def _raw(raw: bytes | None, value: Mapping[str, Any]) -> bytes:
    return as_json(value) if raw is None else raw
