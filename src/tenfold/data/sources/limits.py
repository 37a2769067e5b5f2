"""How much of a source may be in memory or unpacked at once. Knows no format.

Every limit is generous for honest data and small beside a machine's memory; all can be set per source.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is larger is quarantined as `too_long`, `bomb` or `nesting`, unread."""

    record_bytes: int = 16 << 20
    """The longest line, paragraph, page, PDF page's text, table row or text file."""
    file_bytes: int = 256 << 20
    """The largest file of a format that must be in memory whole: an image, a PDF, a member of an archive
    that must be read out of order."""
    unpacked_bytes: int = 1 << 40
    """The most that one compressed file or archive may become."""
    ratio: int = 400
    """Unpacked / packed bytes, from 64 MiB on. Deflate cannot exceed 1,032; text stays below 50."""
    pixels: int = 100_000_000
    """Width x height of an image; 4 bytes each when decoded."""
    nesting: int = 2000
    """Elements inside each other in HTML. Browsers stop at 512."""
    row_bytes: int = 8 << 20
    """A batch is handed on when its payload has reached this."""
    rows: int = 1024
    """A batch is handed on when it has this many records."""

    def __post_init__(self) -> None:
        for setting in fields(self):
            if getattr(self, setting.name) < 1:
                raise ConfigError(
                    f"limits.{setting.name} must be 1 or more", seen=getattr(self, setting.name)
                )
