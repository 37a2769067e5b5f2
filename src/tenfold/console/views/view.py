"""What a view is: a path, a loader, and the names of its live regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.queries import Queries

Load = Callable[[Queries, str, Mapping[str, str]], dict[str, Any]]
"""(queries, prefix, parameters of path and query) -> what the templates are given"""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    name: str
    """Of the page template `<name>.html` and the folder `<name>/` of its regions."""
    section: str
    """The navigation entry it belongs to."""
    path: str
    load: Load
    regions: tuple[str, ...]
    """Parts of the page that are sent again when they change."""
    log_of: Callable[[Queries, Mapping[str, str]], str | None] | None = None
    """The run whose log the page shows and goes on with."""
