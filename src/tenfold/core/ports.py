"""What the kernel needs from the world, as Protocols. Each has an in-memory twin that is public API.

`Blobs` live in `tenfold.stores`, `Ledger` in `tenfold.ledger`, `Engine` in `tenfold.engines`; `Meter` and
`Gateways` are handed in by the composition root so that stages never import each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, runtime_checkable

from tenfold.core.asset import Asset, FileRef, Manifest
from tenfold.core.facts import (
    AliasMove,
    Metric,
    Partial,
    RunStep,
    StepResult,
    TrafficRow,
    Usage,
    Verdict,
)

if TYPE_CHECKING:
    from tenfold.core.graph import Graph, Node

F = TypeVar("F")


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float: ...


@runtime_checkable
class Blobs(Protocol):
    """Bytes by content. Writing the same bytes twice stores them once; a blob is never changed."""

    def put(self, path: Path) -> FileRef:
        """Take over a staged file: digest, fsync, rename. The path is gone afterwards."""
        ...

    def put_bytes(self, data: bytes) -> FileRef: ...

    def open(self, sha256: str) -> BinaryIO:
        """Raises BlobMissing."""
        ...

    def has(self, ref: FileRef) -> bool:
        """Present with the right size (its content is verified by `verify`, not here)."""
        ...

    def path(self, sha256: str) -> Path:
        """A local read-only path to the bytes."""
        ...

    def folder(self, manifest: Manifest) -> Path:
        """A local read-only folder with the manifest's files under their own names."""
        ...

    def staging(self) -> Path:
        """A fresh empty folder from which `put` is a rename."""
        ...

    def listing(self) -> Iterator[tuple[FileRef, float]]:
        """Every blob with the time (seconds since the epoch) it was last written."""
        ...

    def delete(self, sha256: str) -> None: ...


class Ledger(Protocol):
    """All facts. Every method is one transaction: it happened entirely or not at all."""

    def result(self, key: str) -> StepResult | None:
        """The newest result of a key. (There is more than one when a step that was run again by force
        did not repeat itself; the others stay, for an alias may point at them.)"""
        ...

    def settled(self, factory: str) -> list[StepResult]:
        """Everything that the newest run of a factory that succeeded settled on, oldest first."""
        ...

    def current(self, factory: str, asset: str) -> StepResult | None:
        """What the newest run of a factory settled on for an asset, made then or long before, under this
        name or another."""
        ...

    def commit(
        self,
        result: StepResult,
        metrics: Sequence[Metric] = (),
        verdicts: Sequence[Verdict] = (),
        run_step: RunStep | None = None,
    ) -> None:
        """Record a finished step with everything that belongs to it, and drop its partial."""
        ...

    def manifest(self, digest: str) -> Manifest | None: ...

    def put(self, *facts: Any) -> None:
        """Insert or replace Run, RunStep, VirtualKey or Partial records by their identity, all or none."""
        ...

    def append(self, facts: Sequence[Any]) -> None:
        """Add Metric, Verdict, Event, LabelEvent, RequestEvent or EnergyWindow records, all or none.

        A RequestEvent whose id is already there is left as it is: retrying a batch is safe.
        """
        ...

    def append_columns(
        self, tables: Mapping[type, Mapping[str, Sequence[Any]]], *, wait_s: float | None = None
    ) -> None:
        """`append` for thousands at once: per kind of fact its fields, each as a column of equal length.

        A field that is not given has its default. All tables or none. Another writer is waited for at
        most `wait_s` seconds (None: as long as the ledger thinks right). Raises LedgerError when it cannot
        be written now, FactRefused when a record can never be, UsageError for a field that is not there.
        """
        ...

    def read(
        self,
        kind: type[F],
        *,
        after: int = 0,
        limit: int | None = None,
        newest: bool = False,
        **where: Any,
    ) -> list[F]:
        """Records of one kind whose fields equal `where` (a list means any of, None means null).

        In the order they were written, or newest first. `after` is a `seq`.
        """
        ...

    def move_alias(self, move: AliasMove, expected: str | None) -> AliasMove:
        """Compare-and-set: raises AliasConflict unless the alias points at `expected` (None: at nothing)."""
        ...

    def alias(self, name: str) -> AliasMove | None: ...

    def acquire(self, key: str, owner: str, ttl_s: float, now_s: float) -> str | None:
        """Take or renew the lease on a key. Returns None on success, else the present owner."""
        ...

    def release(self, key: str, owner: str) -> None: ...

    def audit(self, actor: str, action: str, subject: str, detail: Any, at_s: float) -> None:
        """Append to the hash chain."""
        ...

    def traffic(
        self, since_s: float, bucket_s: float, source: str | None = None
    ) -> list[TrafficRow]:
        """Requests since a time, summed by tier and time bucket."""
        ...

    def partial(self, key: str) -> Partial | None: ...

    def forget(self, keys: Sequence[str]) -> None:
        """Remove step results and pieces (garbage collection); what happened stays on record in runs and audit."""
        ...

    def close(self) -> None: ...


class Meter(Protocol):
    """Measures work: what did this process (and its children) take between start and stop?"""

    def start(self) -> Callable[[], Usage]: ...


@dataclass(frozen=True, slots=True)
class GatewayHandle:
    """A running gateway: where it is, and a key that opens it."""

    url: str
    """`http://127.0.0.1:PORT`, without `/v1`."""
    api_key: str
    model: str
    """The name to ask for."""
    source: str
    """The `source` its request events and energy windows carry in the ledger."""


class Gateways(Protocol):
    """Starts a real gateway on a model, in a process of its own, for as long as the context lasts."""

    def __call__(
        self, model: Asset, *, tiers: Sequence[str], source: str
    ) -> AbstractContextManager[GatewayHandle]: ...


class Engine(Protocol):
    """Decides when and where steps run; making one asset is the attempt's business.

    `settled` holds what is decided already, `block` records an asset that is not tried, `veto` may say
    why nothing may be built on a finished one. Returns what became of every asset.
    """

    def execute(
        self,
        graph: Graph,
        names: Sequence[str],
        attempt: Callable[[Node, Sequence[tuple[str, str]]], RunStep],
        *,
        settled: dict[str, RunStep],
        block: Callable[[Node, str], RunStep],
        veto: Callable[[Node, RunStep], str | None],
        keep_going: bool = False,
    ) -> dict[str, RunStep]: ...
