"""What every source says about itself: licence, authority, half-life. Knows no kind of source."""

from __future__ import annotations

from typing import Protocol

from tenfold.errors import ConfigError


class Trusted(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def authority(self) -> float: ...
    @property
    def half_life_days(self) -> float | None: ...


def check(source: Trusted) -> None:
    """Raises ConfigError with the setting and its value."""
    if not source.licence.strip():
        raise ConfigError(
            "a source needs a licence", where=source.name, hint="an SPDX name, or `proprietary`"
        )
    if not 0 <= source.authority <= 1:
        raise ConfigError("authority must be 0 to 1", where=source.name, seen=source.authority)
    if source.half_life_days is not None and not source.half_life_days > 0:
        raise ConfigError(
            "half_life_days must be above 0", where=source.name, seen=source.half_life_days
        )
