"""Counters and histograms of a gateway, and their Prometheus text.

The text follows the exposition format 0.0.4: HELP and TYPE once per family, label values escaped,
cumulative buckets with `+Inf`, a final newline. Every label has a small fixed set of values; nothing that
a client may choose freely becomes one. It reads no clock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

from tenfold.serve.gateway.exchange import Exchange

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

LATENCY_BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
)  # fmt: skip
"""From an exact hit (a tenth of a millisecond) to a long answer of a large model."""


class Histogram:
    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BUCKETS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Metrics:
    """What the requests of this process added up to."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.prompt_tokens: dict[str, int] = {}
        self.completion_tokens: dict[str, int] = {}
        self.latency: dict[str, Histogram] = {}
        self.ttft: dict[str, Histogram] = {}
        self.cancelled = 0

    def observe(self, exchange: Exchange) -> None:
        tier = exchange.tier
        label = (exchange.endpoint, tier, exchange.status)
        self.requests[label] = self.requests.get(label, 0) + 1
        latency = self.latency.get(tier)
        if latency is None:
            latency = self.latency[tier] = Histogram()
            self.prompt_tokens[tier] = self.completion_tokens[tier] = 0
        latency.observe(exchange.latency_s)
        self.prompt_tokens[tier] += exchange.prompt_tokens
        self.completion_tokens[tier] += exchange.completion_tokens
        if exchange.ttft_s is not None:
            self.ttft.setdefault(tier, Histogram()).observe(exchange.ttft_s)
        if exchange.status == 499:
            self.cancelled += 1


class Page:
    """Families written one after the other."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(
        self,
        name: str,
        kind: str,
        help: str,
        samples: Iterable[tuple[Mapping[str, Any], float]],
    ) -> None:
        self._head(name, kind, help)
        for labels, value in samples:
            self._lines.append(f"{name}{_labels(labels)} {_number(value)}")

    def histogram(
        self, name: str, help: str, samples: Iterable[tuple[Mapping[str, Any], Histogram]]
    ) -> None:
        self._head(name, "histogram", help)
        for labels, histogram in samples:
            cumulative = 0
            for bound, count in zip(
                [*map(_number, histogram.bounds), "+Inf"], histogram.counts, strict=True
            ):
                cumulative += count
                self._lines.append(f"{name}_bucket{_labels({**labels, 'le': bound})} {cumulative}")
            self._lines.append(f"{name}_sum{_labels(labels)} {_number(histogram.total)}")
            self._lines.append(f"{name}_count{_labels(labels)} {cumulative}")

    def text(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()

    def _head(self, name: str, kind: str, help: str) -> None:
        escaped = help.replace("\\", r"\\").replace("\n", r"\n")
        self._lines.append(f"# HELP {name} {escaped}")
        self._lines.append(f"# TYPE {name} {kind}")


def _labels(labels: Mapping[str, Any]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: Any) -> str:
    return str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value) if isinstance(value, int) else repr(float(value))
