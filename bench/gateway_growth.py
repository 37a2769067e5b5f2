"""How the cost of a request grows with the number of keys, with cached entries and with the size of a body.

    python bench/gateway_growth.py [--quick] [--json]

A full run fills a million entries; it writes bench/results/gateway_growth.json and gateway_growth.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial

from gateway_cost import Cost
from gateway_load import CONNECTIONS, fill, wrk
from gateway_process import Server
from gateway_stage import Stage
from harness import Figure, Figures, main, number, spread

KEYS = (1, 10, 100, 1000, 10_000, 100_000)
ENTRIES = (1000, 10_000, 100_000, 1_000_000)
BODY_BYTES = (1000, 10_000, 100_000, 1_000_000)
QUICK_KEYS, QUICK_ENTRIES, QUICK_BODY_BYTES = (1000,), (1000,), (100_000,)
_HITS = 64
_ROOM = 10_000_000


def measure(stage: Stage, quick: bool) -> Figures:
    yield from _keys(stage, quick)
    yield from _entries(stage, quick)
    yield from _bodies(stage, quick)


def _keys(stage: Stage, quick: bool) -> Figures:
    for num_keys in QUICK_KEYS if quick else KEYS:
        with stage.another(num_keys=num_keys) as ours, stage.alone():
            first = stage.questions(_HITS)
            fill(ours, first, _HITS)
            costs = [
                _cost(
                    ours,
                    quick,
                    first=first,
                    distinct=_HITS,
                    random=True,
                    num_keys=num_keys,
                    vary=True,
                )
                for _ in _rounds(quick)
            ]
            rss_mb, _ = ours.memory_mb()
        yield (
            f"growth.keys.{num_keys}",
            _figure(
                costs,
                f"exact hits with one of {num_keys} keys at random, a number in every head so that none is like the last on "
                f"its connection; {rss_mb:.0f} MB resident",
            ),
        )


def _entries(stage: Stage, quick: bool) -> Figures:
    """One gateway that is filled further and further, through its front door."""
    sizes = QUICK_ENTRIES if quick else ENTRIES
    with stage.another(cache_entries=2 * max(sizes)) as ours, stage.alone():
        first = stage.questions(2 * max(sizes))
        stored = 0
        for size in sizes:
            while stored < size:
                stored += wrk(ours, 1 if size <= 10_000 else 5, first=first + stored).requests
            ours.rest()
            before = stage.generations()
            costs = [
                _cost(ours, quick, first=first + 1, distinct=size, random=True)
                for _ in _rounds(quick)
            ]
            # Those under way when a filling ended were never stored: a few ask the upstream once more.
            missed = (stage.generations() - before) / sum(cost.requests for cost in costs)
            rss_mb, _ = ours.memory_mb()
            yield (
                f"growth.entries.{size}",
                _figure(
                    costs,
                    f"exact hits on {size} stored answers at random ({stored} there, {missed:.2%} missed); "
                    f"{rss_mb:.0f} MB resident",
                ),
            )


def _bodies(stage: Stage, quick: bool) -> Figures:
    ours = stage.ours()
    with stage.alone(ours):
        for size in QUICK_BODY_BYTES if quick else BODY_BYTES:
            first = stage.questions(_HITS)
            fill(ours, first, _HITS, size)
            hits = [
                _cost(ours, quick, first=first, distinct=_HITS, body_bytes=size)
                for _ in _rounds(quick)
            ]
            yield (
                f"growth.body_bytes.{size}",
                _figure(hits, f"exact hits with bodies of {size} bytes"),
            )
            fresh = [
                _cost(ours, quick, first=stage.questions(_ROOM), body_bytes=size)
                for _ in _rounds(quick)
            ]
            yield (
                f"growth.body_bytes.{size}.proxied",
                _figure(fresh, f"proxied requests with bodies of {size} bytes"),
            )


def _rounds(quick: bool) -> Iterator[int]:
    return iter(range(1 if quick else 3))


def _cost(ours: Server, quick: bool, **load: int) -> Cost:
    seconds = 1 if quick else 4
    before_s = ours.cpu_s()
    run = wrk(ours, seconds, **load)  # type: ignore[arg-type]
    ours.rest()
    if not quick:
        time.sleep(ours.settle_s)
    if run.failed:
        raise RuntimeError(f"{run.failed} of {run.requests} requests failed")
    used_s = ours.cpu_s() - before_s
    return Cost(used_s / (run.requests + CONNECTIONS / 2) * 1e6, run.requests, run.per_s)


def _figure(costs: list[Cost], what: str) -> Figure:
    return spread(
        [cost.cpu_us for cost in costs], "us",
        f"CPU time of the gateway per request, smallest of the rounds: {what}", take=min,
    )  # fmt: skip


def tables(figures: Mapping[str, Figure]) -> str:
    """The figures of growth as Markdown tables, one per thing that grows. Empty when there are none."""
    titles = {
        "keys": "keys", "entries": "cached entries", "body_bytes": "bytes of the body",
    }  # fmt: skip
    lines: list[str] = []
    for part, title in titles.items():
        prefix = f"growth.{part}."
        sizes = [key for key in figures if key.startswith(prefix) and not key.endswith(".proxied")]
        if not sizes:
            continue
        lines += [
            "",
            f"| {title} | CPU us per exact hit | CPU us per proxied request |",
            "|--:|--:|--:|",
        ]
        for key in sizes:
            proxied = figures.get(key + ".proxied")
            lines.append(
                f"| {int(key.removeprefix(prefix)):,} | {_value(figures[key])} | {_value(proxied)} |"
            )
    return "\n".join(["", "How the cost grows:", *lines, ""]) if lines else ""


def _value(figure: Figure | None) -> str:
    return "" if figure is None or figure.value is None else number(figure.value)


if __name__ == "__main__":
    with Stage() as stage:
        about = (__doc__ or "").partition("\n")[0]
        sys.exit(
            main("gateway_growth", about, {"growth": partial(measure, stage)}, appendix=tables)
        )
