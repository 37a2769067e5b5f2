"""What may stand in a factory.yaml, field by field. The same words as in Python, CLI, HTTP and on screen.

Strict: no field is guessed, no text becomes a number. Whether names refer to something is `references`'
and `wiring`'s business; what a step's `config` may hold is the step's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from tenfold.core.cron import parse_cron
from tenfold.errors import ConfigError
from tenfold.spec.part import (
    AliasName,
    Amount,
    AssetName,
    Bound,
    FactoryName,
    Part,
    wrong,
)
from tenfold.spec.place import Place, Places, read_path, write_path
from tenfold.spec.serving import ServeSpec


class CheckSpec(Part):
    """A rule over one metric of the asset. Red, it stops a promotion, or the assets that need this one."""

    metric: Annotated[str, Field(min_length=1)]
    """The metric's name, as the step records it."""
    min: Bound | None = None
    """Green at this value or above."""
    max: Bound | None = None
    """Green at this value or below."""
    not_above: AliasName | None = None
    """Green while the metric is at most that of the asset this alias points at, plus `by`."""
    not_below: AliasName | None = None
    """Green while the metric is at least that of the asset this alias points at, minus `by`."""
    by: Amount = 0.0
    """Slack of `not_above` and `not_below`, in the metric's own unit."""
    blocks: Literal["promotion", "run"] = "promotion"
    """What red stops: `promotion` of an alias, or also `run`, the assets downstream."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> CheckSpec:
        against = self.not_above is not None or self.not_below is not None
        if self.min is None and self.max is None and not against:
            raise wrong("a check needs a bound: min, max, not_above or not_below")
        if self.by and not against:
            raise wrong("`by` is the slack of not_above or not_below, which is not there")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong(f"min {self.min:g} is above max {self.max:g}: it can never be green")
        return self


class ResourcesSpec(Part):
    """What the step needs of the machine while it runs. Left out: what the step itself says."""

    cpu: Annotated[int, Field(ge=1)] | None = None
    """Cores it keeps busy."""
    memory_bytes: Annotated[int, Field(ge=0)] | None = None
    """Expected peak, in bytes."""
    gpu: Annotated[int, Field(ge=0)] | None = None


def _shape(value: Any) -> str | None:
    shapes = ((list | tuple, "list"), (dict, "mapping"), (str, "text"))
    return next((name for type_, name in shapes if isinstance(value, type_)), None)


Needs = Annotated[
    Annotated[tuple[AssetName, ...], Tag("list")] | Annotated[dict[str, AssetName], Tag("mapping")],
    Discriminator(
        lambda value: None if _shape(value) == "text" else _shape(value),
        custom_error_type="tenfold",
        custom_error_message="must be a list of assets, or a mapping from parameters to assets",
    ),
]
Names = Annotated[
    Annotated[tuple[str, ...], Tag("list")] | Annotated[str, Tag("text")],
    Discriminator(
        lambda value: None if _shape(value) == "mapping" else _shape(value),
        custom_error_type="tenfold",
        custom_error_message="must be a file name or a list of them",
    ),
]
"""A tag per shape: a fault then speaks about the shape that was meant, not about both."""


class AssetSpec(Part):
    """One asset: the step that makes it, from what, how, and the checks it must pass."""

    step: Annotated[str, Field(min_length=1)]
    """A built-in step (`data.curate`), or `my_module:function` in a module beside this file."""
    needs: Needs = ()
    """The assets the step takes: a list in its order, or a mapping from its parameters."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The step's settings. What is left out has the step's default."""
    checks: tuple[CheckSpec, ...] = ()
    """Rules over the metrics that the step records."""
    resources: ResourcesSpec = ResourcesSpec()
    retries: Annotated[int, Field(ge=0, le=100)] | None = None
    """How often a failed step is tried again. Left out: what the step itself says."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Start of the random numbers. Left out: derived from the work itself, the same every time."""

    @field_validator("config", mode="before")
    @classmethod
    def _empty_config(cls, value: Any) -> Any:
        return {} if value is None else value  # `config:` with every line commented out


class ReleaseSpec(Part):
    """An alias that a run moves to a new asset once the required checks are green."""

    alias: AliasName
    """`model@champion`"""
    asset: AssetName
    """What the alias will point at."""
    requires: tuple[AssetName, ...] = ()
    """Assets whose checks must all be green too, beside the asset's own."""
    reason: str = ""
    """Goes on record with the move."""


class CostSpec(Part):
    """What the machine and its power cost. Left out: the built-in figure, which reports say."""

    usd_per_machine_hour: Amount | None = None
    usd_per_kwh: Amount | None = None
    gco2e_per_kwh: Amount | None = None
    """Grams of CO2 equivalent per kilowatt-hour of the grid."""
    pue: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """Power usage effectiveness of the building: total power over the machines' power, 1 or more."""


class PowerSpec(Part):
    """The power model, for machines whose energy cannot be measured (no RAPL, no NVML)."""

    idle_watts_per_core: Amount | None = None
    active_watts_per_core: Amount | None = None

    @model_validator(mode="after")
    def _ordered(self) -> PowerSpec:
        idle, active = self.idle_watts_per_core, self.active_watts_per_core
        if idle is not None and active is not None and idle > active:
            raise wrong(
                f"an idle core ({idle:g} W) cannot take more than an active one ({active:g} W)"
            )
        return self


TRIGGERS = ("every", "new_data_for", "drift_of", "red_check_on")


class TriggerSpec(Part):
    """What makes assets be made again: a time, new data, drift or a red check. Exactly one of the four."""

    every: Annotated[str, Field(min_length=1)] | None = None
    """Cron, five fields, UTC: `0 3 * * 1` is Monday at three."""
    new_data_for: AssetName | None = None
    """When the source behind this asset looks different."""
    drift_of: AssetName | None = None
    """When `metric` of this asset moved, up or down, by more than `above`."""
    metric: str | None = None
    above: Amount | None = None
    """Relative to the result before: 0.2 is a fifth."""
    red_check_on: AssetName | None = None
    """When a check of this asset is red."""
    rebuild: Annotated[tuple[AssetName, ...], Field(min_length=1)]
    """The assets to make again, with what they need."""

    @model_validator(mode="after")
    def _one_trigger(self) -> TriggerSpec:
        given = [name for name in TRIGGERS if getattr(self, name) is not None]
        if len(given) != 1:
            has = " and ".join(given) or "none"
            raise wrong(f"a trigger has exactly one of {', '.join(TRIGGERS)}: this one has {has}")
        drift = self.metric is not None, self.above is not None
        if self.drift_of is not None and not all(drift):
            raise wrong("drift_of needs both `metric` and `above`")
        if self.drift_of is None and any(drift):
            raise wrong("`metric` and `above` belong to drift_of, which is not there")
        if self.every is not None:
            try:
                parse_cron(self.every)
            except ConfigError as error:
                raise wrong(str(error)) from None
        return self


class FactorySpec(Part):
    """A factory file, all layers merged."""

    factory: FactoryName
    """The factory's name: small letters, digits and dashes."""
    extends: Names = ()
    """Files this one is laid over, relative to it. Mappings merge, everything else replaces, `null` over a mapping removes it."""
    store: Annotated[str, Field(min_length=1)] = "./.tenfold"
    """Where assets are kept: a folder, relative to this file."""
    ledger: Annotated[str, Field(pattern=r"^postgres(ql)?://")] | None = None
    """Where facts are kept: `postgresql://...`, or null for SQLite inside the store."""
    engine: Literal["local"] = "local"
    """Where steps run: `local`, in processes of this machine."""
    strict_env: bool = False
    """Make everything again when Python or a package changes: the environment becomes part of every key."""
    assets: dict[AssetName, AssetSpec] = Field(default_factory=dict)
    """name -> how it is made. The order does not matter. None: the file only serves what others made."""
    release: tuple[ReleaseSpec, ...] = ()
    """Aliases that runs move."""
    serve: ServeSpec | None = None
    cost: CostSpec = CostSpec()
    power: PowerSpec = PowerSpec()
    watch: tuple[TriggerSpec, ...] = ()
    """What `tenfold watch` waits for."""

    @model_validator(mode="after")
    def _does_something(self) -> FactorySpec:
        if not self.assets and self.serve is None:
            raise wrong("a factory has `assets` to make, or something to `serve`")
        return self

    _path: Path | None = PrivateAttr(default=None)
    _places: Places | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The file this was read from; None for a spec made in Python."""
        return self._path

    @property
    def directory(self) -> Path:
        """The folder that relative paths are relative to."""
        return (self._path.parent if self._path else Path()).resolve()

    def where(self, path: str) -> str:
        """`assets.score.step` -> `factory.yaml:14:9 assets.score.step`, for errors found later."""
        parts = read_path(path)
        if self._places is None or parts is None:
            return path
        return f"{self._places.of_value(parts)} {write_path(parts)}"

    def place(self, path: str) -> Place | None:
        """Where the value at `path`, or its nearest ancestor, stands."""
        parts = read_path(path)
        return self._places.of_value(parts) if self._places and parts is not None else None
