"""Money and carbon from machine time and energy.

Knows prices only as the numbers it is given. The defaults are ASSUMPTIONS, good for comparing two ways of
doing the same work; whoever quotes an absolute figure sets their own in the factory file.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from tenfold.errors import ConfigError

JOULES_PER_KWH = 3_600_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What an hour of the machine and a kilowatt-hour cost. Every field is 0 or more."""

    usd_per_machine_hour: float = 0.10
    """USD per hour. Assumed: the on-demand list price of a general-purpose 2-vCPU, 8-GiB cloud machine in
    2024 (about 0.10). It includes electricity."""
    usd_per_kwh: float = 0.0
    """USD per kWh at the meter, for machines you own. 0 because a rented machine's price includes it."""
    gco2e_per_kwh: float = 480.0
    """Grams of CO2-equivalent per kWh, location-based. Assumed: the world average of 2023 (Ember, Global
    Electricity Review 2024). Never a default country: countries differ by more than a factor of 100."""
    pue: float = 1.56
    """Energy of the building per energy of the machine, 1 or more. Assumed: the average of the Uptime
    Institute's Global Data Center Survey 2024. 1.0 is right for a laptop."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value < float("inf"):
                raise ConfigError("must be 0 or more", where=f"tariff.{field.name}", seen=value)
        if self.pue < 1.0:
            raise ConfigError(
                "must be 1 or more",
                where="tariff.pue",
                seen=self.pue,
                hint="a building cannot use less energy than the machines in it",
            )

    def usd(self, wall_s: float, joules: float) -> float:
        """USD for `wall_s` seconds of one machine that drew `joules`."""
        hours = wall_s / 3600.0
        return hours * self.usd_per_machine_hour + self._kwh(joules) * self.usd_per_kwh

    def gco2e(self, joules: float) -> float:
        """Grams of CO2-equivalent for `joules` at the machine, building included; without making it."""
        return self._kwh(joules) * self.gco2e_per_kwh

    def _kwh(self, joules: float) -> float:
        return joules * self.pue / JOULES_PER_KWH
