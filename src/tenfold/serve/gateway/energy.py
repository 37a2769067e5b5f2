"""Energy and money of a gateway, window by window: every request's share and the idle rest.

A request weighs what it made the processors do: an equal part of the gateway's own time, and of the
engines' time a part by what they said it took them. What nobody asked for stays idle, and the shares and
the idle part always sum to what the meter read. It reads no meter file itself and knows no prices: both
come in with `Metering`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenfold.core.facts import EnergyWindow
from tenfold.serve.gateway.exchange import Exchange

MAX_IDLE_WINDOW_S = 60.0
"""Quiet windows are joined up to this length, so that an idle gateway does not fill the ledger."""


class Reading(Protocol):
    """Totals since the meter was opened."""

    @property
    def joules(self) -> float: ...
    @property
    def idle_joules(self) -> float: ...
    @property
    def method(self) -> str: ...
    @property
    def uncertainty(self) -> float: ...
    @property
    def cpu_s(self) -> float: ...


class EnergyMeter(Protocol):
    def read(self) -> Reading: ...


class Tariff(Protocol):
    def usd(self, wall_s: float, joules: float) -> float: ...
    def gco2e(self, joules: float) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """What `tenfold.observe` brings: a meter over processes, prices, and the arithmetic of shares."""

    open_meter: Callable[[Callable[[], Sequence[int]]], EnergyMeter]
    """Given the pids to count, now and whenever it is read."""
    tariff: Tariff
    apportion: Callable[[float, float, Sequence[float]], list[float]]
    """(total, idle, weights) -> shares that sum to total - idle."""
    num_cores: int
    """Of the machine: one core-second is one of this many parts of a machine-second."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What each finished request took on, in their order."""

    joules: list[float]
    usd: list[float]
    gco2e: list[float]


class EnergyBook:
    """Cuts time into windows and each window into shares. For one thread."""

    def __init__(
        self,
        metering: Metering,
        pids: Callable[[], Sequence[int]],
        source: str,
        *,
        part: float = 1.0,
    ) -> None:
        """`part`: how much of the machine this process answers for, above 0: 1 over the number of workers.

        Every worker's meter sees the whole machine's idle draw and every hour of it costs its price; each
        books its part of both, so that the workers' books add up to one machine.
        """
        self._metering = metering
        self._part = part
        self._source = source
        self._meter = metering.open_meter(lambda: [os.getpid(), *pids()])
        self._last = self._meter.read()
        self._last_at_s = time.time()
        self._last_monotonic = time.monotonic()
        self._own_cpu_s = time.process_time()
        self._quiet: EnergyWindow | None = None
        self.method = self._last.method
        self.joules = self.idle_joules = self.usd = self.idle_usd = 0.0
        """Totals so far: what requests took on, and the idle rest."""
        self.joules_per_compute_s = 0.0
        """What a second of engine time took in the last window that had any; for estimates."""
        self.joules_per_request = 0.0
        """What the gateway itself took per request, likewise."""

    def close_window(
        self, finished: Sequence[Exchange], under_way: Sequence[Exchange], *, last: bool = False
    ) -> tuple[Shares, list[EnergyWindow]]:
        """Shares of the requests that ended since the last call, and the windows to write down.

        A request under way keeps its share until it ends: `EnergyWindow.joules` counts energy in the
        window in which a request (or idleness) took it on, so sums over windows and over requests agree.
        With `last`, what is still under way never gets an event and its share is idle.
        """
        reading, at_s, monotonic = self._meter.read(), time.time(), time.monotonic()
        own_cpu_s = time.process_time()
        wall_s = max(0.0, monotonic - self._last_monotonic)
        joules = max(0.0, reading.joules - self._last.joules)
        idle = min(joules, max(0.0, reading.idle_joules - self._last.idle_joules))
        joules -= idle * (1.0 - self._part)
        idle *= self._part
        cpu_s = max(0.0, reading.cpu_s - self._last.cpu_s)
        gateway_s = max(0.0, own_cpu_s - self._own_cpu_s)
        started_at_s, began = self._last_at_s, self._last_monotonic
        self._last, self._last_at_s, self._last_monotonic = reading, at_s, monotonic
        self._own_cpu_s = own_cpu_s

        tariff = self._metering.tariff
        paid_s = wall_s * self._part
        busy_s = min(paid_s, cpu_s / self._metering.num_cores)
        usd = tariff.usd(paid_s, joules)
        idle_usd = min(usd, max(0.0, tariff.usd(paid_s - busy_s, idle)))
        waiting = [] if last else list(under_way)
        load = _Load(finished, waiting, gateway_s, max(0.0, cpu_s - gateway_s), began)
        if load.weights:
            energy = self._metering.apportion(joules, idle, load.weights)
            money = self._metering.apportion(usd, idle_usd, load.weights)
            self._learn(load, energy)
        else:
            energy, money, idle, idle_usd = [], [], joules, usd
        shares = self._handed_out(load, energy, money, waiting)
        if last:
            idle += sum(exchange.carried_joules for exchange in under_way)
            idle_usd += sum(exchange.carried_usd for exchange in under_way)
        for_requests = math.fsum(shares.joules)
        usd_for_requests = math.fsum(shares.usd)
        taken = for_requests + idle
        self.joules += for_requests
        self.idle_joules += idle
        self.usd += usd_for_requests
        self.idle_usd += idle_usd
        window = EnergyWindow(
            source=self._source,
            started_at_s=started_at_s,
            ended_at_s=at_s,
            joules=taken,
            idle_joules=idle,
            requests=len(finished),
            method=reading.method,
            uncertainty=reading.uncertainty,
            usd=usd_for_requests + idle_usd,
            idle_usd=idle_usd,
            gco2e=tariff.gco2e(taken),
        )
        return shares, self._joined(window, quiet=not load.weights and not last)

    def _joined(self, window: EnergyWindow, *, quiet: bool) -> list[EnergyWindow]:
        """Quiet windows are kept back and joined; a busy or last one brings out what was kept."""
        kept = self._quiet
        if not quiet:
            self._quiet = None
            return [window] if kept is None else [kept, window]
        if kept is not None:
            window = EnergyWindow(
                source=window.source,
                started_at_s=kept.started_at_s,
                ended_at_s=window.ended_at_s,
                joules=kept.joules + window.joules,
                idle_joules=kept.idle_joules + window.idle_joules,
                requests=0,
                method=window.method,
                uncertainty=window.uncertainty,
                usd=kept.usd + window.usd,
                idle_usd=kept.idle_usd + window.idle_usd,
                gco2e=kept.gco2e + window.gco2e,
            )
        if window.ended_at_s - window.started_at_s >= MAX_IDLE_WINDOW_S:
            self._quiet = None
            return [window]
        self._quiet = window
        return []

    def _handed_out(
        self,
        load: _Load,
        energy: Sequence[float],
        money: Sequence[float],
        waiting: Sequence[Exchange],
    ) -> Shares:
        """Shares per request out of shares per group: those that go on carry theirs along."""
        tariff, num_light = self._metering.tariff, load.num_light
        joules = [0.0] * load.num_finished
        usd, gco2e = joules.copy(), joules.copy()
        if num_light:
            own = energy[0] / num_light
            joules = [own] * load.num_finished
            usd = [money[0] / num_light] * load.num_finished
            gco2e = [tariff.gco2e(own)] * load.num_finished
        first = load.first
        for place, (index, exchange) in enumerate(load.heavy, start=first):
            joules[index] = total = exchange.carried_joules + energy[place]
            usd[index] = exchange.carried_usd + money[place]
            gco2e[index] = tariff.gco2e(total)
        for place, exchange in enumerate(waiting, start=first + len(load.heavy)):
            exchange.carried_joules += energy[place]
            exchange.carried_usd += money[place]
        return Shares(joules, usd, gco2e)

    def _learn(self, load: _Load, energy: Sequence[float]) -> None:
        whole = sum(load.weights)
        if whole <= 0 or not load.num_finished:
            return
        per_cpu_s = sum(energy) / whole
        self.joules_per_request = per_cpu_s * load.own
        if load.stated_s > 0:
            ended = load.weights[load.first : load.first + len(load.heavy)]
            engine = sum(max(0.0, weight - load.own) for weight in ended)
            self.joules_per_compute_s = per_cpu_s * engine / load.stated_s


class _Load:
    """CPU seconds that requests are held to have caused, in groups.

    Most requests are alike: answered from a cache, they took nothing but their equal part of the
    gateway's time. They are one weight together, the light ones; then come the finished that took more
    or carry something, and those under way, one weight each.

    Engine time goes to the finished and to those under way by how long each group was being answered
    within the window (a request says what it took the engine only when it ends), and among the finished
    by what they said. An engine inside this process has its time in `gateway_s`.
    """

    def __init__(
        self,
        finished: Sequence[Exchange],
        under_way: Sequence[Exchange],
        gateway_s: float,
        engine_s: float,
        began: float,
    ) -> None:
        self.num_finished = len(finished)
        self.heavy = [
            (index, exchange)
            for index, exchange in enumerate(finished)
            if exchange.compute_s or exchange.carried_usd or exchange.carried_joules
        ]
        self.num_light = self.num_finished - len(self.heavy)
        self.first = 1 if self.num_light else 0
        """Where in `weights` the heavy ones begin."""
        self.stated_s = sum(exchange.compute_s for _, exchange in self.heavy)
        if engine_s <= 0.0:
            engine_s = min(self.stated_s, gateway_s)
            gateway_s -= engine_s
        num_all = self.num_finished + len(under_way)
        self.own = gateway_s / num_all if num_all else 0.0
        now = time.monotonic()
        overlap_finished = sum(
            [(x.ended or now) - max(began, x.started) for x in finished if x.tier == "model"]
        )
        overlaps = [max(0.0, now - max(began, exchange.started)) for exchange in under_way]
        whole = overlap_finished + sum(overlaps)
        for_finished = engine_s * (overlap_finished / whole if whole > 0 else 1.0)
        per_stated_s = for_finished / self.stated_s if self.stated_s > 0 else 0.0
        per_overlap_s = engine_s / whole if whole > 0 else 0.0
        light = [self.own * self.num_light] if self.num_light else []
        self.weights = light
        self.weights += [self.own + exchange.compute_s * per_stated_s for _, exchange in self.heavy]
        self.weights += [self.own + overlap * per_overlap_s for overlap in overlaps]
        if not any(self.weights):  # nothing weighs anything: an equal part for each request
            self.weights = [float(self.num_light)] if light else []
            self.weights += [1.0] * (num_all - self.num_light)
