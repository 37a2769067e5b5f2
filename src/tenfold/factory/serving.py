"""Gateways for steps and for `tenfold serve`: which model, which backends, which ledger.

The gateway knows nothing about factories; here its settings are put together from one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tenfold import settings
from tenfold.core.asset import Asset, Model
from tenfold.core.ports import GatewayHandle, Gateways
from tenfold.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tenfold.factory.factory import Factory
    from tenfold.serve.gateway.app import Gateway


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
    factory: Factory, *, mounts: Mapping[str, Any], tiers: Sequence[str] | None = None
) -> Gateway:
    """The gateway that the factory's `serve:` describes. An alias is resolved here, once.

    Raises UsageError when the model has not been built, ConfigError when a backend's key is not set.
    """
    from tenfold.serve.backends.embedded import EmbeddedBackend
    from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.gateway.observed import observed

    wanted = factory.spec.serve if factory.spec is not None else None
    if wanted is None:
        raise UsageError(
            "the factory file does not say what to serve",
            where=str(factory.spec.path) if factory.spec is not None else None,
            hint="add `serve: {model: model@champion}`",
        )
    model = factory.asset(wanted.model)
    if model.manifest.kind != Model.kind:
        raise UsageError(f"{wanted.model} is a {model.manifest.kind}, not a model")
    backends: list[Any] = [EmbeddedBackend(model.folder(), model=wanted.model, digest=model.digest)]
    for backend in wanted.backends:
        secret = settings.secret(backend.api_key_env) if backend.api_key_env is not None else None
        if backend.api_key_env is not None and secret is None:
            raise ConfigError(
                f"the backend {backend.name!r} needs a key and {backend.api_key_env} is not set",
                hint=f"export {backend.api_key_env}=...",
            )
        names = {model_name: model_name for model_name in backend.models}
        remote = OpenAIConfig(base_url=backend.url, api_key=secret, models=names)
        backends.append(OpenAIBackend(remote, name=backend.name))
    config = GatewayConfig(
        tiers=tuple(wanted.tiers if tiers is None else tiers),
        require_keys=wanted.require_keys or None,
        cache_entries=wanted.cache.entries,
        cache_bytes=wanted.cache.megabytes << 20,
    )
    return Gateway(
        config,
        backends,
        factory.ledger,
        metering=observed(factory.tariff, factory.power),
        mounts=mounts,
    )


def serve(
    factory: Factory,
    *,
    host: str | None,
    port: int | None,
    mounts: Mapping[str, Any],
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    from tenfold.serve.gateway.server import run

    gateway = gateway_of(factory, mounts=mounts)
    assert factory.spec is not None
    assert factory.spec.serve is not None
    run(
        gateway,
        host or factory.spec.serve.host,
        factory.spec.serve.port if port is None else port,
        on_ready=on_ready,
    )
