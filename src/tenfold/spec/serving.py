"""The `serve:` section: what the gateway answers with, who may ask, what it may cost. Strict like the rest.

Nothing secret stands in a file: keys and addresses with passwords are named by environment variable.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tenfold.spec.part import Amount, FactoryName, Part, Reference, wrong

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Protocol = Literal["chat", "completions", "embeddings", "responses", "messages"]


class CacheSpec(Part):
    """The exact tiers: answers to requests seen before."""

    entries: Annotated[int, Field(ge=1)] = 10_000
    """Answers kept at most in each process."""
    megabytes: Annotated[int, Field(ge=1)] = 64
    """Memory taken at most in each process."""
    ttl_s: Seconds | None = None
    """Age at which an answer is forgotten; null: when room is needed."""
    sampled: bool = False
    """Keep answers drawn with a temperature and no seed, as if the draw did not matter."""
    host_megabytes: Annotated[int, Field(ge=32)] = 1024
    """Disk that the `host` tier takes at most."""
    epoch: Annotated[int, Field(ge=0)] = 0
    """Raise it, and no answer made before is given again."""


class BackendSpec(Part):
    """A server that generates tokens elsewhere: vLLM, SGLang, a cloud."""

    name: FactoryName
    kind: Literal["openai", "anthropic"] = "openai"
    """The protocol it speaks."""
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """With `/v1` where the server has it."""
    models: tuple[ModelName, ...] | dict[ModelName, ModelName] = ()
    """Model names that go to this backend, or name here -> name there. None: every model it lists."""
    api_key_env: Variable | None = None
    """The environment variable that holds its key. Keys never stand in this file."""
    protocols: tuple[Protocol, ...] | None = None
    """What it takes as it is; the rest is translated into chat. null: chat, completions, embeddings."""
    connections: Annotated[int, Field(ge=1)] = 512
    """Open at once in each process."""
    timeout_s: Seconds = 120.0
    """Longest silence while waiting for an answer or its next part."""
    max_outstanding: Annotated[int, Field(ge=1)] | None = None
    """Generations under way at once; null: `routing.max_outstanding`."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of the work under the policy `weighted`."""
    usd_per_token: Amount | None = None
    """For the policy `cost`."""
    joules_per_token: Amount | None = None
    """For the policy `joules`."""
    region: str = ""
    """For the policy `region`."""


class RoutingSpec(Part):
    """Which backend answers, and what happens when it does not."""

    policy: Literal[
        "least-outstanding",
        "power-of-two",
        "latency",
        "cost",
        "joules",
        "region",
        "prefix",
        "weighted",
    ] = "least-outstanding"
    """How one of several backends of a model is chosen."""
    max_outstanding: Annotated[int, Field(ge=1)] = 256
    """Generations under way at one backend."""
    max_waiting: Annotated[int, Field(ge=0)] = 1024
    """Requests that wait for room; beyond them 429 with Retry-After."""
    max_wait_s: Annotated[float, Field(ge=0)] = 30.0
    """Longest such wait."""
    attempts: Annotated[int, Field(ge=1)] = 3
    """At one request with one model."""
    retry_share: Share = 0.2
    """Retries per request over the last ten seconds."""
    first_part_timeout_s: Seconds | None = None
    """Longest wait for the first part of an answer before another backend is asked."""
    fallbacks: dict[ModelName, tuple[ModelName, ...]] = Field(default_factory=dict)
    """Model -> models that answer in its place."""
    hedge_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Requests that may be sent twice while the first attempt is silent."""
    regions: tuple[str, ...] = ()
    """For the policy `region`: nearest first."""


class PriceSpec(Part):
    """What a model's tokens are charged at, in USD per million. Budgets are counted in it."""

    input_usd: Amount
    output_usd: Amount
    cached_usd: Amount | None = None
    """Of prompt tokens the backend had cached; null: as any other."""
    max_output_tokens: Annotated[int, Field(ge=1)] = 4096
    """What is set aside for an answer that nobody bounded."""


class TenantSpec(Part):
    """What all keys of a tenant may do together."""

    rpm: Annotated[int, Field(ge=1)] | None = None
    """Requests per minute."""
    tpm: Annotated[int, Field(ge=1)] | None = None
    """Tokens per minute."""
    budget_usd: Amount | None = None
    budget_period: Literal["total", "day", "month"] = "total"


class TlsSpec(Part):
    """PEM files, relative to this one."""

    certificate: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]


class BatchSpec(Part):
    """Files and batches: work that may take a day, at what the gateway has to spare."""

    max_file_megabytes: Annotated[int, Field(ge=1, le=1024)] = 64
    """Largest upload."""
    tenant_megabytes: Annotated[int, Field(ge=1)] = 1024
    """Disk that the files of one tenant may take."""
    keep_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """Age at which files are removed, and batches that have ended."""
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Lines under way at once in each process, over all batches."""
    max_lines: Annotated[int, Field(ge=1)] = 50_000
    """Requests in one batch."""


class EdgeSpec(Part):
    """A cache in front (`tenfold emit edge`) that is told of purges."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Where it takes purges: its admin listener."""
    secret_env: Variable
    """The environment variable with its purge password (in its secrets.json)."""


class ServeSpec(Part):
    """What `tenfold serve` puts on the front door."""

    model: Reference | None = None
    """The alias or asset to serve. An alias is resolved when the server starts."""
    backends: tuple[BackendSpec, ...] = ()
    """Further models, served by other machines."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on. Only this machine, unless you say so."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any free port."""
    workers: Annotated[int, Field(ge=1, le=128)] = 1
    """Processes that answer, best one per core. They share tiers, limits, budgets and counters."""
    tls: TlsSpec | None = None
    tiers: tuple[Literal["exact", "host", "shared"], ...] = ("exact",)
    """Where answers may come from before the model, cheapest first: this process, this host, all hosts."""
    cache: CacheSpec = CacheSpec()
    redis_url_env: Variable | None = None
    """The environment variable with the address of a Redis that hosts share: tier `shared`, budgets."""
    require_keys: bool = False
    """Refuse requests without a virtual key (`tenfold keys create`)."""
    admin_key_env: Variable | None = None
    """The environment variable with the key that opens /admin. Left out: only keys of scope `admin`."""
    routing: RoutingSpec = RoutingSpec()
    prices: dict[ModelName, PriceSpec] = Field(default_factory=dict)
    default_price: PriceSpec | None = None
    """Of a model without one of its own; null: free."""
    tenants: dict[str, TenantSpec] = Field(default_factory=dict)
    on_store_loss: Literal["local", "refuse"] = "local"
    """When the budget store is away: go by what was known last, or refuse what costs money."""
    timeout_s: Seconds = 600.0
    """Longest time one answer may take."""
    max_body_megabytes: Annotated[int, Field(ge=1, le=1024)] = 8
    """Largest request body."""
    batch: BatchSpec = BatchSpec()
    edge_max_age_s: Annotated[int, Field(ge=0)] = 0
    """How long an edge in front may keep an answer; 0: not at all."""

    edges: tuple[EdgeSpec, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> ServeSpec:
        if self.model is None and not self.backends:
            raise wrong("serve needs a model of this factory, or backends, or both")
        if "shared" in self.tiers and self.redis_url_env is None:
            raise wrong("the tier `shared` needs redis_url_env")
        return self
