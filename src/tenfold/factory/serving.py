"""Gateways for steps and for `tenfold serve`: which model, which backends, which ledger.

The gateway knows nothing about factories; here its settings are put together from one.
"""

from __future__ import annotations

import ipaddress
import logging
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import settings
from tenfold.core.asset import Asset, Model
from tenfold.core.facts import VirtualKey
from tenfold.core.ports import GatewayHandle, Gateways
from tenfold.errors import ConfigError, TenfoldError, UsageError

if TYPE_CHECKING:
    import socket

    from tenfold.factory.factory import Factory
    from tenfold.factory.outlook import Outlook
    from tenfold.serve.backends.base import Backend
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.gateway.parts import Parts
    from tenfold.spec.serving import BackendSpec, PriceSpec, ServeSpec

log = logging.getLogger("tenfold.gateway")

Mounts = Callable[["Factory"], Mapping[str, Any]]
_ENDPOINTS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
_RELOADED = frozenset({"model", "backends", "routing", "prices", "default_price", "tenants"})
"""Fields of `serve:` that SIGHUP takes over. The others need a restart."""


def before(urls: Sequence[str], key_env: str | None = None) -> Factory:
    """A factory without assets that serves the models of OpenAI-compatible servers. Its facts go into the
    store of this folder. `key_env`: the environment variable with the key they all take.
    Raises UsageError for something that is no address or no name of a variable."""
    from pydantic import ValidationError

    from tenfold.factory.factory import Factory
    from tenfold.spec.models import FactorySpec
    from tenfold.spec.serving import BackendSpec, ServeSpec

    backends = []
    for number, url in enumerate(urls, 1):
        try:
            backends.append(BackendSpec(name=f"backend-{number}", url=url, api_key_env=key_env))
        except ValidationError as error:
            if error.errors()[0]["loc"] == ("api_key_env",):
                raise UsageError(
                    "a backend's key is named by the variable that holds it",
                    hint="--backend-key-env VLLM_API_KEY, say",
                ) from None
            raise UsageError(
                "a backend is the address of a server",
                seen=url.rpartition("@")[2],
                hint="like http://127.0.0.1:8000/v1",
            ) from None
    return Factory.of(FactorySpec(factory="gateway", serve=ServeSpec(backends=tuple(backends))))


def gateways_of(factory: Factory) -> Gateways:
    """Starts gateways for steps of this factory: a process each, writing into the same ledger."""

    @contextmanager
    def start(model: Asset, *, tiers: Sequence[str], source: str) -> Iterator[GatewayHandle]:
        from tenfold.serve.gateway.process import launch

        with launch(
            folder=model.folder(),
            digest=model.digest,
            name=model.name,
            tiers=tiers,
            ledger_url=factory.ledger_url,
            source=source,
            tariff=factory.tariff,
            power=factory.power,
        ) as handle:
            yield handle

    return start


def gateway_of(
    factory: Factory,
    *,
    mounts: Mapping[str, Any],
    tiers: Sequence[str] | None = None,
    worker: int = 0,
    workers: int = 1,
) -> Gateway:
    """The gateway that the factory's `serve:` describes. An alias is resolved here, once.

    Raises UsageError when the model has not been built, ConfigError when a backend's key is not set.
    """
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.observed import observed
    from tenfold.serve.gateway.parts import open_parts

    wanted = _wanted(factory)
    config = config_of(factory, wanted, tiers)
    parts: Parts = open_parts(config, worker, workers)
    gateway = Gateway(
        config,
        backends_of(factory, wanted),
        factory.ledger,
        metering=observed(factory.tariff, factory.power),
        mounts=mounts,
        parts=parts,
    )
    if wanted.admin_key_env is not None:
        secret = _admin_secret(wanted.admin_key_env)
        gateway.keys.lend("admin", "admin", scopes=("admin",), secret=secret)
    return gateway


def config_of(
    factory: Factory, wanted: ServeSpec, tiers: Sequence[str] | None = None
) -> GatewayConfig:
    """Raises ConfigError for a value out of range or a variable that is not set."""
    from tenfold.serve.access.grant import TenantPolicy
    from tenfold.serve.batch.config import BatchConfig
    from tenfold.serve.edge.origin import EdgeAddress
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.router.config import MemberConfig, RouterConfig

    state = state_folder_of(factory)
    routing = wanted.routing
    return GatewayConfig(
        tiers=tuple(wanted.tiers if tiers is None else tiers),
        require_keys=wanted.require_keys or None,
        cache_sampled=wanted.cache.sampled,
        cache_entries=wanted.cache.entries,
        cache_bytes=wanted.cache.megabytes << 20,
        cache_ttl_s=wanted.cache.ttl_s,
        host_cache_bytes=wanted.cache.host_megabytes << 20,
        policy_epoch=wanted.cache.epoch,
        state_dir=state,
        spool=None if state is None else state / "spool",
        redis_url=redis_url_of(wanted),
        on_store_loss=wanted.on_store_loss,
        router=RouterConfig(
            policy=routing.policy,
            members={
                backend.name: MemberConfig(
                    weight=backend.weight,
                    max_outstanding=backend.max_outstanding,
                    usd_per_token=backend.usd_per_token,
                    joules_per_token=backend.joules_per_token,
                    region=backend.region,
                )
                for backend in wanted.backends
            },
            max_outstanding=routing.max_outstanding,
            max_waiting=routing.max_waiting,
            max_wait_s=routing.max_wait_s,
            max_attempts=routing.attempts,
            retry_share=routing.retry_share,
            first_part_timeout_s=routing.first_part_timeout_s,
            fallbacks=routing.fallbacks,
            hedge_share=routing.hedge_share,
            regions=routing.regions,
        ),
        prices={name: _price(price) for name, price in wanted.prices.items()},
        default_price=None if wanted.default_price is None else _price(wanted.default_price),
        tenants={
            name: TenantPolicy(**tenant.model_dump()) for name, tenant in wanted.tenants.items()
        },
        timeout_s=wanted.timeout_s,
        max_body_bytes=wanted.max_body_megabytes << 20,
        batch=BatchConfig(
            max_file_bytes=wanted.batch.max_file_megabytes << 20,
            tenant_bytes=wanted.batch.tenant_megabytes << 20,
            keep_s=wanted.batch.keep_days * 86_400,
            concurrency=wanted.batch.concurrency,
            max_lines=wanted.batch.max_lines,
        ),
        edge_max_age_s=wanted.edge_max_age_s,
        edges=tuple(
            EdgeAddress(edge.url, _secret(edge.secret_env, "an edge's purge password"))
            for edge in wanted.edges
        ),
    )


def backends_of(factory: Factory, wanted: ServeSpec) -> list[Backend]:
    """The factory's own model first, then the others in the file's order."""
    backends: list[Backend] = []
    if wanted.model is not None:
        from tenfold.serve.backends.embedded import EmbeddedBackend

        model = factory.asset(wanted.model)
        if model.manifest.kind != Model.kind:
            raise UsageError(f"{wanted.model} is a {model.manifest.kind}, not a model")
        backends.append(EmbeddedBackend(model.folder(), model=wanted.model, digest=model.digest))
    return [*backends, *map(_backend, wanted.backends)]


def serve(
    factory: Factory,
    *,
    host: str | None,
    port: int | None,
    workers: int | None,
    mounts: Mounts | None,
    on_begin: Callable[[Outlook], None],
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    from tenfold.factory.outlook import outlook
    from tenfold.serve.http.server import listen

    wanted = _wanted(factory)
    host = host or wanted.host
    port = wanted.port if port is None else port
    count = workers or wanted.workers
    _check_exposure(factory, wanted, host)
    _check_settings(factory, wanted)
    if count == 1:
        with listen(host, port) as sock:
            on_begin(outlook(factory, wanted, _url(wanted, host, sock), 1))
            _work(
                factory,
                wanted,
                0,
                1,
                host,
                sock,
                mounts,
                lambda: on_ready(_url(wanted, host, sock)),
            )
        return
    from tenfold.serve.gateway.workers import Workers

    sockets = [listen(host, port, reuse_port=True)]
    taken = sockets[0].getsockname()[1]
    sockets += [listen(host, taken, reuse_port=True) for _ in range(count - 1)]
    on_begin(outlook(factory, wanted, _url(wanted, host, sockets[0]), count))
    factory.close()  # a connection does not survive a fork; each worker opens its own
    team = Workers(
        sockets,
        lambda worker, sock, ready: _work(
            factory, wanted, worker, count, host, sock, mounts, ready
        ),
    )
    team.run(lambda: on_ready(_url(wanted, host, sockets[0])))


def _work(
    factory: Factory,
    wanted: ServeSpec,
    worker: int,
    workers: int,
    host: str,
    sock: socket.socket,
    mounts: Mounts | None,
    ready: Callable[[], None],
) -> None:
    """One worker's life, in a process of its own where there are several."""
    from tenfold.serve.gateway.server import run

    gateway = gateway_of(
        factory, mounts={} if mounts is None else mounts(factory), worker=worker, workers=workers
    )

    def listening(url: str, drain: Callable[[], None]) -> None:
        import asyncio  # every factory has gateways, few serve

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: _reload(factory, gateway))

    try:
        run(
            gateway,
            host,
            sockets=[sock],
            tls=_tls(factory, wanted),
            on_listening=listening,
            on_ready=lambda url: ready(),
        )
    finally:
        factory.close()


def _reload(factory: Factory, gateway: Gateway) -> None:
    """Read the file again and take over what can be exchanged while requests go on."""
    before = _wanted(factory)
    try:
        factory.reread()
        wanted = _wanted(factory)
        backends = backends_of(factory, wanted)
        config = config_of(factory, wanted)
    except TenfoldError as error:
        log.error("the file was not taken over, all stays as it was: %s", error)
        return
    known = {backend.name: backend for backend in before.backends}
    changed = [
        backend.name
        for backend in wanted.backends
        if known.get(backend.name) not in (None, backend)
    ]
    if before.model is not None and wanted.model is not None:
        served = {card.name: card.digest for card in gateway.fleet.cards()}
        fresh = factory.asset(wanted.model).digest
        if served.get(wanted.model) != fresh:
            changed.append("embedded")
    gateway.reload(config, backends, changed)
    log.warning("the file was read again; exchanged: %s", ", ".join(changed) or "no backend")
    waiting = [
        name
        for name in type(wanted).model_fields
        if name not in _RELOADED and getattr(before, name) != getattr(wanted, name)
    ]
    if waiting:
        log.warning("these changed and need a restart: %s", ", ".join(waiting))


def _wanted(factory: Factory) -> ServeSpec:
    wanted = factory.spec.serve if factory.spec is not None else None
    if wanted is None:
        raise UsageError(
            "the factory file does not say what to serve",
            where=str(factory.spec.path) if factory.spec is not None else None,
            hint="add `serve: {model: model@champion}`",
        )
    return wanted


def _backend(backend: BackendSpec) -> Backend:
    from tenfold.serve.backends.http_pool import PoolConfig

    secret = None
    if backend.api_key_env is not None:
        secret = _secret(backend.api_key_env, f"the key of the backend {backend.name!r}")
    models = backend.models
    names = dict(models) if isinstance(models, dict) else {name: name for name in models}
    pool = PoolConfig(max_connections=backend.connections, read_timeout_s=backend.timeout_s)
    if backend.kind == "anthropic":
        from tenfold.serve.backends.anthropic_http import AnthropicBackend, AnthropicConfig

        return AnthropicBackend(
            AnthropicConfig(base_url=backend.url, api_key=secret, models=names, pool=pool),
            name=backend.name,
        )
    from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig

    spoken = backend.protocols or ("chat", "completions", "embeddings")
    return OpenAIBackend(
        OpenAIConfig(
            base_url=backend.url,
            api_key=secret,
            models=names,
            pool=pool,
            speaks=frozenset(_ENDPOINTS[protocol] for protocol in spoken),
        ),
        name=backend.name,
    )


def _price(price: PriceSpec) -> Any:
    from tenfold.serve.access.prices import Price

    return Price(**price.model_dump())


def _secret(variable: str, what: str) -> str:
    value = settings.secret(variable)
    if value is None:
        raise ConfigError(f"{what} is not set", where=variable, hint=f"export {variable}=...")
    return value


def redis_url_of(wanted: ServeSpec) -> str | None:
    """Raises ConfigError when the variable that should hold it is not set."""
    if wanted.redis_url_env is None:
        return None
    return _secret(wanted.redis_url_env, "the address of Redis")


def state_folder_of(factory: Factory) -> Path | None:
    """Beside the store; a factory in memory has none."""
    return factory.state_folder("gateway")


def _tls(factory: Factory, wanted: ServeSpec) -> Any:
    if wanted.tls is None:
        return None
    from tenfold.serve.http.tls import server_tls

    folder = factory.directory
    return server_tls(folder / wanted.tls.certificate, folder / wanted.tls.key)


def _url(wanted: ServeSpec, host: str, sock: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{'http' if wanted.tls is None else 'https'}://{shown}:{sock.getsockname()[1]}"


def _check_settings(factory: Factory, wanted: ServeSpec) -> None:
    """Raises what a worker would, before there is one: said once, by the process that was started."""
    config_of(factory, wanted)
    backends_of(factory, wanted)
    _tls(factory, wanted)
    if wanted.admin_key_env is not None:
        _admin_secret(wanted.admin_key_env)


def _admin_secret(variable: str) -> str:
    from tenfold.serve.access.admin_secret import check_admin_secret

    secret = _secret(variable, "the admin key")
    check_admin_secret(secret, where=variable)
    return secret


def _check_exposure(factory: Factory, wanted: ServeSpec, host: str) -> None:
    """Raises ConfigError for a gateway that other machines reach and nobody keeps the keys of."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        return
    if not wanted.require_keys:
        raise ConfigError(
            "a gateway that is reachable from other machines must require keys",
            where="serve.host",
            seen=host,
            hint="set serve.require_keys: true and make a key, or listen on 127.0.0.1",
        )
    if wanted.admin_key_env is None and not any(
        "admin" in key.scopes and key.revoked_at_s is None
        for key in factory.ledger.read(VirtualKey)
    ):
        raise ConfigError(
            "a gateway that is reachable from other machines needs an admin key",
            where="serve.host",
            seen=host,
            hint="tenfold keys create ops --scope admin, or set serve.admin_key_env",
        )
