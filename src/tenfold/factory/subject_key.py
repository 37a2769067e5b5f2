"""Where a factory keeps the key of stand-ins, subjects and certificates. Knows the place, not the key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenfold.factory.factory import Factory

FOLDER = "privacy"
"""In the store: the key, the lock and the certificates. Only its owner may look into it."""


def subject_key_file(factory: Factory) -> Path | None:
    """None for a factory in memory. The file is made at first use."""
    folder = factory.state_folder(FOLDER)
    return None if folder is None else folder / "subject.key"
