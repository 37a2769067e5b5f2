"""Energy of processes: measured where the machine has a counter, modelled from CPU time where not.

Every reading says which (`method`) and how far it may be off (`uncertainty`). Knows nothing about
requests, money or carbon.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.errors import ConfigError
from tenfold.observe.processes import CpuClock, machine_busy_s

POWERCAP = Path("/sys/class/powercap")
_GRID_PER_JOULE = 2.0**20
"""Readings are whole steps of about a microjoule: far below any counter's resolution, and differences
between readings stay exact, so that shares of a window can add up to it to the last bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePower:
    """What the machine draws, for the model and for the idle part of a measurement.

    The defaults are the averages over processor generations that Cloud Carbon Footprint derived from
    SPECpower_ssj2008 results for one large cloud: 0.74 W per hardware thread idle, 3.5 W busy. Single
    generations run from 0.5/1.6 W to 1.9/6.0 W, and an independent validation of a tool of this kind
    found errors up to 40 %: hence the uncertainty.
    """

    idle_watts_per_core: float = 0.74
    """Watts per hardware thread while the machine does nothing, 0 or more."""
    active_watts_per_core: float = 2.76
    """Watts a busy hardware thread draws on top of idle, 0 or more (3.5 - 0.74)."""
    num_cores: int | None = None
    """Hardware threads whose idle draw is charged; None: all this process may run on."""
    uncertainty: float = 0.4
    """Relative, one sigma, of figures made with these numbers."""

    def __post_init__(self) -> None:
        for name in ("idle_watts_per_core", "active_watts_per_core", "uncertainty"):
            value = getattr(self, name)
            if not 0.0 <= value < float("inf"):
                raise ConfigError("must be 0 or more", where=f"power.{name}", seen=value)
        if self.num_cores is not None and self.num_cores < 1:
            raise ConfigError("must be 1 or more", where="power.num_cores", seen=self.num_cores)

    @property
    def idle_watts(self) -> float:
        return self.idle_watts_per_core * (self.num_cores or usable_cores())


@dataclass(frozen=True, slots=True)
class Reading:
    """Cumulative since the meter was opened; all but `method` and `uncertainty` only ever grow."""

    joules: float
    """Everything, idle included."""
    idle_joules: float
    """What the machine would have drawn had it only waited; at most `joules`."""
    method: str
    """`rapl` (measured) or `cpu-time-model`."""
    uncertainty: float
    """Relative, one sigma."""
    cpu_s: float
    wall_s: float


class EnergyMeter:
    """Energy since it was opened. Not safe for several threads at once; each opens its own."""

    def __init__(
        self, cpu: CpuClock, power: MachinePower, counters: Sequence[_Counter] = ()
    ) -> None:
        self._cpu = cpu
        self._power = power
        self._idle_watts = power.idle_watts
        self._counters = counters
        self._opened_s = time.monotonic()
        self._busy_s = machine_busy_s()
        self._last = Reading(0.0, 0.0, self.method, self.uncertainty, 0.0, 0.0)

    @property
    def method(self) -> str:
        return "rapl" if self._counters else "cpu-time-model"

    @property
    def uncertainty(self) -> float:
        if self._counters:
            # Package and memory only, no board or power supply; the split by CPU time is coarse too.
            return 0.15
        # Without /proc other processes' work goes unseen.
        return self._power.uncertainty if self._cpu.sees_other_processes else 0.6

    def read(self) -> Reading:
        wall_s = time.monotonic() - self._opened_s
        cpu_s = max(self._cpu.read(), self._last.cpu_s)
        idle = wall_s * self._idle_watts
        active = cpu_s * self._power.active_watts_per_core
        if self._counters:
            idle, active = self._measured(idle, cpu_s)
        # The measured share of a long window may fall as others work more; what was told stays told.
        idle = max(_on_grid(idle), self._last.idle_joules)
        joules = max(_on_grid(idle + active), self._last.joules, idle)
        self._last = Reading(joules, idle, self.method, self.uncertainty, cpu_s, wall_s)
        return self._last

    def _measured(self, idle: float, cpu_s: float) -> tuple[float, float]:
        """The machine's joules, split: idle to us, the rest by our share of all busy CPU time."""
        machine = sum(counter.joules() for counter in self._counters)
        busy_s = machine_busy_s() - self._busy_s
        # Below a tick or two both clocks are too coarse to divide.
        share = min(1.0, cpu_s / busy_s) if busy_s > 0.02 else 0.0
        idle = min(idle, machine)
        return idle, (machine - idle) * share


def _on_grid(joules: float) -> float:
    return round(joules * _GRID_PER_JOULE) / _GRID_PER_JOULE


def open_meter(
    pids: Callable[[], Sequence[int]] | None = None,
    power: MachinePower | None = None,
    *,
    powercap: Path = POWERCAP,
) -> EnergyMeter:
    """A meter over the processes `pids()` names at each reading, with their descendants.

    Without `pids`: this process. Reads RAPL when its counters are there and readable (most kernels
    reserve them for root since CVE-2020-8694), else models energy from CPU time with `power`.
    """
    me = os.getpid()
    return EnergyMeter(
        CpuClock(pids or (lambda: (me,))), power or MachinePower(), _open_counters(powercap)
    )


def usable_cores() -> int:
    """Hardware threads this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Counter:
    """One RAPL domain: microjoules that wrap around at `max_energy_range_uj`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = int(self._file.read_text())
        self._sum = 0

    def joules(self) -> float:
        """Since it was opened. Must be read more often than it wraps (minutes under full load)."""
        try:
            now = int(self._file.read_text())
        except (OSError, ValueError):
            return self._sum / 1e6
        step = now - self._last
        self._sum += step if step >= 0 else step + self._range
        self._last = now
        return self._sum / 1e6


def _open_counters(powercap: Path) -> list[_Counter]:
    """Packages and their memory. Cores and graphics lie inside a package, psys around it: left out."""
    counters = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                counters.append(_Counter(folder))
        except (OSError, ValueError):
            continue
    return counters
