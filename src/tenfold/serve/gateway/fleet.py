"""The backends of a gateway: which are ready, which model is where, who is least busy.

Starting goes on in the background, so that a gateway can say "not yet" instead of nothing, and a remote
server may come up after it. It knows no protocol; choosing by more than outstanding work is a router's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence

from tenfold.errors import TenfoldError
from tenfold.serve.backends.base import Backend, BackendRefusal, ModelCard, Unreachable
from tenfold.serve.gateway.refusal import Refusal, retry_after, unknown_model

log = logging.getLogger("tenfold.gateway")

_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 15.0


class Member:
    """One backend, its state and its outstanding generations."""

    __slots__ = ("backend", "error", "outstanding", "state")

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.state = "starting"
        """`starting`, `ready` or `failed`."""
        self.error: Exception | None = None
        self.outstanding = 0


class Fleet:
    def __init__(self, backends: Sequence[Backend], max_generations: int) -> None:
        self.members = [Member(backend) for backend in backends]
        self.outstanding = 0
        self._max_generations = max_generations
        self._by_model: dict[str, list[tuple[Member, ModelCard]]] = {}
        self._starting: list[asyncio.Task[None]] = []
        self._mean_s = 1.0
        """A running mean of how long a generation takes, for Retry-After."""

    def start(self) -> None:
        self._starting = [asyncio.create_task(self._start(member)) for member in self.members]

    async def settled(self) -> None:
        """Return when every backend is ready, or raise the error of one that never will be.

        A backend that is merely unreachable goes on being tried, and is waited for.
        """
        await asyncio.gather(*self._starting)
        for member in self.members:
            if member.state == "failed" and member.error is not None:
                raise member.error

    async def stop(self) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for member in self.members:
            try:
                await member.backend.stop()
            except Exception:
                log.exception("backend %s did not stop cleanly", member.backend.name)

    @property
    def ready(self) -> bool:
        return all(member.state == "ready" for member in self.members)

    def cards(self) -> list[ModelCard]:
        return [choices[0][1] for choices in self._by_model.values()]

    def pids(self) -> list[int]:
        return [pid for member in self.members for pid in member.backend.pids()]

    def choose(self, model: str) -> tuple[Member, ModelCard]:
        """The least busy backend that has the model. Raises Refusal (404, 503)."""
        choices = self._by_model.get(model)
        if choices is None:
            if not self.ready:
                raise self._not_ready(model)
            raise unknown_model(model, list(self._by_model))
        if len(choices) == 1:
            return choices[0]
        return min(choices, key=lambda choice: choice[0].outstanding)

    @contextlib.contextmanager
    def busy(self, member: Member, generations: int = 1) -> Iterator[None]:
        """Count generations while they are under way. Raises Refusal (429) when there are too many."""
        if self.outstanding + generations > self._max_generations and self.outstanding:
            raise Refusal(
                429,
                f"{self.outstanding} generations are under way and no more are taken; try again.",
                code="queue_full",
                headers=(retry_after(self._mean_s),),
            )
        if generations > self._max_generations:
            raise Refusal(
                400,
                f"{generations} generations in one request; this gateway takes "
                f"{self._max_generations} at once.",
                param="n",
            )
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.outstanding += generations
        member.outstanding += generations
        try:
            yield
        finally:
            self.outstanding -= generations
            member.outstanding -= generations
            self._mean_s += 0.1 * (loop.time() - started - self._mean_s)

    def _not_ready(self, model: str) -> Refusal:
        failed = [m for m in self.members if m.state == "failed"]
        if failed and not self._by_model and len(failed) == len(self.members):
            return Refusal(503, "No backend could be started.", code="backend_unavailable")
        return Refusal(
            503,
            f"The model `{model}` is not ready: a backend is still starting.",
            code="model_not_ready",
            headers=(retry_after(1),),
        )

    async def _start(self, member: Member) -> None:
        wait_s = _FIRST_RETRY_S
        name = member.backend.name
        while True:
            try:
                await member.backend.start()
                cards = member.backend.cards()
            except (Unreachable, BackendRefusal) as error:
                if member.error is None:
                    log.warning("backend %s is not there yet: %s", name, error)
                member.error = error
                await asyncio.sleep(wait_s)
                wait_s = min(_LAST_RETRY_S, wait_s * 2)
            except Exception as error:
                member.state, member.error = "failed", error
                if isinstance(error, TenfoldError):
                    log.error("backend %s cannot start: %s", name, error)
                else:
                    log.exception("backend %s cannot start", name)
                return
            else:
                break
        for card in cards:
            self._by_model.setdefault(card.name, []).append((member, card))
        member.state, member.error = "ready", None
