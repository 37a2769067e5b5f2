"""A factory's past, written through the Ledger Protocol: three runs, an alias, a day of traffic.

Deterministic, and shaped like the first example, so that what the pages say can be worked out by hand.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass, field, replace

from tenfold.core.asset import FileRef, Manifest
from tenfold.core.facts import (
    AliasMove,
    EnergyWindow,
    Event,
    Metric,
    RequestEvent,
    Run,
    RunStep,
    StepResult,
    Usage,
    Verdict,
)
from tenfold.core.keys import digest, step_key
from tenfold.core.ports import Ledger

NOW_S = 1_795_253_400.0
FACTORY = "laptop"
HOST = "bench-1"
REHEARSAL = "r-second/rehearsal"


@dataclass(frozen=True, kw_only=True)
class Made:
    """How one asset of the example comes about."""

    step: str
    kind: str
    needs: tuple[str, ...] = ()
    wall_s: float = 1.0
    num_bytes: int = 1000
    meta: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    """name -> (value, unit)"""
    config: dict = field(default_factory=dict)


ASSETS: dict[str, Made] = {
    "documents": Made(
        step="data.collect",
        kind="corpus",
        wall_s=5.2,
        num_bytes=9_400_000,
        meta={"documents": 4210, "characters": 9_300_000, "licences": {"PSF-2.0": 4210}},
        metrics={
            "documents": (4210, "documents"),
            "source.topics": (92, "documents"),
            "source.lib": (4118, "documents"),
        },
    ),
    "corpus": Made(
        step="data.curate",
        kind="corpus",
        needs=("documents",),
        wall_s=4.1,
        num_bytes=7_100_000,
        meta={"documents": 3480, "characters": 7_000_000, "licences": {"PSF-2.0": 3480}},
        metrics={
            "documents": (3480, "documents"),
            "removed": (730, "documents"),
            "removed.duplicate": (412, "documents"),
            "removed.near_duplicate": (198, "documents"),
            "removed.too_short": (120, "documents"),
        },
    ),
    "tokenizer": Made(
        step="data.tokenizer",
        kind="tokenizer",
        needs=("corpus",),
        wall_s=2.3,
        num_bytes=142_000,
        meta={"vocabulary": 4096},
        metrics={"vocabulary": (4096, "tokens")},
    ),
    "base": Made(
        step="train.pretrain",
        kind="model",
        needs=("corpus", "tokenizer"),
        wall_s=44.0,
        num_bytes=6_900_000,
        meta={"parameters": 1_720_000, "dtype": "float32", "context": 256},
        metrics={
            "tokens": (1_228_800, "tokens"),
            "tokens_per_s": (27_900, "tokens/s"),
            "parameters": (1_720_000, ""),
        },
        config={"steps": 300, "depth": 4},
    ),
    "quality": Made(
        step="evaluate.language",
        kind="report",
        needs=("base", "corpus"),
        wall_s=3.4,
        num_bytes=2100,
        metrics={
            "perplexity": (48.6, ""),
            "bits_per_byte": (1.71, "bits/byte"),
            "bits_per_byte.unigram": (3.62, "bits/byte"),
            "bits_per_byte.ngram": (2.24, "bits/byte"),
        },
    ),
    "small": Made(
        step="compress.int8",
        kind="model",
        needs=("base", "corpus"),
        wall_s=1.1,
        num_bytes=1_950_000,
        meta={"parameters": 1_720_000, "dtype": "int8", "context": 256},
    ),
    "small-quality": Made(
        step="evaluate.compression",
        kind="report",
        needs=("base", "small", "corpus"),
        wall_s=5.0,
        num_bytes=2600,
        metrics={
            "bytes_before": (6_900_000, "B"),
            "bytes_after": (1_950_000, "B"),
            "bytes_ratio": (0.283, "×"),
            "speed_ratio": (1.42, "×"),
            "perplexity_ratio": (1.008, "×"),
        },
    ),
    "bias": Made(
        step="govern.bias",
        kind="report",
        needs=("small",),
        wall_s=2.0,
        num_bytes=1800,
        metrics={"gap": (0.031, "share")},
    ),
    "leaks": Made(
        step="govern.leaks",
        kind="report",
        needs=("small", "corpus"),
        wall_s=2.4,
        num_bytes=900,
        metrics={"leaks": (0, "leaks")},
    ),
    "rehearsal": Made(
        step="plan.replay",
        kind="report",
        needs=("small", "corpus"),
        wall_s=19.0,
        num_bytes=5300,
        metrics={
            "requests_per_s.off": (11.2, "requests/s"),
            "requests_per_s.on": (121.0, "requests/s"),
            "speedup": (10.8, "×"),
            "latency_ms.p50.off": (640.0, "ms"),
            "latency_ms.p50.on": (1.4, "ms"),
            "latency_ms.p95.off": (1010.0, "ms"),
            "latency_ms.p95.on": (655.0, "ms"),
            "joules_per_request.off": (1.9, "J"),
            "joules_per_request.on": (0.19, "J"),
            "usd_per_request.off": (3.1e-6, "USD"),
            "usd_per_request.on": (3.0e-7, "USD"),
            "tier_share.exact": (0.9, "share"),
            "tier_share.model": (0.1, "share"),
            "answers_equal": (1.0, "share"),
        },
    ),
}
CHECKS = {
    "quality": ("perplexity", 60.0),
    "small-quality": ("perplexity_ratio", 1.03),
    "bias": ("gap", 0.1),
    "leaks": ("leaks", 0.0),
}
WATTS = 7.0


@dataclass
class History:
    """What was written, for tests to compare with."""

    runs: list[str]
    digests: dict[str, dict[str, str]]
    """run id -> asset -> digest"""
    keys: dict[str, dict[str, str]]
    model_digest: str
    responses: list[str]
    """Ids of the live requests, oldest first; the last one repeats the first one's answer."""


def write(ledger: Ledger, *, now_s: float = NOW_S) -> History:
    """Run 1 came out red, run 2 trained longer and was promoted, run 3 failed in the rehearsal."""
    history = History([], {}, {}, "", [])
    first = make_run(ledger, history, "r-first", now_s - 180_000, quality=71.3, steps=150)
    second = make_run(
        ledger, history, "r-second", now_s - 86_400, rerun=("base",), steps=300, known=first
    )
    small = history.digests["r-second"]["small"]
    ledger.move_alias(
        AliasMove(
            alias="model@champion",
            digest=small,
            previous=None,
            asset="small",
            key=history.keys["r-second"]["small"],
            actor="ada",
            reason="first that passes",
            at_s=now_s - 86_000,
        ),
        None,
    )
    history.model_digest = small
    make_run(
        ledger, history, "r-third", now_s - 7200, known=second, rerun=("rehearsal",), steps=300,
        fail="rehearsal",
    )  # fmt: skip
    write_traffic(ledger, history, now_s)
    return history


def make_run(
    ledger: Ledger,
    history: History,
    run_id: str,
    started_at_s: float,
    *,
    steps: int,
    known: dict[str, tuple[str, str]] | None = None,
    rerun: tuple[str, ...] = (),
    quality: float | None = None,
    fail: str | None = None,
) -> dict[str, tuple[str, str]]:
    """One whole run; assets that are `known` and not downstream of `rerun` are skipped."""
    made: dict[str, tuple[str, str]] = {}
    at_s = started_at_s
    ledger.put(Run(id=run_id, factory=FACTORY, status="running", started_at_s=at_s, host=HOST))
    failed = False
    for asset, spec in ASSETS.items():
        inputs = tuple((need, made[need][1]) for need in spec.needs)
        config = {**spec.config, **({"steps": steps} if "steps" in spec.config else {})}
        key = step_key(spec.step, "1", config, inputs, observed=asset if fail == asset else None)
        row = RunStep(run_id=run_id, asset=asset, step=spec.step, needs=spec.needs, status="ran")
        if asset == fail:
            failed = True
            ledger.put(
                replace(
                    row, status="failed", key=key, started_at_s=at_s, finished_at_s=at_s + 3.0,
                    attempt=2, error="BackendError: the engine closed its connection",
                )
            )  # fmt: skip
            at_s += 3.0
            continue
        if known and asset not in rerun and known[asset][0] == key:
            made[asset] = known[asset]
            ledger.put(
                replace(row, status="skipped", reason="unchanged", key=key, digest=made[asset][1])
            )
            continue
        output = manifest(asset, key, spec)
        made[asset] = (key, output.digest)
        usage = Usage(
            wall_s=spec.wall_s,
            cpu_s=spec.wall_s * 1.6,
            peak_rss_bytes=400_000_000,
            joules=spec.wall_s * WATTS,
            energy_method="cpu-time-model",
            energy_uncertainty=0.4,
            usd=spec.wall_s * 2e-5,
            gco2e=spec.wall_s * 0.001,
        )
        result = StepResult(
            key=key,
            factory=FACTORY,
            asset=asset,
            step=spec.step,
            version="1",
            config=config,
            inputs=inputs,
            output=output,
            run_id=run_id,
            finished_at_s=at_s + spec.wall_s,
            usage=usage,
            environment={"python": "3.11.7", "platform": "Linux", "torch": "2.13.0"},
        )
        scalars = {
            name: value if not (name == "perplexity" and quality) else (quality, "")
            for name, value in spec.metrics.items()
        }
        facts = [
            Metric(
                key=key, run_id=run_id, asset=asset, name=name, value=float(value), unit=unit,
                at_s=at_s + spec.wall_s,
            )
            for name, (value, unit) in scalars.items()
        ]  # fmt: skip
        if asset == "base":
            facts += loss_curve(key, run_id, asset, steps, at_s)
        verdicts = []
        if asset in CHECKS:
            name, bound = CHECKS[asset]
            value = float(scalars[name][0])
            verdicts.append(
                Verdict(
                    key=key, run_id=run_id, asset=asset, rule=f"{name} <= {bound:g}", metric=name,
                    value=value, state="green" if value <= bound else "red",
                    reason=f"{name} = {value:g}" + ("" if value <= bound else f" is above {bound:g}"),
                    at_s=at_s + spec.wall_s,
                )
            )  # fmt: skip
        done = replace(
            row, reason="input changed" if known else "never built", key=key, digest=output.digest,
            started_at_s=at_s, finished_at_s=at_s + spec.wall_s, done=1.0,
        )  # fmt: skip
        ledger.commit(result, facts, verdicts, done)
        ledger.append(
            [
                Event(
                    run_id=run_id, asset=asset, event="step finished",
                    fields={"wall_s": spec.wall_s, "bytes": spec.num_bytes}, at_s=at_s + spec.wall_s,
                )
            ]
        )  # fmt: skip
        at_s += spec.wall_s
    ledger.put(
        Run(
            id=run_id,
            factory=FACTORY,
            status="failed" if failed else "succeeded",
            started_at_s=started_at_s,
            finished_at_s=at_s + 0.2,
            host=HOST,
            error="rehearsal failed" if failed else None,
        )
    )
    history.runs.append(run_id)
    history.digests[run_id] = {asset: found for asset, (_, found) in made.items()}
    history.keys[run_id] = {asset: key for asset, (key, _) in made.items()}
    return made


def manifest(asset: str, key: str, spec: Made) -> Manifest:
    """One file with made-up bytes; different keys give different content."""
    name = {"corpus": "documents.jsonl", "model": "model.safetensors"}.get(spec.kind, "report.json")
    return Manifest(
        spec.kind, {name: FileRef(digest((asset + key).encode()), spec.num_bytes)}, spec.meta
    )


def loss_curve(key: str, run_id: str, asset: str, steps: int, at_s: float) -> list[Metric]:
    draw = random.Random(7)
    return [
        Metric(
            key=key, run_id=run_id, asset=asset, name="loss", unit="nats/token", step=step,
            value=3.6 + 4.7 * math.exp(-step / 55) + draw.gauss(0, 0.05), at_s=at_s + step * 0.14,
        )
        for step in range(0, steps, 2)
    ]  # fmt: skip


def write_traffic(ledger: Ledger, history: History, now_s: float, num_requests: int = 480) -> None:
    """A day of live requests with a daily rhythm, and a rehearsal of run 2."""
    draw = random.Random(11)
    events: list[RequestEvent] = []
    joules = 0.0
    for index in range(num_requests):
        part = index / num_requests
        at_s = now_s - 82_000 * (1 - part) + draw.random() * 160
        ask = request(history, f"chatcmpl-{hashlib.sha256(str(index).encode()).hexdigest()[:24]}")
        choice = draw.random()
        if index == 0 or choice < 0.25:
            ms = draw.lognormvariate(6.2, 0.35)
            event = replace(
                ask, tier="model", latency_ms=ms, ttft_ms=ms * 0.12 if index % 2 else None,
                stream=bool(index % 2), joules=ms * 0.0033, usd=ms * 5e-9,
            )  # fmt: skip
        elif choice < 0.97 or index == num_requests - 1:
            event = replace(
                ask, tier="exact", latency_ms=draw.lognormvariate(0.1, 0.4), joules=0.004,
                usd=6e-9, cached_from=events[0].id,
            )  # fmt: skip
        else:
            event = replace(
                ask, tier="refused", status=429, latency_ms=0.3, model_digest="",
                completion_tokens=0, error="rate limit: 60 requests per minute",
            )  # fmt: skip
        joules += event.joules
        events.append(replace(event, at_s=at_s))
    events.sort(key=lambda event: event.at_s)
    history.responses = [event.id for event in events]
    rehearsal = [
        replace(
            request(history, f"cmpl-rehearsal-{index}"),
            source=REHEARSAL,
            at_s=now_s - 86_100 + index * 0.02,
            tier="exact" if index % 10 else "model",
            latency_ms=1.4 if index % 10 else 640.0,
            joules=0.01 if index % 10 else 1.9,
            endpoint="/v1/completions",
        )
        for index in range(60)
    ]
    ledger.append([*rehearsal, *events])
    ledger.append(
        [
            EnergyWindow(
                source="live", started_at_s=now_s - 82_000, ended_at_s=now_s, joules=joules + 900.0,
                idle_joules=900.0, requests=len(events), method="cpu-time-model", uncertainty=0.4,
                usd=0.0002, idle_usd=0.0001,
            )
        ]
    )  # fmt: skip


def request(history: History, response_id: str) -> RequestEvent:
    return RequestEvent(
        id=response_id,
        at_s=0.0,
        tenant="acme",
        key_name="web",
        endpoint="/v1/chat/completions",
        model="model@champion",
        model_digest=history.model_digest,
        backend="embedded",
        tier="model",
        status=200,
        prompt_tokens=24,
        completion_tokens=48,
        energy_method="cpu-time-model",
    )


def start_run(ledger: Ledger, history: History, now_s: float, run_id: str = "r-live") -> str:
    """A run that is training right now, with half of its curve; returns the key of the training step."""
    keys, digests = history.keys["r-second"], history.digests["r-second"]
    ledger.put(
        Run(id=run_id, factory=FACTORY, status="running", started_at_s=now_s - 34, host=HOST)
    )
    for asset, spec in ASSETS.items():
        row = RunStep(
            run_id=run_id, asset=asset, step=spec.step, needs=spec.needs, status="waiting"
        )
        if asset in ("documents", "corpus", "tokenizer"):
            row = replace(
                row, status="skipped", reason="unchanged", key=keys[asset], digest=digests[asset]
            )
        if asset == "base":
            row = replace(
                row, status="running", reason="config.steps 300 -> 600", key="k-live", done=0.4,
                started_at_s=now_s - 33,
            )  # fmt: skip
        ledger.put(row)
    ledger.append(loss_curve("k-live", run_id, "base", 240, now_s - 33))
    ledger.append(
        [
            Event(run_id=run_id, asset="base", event="training started",
                  fields={"steps": 600, "device": "cpu"}, at_s=now_s - 33),
        ]
    )  # fmt: skip
    return "k-live"
