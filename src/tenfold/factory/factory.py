"""Factory: the one object a user holds, from a file or from Python.

factory = Factory.load("factory.yaml").add(summaries, needs=["clean"])
print(factory.plan().explain())
outcome = factory.run()
factory.promote("small", "model@champion")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import settings
from tenfold.core.aliases import is_alias, parse_alias
from tenfold.core.asset import Asset, view
from tenfold.core.checks import Check
from tenfold.core.facts import AliasMove, RunStep, StepResult, VirtualKey
from tenfold.core.graph import Graph, Node
from tenfold.core.plan import Plan, make_plan
from tenfold.core.ports import Ledger
from tenfold.core.progress import Progress
from tenfold.core.step import Resources, Step
from tenfold.core.triggers import Due, Trigger
from tenfold.engines.clock import SystemClock
from tenfold.engines.environment import environment
from tenfold.errors import CheckFailed, UnknownName, UsageError
from tenfold.factory.building import Builder
from tenfold.factory.catalogue import Catalogue, source_sha256
from tenfold.factory.judging import Judging
from tenfold.factory.keys import create_key, revoke_key
from tenfold.factory.labelling import Labelling
from tenfold.factory.outcome import RunOutcome
from tenfold.factory.past import Past
from tenfold.factory.release import Release, Releases
from tenfold.ledger import open_ledger
from tenfold.stores.open import open_store

if TYPE_CHECKING:
    from tenfold.factory.outlook import Outlook
    from tenfold.factory.replaying import Replayed
    from tenfold.queries import Queries
    from tenfold.spec.models import FactorySpec
    from tenfold.stores.gc import Collected

_MEMORY = "memory:"


class Factory:
    """A graph of assets with checks, releases and triggers, over one store and one ledger."""

    def __init__(
        self,
        name: str,
        *,
        store: str = "./.tenfold",
        ledger: str | None = None,
        directory: str | Path = ".",
        strict_env: bool = False,
    ) -> None:
        """`store` is a folder relative to `directory`, or `memory:`; `ledger` defaults to SQLite inside it."""
        env = settings.load()
        self.name = name
        self.directory = Path(directory).resolve()
        self.spec: FactorySpec | None = None
        self._sets: tuple[str, ...] = ()
        self._settings = env
        self._store_url = env.store or store
        self._ledger_url = env.ledger or ledger
        self._strict_env = strict_env
        self._nodes: dict[str, Node] = {}
        self._releases: list[Release] = []
        self._triggers: list[Trigger] = []
        self._clock = SystemClock()

    def __repr__(self) -> str:
        return f"<factory {self.name}, assets: {len(self._nodes)}>"

    def _repr_html_(self) -> str:
        """What is declared; how it stands is `plan()`'s to say. Opens nothing."""
        from tenfold.factory.notebook import as_html

        return as_html(self.name, self._nodes.values())

    @classmethod
    def load(cls, path: str | Path = "factory.yaml", *, sets: Sequence[str] = ()) -> Factory:
        """Read a factory file. Raises SpecError with all its faults, each with file:line:col."""
        from tenfold.spec.load import load
        from tenfold.spec.wiring import ordered_needs

        file = Path(path)
        directory = (file if file.is_dir() else file.parent).resolve()
        catalogue = Catalogue(directory)
        spec = load(file, sets, resolve=catalogue.find, known=catalogue.names())
        factory = cls.of(spec)
        factory._sets = tuple(sets)
        for name, asset in spec.assets.items():
            step = catalogue.get(asset.step)
            wanted = asset.resources.model_dump(exclude_none=True)
            factory._nodes[name] = Node(
                name=name,
                step=step,
                needs=ordered_needs(step, asset.needs),
                config=step.configure(asset.config),
                checks=tuple(Check(**check.model_dump()) for check in asset.checks),
                resources=replace(step.resources, **wanted),
                retries=step.retries if asset.retries is None else asset.retries,
                seed=asset.seed,
                where=spec.where(f"assets.{name}"),
            )
        factory._releases = [Release(**release.model_dump()) for release in spec.release]
        factory._triggers = [Trigger(**trigger.model_dump()) for trigger in spec.watch]
        return factory

    @classmethod
    def of(cls, spec: FactorySpec) -> Factory:
        """A factory with a file's settings, and none of its assets yet."""
        factory = cls(
            spec.factory,
            store=spec.store,
            ledger=spec.ledger,
            directory=spec.directory,
            strict_env=spec.strict_env,
        )
        factory.spec = spec
        return factory

    def add(
        self,
        step: Step | str,
        *,
        needs: Sequence[str] = (),
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        checks: Sequence[Check] = (),
        resources: Resources | None = None,
        retries: int | None = None,
        seed: int | None = None,
    ) -> Factory:
        """Add an asset and return the factory. The name defaults to that of the step's function."""
        if isinstance(step, str):
            step = Catalogue(self.directory).get(step)
        asset = name or step.name.rpartition(":")[2].rpartition(".")[2]
        if asset in self._nodes:
            raise UsageError(f"the asset {asset!r} is there already", hint="give it another name=")
        self._nodes[asset] = Node(
            name=asset,
            step=step,
            needs=tuple(needs),
            config=step.configure(config or {}, asset),
            checks=tuple(checks),
            resources=resources or step.resources,
            retries=step.retries if retries is None else retries,
            seed=seed,
        )
        self.__dict__.pop("graph", None)
        return self

    def release(self, asset: str, alias: str, *, requires: Sequence[str] = ()) -> Factory:
        """Move `alias` to `asset` after every run in which all checks behind it are green."""
        parse_alias(alias)
        self._releases.append(Release(alias=alias, asset=asset, requires=tuple(requires)))
        return self

    def watch_for(self, trigger: Trigger) -> Factory:
        self._triggers.append(trigger)
        return self

    @cached_property
    def graph(self) -> Graph:
        return Graph(self._nodes.values())

    @cached_property
    def blobs(self) -> Any:
        return open_store(self._store_url, self.directory)

    @cached_property
    def ledger(self) -> Ledger:
        return open_ledger(self.ledger_url)

    @property
    def ledger_url(self) -> str:
        """Where the facts are: what was asked for, else SQLite in the store."""
        if self._ledger_url is not None:
            return self._ledger_url
        if self._store_url == _MEMORY:
            return _MEMORY
        self.blobs  # noqa: B018  opening the store first refuses one made by a newer version
        return str((self.directory / self._store_url).resolve() / "ledger.db")

    def state_folder(self, name: str) -> Path | None:
        """Where processes of this factory keep what they share; None for a factory in memory."""
        place = (self.directory / self._store_url).resolve() / name
        return None if self._store_url == _MEMORY else place

    def reread(self) -> None:
        """Take over what the file says now about serving, prices and tenants. Raises SpecError, and then all
        stays as it was. Assets and steps need a new process."""
        if self.spec is None or self.spec.path is None:
            raise UsageError("this factory did not come from a file")
        self.spec = Factory.load(self.spec.path, sets=self._sets).spec

    @cached_property
    def queries(self) -> Queries:
        """Read models over this factory's ledger, for the console, the CLI and notebooks."""
        from tenfold.queries import Queries

        return Queries(self.ledger, plan=self.plan, factory=self.name)

    @property
    def labelling(self) -> Labelling:
        """The review queues of this factory, for the console, the command line and notebooks."""
        return Labelling(self.ledger, self.blobs, self.name, self.graph, now=self._clock.now)

    def plan(self, *targets: str) -> Plan:
        """What a run would do and why. Touches nothing."""
        return make_plan(
            self.name,
            self.graph,
            self._past(),
            targets,
            environment=environment() if self._strict_env else None,
            source_of=lambda node: source_sha256(node.step),
        )

    def run(
        self,
        *targets: str,
        on_event: Callable[[Progress], None] | None = None,
        force: bool = False,
        keep_going: bool = False,
    ) -> RunOutcome:
        """Make the targets (default: everything) and move the aliases the factory releases.

        Faults of steps end up in the outcome; what keeps the run itself from working (a full disk, a
        ledger that is away) is raised. With `force`, the targets are made again although nothing changed.
        """
        past = self._past()
        forced = (targets or self.graph.order) if force else ()
        plan = make_plan(
            self.name,
            self.graph,
            past,
            targets,
            force=forced,
            environment=environment() if self._strict_env else None,
        )
        run, rows = self._builder.build(
            plan,
            past,
            targets,
            force=forced,
            keep_going=keep_going,
            emit=on_event or (lambda progress: None),
        )
        released, refused = self._release(rows) if run.status == "succeeded" else ([], [])
        return RunOutcome(
            run=run,
            steps=tuple(rows[step.asset] for step in plan.steps),
            released=tuple(released),
            refused=tuple(refused),
        )

    def promote(
        self,
        asset: str,
        alias: str = "model@champion",
        *,
        digest: str | None = None,
        reason: str = "",
        actor: str | None = None,
    ) -> AliasMove:
        """Point an alias at an asset's newest result. Raises PromotionRefused while a check is not green."""
        declared = [r for r in self._releases if r.alias == alias and r.asset == asset]
        return self._mover.promote(
            asset,
            alias,
            requires=declared[0].requires if declared else (),
            digest=digest,
            reason=reason,
            actor=actor or self._settings.actor,
        )

    def rollback(self, alias: str, *, reason: str = "", actor: str | None = None) -> AliasMove:
        """Point an alias back at what it stood at before."""
        return self._mover.rollback(alias, reason=reason, actor=actor or self._settings.actor)

    def asset(self, name: str) -> Asset:
        """The newest result of an asset, or what an alias points at, ready to read."""
        if is_alias(name):
            move = self.ledger.alias(name)
            if move is None or move.digest is None:
                known = {m.alias for m in self.ledger.read(AliasMove)}
                raise UnknownName(
                    "alias", name, known, hint=None if known else "nothing is promoted"
                )
            digest, title = move.digest, move.asset
        else:
            self.graph[name]
            last = self._past().last(name)
            digest, title = (last.output.digest if last else ""), name
        manifest = self.ledger.manifest(digest) if digest else None
        if manifest is None:
            raise UsageError(f"{name} has not been built", hint=f"tenfold run {name}")
        return view(title, manifest, self.blobs)

    def result(self, asset: str) -> StepResult | None:
        """The newest step result recorded under an asset's name."""
        self.graph[asset]
        return self._past().last(asset)

    def gc(
        self, *, keep_last: int = 3, grace_s: float = 86_400.0, dry_run: bool = False
    ) -> Collected:
        """Remove what nothing points at any more. See tenfold.stores.gc."""
        from tenfold.stores.gc import collect_garbage

        self.close_abandoned_runs()  # a run that died must not hold on to anything
        return collect_garbage(
            self.ledger,
            self.blobs,
            self._clock.now(),
            keep_last=keep_last,
            grace_s=grace_s,
            dry_run=dry_run,
        )

    def close_abandoned_runs(self) -> None:
        """Runs whose process died without a word become `interrupted`."""
        self._builder.close_abandoned()

    def watch(
        self,
        *,
        once: bool = False,
        interval_s: float = 30.0,
        on_due: Callable[[Due], None] = lambda due: None,
        on_event: Callable[[Progress], None] | None = None,
    ) -> list[Due]:
        """Run what triggers call for: one round with `once`, else until interrupted."""
        from tenfold.factory.watching import Watcher

        watcher = Watcher(
            factory=self.name,
            graph=self.graph,
            triggers=self._triggers,
            ledger=self.ledger,
            clock=self._clock,
            judging=self._judging,
            past=self._past,
            run=lambda rebuild: self.run(*rebuild, on_event=on_event),
            once=once,
        )
        if once:
            return watcher.round(on_due)
        watcher.forever(interval_s, on_due)
        return []

    def serve(
        self,
        *,
        host: str | None = None,
        port: int | None = None,
        workers: int | None = None,
        mounts: Callable[[Factory], Mapping[str, Any]] | None = None,
        on_begin: Callable[[Outlook], None] = lambda outlook: None,
        on_ready: Callable[[str], None] = lambda url: None,
    ) -> None:
        """Serve what the file's `serve:` says until SIGTERM or SIGINT. `mounts` makes further ASGI
        applications by path prefix (the console); `on_begin` hears what is about to be served once the
        address is taken, `on_ready` the URL once every backend has answered.

        With more than one worker this process only watches over them. SIGHUP makes them read the file again
        and exchange backends, prices and tenants while requests go on.
        """
        from tenfold.factory.serving import serve

        serve(
            self,
            host=host,
            port=port,
            workers=workers,
            mounts=mounts,
            on_begin=on_begin,
            on_ready=on_ready,
        )

    def replay(
        self,
        trace: Path | None = None,
        *,
        url: str,
        key: str = "",
        model: str = "",
        concurrency: int | None = 8,
    ) -> Replayed:
        """Send a trace (default: that of the newest rehearsal) through a running gateway."""
        from tenfold.factory.replaying import replay

        return replay(self, trace, url=url, key=key, model=model, concurrency=concurrency)

    def create_key(
        self, name: str, tenant: str = "default", **allowance: Any
    ) -> tuple[VirtualKey, str]:
        """A key for clients of the gateway, and its secret, which is kept nowhere. `allowance`: rpm, tpm,
        budget_usd, budget_period, account, models, scopes, expires_at_s."""
        return create_key(self, name, tenant, self._clock.now(), **allowance)

    def revoke_key(self, name: str) -> VirtualKey:
        """Refuse a key from now on. Raises UnknownName."""
        return revoke_key(self, name, self._clock.now())

    def keys(self) -> list[VirtualKey]:
        return self.ledger.read(VirtualKey)

    def close(self) -> None:
        ledger = self.__dict__.pop("ledger", None)
        if ledger is not None:
            ledger.close()

    def __enter__(self) -> Factory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @cached_property
    def _judging(self) -> Judging:
        return Judging(self.name, self.ledger, self._clock)

    @property
    def _mover(self) -> Releases:
        return Releases(self.name, self.graph, self.ledger, self._clock, self._judging)

    @property
    def _builder(self) -> Builder:
        from tenfold.factory.serving import gateways_of
        from tenfold.factory.subject_key import subject_key_file
        from tenfold.observe.work import StepMeter

        return Builder(
            factory=self.name,
            directory=self.directory,
            graph=self.graph,
            ledger=self.ledger,
            blobs=self.blobs,
            clock=self._clock,
            meter=StepMeter(tariff=self.tariff, power=self.power),
            gateways=gateways_of(self),
            subject_key=subject_key_file(self),
            judging=self._judging,
            cpu=self._settings.cpu,
            strict_environment=self._strict_env,
        )

    @property
    def tariff(self) -> Any:
        """What the machine and its energy cost, from the factory file over the built-in figures."""
        from tenfold.observe.cost import Tariff

        return Tariff(**self.spec.cost.model_dump(exclude_none=True) if self.spec else {})

    @property
    def power(self) -> Any:
        """The power model for machines whose energy cannot be measured."""
        from tenfold.observe.energy import MachinePower

        return MachinePower(**self.spec.power.model_dump(exclude_none=True) if self.spec else {})

    def _past(self) -> Past:
        return Past(self.name, self.directory, self.ledger, self.blobs, self._judging)

    def _release(self, rows: Mapping[str, RunStep]) -> tuple[list[AliasMove], list[str]]:
        moved, refused = [], []
        for release in self._releases:
            row = rows.get(release.asset)
            if row is None or row.digest is None:
                continue
            before = self.ledger.alias(release.alias)
            try:
                move = self._mover.promote(
                    release.asset,
                    release.alias,
                    requires=release.requires,
                    digest=row.digest,
                    reason=release.reason or "released by a run",
                    actor=self._settings.actor,
                )
            except CheckFailed as error:
                refused.append(str(error))
                continue
            if before is None or move.seq != before.seq:
                moved.append(move)
        return moved, refused
