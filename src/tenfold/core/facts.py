"""The records a ledger keeps: what happened, when, and what it cost. Values only, no behaviour.

Times are seconds since the epoch (`_at_s`) or durations (`_s`, `_ms`). `seq` is the ledger's own row
number, 0 until it is stored; reading "after seq" is how live views follow along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.core.asset import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a piece of work took. Energy and money always say how they were obtained."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    joules: float = 0.0
    energy_method: str = "none"
    """`rapl`, `nvml` (measured) or `cpu-time-model` (modelled); `none` when nothing was metered."""
    energy_uncertainty: float = 0.0
    """Relative, one sigma: 0.3 means the true figure is likely within 30 %."""
    usd: float = 0.0
    gco2e: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a key produced. One per key, unless a step run again by force did not repeat itself."""

    key: str
    factory: str
    asset: str
    step: str
    version: str
    config: Mapping[str, Any]
    inputs: tuple[tuple[str, str], ...]
    """(asset name, digest) in the order the step took them."""
    output: Manifest
    run_id: str
    finished_at_s: float
    usage: Usage = Usage()
    source_sha256: str = ""
    """Of the step's source text: a change without a new version is warned about, never keyed."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """Python, platform, package versions, git commit: recorded, keyed only under `strict_env`."""
    observed: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a plan."""

    id: str
    factory: str
    status: str
    """`running`, `succeeded`, `failed` or `interrupted`."""
    started_at_s: float
    finished_at_s: float | None = None
    host: str = ""
    pid: int = 0
    targets: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """What one run did about one asset."""

    run_id: str
    asset: str
    step: str
    needs: tuple[str, ...] = ()
    status: str
    """`waiting`, `running`, `ran`, `skipped`, `failed` or `blocked`."""
    reason: str = ""
    key: str | None = None
    digest: str | None = None
    started_at_s: float | None = None
    finished_at_s: float | None = None
    attempt: int = 1
    done: float = 0.0
    """Progress in [0, 1]."""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number. Without `step` it is a result of the key; with it, a point of a curve."""

    key: str
    run_id: str
    asset: str
    name: str
    value: float
    unit: str = ""
    step: int | None = None
    at_s: float = 0.0
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a check came out for a key."""

    key: str
    run_id: str
    asset: str
    rule: str
    """The check as a reader would say it: `perplexity <= 60`."""
    metric: str
    value: float | None
    state: str
    """`green`, `red` or `unknown` (the metric is not there). Only green lets an alias move."""
    reason: str
    at_s: float
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A structured log record; the pretty line is a renderer's business."""

    run_id: str
    asset: str
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    level: str = "info"
    at_s: float = 0.0
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One move of an alias. The newest move is where the alias points."""

    alias: str
    """`model@champion`."""
    digest: str | None
    previous: str | None
    asset: str
    key: str
    """Of the step result that made the digest."""
    actor: str
    reason: str
    at_s: float
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """One answered (or refused) request."""

    id: str
    """The id the client saw: `chatcmpl-...`."""
    at_s: float
    tenant: str
    key_name: str
    endpoint: str
    """`/v1/chat/completions` and so on."""
    model: str
    """As the client named it."""
    model_digest: str
    """Of the asset that answered; empty for a foreign backend."""
    backend: str
    tier: str
    """`exact`, `host`, `shared`, `flight` (another's generation, joined), `model`, later `edge`, `template`,
    `semantic`, `student`; `refused` for errors."""
    status: int
    stream: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0
    ttft_ms: float | None = None
    """Time to the first token, for streams."""
    usd: float = 0.0
    joules: float = 0.0
    energy_method: str = "none"
    gco2e: float = 0.0
    error: str | None = None
    source: str = "live"
    """`live`, or the run id of a rehearsal or replay."""
    cached_from: str | None = None
    """The response id whose stored answer this one repeats."""
    response_id: str | None = None
    """The id in the answer's body, where that is not this event's own id."""
    price_usd: float = 0.0
    """What the budget was charged; `usd` is what the answer cost us."""
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyWindow:
    """Energy of a serving process over a window: the shares of its requests plus idle are the total."""

    source: str
    started_at_s: float
    ended_at_s: float
    joules: float
    idle_joules: float
    requests: int
    method: str
    uncertainty: float
    usd: float = 0.0
    idle_usd: float = 0.0
    gco2e: float = 0.0
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One deed that must be provable later. Each entry carries the hash of the one before it."""

    at_s: float
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    previous: str = ""
    hash: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """A client's key. Only the SHA-256 of the secret is kept."""

    name: str
    tenant: str
    sha256: str
    created_at_s: float
    revoked_at_s: float | None = None
    scopes: tuple[str, ...] = ("inference",)
    """What it may be used for: `inference`, `batch`, `admin`."""
    models: tuple[str, ...] = ()
    """The models it may ask for; empty: all."""
    expires_at_s: float | None = None
    rpm: int | None = None
    """Requests per minute; None: as many as there are."""
    tpm: int | None = None
    """Tokens per minute, of prompts and answers together."""
    budget_usd: float | None = None
    budget_period: str = "total"
    """After which `budget_usd` is there anew: `total` (never), `day` or `month`, UTC."""
    account: str = ""
    """What its spending is booked on. Keys with the same one share it; empty: an account of its own."""
    rotated_from: str | None = None
    """SHA-256 of the secret before this one, which works until `rotated_until_s`."""
    rotated_until_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEvent:
    """One thing an annotator did to a record of a review queue. Never changed: an undo is one more."""

    factory: str
    queue: str
    """Name of the asset that is the queue."""
    digest: str
    """Of the queue as it was shown."""
    record: str
    annotator: str
    action: str
    """`label`, `skip` or `undo` (the annotator's last label or skip, which was of this record)."""
    label: str = ""
    slot: int = 0
    """Which of the labels asked for of this record: 0 and up."""
    seconds: float = 0.0
    """From being shown to being decided."""
    at_s: float = 0.0
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A checkpoint of a step that has not finished, so that it can go on where it stopped."""

    key: str
    output: Manifest
    step: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficRow:
    """Requests of one tier within one time bucket."""

    bucket_at_s: float
    tier: str
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    latency_ms_sum: float
    latency_ms_max: float
    usd: float
    joules: float
