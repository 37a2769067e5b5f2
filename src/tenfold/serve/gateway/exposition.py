"""`/metrics` and `/healthz`: what operators and their machines ask a gateway about itself."""

from __future__ import annotations

from typing import Any

import orjson

from tenfold.serve.cache.tier import Tiers
from tenfold.serve.router.fleet import Fleet
from tenfold.serve.gateway.metrics import Metrics, Page
from tenfold.serve.gateway.recorder import Recorder


def metrics_page(metrics: Metrics, tiers: Tiers, fleet: Fleet, recorder: Recorder) -> bytes:
    page = Page()
    page.family(
        "tenfold_requests_total",
        "counter",
        "Requests answered or refused, by where the answer came from.",
        [
            ({"endpoint": endpoint, "tier": tier, "status": status}, count)
            for (endpoint, tier, status), count in metrics.requests.items()
        ],
    )
    page.histogram(
        "tenfold_request_seconds",
        "Time from the request's head to the last byte of its answer.",
        [({"tier": tier}, histogram) for tier, histogram in metrics.latency.items()],
    )
    page.histogram(
        "tenfold_time_to_first_token_seconds",
        "Time to the first token of streamed answers.",
        [({"tier": tier}, histogram) for tier, histogram in metrics.ttft.items()],
    )
    page.family(
        "tenfold_tokens_total",
        "counter",
        "Tokens read and written.",
        [
            ({"tier": tier, "kind": kind}, count)
            for kind, table in (
                ("prompt", metrics.prompt_tokens),
                ("completion", metrics.completion_tokens),
            )
            for tier, count in table.items()
        ],
    )
    single: list[tuple[str, str, str, float]] = [
        ("tenfold_clients_gone_total", "counter", "Clients that left before their answer was complete.", metrics.cancelled),
        ("tenfold_generations_under_way", "gauge", "Generations that backends are working on.", fleet.outstanding),
        ("tenfold_events_waiting", "gauge", "Request events not yet in the ledger.", recorder.num_waiting),
        ("tenfold_events_dropped_total", "counter", "Request events lost because the queue was full.", recorder.num_dropped),
        ("tenfold_facts_written_total", "counter", "Events and energy windows written to the ledger.", recorder.num_written),
        ("tenfold_ledger_failures_total", "counter", "Times the ledger could not be read or written.", recorder.num_failed_writes),
    ]  # fmt: skip
    for name, kind, help, value in single:
        page.family(name, kind, help, [({}, value)])
    book = recorder.book
    if book is not None:
        page.family(
            "tenfold_joules_total",
            "counter",
            "Energy of gateway and engine processes; shares of requests and the idle rest.",
            [({"part": "requests"}, book.joules), ({"part": "idle"}, book.idle_joules)],
        )
        page.family(
            "tenfold_energy_info",
            "gauge",
            "How energy is obtained: measured by counters, or modelled.",
            [({"method": book.method}, 1)],
        )
        page.family(
            "tenfold_usd_total",
            "counter",
            "Modelled cost; shares of requests and the idle rest.",
            [({"part": "requests"}, book.usd), ({"part": "idle"}, book.idle_usd)],
        )
    page.family(
        "tenfold_cache_entries",
        "gauge",
        "Answers held by a tier.",
        [({"tier": tier.name}, tier.num_entries) for tier in tiers.chain],
    )
    page.family(
        "tenfold_cache_bytes",
        "gauge",
        "Memory held by the answers of a tier, as it counts it.",
        [({"tier": tier.name}, tier.num_bytes) for tier in tiers.chain],
    )
    page.family(
        "tenfold_cache_lookups_total",
        "counter",
        "Lookups in the chain of tiers.",
        [({"result": "hit"}, tiers.num_hits), ({"result": "miss"}, tiers.num_misses)],
    )
    page.family(
        "tenfold_backend_ready",
        "gauge",
        "1 when a backend can answer.",
        [
            ({"backend": member.backend.name}, int(member.state == "ready"))
            for member in fleet.members
        ],
    )
    return page.text()


def health(fleet: Fleet, state: str) -> tuple[int, bytes]:
    """200 while requests can be answered, 503 while starting or draining, with the reason."""
    if state == "serving" and not fleet.ready:
        state = "degraded" if fleet.cards() else "starting"
    body: dict[str, Any] = {
        "status": state,
        "models": [{"name": card.name, "digest": card.digest} for card in fleet.cards()],
        "backends": [
            {
                "name": member.backend.name,
                "state": member.state,
                "outstanding": member.outstanding,
            }
            for member in fleet.members
        ],
    }
    return (200 if state in ("serving", "degraded") else 503), orjson.dumps(body)
