"""Steps: versioned functions from assets to an asset, and what they are given to work with.

    @step(version="2", resources=Resources(cpu=2))
    def summaries(clean: Table, ctx: Context, *, max_words: int = 60) -> Table: ...

Positional parameters are the assets a step needs, `ctx` is its Context, keyword-only parameters are its
configuration. A step with many settings takes one frozen dataclass instead, as `config`. Nothing here
runs a step.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import UnionType
from typing import Any, Protocol, get_args, get_type_hints, overload

from tenfold.core.asset import Asset, Draft
from tenfold.core.config import (
    Setting,
    build,
    read_settings,
    settings_of_dataclass,
    settings_of_function,
)
from tenfold.core.ports import GatewayHandle
from tenfold.errors import ConfigError

_OR = " or "


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a step needs of the machine while it runs."""

    cpu: int = 1
    """Cores it keeps busy, 1 or more."""
    memory_bytes: int = 0
    """Expected peak; 0: unknown."""
    gpu: int = 0


class Context(Protocol):
    """What a running step can ask for. The clock, the store and the ledger stay out of its sight."""

    asset: str
    """The name of the asset being made."""
    run_id: str
    seed: int
    """Derived from the key: the same work always draws the same numbers."""
    cpu: int
    """Cores granted."""
    scratch: Mapping[str, Any]
    """Facts about the factory a step may need: `factory` (name), `directory` (of the factory file)."""

    def draft(self, kind: str) -> Draft:
        """A new asset of `kind`, in a staging folder that is removed if the step fails."""
        ...

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        """Record a number; with `step`, a point of a curve. Batched, so it is cheap in a loop."""
        ...

    def progress(self, done: float, total: float, note: str = "") -> None: ...

    def log(self, event: str, **fields: Any) -> None: ...

    def checkpoint(self, draft: Draft, step: int) -> None:
        """Keep an unfinished asset, so that a killed step goes on from here."""
        ...

    def resume(self) -> tuple[Asset, int] | None:
        """The newest checkpoint of this very computation, with its step; None on a fresh start."""
        ...

    def keep(self, key: str, draft: Draft) -> Asset:
        """Store a finished part of the work under a key of its own, and take its files out of `draft`.

        The key must name everything that decides its bytes: whoever asks for it again, in this run or
        any later one, gets it instead of making it. One transaction; its files last as long as an asset
        has them, and else for the store's grace time.
        """
        ...

    def piece(self, key: str) -> Asset | None:
        """What was kept under `key`, with all its files; None: it is still to be made."""
        ...

    def gateway(
        self, model: Asset, *, tiers: Sequence[str] = ()
    ) -> AbstractContextManager[GatewayHandle]:
        """A real gateway serving `model` in a process of its own while the context lasts."""
        ...


@dataclass(frozen=True, eq=False)
class Step:
    """A function with its name, version, settings and the kinds of its assets."""

    name: str
    version: str
    function: Callable[..., Any]
    settings: Mapping[str, Setting]
    config_class: type | None
    inputs: Mapping[str, str]
    """parameter -> kind (`asset`: any; `corpus or shards`: either)."""
    variadic: str | None
    """The name of a `*inputs` parameter that takes any number of further assets."""
    output: str
    """kind"""
    takes_context: bool
    resources: Resources
    observe: Callable[..., Any] | None
    """For sources: (config mapping, factory directory) -> what the outside world looks like, keyed."""
    retries: int

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A step stays a plain function for its tests and its users."""
        return self.function(*args, **kwargs)

    def configure(self, given: Mapping[str, Any], where: str | None = None) -> dict[str, Any]:
        """`given` checked and completed with defaults: the canonical configuration, as plain JSON values.

        Raises ConfigError naming the setting, the value and the nearest known name.
        """
        plain = read_settings(self.settings, given, where or self.name)
        if self.config_class is not None:
            self._build(plain, where)
        return plain

    def invoke(self, inputs: Sequence[Asset], ctx: Context, config: Mapping[str, Any]) -> Any:
        """Call the function the way it wants to be called."""
        arguments: list[Any] = list(inputs)
        keywords: dict[str, Any] = {}
        if self.config_class is not None:
            keywords["config"] = self._build(config, None)
        else:
            keywords.update(
                (name, build(self.settings[name].type, value)) for name, value in config.items()
            )
        if self.takes_context:
            keywords["ctx"] = ctx
        if self.variadic is None:
            keywords.update(zip(self.inputs, arguments, strict=True))
            arguments = []
        return self.function(*arguments, **keywords)

    def _build(self, config: Mapping[str, Any], where: str | None) -> Any:
        assert self.config_class is not None
        try:
            return build(self.config_class, config)
        except ConfigError as error:
            error.where = error.where or where or self.name
            raise


@overload
def step(function: Callable[..., Any], /) -> Step: ...
@overload
def step(
    *,
    version: str,
    produces: type[Asset] | None = None,
    name: str | None = None,
    resources: Resources = ...,
    observe: Callable[..., Any] | None = None,
    retries: int = 0,
) -> Callable[[Callable[..., Any]], Step]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    version: str = "1",
    produces: type[Asset] | None = None,
    name: str | None = None,
    resources: Resources = Resources(),
    observe: Callable[..., Any] | None = None,
    retries: int = 0,
) -> Any:
    """Make a step of a function. Raise `version` whenever its output may differ for the same inputs.

    `produces` names the kind of asset it makes (or the return annotation does), so that a factory that
    wires a corpus into a model's place is refused before anything runs. `observe(config, directory)` is
    for steps that read the world outside: what it returns (file digests, say) becomes part of the key.
    """

    def make(target: Callable[..., Any]) -> Step:
        try:
            hints = get_type_hints(target)
        except NameError as error:
            raise ConfigError(
                f"an annotation of the step {target.__qualname__} cannot be resolved: {error}",
                hint="import it at the top of the module, not inside a function or TYPE_CHECKING",
            ) from None
        parameters = inspect.signature(target).parameters
        inputs: dict[str, str] = {}
        variadic = None
        for parameter in parameters.values():
            if parameter.name in ("ctx", "config"):
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:
                variadic = parameter.name
            elif parameter.kind is not parameter.KEYWORD_ONLY:
                inputs[parameter.name] = _kind(hints.get(parameter.name))
        config_class: type | None = hints.get("config") if "config" in parameters else None
        if config_class is not None and not dataclasses.is_dataclass(config_class):
            raise ConfigError("the config parameter must be a dataclass", where=target.__qualname__)
        settings = (
            settings_of_dataclass(config_class)
            if config_class is not None
            else settings_of_function(target, hints)
        )
        made = Step(
            name=name or f"{target.__module__}:{target.__name__}",
            version=version,
            function=target,
            settings=settings,
            config_class=config_class,
            inputs=inputs,
            variadic=variadic,
            output=_kind(produces or hints.get("return")),
            takes_context="ctx" in parameters,
            resources=resources,
            observe=observe,
            retries=retries,
        )
        object.__setattr__(made, "__doc__", target.__doc__)
        return made

    return make if function is None else make(function)


def accepts(wanted: str, kind: str) -> bool:
    """Whether an asset of `kind` may stand where an input says `wanted`; a plain asset goes anywhere."""
    return Asset.kind in (wanted, kind) or kind in wanted.split(_OR)


def _kind(hint: Any) -> str:
    if isinstance(hint, UnionType):
        return _OR.join(_kind(one) for one in get_args(hint))
    return hint.kind if isinstance(hint, type) and issubclass(hint, Asset) else Asset.kind
