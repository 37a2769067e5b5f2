"""From the text in `store:` to a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.stores.local import LocalBlobs
    from tenfold.stores.memory import MemoryBlobs


def open_store(url: str, directory: Path) -> LocalBlobs | MemoryBlobs:
    """`memory:` or a path, relative to `directory`."""
    if url == "memory:":
        from tenfold.stores.memory import MemoryBlobs

        return MemoryBlobs()
    scheme, separator, _ = url.partition("://")
    if separator:
        raise UsageError(
            f"no store speaks {scheme!r}", seen=url, hint="use a local path, or memory: for a test"
        )
    from tenfold.stores.local import LocalBlobs

    return LocalBlobs((directory / url).resolve())
