"""Metering pieces of work: time, memory, energy and money between a start and a stop.

The kernel's `Meter`. Work is metered by process (this one and its descendants), so pieces that run at the
same time cannot be told apart: what was drawn while several ran is split equally among them, and the
pieces add up to what the process drew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tenfold.core.facts import Usage
from tenfold.observe.cost import Tariff
from tenfold.observe.energy import EnergyMeter, MachinePower, Reading, open_meter
from tenfold.observe.memory import forget_peak, peak_rss_bytes


@dataclass(eq=False, slots=True)
class _Piece:
    started_s: float
    cpu_s: float = 0.0
    joules: float = 0.0
    machine_s: float = 0.0
    peak_bytes: int = 0


class StepMeter:
    """Hands out `start() -> stop() -> Usage`. Safe for several threads; one per process is enough."""

    def __init__(self, *, tariff: Tariff | None = None, power: MachinePower | None = None) -> None:
        self._tariff = tariff or Tariff()
        self._power = power or MachinePower()
        self._lock = threading.Lock()
        self._running: list[_Piece] = []
        self._meter: EnergyMeter | None = None

    def start(self) -> Callable[[], Usage]:
        """Begin a piece; calling what is returned ends it (once: later calls repeat the answer)."""
        with self._lock:
            if self._meter is None:
                self._meter = open_meter(power=self._power)
                self._last = self._meter.read()
            self._settle()
            forget_peak()
            piece = _Piece(time.monotonic())
            self._running.append(piece)
        answer: list[Usage] = []

        def stop() -> Usage:
            with self._lock:
                if not answer:
                    answer.append(self._finish(piece))
                return answer[0]

        return stop

    def _finish(self, piece: _Piece) -> Usage:
        reading = self._settle()
        self._running.remove(piece)
        return Usage(
            wall_s=time.monotonic() - piece.started_s,
            cpu_s=piece.cpu_s,
            peak_rss_bytes=piece.peak_bytes,
            joules=piece.joules,
            energy_method=reading.method,
            energy_uncertainty=reading.uncertainty,
            usd=self._tariff.usd(piece.machine_s, piece.joules),
            gco2e=self._tariff.gco2e(piece.joules),
        )

    def _settle(self) -> Reading:
        """Give every running piece its part of what was drawn since the last start or stop."""
        assert self._meter is not None
        before, self._last = self._last, self._meter.read()
        now, num_pieces = self._last, len(self._running)
        peak = peak_rss_bytes()
        for piece in self._running:
            piece.cpu_s += (now.cpu_s - before.cpu_s) / num_pieces
            piece.joules += (now.joules - before.joules) / num_pieces
            piece.machine_s += (now.wall_s - before.wall_s) / num_pieces
            piece.peak_bytes = max(piece.peak_bytes, peak)
        return now
