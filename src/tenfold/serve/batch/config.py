"""What an operator can set about files and batches. Values and their ranges; nothing acts here."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """All above 0. Raises ConfigError for a value out of range."""

    max_file_bytes: int = 64 * 1024 * 1024
    """Largest upload; a longer one is answered with 413."""
    tenant_bytes: int = 1024 * 1024 * 1024
    """Disk that the files of one tenant may take. What batches write counts, but is never refused."""
    keep_s: float = 30 * 86_400.0
    """Age at which files are removed, and batches that have ended."""
    concurrency: int = 8
    """Lines under way at once in each process, over all batches."""
    max_lines: int = 50_000
    """Requests in one batch, as at OpenAI."""
    look_s: float = 1.0
    """How soon a batch begins, is taken over from a process that died, or hears that it was cancelled."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(
                    f"batch.{field.name} must be above 0", seen=getattr(self, field.name)
                )
