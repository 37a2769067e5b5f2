"""The gateway in figures: what a request costs beside its peers, streams, memory, cold starts.

    python bench/gateway.py [--quick] [--json] [--only FIGURE,...]

Peers are made once with `python bench/peers.py`. A full run takes about a quarter of an hour on a quiet machine and
writes bench/results/gateway.json and gateway.md. docs/benches.md says what each figure means.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial

import gateway_cost
import gateway_flight
import gateway_memory
import gateway_overshoot
import gateway_streams
import harness
from gateway_stage import Stage
from harness import Figures, Unavailable

Part = Callable[[Stage, bool], Figures]


def elsewhere(module: str, what: str) -> Part:
    """A part in a file of its own, `measure(stage, quick)`, which need not be there."""

    def measure(stage: Stage, quick: bool) -> Figures:
        if importlib.util.find_spec(module) is None:
            raise Unavailable(f"bench/{module}.py is not there: {what}")
        part: Part = importlib.import_module(module).measure
        return part(stage, quick)

    return measure


PARTS: dict[str, Part] = {
    "cold_identical_generations": gateway_flight.cold_identical,
    "worker_rss_mb": gateway_memory.worker_rss,
    "exact_hit_vs_litellm": gateway_cost.exact_hit_vs_litellm,
    "exact_hit_vs_nginx": gateway_cost.exact_hit_vs_nginx,
    "proxied_vs_litellm": gateway_cost.proxied_vs_litellm,
    "proxied_vs_vllm_router": gateway_cost.proxied_vs_vllm_router,
    "proxied_vs_smg": gateway_cost.proxied_vs_smg,
    "added_ttft_p50_us": gateway_streams.added_ttft,
    "stream_frames_lost": gateway_streams.frames_lost,
    "edge_fill_vs_plain": elsewhere("gateway_edge", "a filled-in hit of nginx against a plain one"),
    "budget_overshoot_reservations": gateway_overshoot.measure,
}
"""Each is named after its main figure."""


def main() -> int:
    with Stage() as stage:
        if "--quick" in sys.argv and "--only" not in sys.argv:
            stage.begin("litellm")  # ten seconds, while parts that take no times come first
        parts = {name: partial(part, stage) for name, part in PARTS.items()}
        about = (__doc__ or "").partition("\n")[0]
        return harness.main("gateway", about, parts)


if __name__ == "__main__":
    sys.exit(main())
