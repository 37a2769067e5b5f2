"""Every metric family of a gateway, in the order of its page. Names and words; nothing counts here.

Every label has a small set of values: nothing that a client may choose freely becomes one, and a tenant
never does.
"""

from __future__ import annotations

from tenfold.serve.gateway.snapshot import Family


def _counter(name: str, help: str, *labels: str, per_unit: int = 1) -> Family:
    return Family(name=name, kind="counter", help=help, labels=labels, per_unit=per_unit)


def _gauge(name: str, help: str, *labels: str, joined: str = "sum") -> Family:
    return Family(name=name, kind="gauge", help=help, labels=labels, joined=joined)


def _seconds(name: str, help: str, *labels: str) -> Family:
    return Family(name=name, kind="histogram", help=help, labels=labels)


# fmt: off
REQUESTS = _counter("tenfold_requests_total", "Requests answered or refused, by where the answer came from.", "endpoint", "tier", "status")
LATENCY = _seconds("tenfold_request_seconds", "Time from the request's head to the last byte of its answer.", "tier")
TTFT = _seconds("tenfold_time_to_first_token_seconds", "Time to the first token of streamed answers.", "tier")
ADDED = _seconds("tenfold_added_seconds", "The gateway's own share of the time to an answer's first byte: all but the backend's.")
TOKENS = _counter("tenfold_tokens_total", "Tokens read and written.", "tier", "kind")
MODEL_REQUESTS = _counter("tenfold_model_requests_total", "Requests for models that are known.", "model", "backend")
MODEL_TOKENS = _counter("tenfold_model_tokens_total", "Tokens by model.", "model", "kind")
REFUSED = _counter("tenfold_refusals_total", "Requests the gateway itself refused, by its reason: limits, budgets, keys, queues.", "reason")
GONE = _counter("tenfold_clients_gone_total", "Clients that left before their answer was complete.")
FOLLOWERS = _counter("tenfold_single_flight_followers_total", "Requests that shared the generation of an identical one.")
RETRIES = _counter("tenfold_retries_total", "Further attempts after one that failed.", "backend")
HEDGES = _counter("tenfold_hedges_total", "Second attempts sent while the first was slow.", "backend")
LOOKUPS = _counter("tenfold_cache_lookups_total", "Lookups, tier by tier.", "tier", "result")
CACHE_ENTRIES = _gauge("tenfold_cache_entries", "Answers held by a tier.", "tier")
CACHE_BYTES = _gauge("tenfold_cache_bytes", "Memory held by the answers of a tier, as it counts it.", "tier")
GENERATIONS = _gauge("tenfold_generations_under_way", "Generations that backends are working on.")
READY = _gauge("tenfold_backend_ready", "1 when a backend can answer; of several workers, when it can answer them all.", "backend", joined="min")
BREAKER = _gauge("tenfold_breaker_open", "Workers whose circuit breaker keeps requests from a backend.", "backend")
WAITING = _gauge("tenfold_events_waiting", "Request events not yet in the ledger.")
DROPPED = _counter("tenfold_events_dropped_total", "Request events lost because queue and spool were full.")
WRITTEN = _counter("tenfold_facts_written_total", "Events and energy windows written to the ledger.")
FAILURES = _counter("tenfold_ledger_failures_total", "Times the ledger could not be read or written.")
SPOOL_BYTES = _gauge("tenfold_spool_bytes", "Events kept on disk while the ledger is away.")
JOULES = _counter("tenfold_joules_total", "Energy of gateway and engine processes; shares of requests and the idle rest.", "part", per_unit=1_000_000)
ENERGY = _gauge("tenfold_energy_info", "How energy is obtained: measured by counters, or modelled.", "method", joined="max")
USD = _counter("tenfold_usd_total", "Modelled cost; shares of requests and the idle rest.", "part", per_unit=1_000_000_000_000)
WORKER = _gauge("tenfold_worker_up", "1 for each worker process whose counters are in this page.", "worker", joined="max")
# fmt: on

FAMILIES = (
    REQUESTS, LATENCY, TTFT, ADDED, TOKENS, MODEL_REQUESTS, MODEL_TOKENS, REFUSED, GONE, FOLLOWERS,
    RETRIES, HEDGES, LOOKUPS, CACHE_ENTRIES, CACHE_BYTES, GENERATIONS, READY, BREAKER, WAITING,
    DROPPED, WRITTEN, FAILURES, SPOOL_BYTES, JOULES, ENERGY, USD, WORKER,
)  # fmt: skip
