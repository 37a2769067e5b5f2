"""What an index takes in: one text with what its record knows about it. Knows records, not Arrow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.errors import InputError

UNKNOWN_TIME = -(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record as an index sees it."""

    id: str
    text: str
    title: str = ""
    """Counts as part of the text, `title_weight` times."""
    source: str = ""
    place: str = ""
    licence: str = ""
    authority: float = 1.0
    """0 to 1."""
    time_us: int | None = None
    """Microseconds since 1970 (UTC) at which it was made or last changed; None: nobody says."""
    key: str = ""
    """A name of its own that others may call it by: `pep-241`, a URL."""
    supersedes: tuple[str, ...] = ()
    """Ids or keys of records whose place it takes."""
    superseded_by: tuple[str, ...] = ()
    """Ids or keys of records that took its place."""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, id: str, text: str, meta: Mapping[str, Any], **about: Any) -> Entry:
        """With title, key and edges from `meta`. Raises InputError for edges that are no names."""
        edges: dict[str, Any] = {}
        for name in ("supersedes", "superseded_by"):
            value = meta.get(name, ())
            named = (value,) if isinstance(value, str) else tuple(value or ())
            if not all(isinstance(one, str) for one in named):
                raise InputError(f"{name} must be ids or keys", where=f"record {id}", seen=value)
            edges[name] = named
        return cls(
            id=id, text=text, title=str(meta.get("title") or ""), key=str(meta.get("key") or ""),
            meta=meta, **edges, **about,
        )  # fmt: skip

    def described(self) -> str:
        """`meta` as one JSON object."""
        return json.dumps(dict(self.meta), sort_keys=True, ensure_ascii=False)
